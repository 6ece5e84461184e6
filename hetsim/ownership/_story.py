"""The shortest story of a violation, found breadth first and told again in the small world."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hetsim.ownership._alone import STEPS, Alone
from hetsim.ownership._crowd import Crowd
from hetsim.ownership._machine import PARTS, Plan
from hetsim.ownership._mishaps import KINDS
from hetsim.ownership._quotient import Ints, Web, mask_of
from hetsim.ownership._scene import Faults
from hetsim.ownership._world import World

__all__ = ["Story", "retell", "shortest"]

_Rows = tuple[int, int, Ints]


class Story(NamedTuple):
    """A violation, and the steps that lead to it."""

    invariant: str
    places: tuple[tuple[int, int], ...]
    """(P, D) of each request."""
    steps: tuple[tuple[int, tuple[Any, ...]], ...]
    """(request, move); request -1 where an instance fails."""

    def lines(self) -> list[str]:
        """Return one line for each step."""
        return [_line(who, move) for who, move in self.steps]


def shortest(found: Alone, web: Web, crowd: Crowd, name: str, limit: int) -> Story | None:
    """Return a shortest story that violates ``name``, if ``limit`` states show one."""
    seen = crowd.explore(limit, until=name, keep=True)
    if name not in seen.broken:
        return None
    length = seen.broken[name]
    bit = mask_of((name,))
    state, last = _culprit(crowd, seen.levels[length - 1], bit)
    chain = [state]
    for level in reversed(seen.levels[: length - 1]):
        chain.insert(0, _before(crowd, level, chain[0]))
    words = crowd.unpack(np.array(chain[:1], dtype=np.int64))
    places = tuple((int(word) >> 1 & 1, int(word) & 1) for word in words[0])
    steps = []
    for target in chain[1:]:
        kind, place, after = _step_to(crowd, words, target, 0)
        steps.append(_move(found, web, kind, place, words[0], after[0]))
        words = after
    kind, place, after = _step_to(crowd, words, last, bit)
    steps.append(_move(found, web, kind, place, words[0], after[0]))
    return Story(name, places, tuple(steps))


def _culprit(crowd: Crowd, level: Ints, bit: int) -> tuple[int, int]:
    """Return a state of a level with a step that violates, and the state after it."""
    words = crowd.unpack(level)
    for _, _, rows, after, broken in crowd.steps(words):
        bad = np.flatnonzero(broken & bit)
        if len(bad):
            return int(level[rows[bad[0]]]), int(crowd.pack(after[bad[:1]])[0])
    raise AssertionError("a violation that no step shows")


def _before(crowd: Crowd, level: Ints, state: int) -> int:
    words = crowd.unpack(level)
    for _, _, rows, after, _ in crowd.steps(words):
        hits = np.flatnonzero(crowd.pack(after) == state)
        if len(hits):
            return int(level[rows[hits[0]]])
    raise AssertionError("a state that nothing leads to")


def _step_to(crowd: Crowd, words: Ints, state: int, bit: int) -> _Rows:
    for kind, place, _, after, broken in crowd.steps(words):
        hits = np.flatnonzero((crowd.pack(after) == state) & (broken & bit == bit))
        if len(hits):
            return kind, place, after[hits[:1]]
    raise AssertionError("a step that is not there")


def _move(
    found: Alone, web: Web, kind: int, place: int, before: Ints, after: Ints
) -> tuple[int, tuple[Any, ...]]:
    if 6 <= kind <= 10:
        what, side = STEPS[kind].split()
        return -1, (what, side if side == "X" else f"{side}{place}")
    here, there = (web.state[int(row[place]) >> 2] for row in (before, after))
    for edge in found.edges[here]:
        if edge.kind == kind and edge.to == there:
            return place, edge.move
    raise AssertionError("a step that no request has")


def _line(who: int, move: tuple[Any, ...]) -> str:
    name = f"request {who}: " if who >= 0 else ""
    if move[0] in ("do", "lose", "repeat", "preempt"):
        verb = {"do": ""}.get(move[0], f"{move[0]} ")
        task = move[1]
        return f"{name}{verb}{' '.join(str(word) for word in (task[0], *task[2:]))}"
    if move[0] == "timer":
        return f"{name}timer {move[1][2]} fires"
    if move[0] in ("land", "hang"):
        return f"{name}{move[0]} {move[2][0]} {move[2][1]}"
    if move[0] == "drop":
        return f"{name}{move[2][0]} {move[2][1]} fails, {'over' if move[3] else 'DMA still live'}"
    return f"{name}{' '.join(str(word) for word in move if not isinstance(word, int))}"


def retell(plan: Plan, story: Story, pieces: int = 1) -> World:
    """Return a world of full size in which the story has happened, then settled."""
    world = World(plan, len(story.places), 1, pieces, Faults(**dict.fromkeys(KINDS, 1), total=1))
    for job, (p, d) in zip(world.jobs, story.places, strict=True):
        job.p, job.d = f"P{p}", f"D{d}"
        job.last = dict.fromkeys(PARTS, 0)
    for who, move in story.steps:
        if move[0] == "tick":
            world.now_s += 1.0
        else:
            world.do(_renamed(world, who, move))
    world.settle()
    return world


def _renamed(world: World, who: int, move: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a move of the request alone as one of a request among several."""
    if who < 0:
        return move
    if move[0] == "timer":
        return "timer", next(t for t in world.timers if t[1] == who and t[2] == move[1][2])
    if move[0] in ("do", "lose", "repeat", "preempt"):
        task = move[1]
        return move[0], (task[0], who, *task[2:])
    if move[0] == "resume":
        job = world.jobs[who]
        return "resume", {"P0": job.p, "D0": job.d}[move[1]]
    return move[0], who, *move[2:]
