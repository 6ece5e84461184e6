"""One fault of the scenario while a run goes on: whether it is open, and what it hits."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from hetsim.faults import CATALOGUE, FaultRecord, hits
from hetsim.serving import Seq

__all__ = ["Armed"]


class Armed:
    """A fault that may strike; faults that hit things one by one keep their window here."""

    def __init__(self, index: int, fault: Any, draw: Callable[..., float]) -> None:
        self.index = index
        self.fault = fault
        self.kind = CATALOGUE[fault.kind]
        self.record = FaultRecord(index, fault.kind, self.kind.group)
        self.stroke: Callable[..., None] | None = None
        """What it does, where it waits for a state."""
        self.entered = 0
        """Requests that entered the state ``when``."""
        self._draw = draw
        self._left = 0.0
        """Hits that the last stroke still has."""
        self._until_s = inf
        self._targets: dict[Seq, None] = {}
        self._seen: dict[int, int] = {}
        """Things of a request that were looked at, for draws by identity."""
        if fault.probability is not None:
            start = fault.at or 0.0
            self._from_s = start
            self._left = fault.count or inf
            self._until_s = start + fault.duration if fault.duration is not None else inf

    def open(self, now: float, seq: Seq | None = None) -> None:
        """Let a stroke begin: it will hit things from now on, or those of ``seq``."""
        fault = self.fault
        self.record.strike(now)
        if seq is not None:
            self._targets[seq] = None
            return
        if fault.duration is not None:
            self._until_s = now + fault.duration
            self._left = fault.count or inf
        else:
            self._until_s = inf
            self._left += fault.count or 1

    def hits(self, seq: Seq, now: float) -> bool:
        """Return whether this thing of ``seq`` is hit, and count it."""
        if self._targets and seq in self._targets:
            del self._targets[seq]
            return True
        if self._left <= 0 or now >= self._until_s:
            return False
        probability = self.fault.probability
        if probability is not None:
            if now < self._from_s:
                return False
            ordinal = self._seen.get(seq.rid, 0)
            self._seen[seq.rid] = ordinal + 1
            if not hits(self._draw, self.index, probability, seq.rid, ordinal):
                return False
            self.record.strike(now)
        self._left -= 1
        return True
