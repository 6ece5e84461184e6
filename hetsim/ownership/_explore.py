"""Every history of a small instance: depth first over the states of the world.

Two states that differ only in absolute time, in the order of what is pending, or (for two requests
on one D) in which request is called 0, are one; they are told apart by a 64-bit hash, so that a
million states fit in memory. Bounded by a number of states; the answer says whether it was reached.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

from hetsim.ownership._machine import Machine
from hetsim.ownership._mishaps import moves
from hetsim.ownership._scene import Faults, Job, Slot, Timer
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


Key = tuple[Any, ...]
_MACHINE = tuple(name for name in Machine.__slots__ if name not in ("states", "story"))
_FIELDS = attrgetter(*_MACHINE)
_MARKS = attrgetter("flying", "getting", "count", "addressed", "fenced", "mark", "corrupt")
_BUDGET = attrgetter(*Faults.__slots__)


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
    for name, value in zip(_MACHINE, _FIELDS(old), strict=True):
        setattr(machine, name, value)
    machine.states = [*old.states]
    machine.story = None
    made = Job(machine, job.p, job.d, job.of)
    made.grants, made.last = dict(job.grants), dict(job.last)
    made.flights = [*job.flights]
    made.made, made.ends, made.wrong = job.made, job.ends, job.wrong
    return made


def _key(world: World, symmetric: bool) -> int:
    """Return a hash of the state; of the two names of a symmetric one, the smaller."""
    now_s = world.now_s
    jobs = [_job_key(job, now_s) for job in world.jobs]
    timers = [(round(timer[0] - now_s, 6), *timer[1:]) for timer in world.timers]
    budget = _BUDGET(world.faults)
    key = hash((*_named(world, jobs, timers, None), budget))
    if symmetric and len(jobs) == 2:
        return min(key, hash((*_named(world, jobs, timers, (1, 0)), budget)))
    return key


def _named(
    world: World, jobs: list[Key], timers: list[Timer], names: tuple[int, ...] | None
) -> tuple[Any, ...]:
    """Return the state with request ``n`` called ``names[n]``, and the pools P renamed with it."""
    pending: list[Any] = world.pending
    stalled: Any = world.stalled
    if names is not None:
        jobs = jobs[::-1]
        timers = [(timer[0], names[timer[1]], *timer[2:]) for timer in timers]
        pending = [(task[0], names[task[1]], *task[2:]) for task in pending]
        stalled = [_SWAPPED.get(name, name) for name in stalled]
    slots: list[Any] = []
    for name in _order(tuple(world.pools), names is not None):
        for slot in world.pools[name]:
            if holder := slot.holder:
                held = holder if names is None else (names[holder[0]], holder[1])
                slots.append((held, slot.bits, slot.bad))
            else:
                slots.append(None)
    words = (tuple(sorted(pending)), tuple(sorted(timers)), tuple(sorted(stalled)))
    return (*jobs, *slots, *words)


_SWAPPED = {"P0": "P1", "P1": "P0"}


@lru_cache
def _order(pools: tuple[str, ...], swapped: bool) -> tuple[str, ...]:
    return tuple(sorted(pools, key=lambda pool: _SWAPPED.get(pool, pool) if swapped else pool))


def _job_key(job: Job, now_s: float) -> Key:
    machine = job.machine
    deadline_s = machine.deadline_s
    return (
        *machine.states,
        *_MARKS(machine),
        machine.outcome or "",
        round(deadline_s - now_s, 6) if deadline_s > now_s else 0.0,
        tuple(sorted(job.grants.items())),
        tuple(sorted(job.last.items())),
        tuple(sorted(job.flights)),
        job.made,
        job.wrong,
    )
