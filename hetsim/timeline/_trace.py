"""Events of the Chrome trace format (JSON), which Perfetto opens.

Source: "Trace Event Format" (Google, public document): complete slices ``X``, counters ``C``, flows
``s t f``, instants ``i``, metadata ``M``; times in microseconds. Times are kept as whole
nanoseconds, so that what touches in the run touches in the trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

__all__ = ["Place", "Trace", "nanoseconds"]


def nanoseconds(seconds: float) -> int:
    """Return whole nanoseconds.

    >>> nanoseconds(0.0015)
    1500000
    """
    return round(seconds * 1e9)


class Place(NamedTuple):
    """A moment inside a slice: where an arrow begins, passes or ends."""

    pid: int
    tid: int
    at_ns: int


class Trace:
    """Gathers events; ``lines`` gives them as JSON, one a line."""

    def __init__(self) -> None:
        self._events: list[str] = []
        self._pids = 0
        self._tids: dict[int, int] = {}
        self.open_at: dict[tuple[int, int], int] = {}

    def process(self, name: str) -> int:
        """Return a new group of tracks; groups are shown in the order of making."""
        self._pids += 1
        pid = self._pids
        self._tids[pid] = 0
        self._meta(pid, 0, "process_name", {"name": name})
        self._meta(pid, 0, "process_sort_index", {"sort_index": pid})
        return pid

    def thread(self, pid: int, name: str) -> int:
        """Return a new track of a group."""
        self._tids[pid] += 1
        tid = self._tids[pid]
        self._meta(pid, tid, "thread_name", {"name": name})
        self._meta(pid, tid, "thread_sort_index", {"sort_index": tid})
        return tid

    def slice(
        self,
        pid: int,
        tid: int,
        name: str,
        start_ns: int,
        end_ns: int,
        args: Mapping[str, Any] | None = None,
    ) -> None:
        """Add a slice; one without length is left out."""
        if end_ns <= start_ns:
            return
        self._add("X", pid, tid, name, start_ns, dur=(end_ns - start_ns) / 1e3, args=args)

    def instant(self, pid: int, tid: int, name: str, at_ns: int) -> None:
        """Add a moment."""
        self._add("i", pid, tid, name, at_ns, s="t")

    def counter(self, pid: int, name: str, unit: str, changes: Sequence[tuple[int, float]]) -> None:
        """Add a counter from its changes ``(time, by how much)``, in any order."""
        total, last = 0.0, None
        for at_ns, change in sorted(changes):
            if last is not None and at_ns != last:
                self._add("C", pid, 0, name, last, args={unit: _rounded(total)})
            total, last = total + change, at_ns
        if last is not None:
            self._add("C", pid, 0, name, last, args={unit: _rounded(total)})

    def levels(self, pid: int, name: str, unit: str, points: Sequence[tuple[int, float]]) -> None:
        """Add a counter from its values in the order of time."""
        for at_ns, value in points:
            self._add("C", pid, 0, name, at_ns, args={unit: _rounded(value)})

    def arrow(self, number: int, name: str, places: Sequence[Place]) -> None:
        """Add an arrow through moments inside slices, at least two."""
        last = len(places) - 1
        for index, (pid, tid, at_ns) in enumerate(places):
            phase = "s" if index == 0 else "f" if index == last else "t"
            more: dict[str, Any] = {"bp": "e"} if phase == "f" else {}
            self._add(phase, pid, tid, name, at_ns, cat="kv", id=number, **more)

    def lines(self) -> Iterator[str]:
        """Yield the file, line by line."""
        yield '{"displayTimeUnit": "ms", "traceEvents": [\n'
        last = len(self._events) - 1
        for index, event in enumerate(self._events):
            yield event + (",\n" if index < last else "\n")
        yield "]}\n"

    def _meta(self, pid: int, tid: int, name: str, args: Mapping[str, Any]) -> None:
        self._events.append(
            json.dumps({"ph": "M", "pid": pid, "tid": tid, "name": name, "args": args})
        )

    def _add(self, phase: str, pid: int, tid: int, name: str, at_ns: int, **more: Any) -> None:
        made = {"ph": phase, "pid": pid, "tid": tid, "name": name, "ts": at_ns / 1e3}
        made.update({key: value for key, value in more.items() if value is not None})
        self._events.append(json.dumps(made))


def _rounded(value: float) -> float:
    """Return a value without the dust of additions and subtractions."""
    return float(f"{value:.9g}") if abs(value) > 1e-6 else 0.0
