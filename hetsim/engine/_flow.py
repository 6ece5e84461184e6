"""What the fabric keeps of each flow and each link."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from hetsim.engine._clock import Signal
from hetsim.topology import Path

__all__ = ["ALMOST", "Bundle", "Flow", "LinkState", "Route"]

ALMOST = 1.0 - 1e-9

MOVING, LANDING, LANDED, CANCELLED = "moving", "landing", "landed", "cancelled"


class LinkState:
    """One directed link while the simulation runs; what crosses it is in its bundle."""

    __slots__ = ("bundle", "capacity", "id", "watch")

    def __init__(self, link_id: int, capacity: float) -> None:
        self.id = link_id
        self.capacity = capacity
        self.bundle = Bundle([self])
        self.watch: list[Callable[[int], None]] | None = None

    def __repr__(self) -> str:
        return f"LinkState({self.id}, {len(self.bundle.users)} flows)"


class Bundle:
    """Links that the same flows cross, all with the same share: one link, as narrow as the least.

    A port behind a bus and the bus are two links, but as long as no route has one without the
    other, what is true of one is true of both.
    """

    __slots__ = (
        "binds",
        "busy_s",
        "busy_since_s",
        "capacity",
        "carried",
        "demand",
        "enough",
        "links",
        "users",
    )

    def __init__(self, links: list[LinkState]) -> None:
        self.links = links
        self.users: dict[Flow, float] = {}
        """Flows on the links, each with the share of its bytes that crosses here."""
        self.demand = 0.0
        """Rate if every user ran at its ceiling; at or below capacity nobody is bound."""
        self.binds = False
        """Whether the links may slow somebody; rounding may say yes too often, never no."""
        self.carried = 0.0
        """Bytes of ended flows; those of moving flows are added when asked."""
        self.busy_s = 0.0
        self.busy_since_s = 0.0
        self.measure()

    def measure(self) -> None:
        """Take the capacity of the narrowest link."""
        self.capacity = min([link.capacity for link in self.links])
        self.enough = self.capacity * ALMOST

    def weigh(self) -> None:
        """Add the demand up afresh: after a change of ceilings, differences would not be exact."""
        self.demand = sum(share * flow.ceiling for flow, share in self.users.items())
        self.binds = len(self.users) > 1 and self.demand > self.enough

    def part(self, links: list[LinkState]) -> Bundle:
        """Return a bundle of some of the links, with the same past and the same users."""
        made = Bundle(links)
        made.users, made.demand = dict(self.users), self.demand
        made.binds = len(made.users) > 1 and made.demand > made.enough
        made.carried, made.busy_s = self.carried, self.busy_s
        made.busy_since_s = self.busy_since_s
        for link in links:
            link.bundle = made
        return made

    def __repr__(self) -> str:
        return f"Bundle({[link.id for link in self.links]}, {len(self.users)} flows)"


Route = tuple[tuple[Bundle, float], ...]


class Flow(Signal):
    """Bytes on their way: moving, then landing (the last byte is sent), then landed; or cancelled.

    ``state`` is one of these words. A flow is the handle for :meth:`Fabric.cancel`, and its own
    signal on the clock.
    """

    __slots__ = (
        "_state",
        "ceiling",
        "clock",
        "extra_s",
        "finish_s",
        "id",
        "landed_s",
        "left_bytes",
        "limit",
        "lone",
        "nbytes",
        "on_done",
        "path",
        "rate_bytes_per_s",
        "route",
        "since_s",
        "started_s",
        "tag",
        "wake",
        "wake_s",
    )

    def __init__(
        self,
        act: Callable[[Any], None],
        flow_id: int,
        path: Path,
        route: Route,
        nbytes: float,
        on_done: Callable[[Flow], None],
        tag: Any,
        limit: float,
        now_s: float,
        extra_s: float = 0.0,
    ) -> None:
        self.act = act
        self.id = flow_id
        self.path = path
        self.route = route
        self.nbytes = nbytes
        self.on_done = on_done
        self.tag = tag
        self.extra_s = extra_s
        """Added to the latency of the path: posting, conversion, copies beside the wire."""
        self.limit = limit
        self._state = MOVING
        self.lone = False
        """Slowed by nobody, so that only its landing is on the clock (``clock``: which one)."""
        self.clock: Any = None
        self.ceiling = limit
        """Its rate if it were alone."""
        self.rate_bytes_per_s = 0.0
        self.left_bytes = nbytes
        """Not sent yet, at ``since_s``."""
        self.since_s = self.started_s = now_s
        self.finish_s = inf
        """When the last byte leaves, if no rate changes."""
        self.landed_s = inf
        self.wake = -1
        """Which of its entries on the clock counts; earlier ones are stale."""
        self.wake_s = inf

    @property
    def state(self) -> str:
        """Which of the four it is; a lone flow is not told when its last byte leaves."""
        if self.lone and self.finish_s <= self.clock._now:
            return LANDING
        return self._state

    def moved_bytes(self, now_s: float) -> float:
        """Return the bytes that have left the source by ``now_s``."""
        if self._state != MOVING:
            return self.nbytes - self.left_bytes
        fresh = self.rate_bytes_per_s * (now_s - self.since_s) if now_s > self.since_s else 0.0
        return self.nbytes - self.left_bytes + min(fresh, self.left_bytes)

    def __repr__(self) -> str:
        return f"Flow({self.id}, {self.state}, {self.nbytes:.0f} B, tag={self.tag!r})"
