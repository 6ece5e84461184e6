"""Entries that were not used for a while are worth nothing; among the rest, the oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from hetsim.residency.evictions._order import Order
from hetsim.spec import spec

if TYPE_CHECKING:
    LongerThanZero = float
else:
    from hetsim.spec._check import quantity

    LongerThanZero = quantity("second", example="600 s", inclusive=False)

__all__ = ["Ttl", "TtlOrder"]


class TtlOrder:
    """Time of the last use by key; a dictionary in that order, so the oldest is at its front.

    >>> order = TtlOrder(10.0)
    >>> order.added(1, 0.0); order.added(2, 5.0); order.used(1, 6.0)
    >>> order.expired(15.0), order.expired(16.0)   # 2 was last used at 5 s, 1 at 6 s
    ([2], [2, 1])
    """

    __slots__ = ("_last_s", "after_s")

    def __init__(self, after_s: float) -> None:
        self.after_s = after_s
        self._last_s: dict[int, float] = {}

    def added(self, key: int, at_s: float) -> None:
        """Start the life of an entry."""
        self._last_s[key] = at_s

    def used(self, key: int, at_s: float) -> None:
        """Start its life again."""
        del self._last_s[key]
        self._last_s[key] = at_s

    def removed(self, key: int, *, evicted: bool) -> None:
        """Forget an entry."""
        del self._last_s[key]

    def first(self, incoming: int | None) -> Iterator[int]:
        """Return the entries, the longest unused first."""
        return iter(self._last_s)

    def expired(self, at_s: float) -> list[int]:
        """Return the entries that nobody has used for their time to live."""
        found = []
        for key, last_s in self._last_s.items():
            if at_s - last_s < self.after_s:
                break
            found.append(key)
        return found


@spec(kind="ttl", family="eviction")
class Ttl:
    """Entries that nobody used for ``after`` are dropped; when full, the longest unused first."""

    kind: Literal["ttl"] = "ttl"
    after: LongerThanZero
    """Time to live, from the last use."""

    def build(self, entries: int) -> Order:
        """Return an empty order."""
        return TtlOrder(self.after)
