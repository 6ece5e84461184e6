"""An instance whose attention is data parallel: several scheduler domains in lockstep.

Every DP rank has its own queue and its own KV blocks; a step ends for all when the slowest rank
has ended it, so a segment also ends where another rank becomes the slowest.
"""

from __future__ import annotations

from hetsim.costs import DecodePoint, RankLoad, StepCost
from hetsim.errors import InvariantViolated
from hetsim.serving._books import work_of
from hetsim.serving._instance import Instance
from hetsim.serving._rank import NEVER, Rank
from hetsim.serving._seq import Seq
from hetsim.serving._state import INFINITY

__all__ = ["Lockstep"]


class Lockstep(Instance):
    """Ranks in lockstep under one step clock."""

    __slots__ = ("_active",)

    _active: list[Rank]

    def domain_for_prompt(self) -> Rank:
        """Return the rank with the least inside."""
        return min(self.ranks, key=lambda rank: (rank.queued, rank.running, rank.index))

    def domain_for_kv(self) -> Rank:
        """Return the rank with the most room."""
        return max(self.ranks, key=lambda rank: (rank.pool.available, -rank.index))

    def _pay(self, steps: int) -> None:
        segment = self._segment
        for rank in self._active:
            rank.pool.take(rank.blocks_in(steps, segment.paid))
        segment.paid = steps

    def _must_change(self, steps: int) -> bool:
        if self.extra_s:
            return True
        for rank in self._active:
            if rank.next_finish - rank.steps <= steps or rank.cross_in() <= steps:
                return True
        for rank in self.ranks:
            if rank.ready and rank.running < rank.max_seqs:
                return True
            if self._rank_changes(rank, steps):
                return True
        return self._branch_in() <= steps

    def _horizon(self, begun: int) -> int:
        if any(rank.swapped and self._fits(rank, rank.swapped[0]) for rank in self.ranks):
            return begun
        limit = self._branch_in()
        for rank in self._active:
            limit = min(limit, rank.next_finish - rank.steps, rank.cross_in())
        for rank in self._active:
            limit = rank.steps_within(rank.pool.available + rank.blocks_in(begun), limit)
        return limit

    def _branch_in(self) -> int:
        """Return after how many steps another rank becomes the slowest."""
        lines = self._lines()
        top, slope = max(lines)
        limit = NEVER
        for value, other in lines:
            if other > slope:
                limit = min(limit, int((top - value) / (other - slope)) + 1)
        return limit

    def _lines(self) -> list[tuple[float, float]]:
        """Return the lines whose maximum is the next step's time, the common part left out."""
        point, ranks = self._point, self.ranks
        lines = [_line(p, r) for p, r in zip(point.ranks, ranks, strict=True)]
        for floors in point.floors:
            lines += [_line(p, r) for p, r in zip(floors, ranks, strict=True)]
        return lines

    def _close(self, now: float) -> None:
        segment, point = self._segment, self._point
        steps = segment.limit
        if segment.paid != steps:
            raise InvariantViolated("L2", f"{segment.paid} steps have blocks, {steps} were done")
        self.segment = None
        batch, flops, nbytes = 0, point.flops_common * steps, point.bytes_common * steps
        for part, rank in zip(point.ranks, self.ranks, strict=True):
            more_flops, more_bytes = work_of(part, rank, steps)
            batch += rank.running
            flops += more_flops
            nbytes += more_bytes
        pools = [rank.pool for rank in self.ranks]
        total = sum(pool.total for pool in pools)
        free = sum(pool.available for pool in pools)
        bound = point.ranks[0].bound_by
        self._end_segment(segment, now, batch, bound, (flops, nbytes), free, total)
        for rank in self._active:
            rank.advance(steps)
            if rank.next_finish <= rank.steps:
                self._end_finished(rank, now)

    def _start(self, now: float) -> None:
        chunks: list[tuple[Seq, int]] = []
        active = []
        for rank in self.ranks:
            self._settle(rank)
            decode = True
            if rank.waiting or rank.partial:
                found, decode = self.batcher.choose(rank)
                chunks += [self._begin_chunk(rank, seq, n, now) for seq, n in found]  # type: ignore[arg-type]
            if decode and rank.running:
                active.append(rank)
        self._active = active
        self._decode = bool(active)
        if chunks or (self.extra_s and active):
            self._begin_mixed(chunks, now)
        elif active:
            self._begin_segment(now)
        else:
            self.next_s = INFINITY

    def _mixed_cost(self, chunks: list[tuple[Seq, int]]) -> StepCost:
        loads = []
        for rank in self.ranks:
            mine = tuple((n, seq.done) for seq, n in chunks if seq.rank is rank)
            on = rank in self._active
            if on:
                rank.pool.take(rank.hold)
            sums = tuple(rank.sums if on else rank.zeros)
            loads.append(RankLoad(mine, rank.running if on else 0, sums))
        return self.model.step_ranks(loads)

    def _begin_segment(self, now: float) -> None:
        point = self._point = self.model.decode_ranks(tuple(rank.running for rank in self.ranks))
        top, slope = max(self._lines())
        for rank in self._active:
            rank.pool.take(rank.hold)
        self._open(now, point.common_s + top, slope)

    def _decoding(self) -> int:
        return sum(rank.running for rank in self._active)

    def _advance_one(self, now: float) -> None:
        for rank in self._active:
            rank.advance(1)
            if rank.next_finish <= rank.steps:
                self._end_finished(rank, now)


def _line(point: DecodePoint, rank: Rank) -> tuple[float, float]:
    """Return (time of the next step, its growth per step) of one rank."""
    value, slope = point.const_s, 0.0
    for i, rate in enumerate(point.slopes_s):
        value += rate * rank.sums[i]
        slope += rate * rank.grow[i]
    return value, slope
