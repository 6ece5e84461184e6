"""What reaches a hand-off later, and in order: control messages and timers."""

from __future__ import annotations

from collections import deque
from heapq import heappush
from typing import Any

from hetsim.engine import NORMAL, Engine, Signal
from hetsim.ownership._vocabulary import Send, SetTimer, StopTimer, notice
from hetsim.serving import Seq
from hetsim.stages._timers import Timers

__all__ = ["Control"]


class Control:
    """The control plane of a :class:`~hetsim.stages._handoff.Handoff`."""

    def __init__(self, engine: Engine, control_s: float) -> None:
        self.engine = engine
        self._control_s = control_s
        self._timers: dict[tuple[str, float], Timers] = {}
        self._messages: deque[tuple[Seq, Any]] = deque()
        self._post = Signal(self._told)

    def feed(self, seq: Seq, event: Any) -> None:
        """Take the request on from where it is."""
        raise NotImplementedError

    def _send(self, seq: Seq, order: Send) -> None:
        self._tell(seq, notice(order.notice))

    def _tell(self, seq: Seq, event: Any) -> None:
        """Feed an event once a control message has crossed.

        All take the same time, so they arrive in order: one signal and a queue serve them all.
        """
        engine = self.engine
        at_s = engine._now + self._control_s
        heappush(engine.queue, (at_s, NORMAL, next(engine.order), self._post))
        self._messages.append((seq, event))

    def _told(self, _: Signal) -> None:
        seq, event = self._messages.popleft()
        self.feed(seq, event)

    def _set_timer(self, seq: Seq, order: SetTimer) -> None:
        name, delay_s = order.name, order.delay_s
        timers = self._timers.get((name, delay_s))
        if timers is None:
            timers = self._timers[name, delay_s] = Timers(self.engine, name, self.feed)
        timers.add(seq, self.engine._now + delay_s)

    def _stop_timer(self, seq: Seq, order: StopTimer) -> None:
        Timers.stop(seq, order.name)
