"""Faults on the clock: instances die and come back, links lose part of their rate."""

from __future__ import annotations

from typing import Any

from hetsim.ownership._vocabulary import crashed, transfer_failed
from hetsim.serving import Instance, Seq
from hetsim.stages._handoff import Handoff
from hetsim.stages._pool import PoolStage
from hetsim.stages._world import FAILED, World

__all__ = ["arm_faults"]


def arm_faults(world: World, pools: list[PoolStage], handoff: Handoff | None) -> None:
    """Put every fault of the plan on the clock."""
    for fault in world.plan.faults:
        if fault.kind == "link_slow":
            _arm_link(world, pools, fault)
        else:
            pool = _pool_of(pools, fault)
            crash = _Crash(world, pool, handoff, fault)
            world.engine.call_at(fault.at, crash.strike)


def _pool_of(pools: list[PoolStage], fault: Any) -> PoolStage:
    """Return the pool that a fault names, or the one with the role in its kind."""
    if fault.pool is not None:
        return next(pool for pool in pools if pool.plan.name == fault.pool)
    return pools[0] if fault.kind == "prefill_crash" else pools[-1]


class _Crash:
    """One instance dies, loses everything in it, and may come back empty."""

    def __init__(self, world: World, pool: PoolStage, handoff: Handoff | None, fault: Any) -> None:
        self.world = world
        self.pool = pool
        self.handoff = handoff
        self.fault = fault
        self.instance = pool.instances[fault.instance]
        self.side = "P" if pool.plan.role == "prefill" else "D"

    def strike(self) -> None:
        """Let the instance die now."""
        instance, pool, now = self.instance, self.pool, self.world.engine.now
        if instance.dead:
            return
        pool.alive.remove(instance)
        inside = self._touched(instance)
        instance.crash(now)
        instance.wake = -1
        instance.wake_s = float("inf")
        pool.credit[instance.index].clear()
        for seq in inside:
            self._lose(seq)
        if self.fault.restart_after is not None:
            self.world.engine.call_at(now + self.fault.restart_after, self._restart)

    def _touched(self, instance: Instance) -> list[Seq]:
        """Return the requests that have state on the instance, or whose KV is on its way there."""
        seqs = self.world.inside.values()
        if self.handoff is None or self.side == "P":
            mine = instance.sequences()
            held = [seq for seq in seqs if seq.source is instance and seq.held is not None]
            return [*mine, *held]
        return [seq for seq in seqs if seq.dest is instance]

    def _lose(self, seq: Seq) -> None:
        reason = "prefill_crash" if self.side == "P" else "decode_crash"
        if self.handoff is None:
            self.world.end(seq, FAILED, "decode_crash")
            return
        self._stop_flows(seq)
        self.handoff.reason = reason
        # The machine may have more to ask for: blocks on the living side are freed by its answer.
        if self.side == "D":
            seq.dst_rank = None
        else:
            seq.held = None
        self.handoff.feed(seq, crashed(self.side))
        self.handoff.reason = ""
        self.handoff.audit.failed(seq)
        self.world.end(seq, FAILED, reason)

    def _stop_flows(self, seq: Seq) -> None:
        fabric = self.world.fabric
        assert fabric is not None and self.handoff is not None
        for flow in [flow for flow in fabric.flows if flow.tag[0] is seq]:
            fabric.cancel(flow)
            order = flow.tag[1]
            self.handoff.feed(seq, transfer_failed(True, order.piece, order.of, order.leg))

    def _restart(self) -> None:
        self.instance.restart()
        self.pool.alive.append(self.instance)
        self.pool.alive.sort(key=lambda instance: instance.index)


def _arm_link(world: World, pools: list[PoolStage], fault: Any) -> None:
    """Let the port of an instance lose part of its rate, for a while or for good."""
    fabric, network = world.fabric, world.plan.network
    if fabric is None:
        return
    pool = _pool_of(pools, fault)
    other = pools[0] if pool is pools[-1] else pools[-1]
    mine, peer = f"{pool.plan.name}/{fault.instance}", f"{other.plan.name}/0"
    ports = sorted({network.path(mine, peer).links[0], network.path(peer, mine).links[-1]})
    usual = {port: fabric.links[port].capacity for port in ports}

    def set_all(factor: float) -> None:
        for port in ports:
            fabric.set_capacity(port, usual[port] * factor)

    world.engine.call_at(fault.at, lambda: set_all(fault.factor))
    if fault.duration is not None:
        world.engine.call_at(fault.at + fault.duration, lambda: set_all(1.0))
