"""Orders of eviction, one file each, found by ``kind``: who goes first when a tier is full.

An order sees keys and times, never contents. It says in which order entries *may* go; the store
skips those that are pinned or leased. The spec of a kind has ``build(pages) -> Order``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetsim.residency.evictions import arc, lfu, lru, ttl
from hetsim.residency.evictions._order import Eviction, Order

__all__ = ["AnyEviction", "Eviction", "Order", "arc", "lfu", "lru", "ttl"]

if TYPE_CHECKING:
    AnyEviction = Any
else:
    from hetsim.spec._check import tagged

    AnyEviction = tagged("eviction")
    """The union of all orders of eviction, told apart by ``kind``."""
