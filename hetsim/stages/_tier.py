"""One tier in a run: its stores, what was found in it, and the bytes that went in and out."""

from __future__ import annotations

from typing import Any

from hetsim.residency import TierStore
from hetsim.stages._residency_plan import TierPlan

__all__ = ["COUNTS", "SPILL_BYTES", "Tier"]

SPILL_BYTES = 4096 * 2.0**20
"""Bytes that may be on their way down from a full tier to one holder; what is dropped beyond
them is lost. Source: SGLang's pool of staging buffers, 4096 MB (0.5.23 release)."""

COUNTS = ("hit", "fetched", "recomputed", "no_room", "lost", "aliased", "converted")
"""What is counted in tokens. hit = fetched + recomputed (faster so) + no_room (no HBM blocks) +
lost (the lease ended under the read); aliased and converted ones are among the fetched."""


class Tier:
    """The stores of one tier, one per holder."""

    __slots__ = (
        "bytes_read",
        "bytes_written",
        "dropped_pages",
        "lookups",
        "plan",
        "spilling_bytes",
        "stores",
        "tokens",
    )

    def __init__(self, plan: TierPlan, unit_pages: int) -> None:
        self.plan = plan
        entries = max(1, plan.pages // unit_pages)
        holders = max(plan.holders) + 1
        self.stores = [TierStore(plan.pages, plan.eviction.build(entries)) for _ in range(holders)]
        self.tokens = dict.fromkeys(COUNTS, 0)
        self.lookups = 0
        """Requests of which it held something."""
        self.bytes_read = 0.0
        self.bytes_written = 0.0
        self.spilling_bytes = [0.0] * holders
        self.dropped_pages = 0

    def store(self, instance: int) -> TierStore:
        """Return the store that serves an instance."""
        return self.stores[self.plan.holders[instance]]

    def figures(self) -> dict[str, Any]:
        """Return what the summary says of it."""
        stores = self.stores
        pages = {
            name: sum(getattr(store, name) for store in stores)
            for name in ("total", "free", "owned", "quarantined", "peak_owned")
        }
        return {
            "requests_with_hits": self.lookups,
            **{f"{name}_tokens": count for name, count in self.tokens.items()},
            "bytes_read": self.bytes_read,
            "bytes_written": self.bytes_written,
            "evicted_pages": sum(store.evicted_pages for store in stores),
            "expired_pages": sum(store.expired_pages for store in stores),
            "refused_pages": sum(store.refused_pages for store in stores),
            "dropped_pages": self.dropped_pages,
            "pages": pages,
        }
