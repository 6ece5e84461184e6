"""Demands that stand: traffic that goes on and on at an average rate, such as collectives.

A standing demand competes with flows like one of them that never asks for more than it wants: it
has the smaller of its demand and its fair share, and flows have what it leaves. What it carries is
booked by its owner, who knows the bytes; as a rate it only takes room.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Any

from hetsim.engine._fabric import Fabric
from hetsim.engine._flow import Bundle, Flow, Route
from hetsim.engine._sharing import ceiling_of, component, fair_rates
from hetsim.errors import InvariantViolated
from hetsim.topology import Path

__all__ = ["SharedFabric", "Standing"]


class Standing(Flow):
    """A flow without a last byte. ``limit`` is what it wants, ``rate_bytes_per_s`` what it has."""

    __slots__ = ("booked_bytes",)

    def __init__(self, path: Path, route: Route) -> None:
        super().__init__(_never, -1, path, route, inf, _never, None, 0.0, 0.0)
        self.booked_bytes = 0.0
        """What its owner says that it has carried; each link carries its share of it."""

    def moved_bytes(self, now_s: float) -> float:
        """Return 0: its bytes are booked, and not read off its rate."""
        return 0.0


def _never(_: Any) -> None:
    raise AssertionError("a standing demand has no last byte")


class SharedFabric(Fabric):
    """A fabric that carries standing demands beside its flows.

    >>> from hetsim.engine import Engine
    >>> from hetsim.topology import wire
    >>> engine, network = Engine(), wire(10.0); path = network.path("a", "b")
    >>> fabric = SharedFabric(engine, network); demand = fabric.stand(path)
    >>> fabric.want(demand, 4.0)
    >>> flow = fabric.start(path, 60.0, lambda flow: print("at", engine.now))
    >>> fabric.offer(demand, 10.0), flow.rate_bytes_per_s   # one flow: an even split
    (5.0, 6.0)
    >>> engine.run()
    at 10.0
    """

    silent = False

    def stand(self, path: Path) -> Standing:
        """Return a demand on ``path`` that wants nothing yet."""
        return Standing(path, self._learn(path)[0])

    def _way(self, standing: Standing) -> Route:
        """Return the route of a demand; one that is on its links is kept up to date by them."""
        if not standing.limit:
            standing.route = self._learn(standing.path)[0]
        return standing.route

    def want(self, standing: Standing, bytes_per_s: float) -> None:
        """Let a demand want ``bytes_per_s`` from now on."""
        if not 0.0 <= bytes_per_s < inf:
            raise InvariantViolated("L9", f"a standing demand of {bytes_per_s!r} B/s")
        if bytes_per_s == standing.limit:
            return
        self.settle()
        now, route = self.engine._now, self._way(standing)
        seeds = {bundle: None for bundle, _ in route if bundle.binds}
        standing.limit = bytes_per_s
        standing.ceiling = ceiling_of(route, bytes_per_s)
        for bundle, share in route:
            self._place(standing, bundle, share, now)
            if bundle.binds:
                seeds[bundle] = None
        there = (standing,) if bytes_per_s else ()
        if not there:
            standing.rate_bytes_per_s = 0.0
        self._rebalance(seeds, now, route, extra=there)

    def _place(self, standing: Standing, bundle: Bundle, share: float, now: float) -> None:
        """Enter a demand on its links, or take it off."""
        users = bundle.users
        if standing.limit:
            if not users:
                bundle.busy_since_s = now
            users[standing] = share
        elif standing in users:
            del users[standing]
            if not users:
                bundle.busy_s += now - bundle.busy_since_s
        bundle.weigh()

    def offer(self, standing: Standing, bytes_per_s: float) -> float:
        """Return the fair rate of a demand if it wanted ``bytes_per_s`` just now.

        Nothing changes: what collectives reach while they run, not on average.
        """
        self.settle()
        with self._supposing(standing, bytes_per_s):
            flows, binding = component((), (standing,))
            return fair_rates(flows, binding)[0]

    @contextmanager
    def _supposing(self, standing: Standing, bytes_per_s: float) -> Iterator[None]:
        before, route = (standing.limit, standing.ceiling), self._way(standing)
        bundles = [(bundle, bundle.demand, bundle.binds) for bundle, _ in route]
        standing.limit = bytes_per_s
        standing.ceiling = ceiling_of(route, bytes_per_s)
        for bundle, share in route:
            bundle.users[standing] = share
            bundle.weigh()
        yield
        standing.limit, standing.ceiling = before
        for bundle, demand, binds in bundles:
            bundle.demand, bundle.binds = demand, binds
            if not standing.limit:
                del bundle.users[standing]

    def book(self, standing: Standing, nbytes: float) -> None:
        """Count bytes that a demand has carried, on every link of its path."""
        standing.booked_bytes += nbytes
        for bundle, share in self._way(standing):
            bundle.carried += share * nbytes

    def _rate(self, flows: list[Flow], binding: list[Bundle], now: float) -> None:
        for flow in flows:
            if flow.left_bytes == inf:
                flow.since_s = now  # nothing is counted as sent at its old rate
        super()._rate(flows, binding, now)
