"""What a store asks of an order of eviction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

__all__ = ["Eviction", "Order"]


class Order(Protocol):
    """Keys of one tier in the order in which they may go. Times never run backwards."""

    def added(self, key: int, at_s: float) -> None:
        """Take note of a new entry."""

    def used(self, key: int, at_s: float) -> None:
        """Take note of a hit."""

    def removed(self, key: int, *, evicted: bool) -> None:
        """Forget an entry; ``evicted``: to make room, not because it was moved or lost."""

    def first(self, incoming: int | None) -> Iterator[int]:
        """Return the entries, the first to go first, to make room for ``incoming``."""

    def expired(self, at_s: float) -> list[int]:
        """Return the entries that are too old to be used, the oldest first."""


class Eviction(Protocol):
    """The spec of an order."""

    @property
    def kind(self) -> str:
        """The word that names it."""

    def build(self, entries: int) -> Order:
        """Return an empty order for a tier that holds about so many entries."""
