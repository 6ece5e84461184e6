"""ARC: recency and frequency, balanced by what turned out to be missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from hetsim.residency.evictions._order import Order
from hetsim.spec import spec

__all__ = ["Arc", "ArcOrder"]


class ArcOrder:
    """Adaptive replacement: entries seen once, entries seen again, and the ghosts of both.

    A ghost that comes back says which of the two lists was too short; ``target`` is the length that
    the first is meant to have.

    *Source:* Megiddo and Modha, ARC: a self-tuning, low overhead replacement cache, FAST 2003.
    *Valid for:* entries of one size, ``entries`` of them when the tier is full.

    >>> order = ArcOrder(2)
    >>> order.added(1, 0.0); order.used(1, 1.0); order.added(2, 2.0)
    >>> list(order.first(3))   # 1 was used again, so 2 goes first
    [2, 1]
    """

    __slots__ = ("_again", "_ghosts_again", "_ghosts_once", "_once", "entries", "target")

    def __init__(self, entries: int) -> None:
        self.entries = max(1, entries)
        self.target = 0.0
        self._once: dict[int, None] = {}
        self._again: dict[int, None] = {}
        self._ghosts_once: dict[int, None] = {}
        self._ghosts_again: dict[int, None] = {}

    def added(self, key: int, at_s: float) -> None:
        """Take note of a new entry; a ghost goes to those seen again, and moves the target."""
        ones, agains = len(self._ghosts_once), len(self._ghosts_again)
        if key in self._ghosts_once:
            self.target = min(float(self.entries), self.target + max(1.0, agains / ones))
            del self._ghosts_once[key]
            self._again[key] = None
        elif key in self._ghosts_again:
            self.target = max(0.0, self.target - max(1.0, ones / agains))
            del self._ghosts_again[key]
            self._again[key] = None
        else:
            self._once[key] = None
        self._forget_ghosts()

    def _forget_ghosts(self) -> None:
        while self._ghosts_once and len(self._once) + len(self._ghosts_once) > self.entries:
            del self._ghosts_once[next(iter(self._ghosts_once))]
        lists = (self._once, self._again, self._ghosts_once, self._ghosts_again)
        while self._ghosts_again and sum(map(len, lists)) > 2 * self.entries:
            del self._ghosts_again[next(iter(self._ghosts_again))]

    def used(self, key: int, at_s: float) -> None:
        """Move an entry to the recent end of those seen again."""
        self._once.pop(key, None)
        self._again.pop(key, None)
        self._again[key] = None

    def removed(self, key: int, *, evicted: bool) -> None:
        """Forget an entry; one that was evicted leaves a ghost."""
        if key in self._once:
            del self._once[key]
            ghosts = self._ghosts_once
        else:
            del self._again[key]
            ghosts = self._ghosts_again
        if evicted:
            ghosts[key] = None
            self._forget_ghosts()

    def first(self, incoming: int | None) -> Iterator[int]:
        """Return the entries, first those of the list that is longer than it should be."""
        ones = len(self._once)
        over = ones > self.target or (ones == self.target and incoming in self._ghosts_again)
        lists = (self._once, self._again) if ones and over else (self._again, self._once)
        for part in lists:
            yield from part

    def expired(self, at_s: float) -> list[int]:
        """Return nothing: age alone makes no entry useless."""
        return []


@spec(kind="arc", family="eviction")
class Arc:
    """Adaptive replacement cache: the other order of vLLM's offloading."""

    kind: Literal["arc"] = "arc"

    def build(self, entries: int) -> Order:
        """Return an empty order for a tier of so many entries."""
        return ArcOrder(entries)
