"""Flows that nobody slows: all that is on the clock of them is their landing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappush

from hetsim.engine._clock import NORMAL
from hetsim.engine._flow import LANDING, Bundle, Flow
from hetsim.engine._ledger import Ledger

__all__ = ["Alone"]


class Alone(Ledger):
    """The part of a fabric that lets a lone flow go without a wake at its last byte.

    It leaves its links when somebody looks at them, or when it lands: as of the moment at which its
    last byte did. As soon as anybody could slow it, it is a flow like others.
    """

    silent = True
    """Whether a flow that nobody slows goes without a wake at its last byte: it leaves its links
    when somebody looks at them, or lands."""

    _on_land: Callable[[Flow], None]
    _on_wake: Callable[[Flow], None]

    def _leave(self, flow: Flow, now: float) -> dict[Bundle, None]:
        raise NotImplementedError

    def _go_alone(self, flow: Flow, now: float) -> None:
        """Put the landing of ``flow`` on the clock, and nothing before it."""
        flow.lone = True
        flow.finish_s = finish = now + flow.left_bytes / flow.rate_bytes_per_s
        flow.act = self._on_land
        flow.clock = engine = self.engine
        flow.wake = wake = next(engine.order)
        at = finish + (flow.path.latency_s + flow.extra_s)
        heappush(engine.queue, (at, NORMAL, wake, flow))

    def _let_go(self, flows: Iterable[Flow], now: float) -> None:
        """Take lone flows whose last byte has left off their links."""
        for flow in [flow for flow in flows if flow.lone and flow.finish_s <= now]:
            self._depart_alone(flow)

    def _depart_alone(self, flow: Flow) -> None:
        """Note that the last byte of a lone flow has left, at the time at which it did."""
        flow.lone = False
        self._sent += flow.left_bytes
        flow.left_bytes = 0.0
        self._leave(flow, flow.finish_s)
        flow._state = LANDING

    def _look_at(self, flow: Flow, now: float) -> None:
        """Let a lone flow leave if its last byte has, else wake when it does."""
        if flow.finish_s <= now:
            self._depart_alone(flow)
            return
        self._join_in(flow)
        flow.wake = wake = next(self.engine.order)
        flow.wake_s = flow.finish_s
        heappush(self.engine.queue, (flow.finish_s, NORMAL, wake, flow))

    def _join_in(self, flow: Flow) -> None:
        """Make a lone flow one like others; whoever rates it lets it wake."""
        flow.lone = False
        flow.act = self._on_wake
        flow.wake = -1

    def _look_at_all(self) -> None:
        now = self.engine._now
        for flow in [flow for flow in self._active if flow.lone]:
            self._look_at(flow, now)
