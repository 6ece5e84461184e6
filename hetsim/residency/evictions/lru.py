"""Least recently used first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from hetsim.residency.evictions._order import Order
from hetsim.spec import spec

__all__ = ["Lru", "LruOrder"]


class LruOrder:
    """A dictionary in the order of the last use.

    With entries of one size a larger tier holds all that a smaller one holds (the stack property
    of Mattson et al., Evaluation techniques for storage hierarchies, IBM Systems Journal 9(2),
    1970): more room never loses a hit.

    >>> order = LruOrder()
    >>> for key in (1, 2, 3):
    ...     order.added(key, 0.0)
    >>> order.used(1, 1.0)
    >>> list(order.first(None))
    [2, 3, 1]
    """

    __slots__ = ("_keys",)

    def __init__(self) -> None:
        self._keys: dict[int, None] = {}

    def added(self, key: int, at_s: float) -> None:
        """Take note of a new entry."""
        self._keys[key] = None

    def used(self, key: int, at_s: float) -> None:
        """Take note of a hit."""
        del self._keys[key]
        self._keys[key] = None

    def removed(self, key: int, *, evicted: bool) -> None:
        """Forget an entry."""
        del self._keys[key]

    def first(self, incoming: int | None) -> Iterator[int]:
        """Return the entries, the least recently used first."""
        return iter(self._keys)

    def expired(self, at_s: float) -> list[int]:
        """Return nothing: age alone makes no entry useless."""
        return []


@spec(kind="lru", family="eviction")
class Lru:
    """Least recently used first: the default of vLLM's offloading and of SGLang's HiCache."""

    kind: Literal["lru"] = "lru"

    def build(self, entries: int) -> Order:
        """Return an empty order."""
        return LruOrder()
