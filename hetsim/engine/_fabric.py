"""Shared links: fluid flows at max-min fair rates, re-rated only where something changed.

A link *binds* when the ceilings of its users (their rate if alone) add up to more than it yields.
Links that do not bind neither slow nor connect flows, so the common case needs no solver: the flow
runs at its ceiling. Otherwise the flows connected through binding links are solved together.

Source: the fluid model of long TCP and RDMA transfers in SimGrid (Casanova et al., Versatile,
scalable and accurate simulation of distributed applications and platforms, JPDC 74(10), 2014).
Valid for: transfers long against a round trip; start-up and descriptor costs belong to the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappush
from itertools import count
from math import inf
from typing import Any

from hetsim.engine._alone import Alone
from hetsim.engine._clock import LATE, NORMAL, Engine, Signal
from hetsim.engine._flow import CANCELLED, LANDED, LANDING, MOVING, Bundle, Flow, Route
from hetsim.engine._instruments import Instruments
from hetsim.engine._sharing import around, ceiling_of, component, ending_with, fair_rates
from hetsim.errors import InvariantViolated
from hetsim.topology import Network, Path

__all__ = ["Fabric"]


class Fabric(Alone):
    """Moves bytes over the links of ``network`` and calls back when they have landed.

    >>> from hetsim.topology import wire
    >>> engine = Engine(); network = wire(10.0, latency_s=1.0)
    >>> fabric = Fabric(engine, network)
    >>> flow = fabric.start(network.path("a", "b"), 20.0, lambda flow: print("at", engine.now))
    >>> engine.run()
    at 3.0
    """

    def __init__(
        self, engine: Engine, network: Network, instruments: Instruments | None = None
    ) -> None:
        super().__init__(engine, network)
        self._ids = count()
        self._routes: dict[int, tuple[Path, Route, float]] = {}
        self._on_wake = self._wake
        self._on_land = self._land
        self._watched = False
        self._see = instruments or Instruments()
        self._unrated: list[Flow] = []
        """Flows that began at this moment on links that bind: all of them are rated at once."""
        self._rating = Signal(self._rate_fresh)

    # What a caller does

    def start(
        self,
        path: Path,
        nbytes: float,
        on_done: Callable[[Flow], None],
        tag: Any = None,
        limit_bytes_per_s: float = inf,
        extra_s: float = 0.0,
    ) -> Flow:
        """Send ``nbytes`` along ``path``; call ``on_done(flow)`` when the last byte has landed.

        ``limit_bytes_per_s`` is the flow's own ceiling (one TCP stream, descriptors per second).
        The latency of the path and ``extra_s`` (posting, conversion) are added once, after the
        last byte; ``on_done`` is never called from within this call.
        """
        if not 0.0 <= nbytes < inf or not limit_bytes_per_s > 0.0:
            raise InvariantViolated(
                "L3", f"a flow of {nbytes!r} B, at most {limit_bytes_per_s!r} B/s"
            )
        try:
            _, route, ceiling = self._routes[id(path)]
        except KeyError:
            route, ceiling = self._learn(path)
        now = self.engine._now
        flow = Flow(
            self._on_wake, next(self._ids), path, route, nbytes, on_done, tag, limit_bytes_per_s,
            now, extra_s,
        )  # fmt: skip
        self._active[flow] = None
        hook = self._see.flow_started
        if hook is not None:
            hook(flow)
        if nbytes == 0.0 or not route:
            self._sent += nbytes
            self._depart(flow, now)
        else:
            flow.ceiling = ceiling if ceiling < limit_bytes_per_s else limit_bytes_per_s
            self._join(flow, now)
        return flow

    def cancel(self, flow: Flow) -> float:
        """Stop ``flow`` and return the bytes that it had moved, which are lost.

        ``on_done`` will not be called. A flow that has landed or was cancelled gives 0.
        """
        if flow.state not in (MOVING, LANDING):
            return 0.0
        now = self.engine._now
        if flow.lone:
            self._look_at(flow, now)
        moving = flow.state == MOVING
        if moving:
            self._settle(flow, now)
        moved = flow.nbytes - flow.left_bytes
        flow._state = CANCELLED
        flow.wake = -1
        self.lost_bytes += moved
        del self._active[flow]
        if moving:
            self._rebalance(self._leave(flow, now), now, flow.route)
        hook = self._see.flow_cancelled
        if hook is not None:
            hook(flow)
        return moved

    def set_capacity(self, link_id: int, bytes_per_s: float) -> None:
        """Let a link yield ``bytes_per_s`` from now on; 0 holds its flows until it is raised."""
        if not 0.0 <= bytes_per_s < inf:
            raise InvariantViolated("L9", f"capacity of link {link_id} set to {bytes_per_s!r}")
        self._look_at_all()
        now = self.engine._now
        changed = self.links[link_id]
        users = changed.bundle.users
        touched = {bundle: None for flow in users for bundle, _ in flow.route}
        seeds = {bundle: None for bundle in touched if bundle.binds}
        changed.capacity = bytes_per_s
        changed.bundle.measure()
        self._routes.clear()  # their ceilings are not what they were
        for flow in users:
            flow.ceiling = ceiling_of(flow.route, flow.limit)
        for bundle in touched:
            bundle.weigh()
        self._rebalance(seeds, now, ((changed.bundle, 1.0),), extra=tuple(users))

    def on_link_change(self, link_id: int, callback: Callable[[int], None]) -> None:
        """Call ``callback(link_id)`` whenever the flows on a link, or their rates, have changed."""
        link = self.links[link_id]
        link.watch = [*(link.watch or ()), callback]
        self._watched = True
        self._look_at_all()

    # How it works

    def _learn(self, path: Path) -> tuple[Route, float]:
        route, changed = self._bundler.route(path.route)
        if changed:
            self._routes.clear()
        ceiling = ceiling_of(route, inf)
        # The path is kept beside its route: its id stays taken for as long as we use it as a key.
        self._routes[id(path)] = (path, route, ceiling)
        return route, ceiling

    def _join(self, flow: Flow, now: float) -> None:
        route, ceiling = flow.route, flow.ceiling
        alone = ceiling > 0.0
        for bundle, share in route:
            users = bundle.users
            if users:
                self._let_go(users, now)
            if users:
                users[flow] = share
                bundle.demand += share * ceiling
                if bundle.demand > bundle.enough:
                    bundle.binds = True
                    alone = False
            else:
                users[flow] = share
                bundle.demand = share * ceiling
                bundle.busy_since_s = now
        if not alone:
            self._rate_later(flow, now)
            return
        flow.rate_bytes_per_s = ceiling
        if self._watched or not self.silent:
            self._aim(flow, now)
            if self._watched:
                self._tell(route)
        else:
            self._go_alone(flow, now)

    def _rate_later(self, flow: Flow, now: float) -> None:
        """Rate ``flow`` and those it slows when this moment is over: others may begin in it."""
        for bundle, _ in flow.route:
            if bundle.binds:
                for other in bundle.users:
                    if other.lone:
                        self._join_in(other)
        if not self._unrated:
            self.engine.soon.append((now, LATE, -1, self._rating))
        self._unrated.append(flow)

    def _rate_fresh(self, _: Any = None) -> None:
        """Give flows that began at this very moment their rates."""
        if self._unrated:
            fresh = [flow for flow in self._unrated if flow.state == MOVING]
            self._unrated = []
            seeds = {bundle: None for flow in fresh for bundle, _ in flow.route if bundle.binds}
            alone = len(fresh) == 1 and len(seeds) == 1
            self._rebalance(seeds, self.engine._now, (), extra=() if alone else fresh)

    def settle(self) -> None:
        """Bring rates and books up to this very moment."""
        self._rate_fresh()
        self._let_go(self._active, self.engine._now)

    def _leave(self, flow: Flow, now: float) -> dict[Bundle, None]:
        """Take a flow off its links; return those where it may have slowed somebody."""
        freed: dict[Bundle, None] = {}
        ceiling, moved = flow.ceiling, flow.nbytes - flow.left_bytes
        for bundle, share in flow.route:
            bundle.carried += share * moved
            users = bundle.users
            del users[flow]
            if users:
                bundle.demand -= share * ceiling
                if bundle.binds:
                    freed[bundle] = None
                    bundle.binds = len(users) > 1 and bundle.demand > bundle.enough
            else:
                bundle.demand = 0.0
                bundle.busy_s += now - bundle.busy_since_s
        return freed

    def _rebalance(
        self,
        seeds: dict[Bundle, None],
        now: float,
        touched: Route,
        extra: Iterable[Flow] = (),
    ) -> None:
        """Give new rates to the flows that binding links connect with ``seeds`` and ``extra``."""
        flows, binding = around(seeds) if len(seeds) == 1 and not extra else ([], [])
        if not flows:
            flows, binding = component(seeds, extra)
        while due := [flow for flow in flows if flow.finish_s <= now]:
            # They end at this very moment, and must not be re-rated on their last byte.
            for flow in due:
                seeds.update(self._leave_sent(flow, now))
                touched = (*touched, *flow.route)
            flows, binding = component(seeds, [flow for flow in extra if flow.state == MOVING])
        self._rate(flows, binding, now)
        if self._watched:
            routes = [flow.route for flow in flows]
            self._tell(pair for route in (touched, *routes) for pair in route)

    def _rate(self, flows: list[Flow], binding: list[Bundle], now: float) -> None:
        rates = fair_rates(flows, binding)
        engine = self.engine
        for flow, rate in zip(flows, rates, strict=True):
            if rate == flow.rate_bytes_per_s and flow.finish_s < inf:
                if flow.wake < 0:
                    flow.wake = wake = next(engine.order)
                    flow.wake_s = flow.finish_s
                    heappush(engine.queue, (flow.finish_s, NORMAL, wake, flow))
                continue
            # _settle and _aim, inlined: this loop is where shared links spend their time.
            left = flow.left_bytes
            fresh = flow.rate_bytes_per_s * (now - flow.since_s)
            if fresh > left:
                fresh = left
            self._sent += fresh
            flow.left_bytes = left = left - fresh
            flow.since_s = now
            flow.rate_bytes_per_s = rate
            flow.finish_s = finish = now + left / rate if rate > 0.0 else inf
            if finish < flow.wake_s:
                flow.wake = wake = next(engine.order)
                flow.wake_s = finish
                heappush(engine.queue, (finish, NORMAL, wake, flow))

    def _settle(self, flow: Flow, now: float) -> None:
        """Count what a flow has sent at its present rate."""
        fresh = flow.rate_bytes_per_s * (now - flow.since_s)
        if fresh > flow.left_bytes:
            fresh = flow.left_bytes
        flow.left_bytes -= fresh
        flow.since_s = now
        self._sent += fresh

    def _aim(self, flow: Flow, now: float) -> None:
        """Wake when the last byte leaves; a wake that is too early serves, and is moved then."""
        rate = flow.rate_bytes_per_s
        flow.finish_s = finish = now + flow.left_bytes / rate if rate > 0.0 else inf
        if finish < flow.wake_s:
            engine = self.engine
            flow.wake = wake = next(engine.order)
            flow.wake_s = finish
            heappush(engine.queue, (finish, NORMAL, wake, flow))

    def _wake(self, flow: Flow) -> None:
        engine = self.engine
        if engine.rang != flow.wake:
            return
        now = engine._now
        if flow.finish_s > now:
            # It was slowed since: this wake has come too early.
            flow.wake = -1
            flow.wake_s = inf
            if flow.finish_s < inf:
                flow.wake = wake = next(engine.order)
                flow.wake_s = flow.finish_s
                heappush(engine.queue, (flow.finish_s, NORMAL, wake, flow))
            return
        for link, _ in flow.route:
            if link.binds:
                self._end_bound(flow, now)
                return
        # It shared with nobody, so nobody is freed.
        self._sent += flow.left_bytes
        flow.left_bytes = 0.0
        self._leave(flow, now)
        self._depart(flow, now)
        if self._watched:
            self._tell(flow.route)

    def _end_bound(self, flow: Flow, now: float) -> None:
        """End a flow on a link that binds, and give its share to the others."""
        freed: dict[Bundle, None] = {}
        for ending in ending_with(flow, now):
            freed.update(self._leave_sent(ending, now))
        if freed:
            self._rebalance(freed, now, flow.route)
        elif self._watched:
            self._tell(flow.route)

    def _leave_sent(self, flow: Flow, now: float) -> dict[Bundle, None]:
        self._sent += flow.left_bytes
        flow.left_bytes = 0.0
        freed = self._leave(flow, now)
        self._depart(flow, now)
        return freed

    def _depart(self, flow: Flow, now: float) -> None:
        """Let the last byte, which has left, land after the latency of the path."""
        flow.left_bytes = 0.0
        flow._state = LANDING
        flow.act = self._on_land
        engine = self.engine
        flow.wake = wake = next(engine.order)
        at = now + (flow.path.latency_s + flow.extra_s)
        heappush(engine.queue, (at, NORMAL, wake, flow))

    def _land(self, flow: Flow) -> None:
        engine = self.engine
        if engine.rang != flow.wake:
            return
        if flow.lone:
            self._depart_alone(flow)
        flow.wake = -1
        flow._state = LANDED
        flow.landed_s = engine._now
        self.landed_bytes += flow.nbytes
        del self._active[flow]
        hook = self._see.flow_landed
        if hook is not None:
            hook(flow)
        flow.on_done(flow)

    def _tell(self, route: Iterable[tuple[Bundle, float]]) -> None:
        for bundle in dict.fromkeys(pair[0] for pair in route):
            for link in bundle.links:
                for callback in link.watch or ():
                    callback(link.id)
