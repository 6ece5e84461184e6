"""Every history of a small instance: depth first over the states of the world.

Two states that differ only in absolute time, in the order of what is pending, or (for two requests
on one D) in which request is called 0, are one; they are told apart by a 64-bit hash, so that a
million states fit in memory. Bounded by a number of states; the answer says whether it was reached.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from hetsim.ownership._machine import Machine
from hetsim.ownership._mishaps import moves
from hetsim.ownership._scene import Faults, Job, Slot
from hetsim.ownership._world import World

__all__ = ["Explored", "explore"]


class Explored(NamedTuple):
    """What an exploration saw."""

    states: int
    """Distinct states visited."""
    ends: int
    """States in which nothing more can happen."""
    whole: bool
    """Whether every reachable state was visited."""
    violations: dict[str, str]


def explore(world: World, limit: int, symmetric: bool = True) -> Explored:
    """Visit the states that can follow ``world``, at most ``limit`` of them.

    A state in which nothing can happen must have every request ended and at rest (I2). A cycle
    without progress is not told from a slow history: I2 is judged at ends only.
    """
    seen: set[int] = {_key(world, symmetric)}
    stack = [world]
    ends = 0
    found: dict[str, str] = {}
    while stack:
        here = stack.pop()
        choices = moves(here)
        if not choices:
            ends += 1
            here._audit()
            found |= here.violations
        for move in choices:
            there = _clone(here)
            there.do(move)
            found |= there.violations  # now: the state may be known from a cleaner history
            key = _key(there, symmetric)
            if key not in seen:
                if len(seen) >= limit:
                    return Explored(len(seen), ends, False, found)
                seen.add(key)
                stack.append(there)
    return Explored(len(seen), ends, True, found)


_MACHINE = tuple(name for name in Machine.__slots__ if name not in ("states", "story"))


def _clone(world: World) -> World:
    made: World = World.__new__(World)
    for name in ("plan", "now_s", "pieces", "legs", "covered", "starts"):
        setattr(made, name, getattr(world, name))
    made.faults = world.faults.copy()
    made.pools = {name: [_slot(slot) for slot in slots] for name, slots in world.pools.items()}
    made.jobs = [_job(job) for job in world.jobs]
    made.pending = [*world.pending]
    made.timers = [*world.timers]
    made.stalled = {*world.stalled}
    made.violations = dict(world.violations)
    return made


def _slot(slot: Slot) -> Slot:
    made = Slot()
    made.holder, made.bits, made.bad = slot.holder, slot.bits, slot.bad
    return made


def _job(job: Job) -> Job:
    old = job.machine
    machine: Machine = Machine.__new__(Machine)
    for name in _MACHINE:
        setattr(machine, name, getattr(old, name))
    machine.states = [*old.states]
    machine.story = None
    made = Job(machine, job.p, job.d, job.of)
    made.grants, made.last = dict(job.grants), dict(job.last)
    made.flights = [*job.flights]
    made.made, made.ends, made.wrong = job.made, job.ends, job.wrong
    return made


def _key(world: World, symmetric: bool) -> int:
    names = list(range(len(world.jobs)))
    key = hash(_named(world, names, {}))
    if symmetric and len(names) == 2:
        return min(key, hash(_named(world, [1, 0], {"P0": "P1", "P1": "P0"})))
    return key


def _named(world: World, names: list[int], pools: dict[str, str]) -> tuple[Any, ...]:
    """Return the state with request ``n`` called ``names[n]`` and pools renamed."""
    now_s = world.now_s
    jobs = [
        tuple(item)
        for _, item in sorted((names[n], _job_key(job, now_s)) for n, job in enumerate(world.jobs))
    ]
    slots = []
    for name in sorted(world.pools, key=lambda pool: pools.get(pool, pool)):
        for slot in world.pools[name]:
            holder = slot.holder and (names[slot.holder[0]], slot.holder[1])
            slots.append((holder, slot.bits, slot.bad) if holder else None)
    pending = sorted((task[0], names[task[1]], *task[2:]) for task in world.pending)
    timers = sorted((round(t[0] - now_s, 6), names[t[1]], *t[2:]) for t in world.timers)
    stalled = sorted(pools.get(name, name) for name in world.stalled)
    faults = tuple(getattr(world.faults, name) for name in Faults.__slots__)
    return (*jobs, *slots, tuple(pending), tuple(timers), tuple(stalled), faults)


def _job_key(job: Job, now_s: float) -> list[Any]:
    m = job.machine
    lease = round(m.deadline_s - now_s, 6) if m.deadline_s > now_s else 0.0
    return [
        *m.states,
        m.flying,
        m.getting,
        m.count,
        m.addressed,
        m.fenced,
        m.mark,
        m.outcome or "",
        m.corrupt,
        lease,
        tuple(sorted(job.grants.items())),
        tuple(sorted(job.last.items())),
        tuple(sorted(job.flights)),
        job.made,
        job.wrong,
    ]
