"""Rounds and their sentinels: which count, whether one more is needed, what may be concluded.

Pure: numbers in, decisions out. A sentinel is a kernel that never changes, timed on the CPU clock
and on the wall clock before and after each round. Quantities of one pinned thread are measured on
its CPU clock and survive neighbours; waits and transfers need the wall clock and do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

__all__ = [
    "LEAST",
    "MOVED",
    "ROUNDS",
    "SPARE",
    "Clock",
    "Guard",
    "Verdict",
    "good",
    "more",
    "shift",
]

Clock = Literal["cpu", "wall"]
Verdict = Literal["good", "missed", "inconclusive"]

ROUNDS = 5
SPARE = 3
"""Rounds that may be repeated because their sentinel moved."""
LEAST = 3
"""Good rounds without which nothing is concluded."""
MOVED = 0.10


class Guard(NamedTuple):
    """The sentinel readings of one round: (CPU, wall) seconds, on each core, before and after."""

    readings: tuple[tuple[float, float], ...]


def _reference(guards: Sequence[Guard]) -> float:
    """Return the CPU seconds that a sentinel takes here: the median of all readings."""
    return median(cpu for guard in guards for cpu, _ in guard.readings)


def shift(guard: Guard, guards: Sequence[Guard], clock: Clock) -> float:
    """Return how far a round's worst sentinel is from what it takes here, as a signed ratio.

    The wall clock is held against the CPU clock as well: a neighbour that was there all the time
    moves no median, but makes the wall longer than the work.

    >>> calm, busy = Guard(((1.0, 1.0),)), Guard(((1.02, 1.5),))
    >>> round(shift(busy, [calm, calm, busy], "cpu"), 2), shift(busy, [calm, calm, busy], "wall")
    (0.02, 0.5)
    """
    reference = _reference(guards)
    column = 0 if clock == "cpu" else 1
    found = [reading[column] / reference - 1.0 for reading in guard.readings]
    return max(found, key=abs)


def good(guards: Sequence[Guard], clock: Clock) -> list[bool]:
    """Say which rounds may be used for quantities on a clock."""
    return [abs(shift(guard, guards, clock)) <= MOVED for guard in guards]


def more(guards: Sequence[Guard], rounds: int = ROUNDS, spare: int = SPARE) -> bool:
    """Return whether another round is due: ``rounds``, and a repeat for each that moved.

    >>> calm, loud = Guard(((1.0, 1.0),)), Guard(((1.5, 1.5),))
    >>> more([calm] * 4), more([calm] * 5), more([calm] * 4 + [loud]), more([loud] * 8)
    (True, False, True, False)
    """
    if len(guards) < rounds:
        return True
    if len(guards) >= rounds + spare:
        return False
    both = zip(good(guards, "cpu"), good(guards, "wall"), strict=True)
    return sum(cpu and wall for cpu, wall in both) < rounds
