"""One engine instance as a pure machine: told the time, it says when it next has to be asked.

The driver calls ``boundary(now)`` at ``next_s`` and ``poke(now)`` after it has put something in.
Between two changes of the batch, decode steps are one segment with a closed form; ``stepwise``
walks the same steps one boundary at a time. :mod:`hetsim.serving._lockstep` is the same for
attention DP. This is the hottest code of hetsim: local names and few calls are on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetsim.errors import InvariantViolated
from hetsim.metrics import pack_gap
from hetsim.serving._books import work_of
from hetsim.serving._entrance import Entrance
from hetsim.serving._rank import Rank
from hetsim.serving._seq import NAN, Seq
from hetsim.serving._state import FINISHED, INFINITY, PREFILLED, STARTED

if TYPE_CHECKING:
    from hetsim.costs import StepCost

__all__ = ["Instance"]


class Instance(Entrance):
    """One scheduler domain under one step clock."""

    __slots__ = ()

    def boundary(self, now: float) -> None:
        """Complete the step or segment that ends now and begin the next one."""
        segment = self.segment
        if segment is not None:
            limit = segment.limit
            if segment.paid < limit:
                self._pay(limit)
            if not self._must_change(limit):
                self._extend()
                return
            self._close(now)
        elif self._step is not None:
            self._complete(now)
        self._start(now)

    def _must_change(self, steps: int) -> bool:
        """Return whether the batch differs in the step after ``steps`` steps of the segment."""
        rank = self.rank
        if rank.next_finish - rank.steps <= steps or self.extra_s:
            return True
        if rank.ready and rank.running < rank.max_seqs:
            return True
        return rank.cross_in() <= steps or self._rank_changes(rank, steps)

    def _extend(self) -> None:
        """Nothing changes at this boundary: go on with the same segment."""
        segment = self._segment
        steps = segment.limit
        if steps + 1 > segment.paid:
            self._pay(steps + 1)
        segment.limit = steps + 1 if self.stepwise else max(steps + 1, self._horizon(steps + 1))
        self.next_s = segment.at(segment.limit)

    def _close(self, now: float) -> None:
        """Record the segment that ends now, count its steps, and let finished requests go."""
        segment, point, rank = self._segment, self._point, self.rank
        steps = segment.limit
        if segment.paid != steps:
            raise InvariantViolated("L2", f"{segment.paid} steps have blocks, {steps} were done")
        self.segment = None
        pool = rank.pool
        work = work_of(point, rank, steps)
        self._end_segment(segment, now, rank.running, point[6], work, pool.available, pool.total)
        if rank.plain:
            rank.steps = done = rank.steps + steps
            rank.sums[0] += rank.grow[0] * steps
        else:
            rank.advance(steps)
            done = rank.steps
        if rank.next_finish <= done:
            self._end_finished(rank, now)

    def _end_finished(self, rank: Rank, now: float) -> None:
        """Let the blocks of the finished go at once, so that the next step can use them."""
        osl, outcomes = self.osl, self.outcomes
        ended = rank.retire()
        self.load -= len(ended)
        for seq in ended:
            seq.out = osl[seq.rid]
            seq.last_s = now
            outcomes.append((FINISHED, seq, now, 0))

    def _finish(self, seq: Seq, now: float) -> None:
        seq.last_s = now
        seq.rank.free(seq)
        self.load -= 1
        self.outcomes.append((FINISHED, seq, now, 0))

    # -- the next step -----------------------------------------------------------------------

    def _start(self, now: float) -> None:
        """Compose the next step from what is here, or fall idle."""
        rank = self.rank
        if rank.running or rank.ready or rank.swapped:
            self._settle(rank)
        else:
            rank.hold = 0
        chunks: list[tuple[Seq, int]] | None = None
        decode = True
        if rank.waiting or rank.partial:
            found, decode = self.batcher.choose(rank)
            if found:
                chunks = [self._begin_chunk(rank, seq, n, now) for seq, n in found]  # type: ignore[arg-type]
        self._decode = decode = decode and rank.running > 0
        if chunks or (self.extra_s and decode):
            self._begin_mixed(chunks or [], now)
        elif decode:
            self._begin_segment(now)
        else:
            self.next_s = INFINITY

    def _settle(self, rank: Rank) -> None:
        """Bring in who is ready, preempt who has no blocks; hold those of the next step."""
        if rank.swapped:
            self._swap_in(rank)
        if rank.ready:
            self._admit_ready(rank)
        need = rank.next_need()
        if need > rank.pool.available:
            need = self._make_room(rank)
        rank.hold = need

    def _make_room(self, rank: Rank) -> int:
        """Preempt until the next step has its blocks; return how many it takes."""
        need = rank.next_need()
        while need > rank.pool.available:
            self._preempt(rank, rank.victim())
            need = rank.next_need()
        return need

    def _admit_ready(self, rank: Rank) -> None:
        """Let sequences whose KV is here join the batch while there are slots."""
        ready = rank.ready
        while ready and rank.running < rank.max_seqs:
            seq = ready.popleft()
            if seq.gone:
                continue
            # Context of the next step: everything stored, and the token that is fed in.
            rank.join(seq, seq.done + 1, self.osl[seq.rid] - seq.out)
            self._joined.append(seq)

    def _begin_chunk(self, rank: Rank, seq: Seq, tokens: int, now: float) -> tuple[Seq, int]:
        if rank.waiting and rank.waiting[0] is seq:
            rank.waiting.popleft()
            rank.partial.append(seq)
            if seq.blocks:
                rank.top_up(seq)
            else:
                rank.admit(seq)
                rank.queued -= seq.cached
            if seq.prefill_start_s != seq.prefill_start_s:
                seq.prefill_start_s = now
                seq.prefill_instance = self.index
        left = seq.prompt - seq.done
        return seq, tokens if tokens < left else left

    def _begin_mixed(self, chunks: list[tuple[Seq, int]], now: float) -> None:
        cost = self._mixed_cost(chunks)
        self._chunks = chunks
        self._step = cost
        self._step_s = now
        end = now + (cost.time_s + self.extra_s)
        self.extra_s = 0.0
        self.next_s = end
        if self._decode and self._joined:
            for seq in self._joined:
                self._note_join(seq, now, end)
        if self.watch_chunks:
            for seq, tokens in chunks:
                self.outcomes.append((STARTED, seq, end, tokens))

    def _mixed_cost(self, chunks: list[tuple[Seq, int]]) -> StepCost:
        rank = self.rank
        shapes = [(tokens, seq.done) for seq, tokens in chunks]  # new, past
        if not self._decode:
            return self.model.step(shapes, 0, rank.zeros)
        rank.pool.take(rank.hold)
        return self.model.step(shapes, rank.running, rank.sums)

    def _begin_segment(self, now: float) -> None:
        rank = self.rank
        point = self._point = self.model.decode(rank.running)
        first, slopes, slope = point[0], point[1], 0.0
        sums, grow = rank.sums, rank.grow
        if rank.plain:
            rate = slopes[0]
            first += rate * sums[0]
            slope = rate * grow[0]
        else:
            for i, rate in enumerate(slopes):
                first += rate * sums[i]
                slope += rate * grow[i]
        if rank.hold:
            rank.pool.take(rank.hold)
        self._open(now, first, slope)

    def _open(self, now: float, first_s: float, slope_s: float) -> None:
        segment = self.segment = self._segment
        segment.start_s = now
        segment.first_s = first_s
        segment.slope_s = slope_s
        segment.paid = limit = 1
        if not self.stepwise:
            limit = self._horizon(1)
            if limit < 1:
                limit = 1
        segment.limit = limit
        # Segment.at, inlined.
        self.next_s = now + (limit * first_s + 0.5 * limit * (limit - 1) * slope_s)
        if self._joined:
            end = now + first_s
            for seq in self._joined:
                self._note_join(seq, now, end)

    def _complete(self, now: float) -> None:
        """End a step with prompt chunks."""
        cost = self._step
        self._step = None
        chunks, self._chunks = self._chunks, []
        prefill = 0
        for _, tokens in chunks:
            prefill += tokens
        batch = self._decoding() if self._decode else 0
        if batch and self._fresh:
            self._note_second(now, NAN)
        pool = self.rank.pool
        free, total = pool.available, pool.total
        for rank in self.ranks[1:]:
            free += rank.pool.available
            total += rank.pool.total
        self._mixed_row(now, prefill, batch, cost, free, total)
        if batch:
            self._advance_one(now)
        for seq, tokens in chunks:
            if seq.gone:
                continue
            seq.done += tokens
            rank = seq.rank
            rank.queued -= tokens
            if seq.done >= seq.prompt:
                rank.partial.remove(seq)
                self._prefilled(seq, now)

    def _decoding(self) -> int:
        return self.rank.running

    def _advance_one(self, now: float) -> None:
        rank = self.rank
        rank.advance(1)
        if rank.next_finish <= rank.steps:
            self._end_finished(rank, now)

    def _prefilled(self, seq: Seq, now: float) -> None:
        """Decode here or hand off, now that the whole prompt is in the KV cache."""
        rank = seq.rank
        if seq.keys:
            rank.publish(seq)
        if seq.prefill_end_s != seq.prefill_end_s:
            seq.prefill_end_s = now
        if not self.keeps and seq.landed_s != seq.landed_s:
            self.outcomes.append((PREFILLED, seq, now, 0))
            return
        osl = self.osl[seq.rid]
        if osl > 0:
            seq.out += 1
        if seq.first_s != seq.first_s:
            seq.first_s = now
        elif seq.last_s == seq.last_s:
            self._gap(pack_gap(seq.rid, now - seq.last_s))
        seq.last_s = NAN
        if seq.out >= osl:
            self._finish(seq, now)
        else:
            rank.ready.append(seq)

    # -- dying and coming back ---------------------------------------------------------------

    def crash(self, now: float) -> None:
        """Lose everything: whole steps done by now are recorded, the one in flight is not."""
        segment = self.segment
        if segment is not None:
            self.look(now)  # the step in flight has its blocks
            steps = min(segment.done_by(now), segment.limit)
            if steps:
                segment.limit = segment.paid = steps
                self._close(segment.at(steps))
            for rank in self.ranks:
                for seq in rank.members.values():
                    seq.out = self.osl[seq.rid] - rank.left(seq)
        self.segment = self._step = None
        self.next_s = INFINITY
        self.dead = True
        self.load = 0
        self.extra_s = 0.0
        self._chunks, self._joined, self._fresh = [], [], []
        self.ranks = [Rank(rank.index, rank.pool.total, rank.rules) for rank in self.ranks]
        self.rank = self.ranks[0]

    def restart(self) -> None:
        """Come back empty."""
        self.dead = False
