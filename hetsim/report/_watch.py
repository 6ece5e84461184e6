"""The report of a sweep that runs: written anew as points arrive."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["Watch"]

_LEAST_S = 2.0
_SHARE = 0.2
"""At most this part of the time goes into writing reports."""
_PATIENCE = 40
"""A page that has not changed for so many of its intervals stops loading itself."""


class Watch:
    """Called after every finished point; writes ``DIR/report.html`` once in a while.

    A reader finds the old page or the new one, and the page of a sweep that runs loads itself anew.
    """

    def __init__(self, folder: str | Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = Path(folder) / "report.html"
        self.written = 0
        self._clock = clock
        self._next_s = clock()
        self._every_s = _LEAST_S

    def __call__(self, done: int, total: int, result: Callable[[], SweepResult]) -> None:
        """Write the report if it is time; ``result`` makes the points so far."""
        started_s = self._clock()
        if started_s < self._next_s:
            return
        self._write(result(), f"{done:,} of at most {total:,} runs are done.")
        took_s = self._clock() - started_s
        # The first report loads libraries: it says nothing of the next ones.
        self._every_s = max(_LEAST_S, took_s / _SHARE) if self.written > 1 else _LEAST_S
        self._next_s = self._clock() + self._every_s

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.stop()

    def finish(self, result: SweepResult) -> None:
        """Write the report of the finished sweep, which stays as it is."""
        from hetsim.report._report import sweep_report

        sweep_report(result, self.path)

    def stop(self) -> None:
        """Keep what the page shows, but let it no longer load itself; for a sweep that ended early.

        The next sweep in the same directory writes it anew.
        """
        if not self.written or not self.path.is_file():
            return
        text = self.path.read_text(encoding="utf-8")
        part = self.path.with_name(f".{self.path.name}.partial")
        part.write_text(text.replace(_RUNS, _STOPPED, 1), encoding="utf-8")
        part.replace(self.path)

    def _write(self, result: SweepResult, says: str) -> None:
        from hetsim.report._report import sweep_report

        every_s = max(3, round(self._every_s))
        live = {
            "says": says,
            "every_s": every_s,
            "written_s": round(time.time()),
            "patience_s": max(600, _PATIENCE * every_s),
        }
        sweep_report(result, self.path, live)
        self.written += 1


_RUNS = '<div id="live"'
_STOPPED = '<p class="ended">The sweep was stopped: what follows is what was done.</p>\n<div hidden'
