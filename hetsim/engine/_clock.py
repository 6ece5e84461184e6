"""The clock: a SimPy environment with absolute times, alarms, and one order of events.

Events at one time run in the order (priority, sequence): urgent 0, normal 1, late 2, last 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from math import inf
from typing import Any

import simpy

from hetsim.errors import InvariantViolated

__all__ = ["LAST", "LATE", "NORMAL", "URGENT", "Alarm", "Engine", "Signal", "Wake"]

URGENT, NORMAL, LATE, LAST = 0, 1, 2, 3


class Signal:
    """The least that the clock needs of an event: ``act(signal)`` is called when it happens.

    It may be on the clock several times; ``engine.rang`` says which entry happens just now.
    SimPy's own ``step`` sees a callback that never wears out, and an event that succeeded.
    """

    __slots__ = ("act",)
    _ok = True

    def __init__(self, act: Callable[[Any], None]) -> None:
        self.act = act

    @property
    def callbacks(self) -> list[Callable[[Any], None]]:
        """What SimPy calls."""
        return [self.act]

    @callbacks.setter
    def callbacks(self, gone: None) -> None:
        pass


class Wake(Signal):
    """A signal that knows whom it is for: ``owner``. A third of a Timeout's cost."""

    __slots__ = ("owner",)

    def __init__(self, act: Callable[[Any], None], owner: Any = None) -> None:
        self.act = act
        self.owner = owner


class Engine(simpy.Environment):
    """A SimPy environment whose events can be put at an absolute time.

    ``engine.process`` and ``engine.timeout`` work as in SimPy. ``now + (at - now)`` need not be
    ``at``, so whoever computes a time and not a delay uses :meth:`call_at` or an :class:`Alarm`.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        super().__init__(start_s)
        self.queue: list[Any] = self._queue
        """SimPy's heap of (time, priority, sequence, event), for hot paths that push themselves."""
        self.order: Iterator[int] = self._eid
        self.rang = -1
        """Sequence number of the event that happens now: how its owner knows it is not stale."""
        self.soon: list[Any] = []
        """Entries, as in the heap, that are late events of this very moment: an event that lets an
        idle party act at once spares the heap. They keep their order; see :meth:`_drain`."""
        self._after: list[Callable[[], None]] = []

    def put(self, event: Any, at_s: float, priority: int = NORMAL) -> None:
        """Let ``event`` happen at ``at_s``.

        Raises
        ------
        InvariantViolated
            L5, if that lies in the past or is NaN.
        """
        if not at_s >= self._now:
            raise InvariantViolated("L5", f"an event was set at {at_s!r} s, now is {self._now!r} s")
        heappush(self.queue, (at_s, priority, next(self.order), event))

    def drop(self, order: int) -> None:
        """Take the entry of that sequence number off the clock: a walk, for what is rare.

        An entry that its owner takes for stale does no harm, but the clock still goes there.
        """
        queue = self.queue
        for place, entry in enumerate(queue):
            if entry[2] == order:
                queue[place] = queue[-1]
                queue.pop()
                heapify(queue)
                return

    def call_at(self, at_s: float, callback: Callable[[], None], priority: int = NORMAL) -> None:
        """Call ``callback()`` once at ``at_s``; what cannot be taken back needs no alarm."""
        self.put(Wake(_call, callback), at_s, priority)

    def after_event(self, callback: Callable[[], None]) -> None:
        """Call ``callback()`` after every event of :meth:`run`: for the laws and for samplers."""
        self._after.append(callback)

    def run(self, until: Any = None) -> Any:
        """Run until no event is left, until a time (exclusive), or until an event has happened.

        As SimPy does, but for the loop, which is inlined, and for errors: what a process raises
        comes out as it is, and not as a copy rebuilt from its arguments.

        Raises
        ------
        ValueError
            If the time lies in the past.
        RuntimeError
            If no event is left and the one waited for has not happened.
        """
        if isinstance(until, simpy.Event):
            return self._run_until(until)
        end = inf if until is None else float(until)
        if end < self._now:
            raise ValueError(f"until (={end}) must not be before now (={self._now})")
        self._queue_soon()
        queue, after, soon = self.queue, self._after, self.soon
        while queue and queue[0][0] < end:
            self._now, _, self.rang, event = heappop(queue)
            try:
                act = event.act
            except AttributeError:
                _happen(event)
            else:
                act(event)
            if after:
                for look in after:
                    look()
            if soon:
                self._drain()
        if until is not None:
            self._now = end
        return None

    def _drain(self) -> None:
        """Let the late events of this moment happen, unless something else comes before them."""
        queue, soon, now = self.queue, self.soon, self._now
        while soon:
            if len(soon) > 1 or (queue and queue[0][0] <= now):
                self._queue_soon()
                return
            _, _, self.rang, signal = soon.pop()
            signal.act(signal)
            for look in self._after:
                look()

    def _queue_soon(self) -> None:
        for entry in self.soon:
            heappush(self.queue, entry)
        self.soon.clear()

    def step(self) -> None:
        """Let the next event happen."""
        self._queue_soon()
        if self._queue:
            self.rang = self._queue[0][2]
        super().step()
        self._queue_soon()

    def _run_until(self, event: simpy.Event) -> Any:
        while not event.processed:
            if not self._queue:
                raise RuntimeError(f"no event is left, and {event!r} has not happened")
            self.step()
            for look in self._after:
                look()
        result: Any = event.value
        if not event.ok:
            raise result
        return result


def _call(wake: Wake) -> None:
    wake.owner()


def _happen(event: Any) -> None:
    """Let one of SimPy's own events happen."""
    callbacks, event.callbacks = event.callbacks, None
    for callback in callbacks:
        callback(event)
    if not event._ok and not hasattr(event, "_defused"):
        raise event._value


class Alarm:
    """A wake-up that can be set again: the last setting counts, earlier ones are forgotten.

    With ``late`` the callback runs after every other event of the same time.

    >>> engine = Engine()
    >>> alarm = Alarm(engine, lambda: print("rings at", engine.now))
    >>> alarm.set(1.0); alarm.set(3.0); engine.run()
    rings at 3.0
    """

    __slots__ = ("_due", "_engine", "_signal", "at_s", "callback", "priority")

    def __init__(self, engine: Engine, callback: Callable[[], None], *, late: bool = False) -> None:
        self._engine = engine
        self.callback = callback
        self.priority = LATE if late else NORMAL
        self.at_s = inf
        self._signal = Signal(self._fire)
        self._due = -1

    @property
    def is_set(self) -> bool:
        """Whether it will ring."""
        return self._due >= 0

    def set(self, at_s: float) -> None:
        """Ring at ``at_s`` and at no other time; infinity means never.

        Raises
        ------
        InvariantViolated
            L5, if that lies in the past or is NaN.
        """
        if at_s == inf:
            self.clear()
            return
        engine = self._engine
        if not at_s >= engine._now:
            raise InvariantViolated("L5", f"an alarm was set at {at_s!r} s, now is {engine.now!r}")
        self._due = due = next(engine.order)
        self.at_s = at_s
        heappush(engine.queue, (at_s, self.priority, due, self._signal))

    def set_in(self, delay_s: float) -> None:
        """Ring ``delay_s`` from now."""
        self.set(self._engine._now + delay_s)

    def clear(self) -> None:
        """Do not ring."""
        self._due = -1
        self.at_s = inf

    def _fire(self, _: Signal) -> None:
        # A setting that was superseded stays in the queue, and is not the one remembered here.
        if self._engine.rang == self._due:
            self._due = -1
            self.at_s = inf
            self.callback()
