"""A process with one black-box engine, as its parent sees it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Engine"]

_WORKER = Path(__file__).with_name("worker.py")
_START_S = 240.0

Answer = dict[str, Any]


class Engine:
    """Started, ordered, stalled, killed; a context manager that leaves no process behind."""

    def __init__(self, interpreter: str, spec: dict[str, Any], log: Path) -> None:
        self._log = log.open("ab")
        self._buffer = b""
        self._process = subprocess.Popen(
            [interpreter, str(_WORKER), json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        first = self.answer(_START_S)
        self.version = first.get("version", "")
        started = self.answer(_START_S) if self.version else first
        self.refused: str | None = None if started.get("ok") else str(started.get("why"))
        self.free = int(started.get("free", 0))
        """Free blocks when nothing runs."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def tell(self, **order: Any) -> bool:
        """Give an order without waiting; False if nobody is there."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(order) + "\n").encode())
            self._process.stdin.flush()
        except (BrokenPipeError, OSError):
            return False
        return True

    def answer(self, limit_s: float) -> Answer:
        """Return the next answer, or one that says why there is none."""
        assert self._process.stdout is not None
        pipe, end_s = self._process.stdout.fileno(), time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            left_s = end_s - time.monotonic()
            if left_s <= 0.0 or not select.select([pipe], [], [], left_s)[0]:
                return {"ok": False, "why": "no answer in time"}
            got = os.read(pipe, 1 << 16)
            if not got:
                return {"ok": False, "why": "the process has ended"}
            self._buffer += got
        line, self._buffer = self._buffer.split(b"\n", 1)
        found: Answer = json.loads(line)
        return found

    def ask(self, within_s: float, /, **order: Any) -> Answer:
        """Give an order and return its answer."""
        if not self.tell(**order):
            return {"ok": False, "why": "the process has ended"}
        return self.answer(within_s)

    def stall(self) -> None:
        """Stop the process where it is."""
        self._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End the process at once."""
        if self.alive:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except OSError:  # what was not yet written has no reader any more
                    continue
        self._log.close()
