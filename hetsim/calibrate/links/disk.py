"""A file: written until the device has it, and read from the device, not from a cache."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

from hetsim.calibrate.links._types import Setting
from hetsim.calibrate.measure._types import NotAvailable

__all__ = ["DiskLink", "open_link"]


def open_link(setting: Setting) -> DiskLink:
    """Return a file in the folder of the measurement."""
    return DiskLink(setting.folder, setting.largest_bytes)


class DiskLink:
    """A file that is removed when it is closed."""

    ops = ("write", "read")

    def __init__(self, folder: Path, largest: int) -> None:
        if not hasattr(os, "posix_fadvise"):
            raise NotAvailable("reading past the cache of files needs a POSIX system")
        folder.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
        self.connect_s = time.perf_counter() - started
        self._data = memoryview(bytearray(largest))
        self._place = self._file.fileno()
        for start in range(0, largest, 1 << 24):
            os.pwrite(self._place, self._data[start : min(largest, start + (1 << 24))], start)
        os.fsync(self._place)

    def transfer(self, op: str, size: int, pieces: int) -> float:
        """Write or read; the cache is emptied outside of the timed part."""
        each = size // pieces
        if op == "read":
            os.posix_fadvise(self._place, 0, 0, os.POSIX_FADV_DONTNEED)
        started = time.perf_counter()
        for i in range(pieces):
            part = self._data[i * each : (i + 1) * each]
            if op == "write":
                os.pwrite(self._place, part, i * each)
            else:
                os.preadv(self._place, [part], i * each)
        if op == "write":
            os.fdatasync(self._place)
        return time.perf_counter() - started

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
