"""The page of a generation has the figures of its report, in its calls, its cache and its layers."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
import torch
from checks.releases import working_transformers
from torch import nn

import thoplw

pytest.importorskip("jinja2")

PROMPT, NEW, BATCH = 20, 14, 2


def gemma() -> nn.Module:
    transformers = working_transformers()
    config = transformers.AutoConfig.for_model(
        "gemma2",
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=200,
        pad_token_id=0,
        head_dim=16,
        sliding_window=24,
    )
    model: nn.Module = transformers.AutoModelForCausalLM.from_config(config).eval()
    return model


@pytest.mark.parametrize("new", [1, 2, NEW])
def test_pages(new: int) -> None:
    report = thoplw.profile_generation(gemma(), PROMPT, new, BATCH, verbose=False)
    page = report.summary("html")
    end = PROMPT + new - 1
    for figure in (report.total_macs, report.prefill.total_moved, report.prefill.compulsory, report.cache_bytes(end)):
        assert f"{figure:,}" in page
    assert ("<svg" in page) == (new > 2)
    assert ("First step" in page) == (new > 1)
    assert "model.layers.1.mlp.down_proj" in page
    macs = {row.name: row.macs for row in report.prefill.rows}
    assert thoplw.clever_format(macs["model.layers.1.mlp.down_proj"], "%.2f") in page


class Remembers(nn.Module):
    """Keeps what it has seen, and compares it with all that is new."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(10, 8)
        self.head = nn.Linear(8, 10, bias=False)

    def forward(self, ids: torch.Tensor, memory: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        x = self.embedding(ids)
        memory = x if memory is None else torch.cat([memory, x], 1)
        return {"logits": self.head(x @ memory.mT @ memory), "memory": memory}


class Cells(HTMLParser):
    """Reads the rows of all tables."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        self._inside = tag in ("td", "th")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside and self.rows:
            self.rows[-1].append(data.strip())


def test_tables_have_layers_and_cache_by_algebra() -> None:
    report = thoplw.profile_generation(Remembers(), 5, 4, 3, convention="macs", verbose=False)
    rows = Cells(report.summary("html")).rows
    prefill, step = 3 * 5 * 2 * 5 * 8, 3 * 2 * 6 * 8
    head = 3 * 8 * 10

    def cells(name: str) -> list[str]:
        return next(row for row in rows if row[:1] == [name] and any("%" in cell for cell in row))

    share = f"{100 * head / (step + head):.2f} %"
    assert cells("head")[1:6] == ["Linear", "1.20 K", f"{100 * 5 * head / (prefill + 5 * head):.2f} %", "240", share]
    end = 5 + 4 - 1
    assert ["memory", f"{3 * 5 * 8 * 4:,}", f"{3 * end * 8 * 4:,}"] in rows
    assert not any("Bytes at the peak" in row for row in rows)  # nobody asked for memory
