"""One writer at a time for a directory; the lock dies with its owner."""

from __future__ import annotations

import fcntl
import os
import socket
from pathlib import Path
from types import TracebackType

from hetsim.errors import Problem, ScenarioError
from hetsim.sweep._journal import writing

__all__ = ["DirectoryLock"]


class DirectoryLock:
    """Holds ``DIR/lock`` for as long as the process lives.

    The operating system keeps the lock and lets go of it when the owner ends, however it ends, so
    that a dead owner's directory is taken over at once. Children do not inherit it.

    Raises
    ------
    ScenarioError
        If another process is writing there.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self._file: int | None = None

    def __enter__(self) -> DirectoryLock:
        with writing(self.path):
            file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.read(file, 200).decode(errors="replace").strip() or "another process"
            os.close(file)
            raise ScenarioError(
                Problem(
                    f"is being written by {owner}; wait for it, or give another --out",
                    "",
                    str(self.path.parent),
                )
            ) from None
        self._file = file
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
