"""KV residency: memory below HBM, what it keeps, what it drops, and when a fetch is worth it.

Read ``_types.py`` first (the tiers as a user states them), then ``_store.py`` (one tier: pages,
writes under way, pins, leases), ``_lookup.py`` (the longest prefix, tier by tier), ``_decide.py``
(fetch or recompute, by cost) and ``_keys.py`` (what a pool key leaves out, and what that aliases).
``evictions/`` has one file per order of eviction. Nothing here knows a clock or a link: whoever
drives a store says when, and moves the bytes. To add an order, write one file in ``evictions/``.
"""

from hetsim.residency._decide import Run, choose, fetch_s
from hetsim.residency._keys import KEYS, Form, Naming, Reading
from hetsim.residency._lookup import runs_of
from hetsim.residency._store import Entry, TierStore
from hetsim.residency._types import TIERS, DramTier, RemoteTier, Residency, SsdTier
from hetsim.residency._wear import drive_writes_per_day
from hetsim.residency.evictions import AnyEviction, Eviction, Order

__all__ = [
    "KEYS",
    "TIERS",
    "AnyEviction",
    "DramTier",
    "Entry",
    "Eviction",
    "Form",
    "Naming",
    "Order",
    "Reading",
    "RemoteTier",
    "Residency",
    "Run",
    "SsdTier",
    "TierStore",
    "choose",
    "drive_writes_per_day",
    "fetch_s",
    "runs_of",
]
