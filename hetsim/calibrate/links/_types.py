"""What a kind of link offers to be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hetsim.spec import spec

__all__ = ["COLD", "IDLE_S", "Ring", "Session", "Setting"]

COLD = "_cold"
"""Ends the name of an operation whose bytes lie in no cache and whose receiver slept."""
IDLE_S = 0.003
"""How long both ends stand still before a cold transfer: the receiver sleeps, as one does that
waits for the end of a prefill."""
_RING_BYTES = 1 << 28
"""More than the last-level cache of any processor of today."""


@spec
class Setting:
    """What a session may need."""

    folder: Path
    """For files of a disk; what is written there is removed again."""
    device: str = "auto"
    largest_bytes: int = 1 << 28

    @property
    def ring_bytes(self) -> int:
        """Room that cold transfers rotate over; twice the largest, whose pieces lie apart."""
        return max(2 * self.largest_bytes, _RING_BYTES)


class Ring:
    """Where the next cold transfer lies: each after the one before, round a buffer.

    >>> ring = Ring(100)
    >>> [ring.next("send_cold", 40) for _ in range(3)], ring.next("send", 40)
    ([0, 40, 0], 0)
    """

    def __init__(self, room: int) -> None:
        self._room, self._at = room, 0

    def next(self, op: str, span: int) -> int:
        """Return the start of the next ``span`` bytes; a hot operation always has the same."""
        if not op.endswith(COLD):
            return 0
        start = self._at if self._at + span <= self._room else 0
        self._at = start + span
        return start


class Session(Protocol):
    """An open link."""

    ops: tuple[str, ...]
    connect_s: float
    """What opening it took, which the first transfer pays."""

    def transfer(self, op: str, size: int, pieces: int) -> float | None:
        """Move ``size`` bytes in ``pieces`` equal parts that lie apart; return when they arrived.

        A session that knows better than the caller's clock returns the seconds itself.
        """

    def close(self) -> None:
        """Give everything back."""
