"""The hand-off of a run in which nothing breaks: the same moves and rows with fewer calls.

Every request of such a run takes the same few steps. What an instruction needs is looked up when
its step is learned, and events of one moment that ask for nothing in between are one step. Whatever
is unusual goes the way of :class:`~hetsim.stages._handoff.Handoff`, and ends the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappush
from typing import Any

from hetsim.engine import NORMAL, Signal
from hetsim.ownership import USUAL, Instructions, Moved
from hetsim.ownership._vocabulary import (
    CONSUMER_SEEN,
    CREDIT_GRANTED,
    FINISHED,
    PREFILL_STARTED,
    Event,
    Free,
    Send,
    SetTimer,
    StartTransfer,
    StopTimer,
    landed,
    notice,
    produced,
)
from hetsim.serving import Instance, Seq
from hetsim.stages._handoff import Handoff
from hetsim.stages._plan import BoundaryPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._timers import Timers
from hetsim.stages._world import World

__all__ = ["CalmHandoff"]

_Act = tuple[Callable[[Seq, Any], None], Any]

_WHOLE = produced(0, 1)
_LANDED = landed(0, 1)
_PREFILLED = Event("prefill_started, produced:last")
"""Both events of a prompt that is handed over whole, at the end of its only wait."""


class CalmHandoff(Handoff):
    """Drives requests that share configurations, none of which ever meets a fault."""

    def __init__(
        self, world: World, plan: BoundaryPlan, source: PoolStage, target: PoolStage
    ) -> None:
        super().__init__(world, plan, source, target)
        self._crossing: deque[tuple[float, Seq, Any]] = deque()
        self._whole = plan.granularity == "request"
        self._given = 1 if plan.first_token_from == "prefill" else 0
        """Output tokens that P emits."""
        self._short: dict[str, Callable[[Any], _Act]] = {
            "dispatch": lambda order: (self._tell, CONSUMER_SEEN),
            "send": self._short_send,
            "set_timer": self._short_timer,
            "stop_timer": self._short_stop,
            "free": self._short_free,
        }
        if self.transit is not None:
            del self._short["free"]  # the store lets go of blocks as well

    # -- instructions ------------------------------------------------------------------------

    def _bind(
        self, moved: Moved, lease_s: float | None, event: Any, answer: Instructions
    ) -> tuple[tuple[int, ...], tuple[_Act, ...]]:
        codes, orders = super()._bind(moved, lease_s, event, answer)
        return codes, tuple([self._shorten(act, order) for act, order in orders])

    def _shorten(self, act: Any, order: Any) -> _Act:
        """Return an instruction with what it needs at hand."""
        made = self._short.get(getattr(order, "op", ""))
        return made(order) if made is not None else (act, order)

    def _short_send(self, order: Send) -> _Act:
        return self._tell, notice(order.notice)

    def _short_timer(self, order: SetTimer) -> _Act:
        name, delay_s = order.name, order.delay_s
        timers = self._timers.get((name, delay_s))
        if timers is None:
            timers = self._timers[name, delay_s] = Timers(self.engine, name, self.feed)
        return timers.arm, delay_s

    def _short_stop(self, order: StopTimer) -> _Act:
        return Timers.stop, order.name

    def _short_free(self, order: Free) -> _Act:
        if order.cause not in USUAL:
            return self._free, order
        return (self._free_source_usual if order.block_set == "Ps" else self._free_usual), order

    # -- from the prefill to the decode ------------------------------------------------------

    def _prefilled(self, instance: Instance, seq: Seq, now: float) -> None:
        if seq.attempt or not self._whole or self.world.osl[seq.rid] <= self._given:
            super()._prefilled(instance, seq, now)
            return
        instance.detach(seq)
        seq.source = instance
        seq.attempt = 1
        if self._given:
            seq.first_s = now
            seq.out = 1
        if _PREFILLED not in seq.handoff.steps and not self._learn_both(seq, now):
            self.feed(seq, PREFILL_STARTED)
            self.feed(seq, _WHOLE)
            return
        self.feed(seq, _PREFILLED)

    def _learn_both(self, seq: Seq, now: float) -> bool:
        """Make one step of the start of a prefill and its end; say whether that can be done."""
        automaton, before = self._automaton, seq.handoff
        first, _ = automaton.learn(before, PREFILL_STARTED, now, seq.deadline_s, seq.rid)
        then, _ = automaton.learn(first[0], _WHOLE, now, seq.deadline_s, seq.rid)
        known = before.steps.get(PREFILL_STARTED) is first and first[0].steps.get(_WHOLE) is then
        if not known or first[1][1]:
            return False
        before.steps[_PREFILLED] = (then[0], (first[1][0] + then[1][0], then[1][1]))
        return True

    def _reserve(self, seq: Seq, order: Any) -> None:
        """Ask for blocks; where nobody waits for them, they are granted within this call."""
        target = self.target
        instance = self._target_of(seq)
        if instance is None or target.credit[instance.index]:
            super()._reserve(seq, order)
            return
        now = self.engine._now
        if not instance.reserve(seq, seq.transfer_tokens, now):
            target.credit[instance.index].append(seq)
            return
        seq.reserved_s = now
        if self.damage.loose:
            self.damage.granted(seq)
        self.feed(seq, CREDIT_GRANTED)
        if instance.next_s != instance.wake_s:
            target.rearm(instance)

    def _landed(self, seq: Seq, order: StartTransfer) -> None:
        if self.damage.loose or order.of != 1 or order.leg != "direct":
            super()._landed(seq, order)
        else:
            self.feed(seq, _LANDED)

    # -- messages ----------------------------------------------------------------------------

    def _tell(self, seq: Seq, event: Any) -> None:
        """Feed an event once a message has crossed; those of one moment cross together."""
        engine, crossing = self.engine, self._crossing
        at_s = engine._now + self._control_s
        if not crossing or crossing[-1][0] != at_s:
            heappush(engine.queue, (at_s, NORMAL, next(engine.order), self._post))
        crossing.append((at_s, seq, event))

    def _told(self, _: Signal) -> None:
        now, crossing = self.engine._now, self._crossing
        while crossing and crossing[0][0] <= now:
            entry = crossing.popleft()
            self.feed(entry[1], entry[2])

    # -- letting go --------------------------------------------------------------------------

    def _free_source_usual(self, seq: Seq, order: Free) -> None:
        """Free what P holds of a request whose transfers are over."""
        machine = seq.handoff
        if machine.flying or machine.getting or seq.held is None:
            self._free(seq, order)
            return
        instance: Instance = seq.source
        instance.drop(seq, self.engine._now)
        if instance.next_s != instance.wake_s:
            self.source.rearm(instance)

    def _free_usual(self, seq: Seq, order: Free) -> None:
        """Let go of blocks on D; those of a request that has decoded are free already."""
        machine = seq.handoff
        if machine.flying or machine.getting or seq.dst_rank is not None:
            self._free(seq, order)

    def _decoded(self, instance: Instance, seq: Seq, now: float) -> None:
        self.feed(seq, FINISHED)
        if seq.corrupt or seq.handoff.corrupt:
            self.audit.decoded(seq)
