"""The journal keeps finished points through kills, damage and full disks."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from hetsim.errors import ScenarioError
from hetsim.sweep._journal import Journal, OutOfSpace
from hetsim.sweep._lock import DirectoryLock


def filled(path: Path, count: int) -> Journal:
    journal = Journal(path)
    for number in range(count):
        journal.append(f"k{number}", {"value": number / 3, "reason": "ü"})
    journal.close()
    return journal


def test_what_is_written_is_read_back_exactly(tmp_path: Path) -> None:
    rows = filled(tmp_path / "j", 5).rows
    assert Journal(tmp_path / "j").rows == rows


def test_a_line_cut_anywhere_is_dropped_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "j"
    filled(path, 3)
    whole = path.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        journal = Journal(path)
        assert list(journal.rows) == ["k0", "k1"], cut
        journal.append("k2", {"value": 2 / 3, "reason": "ü"})
        journal.close()
        assert path.read_bytes() == whole


def test_a_damaged_line_is_passed_over_and_the_others_kept(tmp_path: Path) -> None:
    path = tmp_path / "j"
    filled(path, 3)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b"value", b"valve")
    path.write_bytes(b"".join(lines))
    journal = Journal(path)
    assert (list(journal.rows), journal.damaged) == (["k0", "k2"], 1)


def test_a_full_disk_leaves_no_part_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "j"
    filled(path, 2)
    whole = path.read_bytes()
    real = os.pwrite

    def half(file: int, data: bytes, at: int) -> int:
        if len(data) < 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[: len(data) // 2], at)

    journal = Journal(path)
    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(OutOfSpace, match="finished points are kept"):
        journal.append("k2", {"value": 1.0, "text": "x" * 200})
    monkeypatch.undo()
    assert path.read_bytes() == whole
    assert "k2" not in journal.rows
    journal.append("k2", {"value": 1.0})
    journal.close()
    assert list(Journal(path).rows) == ["k0", "k1", "k2"]


def test_a_directory_has_one_writer(tmp_path: Path) -> None:
    with (
        DirectoryLock(tmp_path),
        pytest.raises(ScenarioError, match=f"is being written by process {os.getpid()}"),
    ):
        DirectoryLock(tmp_path).__enter__()
    with DirectoryLock(tmp_path):
        pass


def test_children_do_not_inherit_the_lock(tmp_path: Path) -> None:
    import fcntl

    lock: Any = DirectoryLock(tmp_path)
    with lock:
        assert fcntl.fcntl(lock._file, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
