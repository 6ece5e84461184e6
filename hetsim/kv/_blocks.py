"""Paged KV: blocks per sequence, what a pool holds, and the prefix cache inside it.

Everything counts blocks; nothing here knows bytes, time or who decodes. Names follow vLLM: a block
of ``block_tokens`` tokens, a cache unit of one or more blocks found by the hash of its prefix.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.errors import InvariantViolated

__all__ = ["BlockPool", "blocks_for", "cache_unit"]


def blocks_for(tokens: int, block_tokens: int) -> int:
    """Return the blocks that ``tokens`` occupy.

    >>> blocks_for(33, 16)
    3
    """
    return -(-tokens // block_tokens)


def cache_unit(hash_tokens: int, block_tokens: int) -> tuple[int, int, int] | None:
    """Return ``(stride, unit_tokens, unit_blocks)`` of the prefix cache, or None if none fits.

    A trace names prefixes every ``hash_tokens``; a runtime caches whole blocks. When a block spans
    several hashes, the last of them names it (hashes are cumulative), hence the stride.

    >>> cache_unit(512, 16), cache_unit(16, 64), cache_unit(512, 48)
    ((1, 512, 32), (4, 64, 1), None)
    """
    if hash_tokens >= block_tokens:
        if hash_tokens % block_tokens:
            return None
        return 1, hash_tokens, hash_tokens // block_tokens
    if block_tokens % hash_tokens:
        return None
    return block_tokens // hash_tokens, block_tokens, 1


class BlockPool:
    """The KV blocks of one instance (or one DP rank of it).

    ``free + owned + cached + quarantined = total`` (law L2). Owned blocks belong to one request;
    cached units are shared by reference count, and those with no reader may be evicted, the least
    recently used first.
    """

    __slots__ = (
        "_idle",
        "_refs",
        "available",
        "evicted_units",
        "free",
        "owned",
        "quarantined",
        "taken",
        "total",
        "unit_blocks",
    )

    def __init__(self, total: int, unit_blocks: int = 0) -> None:
        self.total = total
        self.free = total
        self.available = total
        """Blocks that an allocation may take: free ones and idle cached ones. Kept as a number,
        since every step of a run reads it."""
        self.owned = 0
        self.quarantined = 0
        self.taken = 0
        """Blocks ever given out. They are given out in the order in which they came free, so that
        this says when a block that comes free now will be somebody else's."""
        self.unit_blocks = unit_blocks
        """Blocks of one cache unit; 0 = no prefix cache."""
        self.evicted_units = 0
        self._refs: dict[int, int] = {}
        self._idle: dict[int, None] = {}

    @property
    def cached(self) -> int:
        """Blocks held by the prefix cache, in use or idle."""
        return len(self._refs) * self.unit_blocks

    @property
    def used(self) -> int:
        """Blocks that hold live state: all but the free and the idle cached ones."""
        return self.total - self.available

    def take(self, blocks: int) -> None:
        """Give ``blocks`` to a request; the caller has checked :attr:`available`."""
        if blocks > self.free:
            self._evict(blocks - self.free)
        self.free -= blocks
        self.available -= blocks
        self.owned += blocks
        self.taken += blocks

    def give_back(self, blocks: int) -> None:
        """Take ``blocks`` back from a request."""
        self.free += blocks
        self.available += blocks
        self.owned -= blocks

    def quarantine(self, blocks: int) -> None:
        """Set owned blocks aside: their request is gone, but a transfer may still touch them."""
        self.owned -= blocks
        self.quarantined += blocks

    def end_quarantine(self, blocks: int) -> None:
        """Return quarantined blocks to the free ones."""
        self.quarantined -= blocks
        self.free += blocks
        self.available += blocks

    def hits(self, keys: Sequence[int]) -> int:
        """Return how many leading units of ``keys`` are cached."""
        refs = self._refs
        count = 0
        for key in keys:
            if key not in refs:
                break
            count += 1
        return count

    def idle_hits(self, keys: Sequence[int]) -> int:
        """Return how many of the cached units ``keys`` have no reader (and count as available)."""
        idle = self._idle
        return sum(1 for key in keys if key in idle)

    def acquire(self, keys: Sequence[int]) -> None:
        """Read cached units: they cannot be evicted until :meth:`release`."""
        refs, idle = self._refs, self._idle
        for key in keys:
            if refs[key] == 0:
                del idle[key]
                self.available -= self.unit_blocks
            refs[key] += 1

    def publish(self, keys: Sequence[int]) -> list[int]:
        """Turn owned blocks into cached units; return those keys that were new.

        A unit that another request has published meanwhile stays a private copy.
        """
        refs = self._refs
        fresh = [key for key in keys if key not in refs]
        for key in fresh:
            refs[key] = 1
        self.owned -= len(fresh) * self.unit_blocks
        return fresh

    def release(self, keys: Sequence[int]) -> None:
        """Stop reading cached units; the deepest of a prefix becomes the first to be evicted."""
        refs, idle = self._refs, self._idle
        for key in reversed(keys):
            refs[key] -= 1
            if refs[key] == 0:
                idle[key] = None
                self.available += self.unit_blocks

    def clear_cache(self) -> None:
        """Forget every idle unit (a restart of the instance)."""
        self._evict(len(self._idle) * self.unit_blocks)

    def _evict(self, blocks: int) -> None:
        idle, refs, unit = self._idle, self._refs, self.unit_blocks
        while blocks > 0:
            if not idle:
                raise InvariantViolated("L2", f"asked to evict {blocks} blocks, none is idle")
            key = next(iter(idle))
            del idle[key]
            del refs[key]
            self.free += unit
            self.evicted_units += 1
            blocks -= unit

    def check(self) -> None:
        """Raise InvariantViolated unless the blocks add up (L2)."""
        parts = (self.free, self.owned, self.cached, self.quarantined)
        ready = self.free + len(self._idle) * self.unit_blocks
        if sum(parts) != self.total or min(parts) < 0 or ready != self.available:
            free, owned, cached, quarantined = parts
            detail = f"free {free} + owned {owned} + cached {cached} + quarantined {quarantined}"
            raise InvariantViolated("L2", f"{detail} != {self.total}, or {ready} are not available")
