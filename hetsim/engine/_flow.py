"""What the fabric keeps of each flow and each link."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from hetsim.engine._clock import Signal
from hetsim.topology import Path

__all__ = ["ALMOST", "Flow", "LinkState", "Route"]

ALMOST = 1.0 - 1e-9

MOVING, LANDING, LANDED, CANCELLED = "moving", "landing", "landed", "cancelled"


class LinkState:
    """One directed link while the simulation runs."""

    __slots__ = (
        "binds",
        "busy_s",
        "busy_since_s",
        "capacity",
        "carried",
        "demand",
        "id",
        "users",
        "watch",
    )

    def __init__(self, link_id: int, capacity: float) -> None:
        self.id = link_id
        self.capacity = capacity
        self.users: dict[Flow, float] = {}
        """Flows on the link, each with the share of its bytes that crosses here."""
        self.demand = 0.0
        """Rate if every user ran at its ceiling; at or below capacity the link binds nobody."""
        self.binds = False
        """Whether the link may slow somebody; rounding may say yes too often, never no."""
        self.carried = 0.0
        """Bytes of ended flows; those of moving flows are added when asked."""
        self.busy_s = 0.0
        self.busy_since_s = 0.0
        self.watch: list[Callable[[int], None]] | None = None

    def weigh(self) -> None:
        """Add the demand up afresh: after a change of ceilings, differences would not be exact."""
        self.demand = sum(share * flow.ceiling for flow, share in self.users.items())
        self.binds = len(self.users) > 1 and self.demand > self.capacity * ALMOST

    def __repr__(self) -> str:
        return f"LinkState({self.id}, {len(self.users)} flows)"


Route = tuple[tuple[LinkState, float], ...]


class Flow(Signal):
    """Bytes on their way: moving, then landing (the last byte is sent), then landed; or cancelled.

    ``state`` is one of these words. A flow is the handle for :meth:`Fabric.cancel`, and its own
    signal on the clock.
    """

    __slots__ = (
        "ceiling",
        "extra_s",
        "finish_s",
        "id",
        "landed_s",
        "left_bytes",
        "limit",
        "nbytes",
        "on_done",
        "path",
        "rate_bytes_per_s",
        "route",
        "since_s",
        "started_s",
        "state",
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
        self.state = MOVING
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

    def moved_bytes(self, now_s: float) -> float:
        """Return the bytes that have left the source by ``now_s``."""
        if self.state != MOVING:
            return self.nbytes - self.left_bytes
        fresh = self.rate_bytes_per_s * (now_s - self.since_s) if now_s > self.since_s else 0.0
        return self.nbytes - self.left_bytes + min(fresh, self.left_bytes)

    def __repr__(self) -> str:
        return f"Flow({self.id}, {self.state}, {self.nbytes:.0f} B, tag={self.tag!r})"
