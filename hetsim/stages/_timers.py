"""Timers of requests: many of one kind, nearly all stopped before they ring."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Any

from hetsim.engine import Alarm, Engine
from hetsim.ownership._vocabulary import timer_fired
from hetsim.serving import Seq

__all__ = ["Timers"]


class Timers:
    """Timers of one name and delay: deadlines come in order, so one alarm serves all.

    An entry is ``[deadline, sequence]``, its sequence None once it was stopped or set again.
    """

    __slots__ = ("_alarm", "_due", "_engine", "_event", "_fired", "_name")

    def __init__(self, engine: Engine, name: str, fired: Callable[[Seq, Any], None]) -> None:
        self._engine = engine
        self._name = name
        self._fired = fired
        self._event = timer_fired(name)
        self._due: deque[list[Any]] = deque()
        self._alarm = Alarm(engine, self._ring)

    def add(self, seq: Seq, deadline_s: float) -> None:
        """Arm it for ``seq``, in place of an earlier one of the same name."""
        due, timers, name = self._due, seq.timers, self._name
        if name in timers:
            timers[name][1] = None
        # Most are stopped soon after they were set: let go of them while they are at hand.
        while due and due[0][1] is None:
            due.popleft()
        entry = timers[name] = [deadline_s, seq]
        due.append(entry)
        if self._alarm.at_s == inf:
            self._alarm.set(deadline_s)

    def arm(self, seq: Seq, delay_s: float) -> None:
        """Arm it for ``seq``, to fire ``delay_s`` from now; as :meth:`add`, inlined."""
        due, timers, name = self._due, seq.timers, self._name
        deadline_s = self._engine._now + delay_s
        if name in timers:
            timers[name][1] = None
        while due and due[0][1] is None:
            due.popleft()
        entry = timers[name] = [deadline_s, seq]
        due.append(entry)
        if self._alarm.at_s == inf:
            self._alarm.set(deadline_s)

    def _ring(self) -> None:
        due, name, now = self._due, self._name, self._engine._now
        while due:
            deadline_s, seq = due[0]
            if seq is not None and deadline_s > now:
                self._alarm.set(deadline_s)
                return
            due.popleft()
            if seq is not None:
                del seq.timers[name]
                self._fired(seq, self._event)

    @staticmethod
    def stop(seq: Seq, name: str) -> None:
        """Forget the timer of that name, if it is set."""
        entry = seq.timers.pop(name, None)
        if entry is not None:
            entry[1] = None
