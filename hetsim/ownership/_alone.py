"""One request alone, as an explicit automaton: every state it can be in, every step between them.

The small world of ``_world.py`` is run with one request and one slot per pool. Whatever the other
requests could do to it is a step that may come at any time: room that is granted late or never, the
death or stall of an instance, the wish of the pool to evict. So the automaton holds all that the
request can do among any number of others, as long as nobody writes into slots that it has given up;
that takes a reuse under access (I1), which is a violation in the request that did it.

Time is counted in whole ticks from now. A request's timers fire in the order of their deadlines;
between two of them time may pass in any amount, since the clock that all requests share moves on
with the timers of the others. Clocks of two requests are not compared: that adds histories and
leaves none out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, NamedTuple

from hetsim.errors import InvalidTransition, InvariantViolated
from hetsim.ownership._explore import _clone
from hetsim.ownership._machine import PARTS, Plan
from hetsim.ownership._mishaps import KINDS, mishaps
from hetsim.ownership._scene import Faults, Slot
from hetsim.ownership._spec import Timers
from hetsim.ownership._world import World

__all__ = ["PAID", "STEPS", "Alone", "Edge", "alone", "project", "ranked"]

STEPS = (
    "own",
    "fault",
    "take P",
    "take D",
    "take X",
    "evict",
    "crash P",
    "crash D",
    "crash X",
    "stall P",
    "stall D",
    "spend",
)
"""Kinds of steps: ``own`` concerns nobody else; ``spend`` is the fault of another request."""

PAID = frozenset({1, 6, 7, 8, 9, 10})
"""Kinds that are the one fault of a history."""

_TAKES = {"P": 2, "D": 3, "X": 4}
_SHARED = {("crash", "P0"): 6, ("crash", "D0"): 7, ("crash", "X"): 8}
_SHARED |= {("stall", "P0"): 9, ("stall", "D0"): 10}
_PAST = -1.0
_FAULTS = Faults(**dict.fromkeys(KINDS, 1), total=1)


class Edge(NamedTuple):
    """One step of the automaton."""

    kind: int
    """Index in ``STEPS``."""
    to: int
    broken: tuple[str, ...]
    """Invariants that the step violates."""
    move: tuple[Any, ...]
    """What :meth:`World.do` is told; ``("tick",)`` where only time passes."""


class Alone(NamedTuple):
    """The automaton of one request."""

    keys: dict[tuple[Any, ...], int]
    """What a state is (:func:`project`) and its number; 0 is where a request begins."""
    edges: list[list[Edge]]
    """Steps out of each state; those of ``PAID`` kinds only where no fault came before."""
    holds: list[int]
    """Slots held in each state: 1 on P, 2 on D, 4 in the pool."""
    wants_x: list[bool]
    rests: list[bool]
    """Whether the request has ended, holds nothing and waits for nothing."""
    names: list[str]
    foreign: bool
    """Whether a transfer may end in a slot that was given up: the one way to touch others."""

    def clean(self) -> list[int]:
        """Return the states that are reached without a fault, in the order of discovery."""
        seen = {0: None}
        queue = deque(seen)
        while queue:
            for edge in self.edges[queue.popleft()]:
                if edge.kind not in PAID and edge.to not in seen:
                    seen[edge.to] = None
                    queue.append(edge.to)
        return list(seen)

    def broken(self) -> set[str]:
        """Return the invariants that some step violates."""
        return {name for out in self.edges for edge in out for name in edge.broken}


def ranked(timers: Timers, most: int = 99) -> Timers:
    """Return the timers with their values replaced by their ranks in ticks, ``most`` at most.

    >>> short = ranked(Timers(lease_s=30.0, beat_s=5.0, extend_s=20.0, transfer_s=60.0))
    >>> short.beat_s, short.extend_s, short.lease_s, short.transfer_s
    (1.0, 2.0, 3.0, 4.0)
    """
    values = {f.name: getattr(timers, f.name) for f in fields(timers)}
    order = sorted({value for value in values.values() if value is not None})
    ranks = {
        name: min(order.index(value) + 1.0, float(most))
        for name, value in values.items()
        if value is not None
    }
    return replace(timers, **ranks)


def alone(plan: Plan, pieces: int = 1, limit: int = 1_000_000) -> Alone:
    """Find every state of one request under ``plan`` with at most one fault.

    Timers must be whole ticks (:func:`ranked`). A step after which the request can no longer come
    to rest, however much room it is given, violates I2 (that covers a cycle without an end).

    Raises
    ------
    MemoryError
        If there are more than ``limit`` states.
    """
    found = _Search(plan, pieces, limit).run()
    _mark_doomed(found)
    return found


class _Search:
    def __init__(self, plan: Plan, pieces: int, limit: int) -> None:
        self.limit = limit
        self.found = Alone({}, [], [], [], [], [], False)
        self.worlds: dict[int, World] = {}
        self.foreign = False
        world = World(plan, 1, 1, pieces, Faults(total=0))
        world.pools = {name: [Slot()] for name in ("P0", "D0", "X")}
        # One slot per pool: every address is 0, whether it was told yet or not.
        world.jobs[0].last = dict.fromkeys(PARTS, 0)
        world.jobs[0].machine.deadline_s = _PAST
        self._intern(world)

    def run(self) -> Alone:
        """Search without a fault, then on from every fault."""
        clean, later = deque([0]), deque[int]()
        reached = {0}
        while clean:
            for edge in self._expand(clean.popleft(), faults=True):
                if edge.kind in PAID:
                    later.append(edge.to)
                elif edge.to not in reached:
                    reached.add(edge.to)
                    clean.append(edge.to)
        while later:
            here = later.popleft()
            if here not in reached:
                reached.add(here)
                later.extend(edge.to for edge in self._expand(here, faults=False))
        return self.found._replace(foreign=self.foreign)

    def _expand(self, here: int, faults: bool) -> list[Edge]:
        world = self.worlds.pop(here)
        out = self.found.edges[here]
        for kind, move in _choices(world, faults):
            made = _clone(world)
            made.violations = {}
            self.foreign = self.foreign or _strays(made, move)
            _step(made, move)
            out.append(Edge(kind, self._intern(made), tuple(sorted(made.violations)), move))
        return out

    def _intern(self, world: World) -> int:
        _rebase(world)
        key = project(world, 0)
        all_ = self.found
        number = all_.keys.get(key)
        if number is None:
            number = all_.keys[key] = len(all_.keys)
            if number >= self.limit:
                raise MemoryError(f"more than {self.limit} states of one request")
            job = world.jobs[0]
            self.worlds[number] = world
            all_.edges.append([])
            all_.holds.append(sum(1 << PARTS.index(part) for part in job.grants))
            all_.wants_x.append(("grant", 0, "X") in world.pending)
            all_.rests.append(job.machine.resting)
            all_.names.append(job.machine.state)
        return number


def _choices(world: World, faults: bool) -> Iterable[tuple[int, tuple[Any, ...]]]:
    """Yield what may come next, with its kind."""
    for move in world.usual():
        yield _kind(move), move
    timer = world.next_timer()
    machine = world.jobs[0].machine
    if timer[0] >= 1.0 if timer else machine.deadline_s >= 0.0:
        yield 0, ("tick",)
    # A pinned object would be refused, again and again.
    if world.evictable(timer) and not ("pinned" in world.plan.variant.traits and machine.getting):
        yield 5, ("evict", 0)
    world.faults = _FAULTS.copy() if faults else Faults(total=1)
    for move in mishaps(world):
        yield _SHARED.get(move, 0 if move[0] in ("resume", "linger") else 1), move


def _kind(move: tuple[Any, ...]) -> int:
    task: tuple[Any, ...] = move[1] if move[0] == "do" else ("",)
    if task[0] == "prefill":
        return 2
    return _TAKES[task[2]] if task[0] == "grant" else 0


def _strays(world: World, move: tuple[Any, ...]) -> bool:
    """Return whether a step lets a transfer end in a slot that the request has given up."""
    job = world.jobs[0]
    flights = [move[2]] if move[0] == "land" else []
    if move[0] == "do" and move[1][0] == "quiet":
        flights = [flight for flight in job.flights if flight[0] == move[1][2]]
    return any(world.legs[flight[0]][1] not in job.grants for flight in flights)


def _step(world: World, move: tuple[Any, ...]) -> None:
    if move[0] == "tick":
        world.now_s += 1.0
        return
    try:
        world.do(move)
    except InvalidTransition as error:
        world.violate("I7", str(error))
    except InvariantViolated as error:
        world.violate(error.args[0], str(error))


def _rebase(world: World) -> None:
    """Count time from now."""
    now_s, world.now_s = world.now_s, 0.0
    world.timers = [(_left(t[0], now_s), *t[1:]) for t in world.timers]
    for job in world.jobs:
        job.machine.deadline_s = _left(job.machine.deadline_s, now_s)


def _left(deadline_s: float, now_s: float) -> float:
    return max(_PAST, round(deadline_s - now_s, 6))


def project(world: World, number: int) -> tuple[Any, ...]:
    """Return all that the future of one request of a world with one slot per pool depends on."""
    job, now_s = world.jobs[number], world.now_s
    m = job.machine
    slots = (world.pools[pool][0] for pool in (job.p, job.d, "X"))
    names = {job.p: "P", job.d: "D"}
    return (
        *m.states,
        m.flying,
        m.getting,
        m.count,
        m.addressed,
        m.fenced,
        m.mark,
        m.outcome,
        m.corrupt,
        _left(m.deadline_s, now_s),
        tuple(sorted(job.grants)),
        tuple(sorted(job.flights)),
        job.made,
        job.wrong,
        min(job.ends, 2),
        tuple((s.bits, s.bad) if s.holder and s.holder[0] == number else None for s in slots),
        tuple(sorted((t[0], *t[2:]) for t in world.pending if t[1] == number)),
        tuple(sorted((_left(t[0], now_s), *t[2:]) for t in world.timers if t[1] == number)),
        tuple(sorted(names[name] for name in world.stalled if name in names)),
    )


def _mark_doomed(found: Alone) -> None:
    """Enter I2 on the steps after which no state of rest can be reached without a fault."""
    back: list[list[int]] = [[] for _ in found.edges]
    for here, edges in enumerate(found.edges):
        for edge in edges:
            if edge.kind not in PAID and edge.kind != 5:
                back[edge.to].append(here)
    queue = [number for number, rests in enumerate(found.rests) if rests]
    hopeful = set(queue)
    while queue:
        for before in back[queue.pop()]:
            if before not in hopeful:
                hopeful.add(before)
                queue.append(before)
    for here in hopeful:
        out = found.edges[here]
        out[:] = [e if e.to in hopeful else e._replace(broken=(*e.broken, "I2")) for e in out]
