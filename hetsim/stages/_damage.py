"""What a free under access does: blocks are given out again while a transfer still touches them.

Blocks are given out in the order in which they came free (vLLM's free queue and SGLang's list of
free pages), so that freed ones are somebody else's once as many blocks have been taken as were
free before them. From then on a late write spoils the new owner's KV, and a late read carries the
new owner's.

Valid for: bytes count as late if their transfer ends after the blocks were taken. Blocks that grow
a running request are counted, but only requests that came for blocks are spoilt: a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hetsim.serving import Seq

__all__ = ["Damage"]


@dataclass(slots=True)
class _Loose:
    """Blocks that were freed while a transfer may still touch them."""

    seq: Seq
    pool: Any
    is_source: bool
    first: int
    """Count of blocks taken from the pool when the first of them is given out again."""
    blocks: int
    takers: list[Seq] = field(default_factory=list)


class Damage:
    """Follows blocks that were freed under access until the transfer is over."""

    __slots__ = ("loose", "wrong")

    def __init__(self, wrong: dict[Seq, str]) -> None:
        self.loose: list[_Loose] = []
        self.wrong = wrong
        """Where requests with spoilt KV are noted, and the invariant that will say so."""

    def freed(self, seq: Seq, block_set: str, pool: Any, blocks: int) -> None:
        """Take note of blocks that are given back (call it just before they are)."""
        if blocks:
            first = pool.taken + pool.available
            self.loose.append(_Loose(seq, pool, block_set == "Ps", first, blocks))

    def granted(self, seq: Seq) -> None:
        """Take note of a request that has just got blocks for KV from elsewhere."""
        pool, blocks = seq.dst_rank.pool, seq.dst_blocks
        last = pool.taken
        for item in self.loose:
            taken = last > item.first and last - blocks < item.first + item.blocks
            if item.pool is pool and taken:
                item.takers.append(seq)

    def landed(self, seq: Seq) -> None:
        """Spoil what the transfer of a request has touched since it belongs to others."""
        for item in self.loose:
            if item.seq is not seq:
                continue
            if item.is_source:
                if item.pool.taken > item.first:
                    self._spoil(seq)
                continue
            for taker in item.takers:
                if not taker.gone:
                    self._spoil(taker)

    def over(self, seq: Seq) -> None:
        """Forget the blocks of a request of which no transfer is left."""
        self.loose = [item for item in self.loose if item.seq is not seq]

    def _spoil(self, seq: Seq) -> None:
        seq.corrupt = 1
        self.wrong.setdefault(seq, "I16")
