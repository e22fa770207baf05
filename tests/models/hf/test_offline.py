"""What a configuration names is never asked for over a network."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from checks.releases import working_transformers

from thoplw.errors import InputError
from thoplw.models.hf.offline import offline
from thoplw.models.registry import load

working_transformers()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Any]:
    """The hosts that were looked for; nothing is cached."""
    hosts: list[Any] = []

    def refuse(*arguments: Any, **options: Any) -> None:
        hosts.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return hosts


DETR = {"model_type": "detr", "use_pretrained_backbone": False, "backbone_config": None}


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "timm_backbone", "backbone": "hf-hub:timm/resnet18.a1_in1k"},
        {"model_type": "timm_backbone", "backbone": "hf_hub:timm/resnet18.a1_in1k"},
        {**DETR, "backbone": "hf-hub:timm/resnet18.a1_in1k", "use_timm_backbone": True},
        {**DETR, "backbone": "microsoft/resnet-50", "use_timm_backbone": False},
        {"model_type": "llava", "vision_config": {"model_type": "timm_wrapper", "architecture": "hf-hub:timm/vit"}},
    ],
)
def test_a_backbone_on_a_hub_is_refused(config: dict[str, Any], asked: list[Any], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=r"names something on a model hub, and thoplw downloads nothing: write it out"):
        load(f"hf:{tmp_path}")
    assert asked == []


def test_the_switch_is_put_back_and_other_errors_come_through() -> None:
    switches: Any = pytest.importorskip("huggingface_hub.constants")
    before = switches.HF_HUB_OFFLINE
    seen = []

    def fail() -> None:
        with offline("x"):
            seen.append(switches.HF_HUB_OFFLINE)
            raise FileNotFoundError("mine")

    with pytest.raises(FileNotFoundError, match="mine"):
        fail()
    assert (seen, switches.HF_HUB_OFFLINE) == ([True], before)
