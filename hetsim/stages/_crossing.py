"""Collectives that leave the node, on the fabric: ports of instances, and their fair shares.

What instances ask for, and what links have come to yield, is settled at the end of each moment,
after every step boundary of that moment: the order in which instances act does not matter, so that
walked and fast-forwarded steps see the same rates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.engine import LAST, SharedFabric, Signal, Standing
from hetsim.serving import CrossingInstance, CrossingLockstep, Instance, Lockstep

if TYPE_CHECKING:
    from hetsim.stages._plan import PoolPlan, SimulationPlan
    from hetsim.stages._pool import PoolStage

Crossing = CrossingInstance | CrossingLockstep

__all__ = ["Crossings", "Port", "crosses", "instance_kind"]

_SAME = 1e-6
"""A share that moves by less, relatively, counts as unchanged: shares of several instances depend
on each other, and come to rest."""


def crosses(plan: SimulationPlan) -> bool:
    """Return whether collectives of any pool use the network."""
    return plan.network is not None and any(_use_of(pool) is not None for pool in plan.pools)


def _use_of(pool: PoolPlan) -> Any:
    return getattr(pool.model, "network", None)


def instance_kind(plan: PoolPlan, crossings: Crossings | None) -> type[Instance]:
    """Return the class of the instances of a pool."""
    if crossings is None or _use_of(plan) is None:
        return Lockstep if plan.ranks > 1 else Instance
    return CrossingLockstep if plan.ranks > 1 else CrossingInstance


class Port:
    """The way of one instance to the network (:class:`hetsim.serving._crossing.Port`)."""

    __slots__ = (
        "_all",
        "_full",
        "devices",
        "instance",
        "key",
        "share",
        "stage",
        "standing",
        "wanted",
    )

    def __init__(
        self, crossings: Crossings, stage: PoolStage, instance: Crossing, standing: Standing
    ) -> None:
        self._all = crossings
        self.devices = stage.plan.devices
        self._full = _use_of(stage.plan).rate_bytes_per_s * self.devices
        self.stage = stage
        self.instance = instance
        self.standing = standing
        self.key = (stage.plan.name, instance.index)
        self.share = 1.0
        self.wanted = 0.0

    def want(self, bytes_per_s: float) -> None:
        """Ask for a mean rate, from the end of this moment on."""
        if bytes_per_s != self.wanted:
            self.wanted = bytes_per_s
            self._all.ask(self)

    def carried(self, nbytes: float) -> None:
        """Count what each device has sent."""
        self._all.fabric.book(self.standing, nbytes * self.devices)

    def look(self) -> bool:
        """Read the share that collectives reach now; say whether it has changed."""
        share = self._all.fabric.offer(self.standing, self._full) / self._full
        if share > 1.0 - _SAME:
            share = 1.0
        if abs(share - self.share) <= _SAME * self.share:
            return False
        self.share = share
        return True

    def wake(self, now: float) -> None:
        """Let the instance meet its new rate at its next step boundary."""
        instance = self.instance
        if instance.segment is None and not instance.stalled:
            return
        instance.poke(now)
        if instance.next_s != instance.wake_s:
            self.stage.rearm(instance)


class Crossings:
    """The ports of a run, and when they are settled."""

    def __init__(self, fabric: SharedFabric) -> None:
        self.fabric = fabric
        self.engine = fabric.engine
        self.ports: list[Port] = []
        self._asked: dict[Port, None] = {}
        self._stale: dict[Port, None] = {}
        self._users: dict[int, list[Port]] = {}
        self._signal = Signal(self._settle)
        self._due = False

    def join(self, stage: PoolStage) -> bool:
        """Plug the instances of a pool in, and say so, if its collectives use the network."""
        use = _use_of(stage.plan)
        if use is None:
            return False
        for instance in stage.instances:
            assert isinstance(instance, Crossing)
            name = f"{stage.plan.name}/{instance.index}"
            path = self.fabric.network.among(name, stage.plan.devices, use.groups)
            if path is None:
                instance.plug(_Free())
                continue
            port = Port(self, stage, instance, self.fabric.stand(path))
            instance.plug(port)
            port.look()
            self.ports.append(port)
            for link in path.links:
                if link not in self._users:
                    self._users[link] = []
                    self.fabric.on_link_change(link, self._changed)
                self._users[link].append(port)
        return True

    def use_ports_of(self, instance: Instance) -> bool:
        """Return whether collectives of an instance cross its ports."""
        return any(port.instance is instance for port in self.ports)

    def ask(self, port: Port) -> None:
        """Note that a port wants something else."""
        self._asked[port] = None
        self._schedule()

    def _changed(self, link_id: int) -> None:
        for port in self._users[link_id]:
            self._stale[port] = None
        self._schedule()

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            self.engine.put(self._signal, self.engine.now, LAST)

    def _settle(self, _: Signal) -> None:
        """Put what was asked for on the links, then tell those whose share has changed."""
        asked, self._asked = self._asked, {}
        for port in sorted(asked, key=_key):
            self.fabric.want(port.standing, port.wanted * port.devices)
        stale, self._stale = self._stale, {}
        self._due = False
        now = self.engine.now
        for port in sorted(stale, key=_key):
            if port.look():
                port.wake(now)


def _key(port: Port) -> tuple[str, int]:
    return port.key


class _Free:
    """The port of an instance that has links of its own: always the full rate."""

    share = 1.0

    def want(self, bytes_per_s: float) -> None:
        """Ask nobody."""

    def carried(self, nbytes: float) -> None:
        """Count nothing."""
