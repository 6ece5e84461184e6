"""Least frequently used first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from hetsim.residency.evictions._order import Order
from hetsim.spec import spec

__all__ = ["Lfu", "LfuOrder"]


class LfuOrder:
    """Entries by the number of their uses; among equals the least recently used goes first.

    Counts begin anew when an entry comes back. Each count has a dictionary in the order of use, so
    a hit costs the same however many entries there are.

    >>> order = LfuOrder()
    >>> for key in (1, 2, 3):
    ...     order.added(key, 0.0)
    >>> order.used(1, 1.0); order.used(1, 2.0); order.used(2, 3.0)
    >>> list(order.first(None))
    [3, 2, 1]
    """

    __slots__ = ("_by_count", "_count")

    def __init__(self) -> None:
        self._count: dict[int, int] = {}
        self._by_count: dict[int, dict[int, None]] = {}

    def added(self, key: int, at_s: float) -> None:
        """Take note of a new entry, used once."""
        self._count[key] = 1
        self._by_count.setdefault(1, {})[key] = None

    def used(self, key: int, at_s: float) -> None:
        """Count a hit."""
        count = self._leave(key)
        self._count[key] = count + 1
        self._by_count.setdefault(count + 1, {})[key] = None

    def removed(self, key: int, *, evicted: bool) -> None:
        """Forget an entry and its count."""
        self._leave(key)
        del self._count[key]

    def _leave(self, key: int) -> int:
        count = self._count[key]
        peers = self._by_count[count]
        del peers[key]
        if not peers:
            del self._by_count[count]
        return count

    def first(self, incoming: int | None) -> Iterator[int]:
        """Return the entries, the least used first."""
        for count in sorted(self._by_count):
            yield from self._by_count[count]

    def expired(self, at_s: float) -> list[int]:
        """Return nothing: age alone makes no entry useless."""
        return []


@spec(kind="lfu", family="eviction")
class Lfu:
    """Least frequently used first, as KVBM's frequency policy without its ageing."""

    kind: Literal["lfu"] = "lfu"

    def build(self, entries: int) -> Order:
        """Return an empty order."""
        return LfuOrder()
