"""A block pool that tells somebody what its prefix cache takes in and gives up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from hetsim.kv._blocks import BlockPool

__all__ = ["WatchedPool"]


class WatchedPool(BlockPool):
    """For a pool with tiers below it; others do not pay for the telling."""

    __slots__ = ("on_evict", "on_publish")

    def __init__(self, total: int, unit_blocks: int = 0) -> None:
        super().__init__(total, unit_blocks)
        self.on_publish: Callable[[list[int]], None] | None = None
        """Told of units that were computed here and are new."""
        self.on_evict: Callable[[list[int]], None] | None = None
        """Told of units that are given up, just before they are."""

    def publish(self, keys: Sequence[int]) -> list[int]:
        """Turn owned blocks into cached units, and tell."""
        fresh = super().publish(keys)
        if fresh and self.on_publish is not None:
            self.on_publish(fresh)
        return fresh

    def adopt(self, keys: Sequence[int]) -> list[int]:
        """Turn owned blocks into cached units that came from below: nobody is told."""
        return super().publish(keys)

    def _evict(self, blocks: int) -> None:
        if self.on_evict is not None and blocks > 0:
            self.on_evict(list(islice(self._idle, -(-blocks // self.unit_blocks))))
        super()._evict(blocks)
