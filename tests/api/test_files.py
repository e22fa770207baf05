"""Files are written whole or not at all, and by one process at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from thoplw.api.files import PLOTS, check_ending, locked, replaced
from thoplw.errors import InputError


def test_a_file_is_replaced_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old", encoding="utf-8")
    with replaced(path) as beside:
        beside.write_text("new", encoding="utf-8")
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_old_file_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(FileNotFoundError), replaced(path):
        pass  # nothing is written
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_has_one_holder_and_leaves_no_file(tmp_path: Path) -> None:
    lock = tmp_path / "survey.lock"
    with locked(lock):
        with pytest.raises(InputError, match=r"another survey is writing there.*survey\.lock"), locked(lock):
            pass
        assert lock.exists()
    assert not lock.exists()
    with locked(lock):
        pass


def test_a_lock_in_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot write .*No such file"), locked(tmp_path / "none" / "lock"):
        pass


def test_the_ending_chooses_the_format(tmp_path: Path) -> None:
    check_ending(tmp_path / "plot.svg", PLOTS)
    with pytest.raises(InputError, match=r"plot\.gif: the name must end in \.png or \.svg"):
        check_ending(tmp_path / "plot.gif", PLOTS)
