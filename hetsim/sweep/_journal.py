"""The finished points of a directory: a line each, checked when read, never rewritten."""

from __future__ import annotations

import errno
import json
import os
import zlib
from pathlib import Path
from typing import Any

from hetsim.errors import HetsimError

__all__ = ["Journal", "OutOfSpace", "writing"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class OutOfSpace(HetsimError):
    """The disk is full, or a file may not grow: what is finished is kept, and a restart resumes."""


class Journal:
    """A file of finished points; a line is a checksum and JSON of ``key`` and ``row``.

    A kill may cut the last line short: reading stops there, and writing begins there. A line that
    is damaged elsewhere is passed over, and its point is simulated again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[str, dict[str, Any]] = {}
        self.damaged = 0
        self._end = 0
        self._file: int | None = None
        self._read()

    def _read(self) -> None:
        if not self.path.exists():
            return
        with open(self.path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._end += len(line)
                found = _parse(line)
                if found is None:
                    self.damaged += 1
                else:
                    self.rows[found[0]] = found[1]

    def append(self, key: str, row: dict[str, Any]) -> None:
        """Add a finished point; when this returns, a kill of this process cannot lose it.

        Raises
        ------
        OutOfSpace
            If the line does not fit; no part of it stays.
        """
        body = json.dumps({"key": key, "row": row}).encode()
        line = b"%08x %s\n" % (zlib.crc32(body), body)
        with writing(self.path):
            if self._file is None:
                flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
                self._file = os.open(self.path, flags, 0o644)
                os.ftruncate(self._file, self._end)
            self._write(line)
        self._end += len(line)
        self.rows[key] = row

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        done = 0
        try:
            while done < len(line):
                done += os.pwrite(self._file, line[done:], self._end + done)
        except OSError:
            os.ftruncate(self._file, self._end)
            raise

    def close(self) -> None:
        """Bring what was written to the disk."""
        if self._file is not None:
            with writing(self.path):
                os.fsync(self._file)
            os.close(self._file)
            self._file = None


def _parse(line: bytes) -> tuple[str, dict[str, Any]] | None:
    stated, _, body = line.rstrip(b"\n").partition(b" ")
    try:
        if int(stated, 16) != zlib.crc32(body):
            return None
        found = json.loads(body)
        return str(found["key"]), dict(found["row"])
    except (ValueError, KeyError, TypeError):
        return None


class writing:
    """Turns a full disk into :class:`OutOfSpace`, and other obstacles into a plain error."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, OSError):
            return
        if error.errno in _FULL:
            raise OutOfSpace(
                f"{self.path}: no space is left ({error.strerror}); finished points are kept: "
                "free some space and start the same command again"
            ) from None
        raise HetsimError(f"{self.path}: cannot be written: {error.strerror}") from None
