"""Blocks of an instance: paying for steps, how far they last, and what happens when they do not."""

from __future__ import annotations

from hetsim.kv import blocks_for
from hetsim.serving._books import Books
from hetsim.serving._rank import Rank
from hetsim.serving._seq import Seq
from hetsim.serving._state import PREEMPTED, STARTED

__all__ = ["Memory"]


class Memory(Books):
    """Keeps block counts and the end of the running segment in step with each other."""

    __slots__ = ()

    def look(self, now: float) -> None:
        """Advance the block counts to the steps begun by ``now``, so that they can be read."""
        segment = self.segment
        if segment is None or self.stepwise:
            return
        begun = segment.done_by(now) + 1
        if begun > segment.limit:
            begun = segment.limit
        if begun > segment.paid:
            self._pay(begun)

    def _pay(self, steps: int) -> None:
        """Take the blocks of the segment's steps up to ``steps``."""
        segment, rank = self._segment, self.rank
        blocks = rank.blocks_in(steps, segment.paid)
        if blocks:
            rank.pool.take(blocks)
        segment.paid = steps

    def _refit(self) -> None:
        """Blocks were taken from outside: the batch may now run out of them sooner."""
        segment = self._segment
        paid = segment.paid
        limit = self._horizon(paid)
        if limit < paid:
            limit = paid
        if limit < segment.limit:
            segment.limit = limit
            self.next_s = segment.at(limit)

    def _horizon(self, begun: int) -> int:
        """Return after how many steps of the segment something inside must change.

        ``begun`` steps have their blocks; the next ones take from what is available now.
        """
        rank = self.rank
        if rank.swapped and self._fits(rank, rank.swapped[0]):
            return begun  # a preemption has just made room for one swapped out before
        limit = rank.next_finish - rank.steps
        if not rank.plain:
            limit = min(limit, rank.cross_in())
        available = rank.pool.available
        if (limit // rank.block_tokens + 1) * rank.running <= available:
            return limit
        return rank.steps_within(available + rank.blocks_in(begun), limit)

    def _rank_changes(self, rank: Rank, steps: int) -> bool:
        """Return whether one domain runs out of blocks, or can let something in."""
        rank.hold = rank.blocks_in(steps + 1, steps)
        if rank.hold > rank.pool.available:
            return True
        if rank.swapped and self._fits(rank, rank.swapped[0]):
            return True
        return bool((rank.waiting or rank.partial) and self.batcher.choose(rank)[0])

    # -- running out of blocks ---------------------------------------------------------------

    def _preempt(self, rank: Rank, seq: Seq) -> None:
        left = rank.left(seq)
        if seq in self._joined:
            self._joined.remove(seq)
        elif seq.last_s != seq.last_s:
            seq.last_s = self.last_decode_s
        context = seq.base + rank.steps
        rank.forget(seq)
        seq.out = self.osl[seq.rid] - left
        seq.preempted += 1
        self.preemptions += 1
        blocks = seq.blocks
        rank.free(seq)
        if self.watch_preempted:
            self.outcomes.append((PREEMPTED, seq, 0.0, 0))
        if self.swap_s_per_block is not None:
            self.extra_s += blocks * self.swap_s_per_block
            seq.done = context - 1
            seq.rank = rank
            rank.swapped.append(seq)
            return
        seq.prompt = seq.isl + max(0, seq.out)
        seq.done = seq.cached = 0
        rank.waiting.appendleft(seq)
        rank.queued += seq.prompt

    def _fits(self, rank: Rank, seq: Seq) -> bool:
        blocks = blocks_for(seq.done + 1, rank.block_tokens) + rank.rules.fixed_blocks
        return rank.running < rank.max_seqs and blocks + rank.next_need() <= rank.pool.available

    def _swap_in(self, rank: Rank) -> None:
        assert self.swap_s_per_block is not None
        while rank.swapped and self._fits(rank, rank.swapped[0]):
            seq = rank.swapped.popleft()
            blocks = blocks_for(seq.done, rank.block_tokens) + rank.rules.fixed_blocks
            rank.pool.take(blocks)
            seq.blocks = blocks
            self.extra_s += blocks * self.swap_s_per_block
            rank.join(seq, seq.done + 1, self.osl[seq.rid] - seq.out)
            self._joined.append(seq)
            if self.watch_preempted:
                self.outcomes.append((STARTED, seq, 0.0, 0))
