"""Processes with black-box engines, as their parent sees them."""

from __future__ import annotations

import json
import select
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["Engine", "Nursery"]

_WORKER = Path(__file__).with_name("worker.py")
_START_S = 240.0
_SIGNAL_S = 20.0

Answer = dict[str, Any]


class _Lines:
    """Answers, one a line, from something that is read without waiting for more than is there."""

    def __init__(self, number: int, read: Callable[[int], bytes]) -> None:
        self._number, self._read, self._buffer = number, read, b""

    def answer(self, limit_s: float) -> Answer:
        """Return the next answer, or one that says why there is none."""
        end_s = time.monotonic() + limit_s
        while b"\n" not in self._buffer:
            left_s = end_s - time.monotonic()
            if left_s <= 0.0 or not select.select([self._number], [], [], left_s)[0]:
                return {"ok": False, "why": "no answer in time"}
            try:
                got = self._read(1 << 16)
            except OSError:
                got = b""
            if not got:
                return {"ok": False, "why": "the process has ended"}
            self._buffer += got
        line, self._buffer = self._buffer.split(b"\n", 1)
        found: Answer = json.loads(line)
        return found


class Nursery:
    """The process that imports the engine once and forks for each; leaves none behind."""

    def __init__(self, interpreter: str, folder: Path) -> None:
        self._folder, self._started = folder, list[Engine]()
        self._log = (folder / "nursery.log").open("ab")
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / "door"))
        self._door.listen(4)
        self._process = subprocess.Popen(
            [interpreter, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        assert self._process.stdout is not None
        self._lines = _Lines(self._process.stdout.fileno(), self._process.stdout.raw.read)  # type: ignore[attr-defined]
        first = self._lines.answer(_START_S)
        self.versions: dict[str, str] = first.get("versions", {})
        self.pace = float(first.get("pace", 1.0))
        """Wall over CPU time of the import: 1 where nothing else runs."""
        self.refused: str | None = None if first.get("ok") else str(first.get("why"))

    def __enter__(self) -> Nursery:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End all engines, then the process itself."""
        for engine in self._started:
            engine.kill()
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
            self._process.wait(_SIGNAL_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()  # the engines go with it
            self._process.wait()
        self._process.stdout.close()
        self._door.close()
        self._log.close()

    def engine(self, spec: dict[str, Any]) -> Engine:
        """Start an engine and wait until it serves, or has said why it does not."""
        log = self._folder / f"engine-{len(self._started) + 1}.log"
        spec = {**spec, "log": str(log), "socket": str(self._folder / "door")}
        pid = self._ask(do="start", spec=spec).get("pid")
        self._door.settimeout(_SIGNAL_S)
        try:
            link = self._door.accept()[0] if pid is not None else None
        except TimeoutError:
            link = None
        self._started.append(Engine(self, link, pid, log))
        return self._started[-1]

    def send(self, pid: int, signal: str) -> None:
        """Send a signal to an engine; after SIGKILL it is gone."""
        self._ask(do="signal", pid=pid, signal=signal)

    def _ask(self, **order: Any) -> Answer:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write((json.dumps(order) + "\n").encode())
            self._process.stdin.flush()
        except (BrokenPipeError, OSError):
            return {"ok": False, "why": "the process has ended"}
        return self._lines.answer(_SIGNAL_S)


class Engine:
    """Ordered, stalled, killed; a context manager that leaves no process behind."""

    def __init__(
        self, nursery: Nursery, link: socket.socket | None, pid: int | None, log: Path
    ) -> None:
        self._nursery, self._link, self._pid, self._log = nursery, link, pid, log
        self._lines = None if link is None else _Lines(link.fileno(), link.recv)
        started = self.answer(_START_S)
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

    def tell(self, **order: Any) -> bool:
        """Give an order without waiting; False if nobody is there."""
        if self._link is None:
            return False
        try:
            self._link.sendall((json.dumps(order) + "\n").encode())
        except OSError:
            return False
        return True

    def answer(self, limit_s: float) -> Answer:
        """Return the next answer, or one that says why there is none."""
        if self._lines is None:
            return {"ok": False, "why": "the process has ended"}
        return self._lines.answer(limit_s)

    def ask(self, within_s: float, /, **order: Any) -> Answer:
        """Give an order and return its answer."""
        if not self.tell(**order):
            return {"ok": False, "why": "the process has ended"}
        return self.answer(within_s)

    def logged(self, words: str) -> int:
        """Return how many lines of the engine's log hold some words."""
        return sum(words in line for line in self.log().splitlines())

    def log(self) -> str:
        """Return what the engine has written so far."""
        if not self._log.exists():
            return ""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def stall(self) -> None:
        """Stop the process where it is."""
        if self._pid is not None:
            self._nursery.send(self._pid, "SIGSTOP")

    def wake(self) -> None:
        """Let it go on."""
        if self._pid is not None:
            self._nursery.send(self._pid, "SIGCONT")

    def kill(self) -> None:
        """End the process at once."""
        if self._pid is not None:
            self._nursery.send(self._pid, "SIGKILL")
            self._pid = None
        if self._link is not None:
            self._link.close()
            self._link, self._lines = None, None
