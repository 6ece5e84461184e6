"""What a kind of link offers to be measured."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from hetsim.spec import spec

__all__ = ["Session", "Setting"]


@spec
class Setting:
    """What a session may need."""

    folder: Path
    """For files of a disk; what is written there is removed again."""
    device: str = "auto"
    largest_bytes: int = 1 << 28


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
