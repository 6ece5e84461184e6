"""What each kind of fault does, by name, and a run's faults put on the clock."""

from __future__ import annotations

from hetsim.stages._break_client import abort, duplicate, on_arrival
from hetsim.stages._break_control import clock_skew, open_window, timer_scale
from hetsim.stages._break_instance import (
    blacklist,
    crash,
    memory_short,
    preempted,
    preemption,
    router_crash,
    stall,
)
from hetsim.stages._break_link import Ports, flap, partition, rail_down, slow
from hetsim.stages._break_store import pool_crash, pool_eviction, router_blind, transit_short
from hetsim.stages._break_transfer import transfer_fault
from hetsim.stages._breaker import Breaker, Stroke
from hetsim.stages._calm import CalmHandoff
from hetsim.stages._deadlock import DeadlockWatch
from hetsim.stages._guard import Guard
from hetsim.stages._handoff import Handoff
from hetsim.stages._plan import SimulationPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._pressure import Pressure
from hetsim.stages._recovery import Recovery
from hetsim.stages._world import World

__all__ = ["STROKES", "arm_faults", "make_handoff"]

STROKES: dict[str, Stroke] = {
    "prefill_crash": crash,
    "decode_crash": crash,
    "pool_crash": pool_crash,
    "router_crash": router_crash,
    "link_slow": slow,
    "link_flap": flap,
    "rail_down": rail_down,
    "transfer_fail": transfer_fault,
    "transfer_hang": transfer_fault,
    "partial_write": transfer_fault,
    "partition": partition,
    "notice_lost": open_window,
    "notice_repeated": open_window,
    "notice_late": open_window,
    "step_stall": stall,
    "connect_slow": transfer_fault,
    "layout_miss": transfer_fault,
    "timer_scale": timer_scale,
    "clock_skew": clock_skew,
    "client_abort": abort,
    "duplicate_request": duplicate,
    "memory_short": memory_short,
    "preemption": preemption,
    "fragmentation": transfer_fault,
    "mismatch": transfer_fault,
    "session_blacklisted": blacklist,
    "router_blind": router_blind,
    "zombie_put": transfer_fault,
    "pool_eviction": pool_eviction,
    "transfer_preemption": transfer_fault,
    "transit_short": transit_short,
    "decode_refuses": open_window,
}
"""What a stroke of each kind does."""


def make_handoff(world: World, pools: list[PoolStage]) -> Handoff | None:
    """Return the hand-off of a run: a plain one where nothing breaks and all is placed as usual."""
    boundary = world.plan.boundary
    if boundary is None:
        return None
    kind = Guard if world.plan.guarded else CalmHandoff
    return kind(world, boundary, pools[0], pools[1])


def arm_faults(world: World, pools: list[PoolStage], handoff: Handoff | None) -> None:
    """Put every fault of the plan on the clock, and set up what is done about them."""
    plan: SimulationPlan = world.plan
    if not plan.guarded:
        return
    guard = handoff if isinstance(handoff, Guard) else None
    breaker = world.faults = Breaker(world, pools, guard)
    breaker.ports = Ports(breaker)
    if guard is not None:
        guard.breaker = breaker
        breaker.submit = guard.submit
        if plan.deadlock is not None:
            DeadlockWatch(world, pools, guard, plan.deadlock == "break")
        if plan.hold_above is not None:
            guard.pressure = Pressure(world, pools[1], plan.hold_above, guard.submit)
            breaker.submit = guard.pressure.enter
    else:
        breaker.submit = pools[0].submit
        for instance in pools[0].instances:
            instance.watch_preempted = instance.watch_chunks = True
        pools[0].on_preempted = lambda instance, seq: preempted(breaker, instance, seq)
        pools[0].on_started = lambda instance, seq, at_s, tokens: None
    breaker.arm(STROKES)
    if breaker.requests:
        breaker.at_arrival.append(on_arrival)
    if plan.recovery is not None:
        breaker.recovery = Recovery(world, breaker, guard, plan.recovery)
