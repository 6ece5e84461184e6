"""Faults of links: slow, flapping, short of a rail, cut off."""

from __future__ import annotations

from functools import partial

from hetsim.serving import Instance, Seq
from hetsim.stages._armed import Armed
from hetsim.stages._breaker import Breaker
from hetsim.stages._pool import PoolStage
from hetsim.topology import NicSpec

__all__ = ["flap", "partition", "rail_down", "slow"]

RAIL_PAUSE_S = 30.0
"""A failing rail is left alone for so long. Source: Mooncake transfer engine 3b5a594."""


class Ports:
    """The rates of ports of instances, under all the faults that bear on them."""

    def __init__(self, breaker: Breaker) -> None:
        self.breaker = breaker
        self.usual: dict[int, float] = {}
        self.factors: dict[int, list[float]] = {}

    def change(self, ports: list[int], factor: float, on: bool) -> None:
        """Let a factor bear on ``ports``, or no longer."""
        fabric = self.breaker.world.fabric
        assert fabric is not None
        for port in ports:
            usual = self.usual.setdefault(port, fabric.links[port].capacity)
            mine = self.factors.setdefault(port, [])
            if on:
                mine.append(factor)
            else:
                mine.remove(factor)
            rate = usual
            for each in mine:
                rate *= each
            fabric.set_capacity(port, rate)


def _ports_of(breaker: Breaker, pool: PoolStage, instance: Instance) -> list[int]:
    network = breaker.world.plan.network
    other = breaker.pools[0] if pool is breaker.pools[-1] else breaker.pools[-1]
    mine, peer = f"{pool.plan.name}/{instance.index}", f"{other.plan.name}/0"
    return sorted({network.path(mine, peer).links[0], network.path(peer, mine).links[-1]})


def _weaken(
    breaker: Breaker, armed: Armed, seq: Seq | None, factor: float, duration_s: float | None
) -> None:
    """Let the port of an instance keep ``factor`` of its rate, for a while or for good."""
    pool, instance = breaker.instance_of(armed, seq)
    record, now = armed.record, breaker.engine.now
    record.strike(now)
    record.open += 1
    ports = _ports_of(breaker, pool, instance)
    touch_flows(breaker, armed, instance, pool)
    breaker.ports.change(ports, factor, True)
    breaker.weak.append((armed, pool, instance))
    if duration_s is None:
        return

    def over() -> None:
        breaker.ports.change(ports, factor, False)
        breaker.weak.remove((armed, pool, instance))
        record.open -= 1
        record.back_s = breaker.engine.now

    breaker.later(now + duration_s, over)


def touch_flows(breaker: Breaker, armed: Armed, instance: Instance, pool: PoolStage) -> None:
    """Touch every request whose KV is on its way from or to an instance.

    Where the collectives of the instance use its port, so do the steps of everybody on it.
    """
    fabric, crossings = breaker.world.fabric, breaker.world.crossings
    assert fabric is not None
    if crossings is not None and crossings.use_ports_of(instance):
        for seq in instance.sequences():
            breaker.touch(armed, seq)
    sends = pool is breaker.pools[0]
    for flow in fabric.flows:
        seq = flow.tag[0]
        if seq is None:
            continue
        index = seq.prefill_instance if sends else seq.dest.index
        if index == instance.index:
            breaker.touch(armed, seq)


def slow(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Leave part of the rate."""
    _weaken(breaker, armed, seq, armed.fault.factor, armed.fault.duration)


def rail_down(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Leave all rails but one."""
    rails = armed.fault.rails or _rails(breaker, armed)
    duration_s = armed.fault.duration or RAIL_PAUSE_S
    _weaken(breaker, armed, seq, (rails - 1) / rails, duration_s)


def _rails(breaker: Breaker, armed: Armed) -> int:
    network = breaker.world.plan.network_spec
    if not isinstance(network, NicSpec):
        return 1
    own = network.pools.get(breaker.pool_of(armed).plan.name)
    return (own.nics_per_node if own else None) or network.nics_per_node


def flap(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Take the link down and up again, as often as stated."""
    fault, now = armed.fault, breaker.engine.now
    period_s = fault.period or 2.0 * fault.duration
    _weaken(breaker, armed, seq, 0.0, fault.duration)
    for number in range(1, fault.times or 1):
        down = partial(_weaken, breaker, armed, seq, 0.0, fault.duration)
        breaker.later(now + number * period_s, down)


def partition(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Cut an instance off from its peers: no messages, no bytes, or neither."""
    fault, now = armed.fault, breaker.engine.now
    plane = fault.plane or "both"
    pool, instance = breaker.instance_of(armed, seq)
    if plane != "control":
        _weaken(breaker, armed, seq, 0.0, fault.duration)
    else:
        armed.record.strike(now)
    if plane != "data":
        until_s = now + fault.duration
        breaker.partitions.append((until_s, armed, pool is breaker.pools[0], instance.index))
        record = armed.record
        record.open += 1

        def over() -> None:
            record.open -= 1
            record.back_s = breaker.engine.now

        breaker.later(until_s, over)
