"""The other end of a link: a process of its own that answers until it is told to stop."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["Peer", "touched"]

_PATIENCE_S = 60.0
_PAGE = 4096


def touched(room: int) -> bytearray:
    """Return a buffer whose pages are all there, so that no transfer pays for their first use."""
    made = bytearray(room)
    made[::_PAGE] = b"\1" * len(range(0, room, _PAGE))
    return made


class Peer:
    """A child process with a pipe to it; its first word says that it is ready."""

    def __init__(self, body: Callable[..., None], *values: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=body, args=(theirs, *values), daemon=True)
        self.process.start()
        theirs.close()
        self.ready = self.wait()

    def wait(self) -> Any:
        """Return the peer's next word.

        Raises
        ------
        TimeoutError
            If it says nothing for a minute, or is gone.
        """
        with suppress(EOFError, OSError):
            if self.pipe.poll(_PATIENCE_S):
                return self.pipe.recv()
        raise TimeoutError("the other end of the link does not answer")

    def close(self) -> None:
        """Tell the peer to stop, and wait for it."""
        with suppress(OSError, ValueError):
            self.pipe.send(None)
        self.process.join(5.0)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(5.0)
        self.pipe.close()
