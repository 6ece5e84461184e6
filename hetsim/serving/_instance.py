"""One engine instance as a pure machine: told the time, it says when it next has to be asked.

The driver calls ``boundary(now)`` at ``next_s`` and ``poke(now)`` after it has put something in.
Between two changes of the batch, decode steps are one segment with a closed form; ``stepwise``
walks the same steps one boundary at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hetsim.errors import InvariantViolated
from hetsim.kv import blocks_for
from hetsim.policies import Batcher
from hetsim.serving._rank import Rank
from hetsim.serving._segment import Segment
from hetsim.serving._seq import NAN, Seq

if TYPE_CHECKING:
    from hetsim.costs import DecodePoint, RankLoad, RanksPoint, StepCost

__all__ = ["BOUNDS", "FINISHED", "PREFILLED", "STARTED", "Instance", "Outcome", "StepTimes"]

INFINITY = float("inf")

FINISHED, PREFILLED, STARTED = 0, 1, 2
"""Outcomes: the request has all its tokens; its prompt is in the KV cache; a chunk begins."""

Outcome = tuple[int, Seq, float, int]
"""(kind, sequence, end of the step that does it, new tokens of the chunk)."""

BOUNDS = ("compute", "memory", "link", "latency", "host", "mixed")


class StepTimes(Protocol):
    """What an instance asks of a cost model."""

    dp: int

    def decode(self, batch: int) -> DecodePoint:
        """Return the affine time of a decode step at this batch."""

    def decode_ranks(self, batches: tuple[int, ...]) -> RanksPoint:
        """Return the same per attention-DP rank, and the part common to all."""

    def step(
        self, chunks: Sequence[tuple[int, int]], batch: int, context_sums: Sequence[float]
    ) -> StepCost:
        """Return the cost of a step with prompt chunks."""

    def step_ranks(self, loads: Sequence[RankLoad]) -> StepCost:
        """Return the same for attention-DP ranks in lockstep."""


class Instance:
    """Ranks in lockstep under one step clock."""

    __slots__ = (
        "_chunks",
        "_decoding",
        "_fresh",
        "_gap",
        "_joined",
        "_point",
        "_rank",
        "_step",
        "_step_s",
        "batcher",
        "busy_s",
        "dead",
        "extra_s",
        "index",
        "keeps",
        "last_decode_s",
        "load",
        "model",
        "next_s",
        "osl",
        "outcomes",
        "pool_id",
        "preemptions",
        "ranks",
        "record",
        "segment",
        "stepwise",
        "swap_s_per_block",
        "watch_chunks",
    )

    def __init__(
        self,
        index: int,
        pool_id: int,
        ranks: list[Rank],
        model: StepTimes,
        batcher: Batcher,
        osl: Any,
        *,
        record: Callable[[tuple[float, ...]], None],
        gap: Callable[[tuple[float, ...]], None],
        keeps: bool,
        watch_chunks: bool = False,
        stepwise: bool = False,
        swap_s_per_block: float | None = None,
    ) -> None:
        self.index = index
        self.pool_id = pool_id
        self.ranks = ranks
        self._rank = ranks[0]
        self.model = model
        self.batcher = batcher
        self.osl = osl
        """Output tokens by request, known to the instance and to no policy."""
        self.record = record
        self._gap = gap
        self.keeps = keeps
        """Prompts that end here decode here (co-located)."""
        self.watch_chunks = watch_chunks
        self.stepwise = stepwise
        self.swap_s_per_block = swap_s_per_block
        """Seconds to move a block to host memory; None = preempt by recompute."""
        self.next_s = INFINITY
        self.load = 0
        """Requests inside."""
        self.segment: Segment | None = None
        self.outcomes: list[Outcome] = []
        self.busy_s = 0.0
        self.last_decode_s = NAN
        self.preemptions = 0
        self.dead = False
        self.extra_s = 0.0
        """Stall that the next step pays (blocks swapped out or in)."""
        self._chunks: list[tuple[Seq, int]] = []
        self._decoding: list[Rank] = []
        self._step: Any = None
        self._step_s = 0.0
        self._joined: list[Seq] = []
        self._fresh: list[Seq] = []
        self._point: Any = None

    # -- put in and take out -----------------------------------------------------------------

    def submit(self, seq: Seq, now: float) -> None:
        """Let ``seq`` wait for its prompt to be computed here."""
        rank = self.lightest() if len(self.ranks) > 1 else self._rank
        seq.enqueued_s = now
        rank.waiting.append(seq)
        rank.queued += seq.prompt - seq.done
        self.load += 1
        self.poke(now)

    def lightest(self) -> Rank:
        """Return the DP rank with the least inside."""
        return min(self.ranks, key=lambda rank: (rank.queued, rank.running, rank.index))

    def reserve(self, seq: Seq, tokens: int, now: float) -> bool:
        """Take blocks for KV that will arrive from elsewhere; say whether there were enough."""
        rank = self._roomiest() if len(self.ranks) > 1 else self._rank
        self.look(now)
        rules = rank.rules
        wanted = tokens + (max(0, seq.declared - seq.out) if rules.reserve_output else 0)
        blocks = blocks_for(wanted, rank.block_tokens) + rules.fixed_blocks
        if blocks > rank.room():
            return False
        rank.pool.take(blocks)
        seq.dst_blocks = blocks
        seq.dst_rank = rank
        self.load += 1
        if self.segment is not None:
            self._refit(now)
        return True

    def _roomiest(self) -> Rank:
        return max(self.ranks, key=lambda rank: (rank.pool.available, -rank.index))

    def join(self, seq: Seq, now: float) -> None:
        """Let ``seq``, whose KV has landed in its reserved blocks, decode from the next step on."""
        rank = seq.rank = seq.dst_rank
        seq.blocks = seq.dst_blocks
        seq.fixed = rank.rules.fixed_blocks
        seq.dst_rank = None
        rank.ready.append(seq)
        self.poke(now)

    def unreserve(self, seq: Seq, now: float) -> None:
        """Take back blocks that were reserved and never decoded in."""
        seq.dst_rank.pool.give_back(seq.dst_blocks)
        seq.dst_rank = None
        self.load -= 1
        self.poke(now)

    def detach(self, seq: Seq) -> None:
        """Keep the blocks of a prefilled sequence for its hand-off, apart from the sequence."""
        seq.held = (seq.rank, seq.blocks, seq.read, seq.published)
        seq.rank = None
        seq.blocks = seq.read = 0
        seq.published = []

    def drop(self, seq: Seq, now: float) -> None:
        """Take back what :meth:`detach` kept."""
        rank, blocks, read, published = seq.held
        seq.held = None
        pool = rank.pool
        if read:
            pool.release(seq.keys[:read])
        if published:
            pool.release(published)
        pool.give_back(blocks)
        self.load -= 1
        self.poke(now)

    def poke(self, now: float) -> None:
        """Something changed from outside: be asked at the next step boundary, or now if idle."""
        segment = self.segment
        if segment is not None:
            steps = segment.done_by(now) + 1
            if steps < segment.limit:
                segment.limit = steps
                self.next_s = segment.at(steps)
        elif self._step is None and not self.dead:
            self.next_s = now

    def look(self, now: float) -> None:
        """Advance the block counts to the steps begun by ``now``, so that they can be read."""
        segment = self.segment
        if segment is None or self.stepwise:
            return
        begun = min(segment.done_by(now) + 1, segment.limit)
        if begun > segment.paid:
            self._pay(begun)

    def _pay(self, steps: int) -> None:
        segment = self.segment
        assert segment is not None
        paid = segment.paid
        for rank in self._decoding:
            rank.pool.take(rank.blocks_in(steps) - rank.blocks_in(paid))
        segment.paid = steps

    def _refit(self, now: float) -> None:
        """Blocks were taken from outside: the batch may now run out of them sooner."""
        segment = self.segment
        assert segment is not None
        begun = max(segment.paid, 1)
        limit = max(begun, self._horizon(begun))
        if limit < segment.limit:
            segment.limit = limit
            self.next_s = segment.at(limit)

    # -- boundaries --------------------------------------------------------------------------

    def boundary(self, now: float) -> None:
        """Complete the step or segment that ends now and begin the next one."""
        segment = self.segment
        if segment is not None:
            if segment.paid < segment.limit:
                self._pay(segment.limit)
            if not self._must_change(segment.limit):
                self._extend()
                return
            self._close(now)
        elif self._step is not None:
            self._complete(now)
        self._start(now)

    def _must_change(self, steps: int) -> bool:
        """Return whether the batch differs in the step after ``steps`` steps of the segment."""
        if self.extra_s:
            return True
        for rank in self._decoding:
            if rank.finish_in() <= steps or rank.cross_in() <= steps:
                return True
            rank.hold = rank.blocks_in(steps + 1) - rank.blocks_in(steps)
            if rank.hold > rank.pool.available:
                return True
        for rank in self.ranks:
            if rank.ready and rank.running < rank.max_seqs:
                return True
            if rank.swapped and self._fits(rank, rank.swapped[0]):
                return True
            if (rank.waiting or rank.partial) and self.batcher.choose(rank)[0]:
                return True
        return len(self.ranks) > 1 and self._branch_in() <= steps

    def _extend(self) -> None:
        """Nothing changes at this boundary: go on with the same segment."""
        segment = self.segment
        assert segment is not None
        steps = segment.limit
        if steps + 1 > segment.paid:
            self._pay(steps + 1)
        segment.limit = steps + 1 if self.stepwise else max(steps + 1, self._horizon(steps + 1))
        self.next_s = segment.at(segment.limit)

    def _horizon(self, begun: int) -> int:
        """Return after how many steps of the segment something inside must change.

        ``begun`` steps have their blocks; the next ones take from what is available now.
        """
        limit = 1 << 60
        for rank in self._decoding:
            limit = min(limit, rank.finish_in(), rank.cross_in())
        for rank in self._decoding:
            if rank.pool.available < rank.blocks_in(limit) - rank.blocks_in(begun):
                within = rank.steps_within(rank.pool.available + rank.blocks_in(begun), limit)
                limit = min(limit, within)
        if len(self.ranks) > 1:
            limit = min(limit, self._branch_in())
        return limit

    def _branch_in(self) -> int:
        """Return after how many steps another DP rank becomes the slowest."""
        point = self._point
        values = [_rank_line(p, r) for p, r in zip(point.ranks, self.ranks, strict=True)]
        top, slope = max(values)
        limit = 1 << 60
        for value, other in values:
            if other > slope:
                limit = min(limit, int((top - value) / (other - slope)) + 1)
        return limit

    def _close(self, now: float) -> None:
        """Record the segment that ends now, count its steps, and let finished requests go."""
        segment, point = self.segment, self._point
        assert segment is not None
        steps = segment.limit
        if segment.paid != steps:
            raise InvariantViolated("L2", f"{segment.paid} steps have blocks, {steps} were done")
        self.segment = None
        if len(self.ranks) == 1:
            rank = self._rank
            batch = rank.running
            flops = _sum(point.flops_const, point.flops_slopes, rank, steps)
            nbytes = _sum(point.bytes_const, point.bytes_slopes, rank, steps)
            bound = point.bound_by
        else:
            batch, flops, nbytes, bound = self._totals(point, steps)
        self._note_second(segment.at, steps)
        last_s = segment.first_s + (steps - 1) * segment.slope_s
        self._row(
            segment.start_s,
            now - segment.start_s,
            steps,
            batch,
            segment.first_s,
            last_s,
            0,
            batch * steps,
            bound,
            flops,
            nbytes,
        )
        for rank in self._decoding:
            rank.advance(steps)
        self._end_finished(now)

    def _totals(self, point: RanksPoint, steps: int) -> tuple[int, float, float, str]:
        batch = sum(rank.running for rank in self.ranks)
        flops = point.flops_common * steps
        nbytes = point.bytes_common * steps
        for part, rank in zip(point.ranks, self.ranks, strict=True):
            flops += _sum(part.flops_const, part.flops_slopes, rank, steps)
            nbytes += _sum(part.bytes_const, part.bytes_slopes, rank, steps)
        return batch, flops, nbytes, point.ranks[0].bound_by

    def _row(
        self,
        start_s: float,
        duration_s: float,
        steps: int,
        batch: int,
        first_s: float,
        last_s: float,
        prefill_tokens: int,
        decode_tokens: int,
        bound: str,
        flops: float,
        nbytes: float,
    ) -> None:
        self.busy_s += duration_s
        used = total = 0
        for rank in self.ranks:
            used += rank.pool.total - rank.pool.available
            total += rank.pool.total
        stall_s = start_s - self.last_decode_s if decode_tokens else 0.0
        self.record(
            (
                self.pool_id,
                self.index,
                start_s,
                duration_s,
                steps,
                batch,
                len(self._joined),
                stall_s if stall_s > 0.0 else 0.0,
                first_s,
                last_s,
                prefill_tokens,
                decode_tokens,
                _BOUND[bound],
                flops,
                nbytes,
                used,
                total,
            )
        )
        if decode_tokens:
            self.last_decode_s = start_s + duration_s
            self._joined = []

    def _note_second(self, at: Callable[[int], float], steps: int) -> None:
        """Note when recently joined requests emit their second token."""
        if not self._fresh:
            return
        later = []
        for seq in self._fresh:
            if seq.join_id == 0:
                continue
            if seq.first_s < at(1):
                seq.second_s = at(1)
            elif steps >= 2:
                seq.second_s = at(2)
            else:
                later.append(seq)
        self._fresh = later

    def _end_finished(self, now: float) -> None:
        for rank in self._decoding:
            for seq in rank.finished():
                self._leave(rank, seq)
                seq.out = int(self.osl[seq.rid])
                self._finish(seq, now)

    def _finish(self, seq: Seq, now: float) -> None:
        """Let the blocks go at once, so that the next step can use them."""
        seq.last_s = now
        seq.rank.free(seq)
        self.load -= 1
        self.outcomes.append((FINISHED, seq, now, 0))

    def _leave(self, rank: Rank, seq: Seq) -> None:
        """Take ``seq`` out of the batch and count the blocks that it has grown to."""
        context = rank.context(seq)
        rank.leave(seq)
        if not rank.rules.reserve_output:
            # ``blocks`` held, while it ran, what it has beside the blocks of its tokens.
            seq.blocks += blocks_for(context - 1, rank.block_tokens)

    def _enter(self, rank: Rank, seq: Seq, context: int, left: int) -> None:
        rank.join(seq, context, left)
        if not rank.rules.reserve_output:
            seq.blocks -= blocks_for(context - 1, rank.block_tokens)
        self._joined.append(seq)

    # -- the next step -----------------------------------------------------------------------

    def _start(self, now: float) -> None:
        """Compose the next step from what is here, or fall idle."""
        chunks: list[tuple[Seq, int]] = []
        decoding: list[Rank] = []
        for rank in self.ranks:
            if rank.swapped:
                self._swap_in(rank)
            if rank.ready:
                self._admit_ready(rank)
            if rank.running:
                self._make_room(rank, now)
                rank.hold = rank.blocks_in(1)
            else:
                rank.hold = 0
            if rank.waiting or rank.partial:
                found, decode = self.batcher.choose(rank)
                for seq, tokens in found:
                    chunks.append(self._begin_chunk(rank, seq, tokens, now))  # type: ignore[arg-type]
            else:
                decode = True
            if decode and rank.running:
                decoding.append(rank)
            rank.hold = 0
        self._decoding = decoding
        if chunks or (self.extra_s and decoding):
            self._begin_mixed(chunks, now)
        elif decoding:
            self._begin_segment(now)
        else:
            self.next_s = INFINITY

    def _admit_ready(self, rank: Rank) -> None:
        """Let sequences whose KV is here join the batch while there are slots."""
        ready = rank.ready
        while ready and rank.running < rank.max_seqs:
            seq = ready.popleft()
            if seq.gone:
                continue
            left = int(self.osl[seq.rid]) - seq.out
            # Context of the next step: everything stored, and the token that is fed in.
            self._enter(rank, seq, seq.done + 1, left)

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
        return seq, min(tokens, seq.prompt - seq.done)

    def _begin_mixed(self, chunks: list[tuple[Seq, int]], now: float) -> None:
        for rank in self._decoding:
            rank.pool.take(rank.blocks_in(1))
        shapes = [(tokens, seq.done) for seq, tokens in chunks]
        if len(self.ranks) == 1:
            rank = self._rank
            on = bool(self._decoding)
            cost = self.model.step(shapes, rank.running if on else 0, rank.sums if on else rank.zeros)
        else:
            cost = self.model.step_ranks(self._loads(chunks))
        self._chunks = chunks
        self._step = cost
        self._step_s = now
        end = now + (cost.time_s + self.extra_s)
        self.extra_s = 0.0
        self.next_s = end
        for seq in self._joined:
            if self._decoding:
                self._note_join(seq, now, end)
        if self.watch_chunks:
            for seq, tokens in chunks:
                self.outcomes.append((STARTED, seq, end, tokens))

    def _loads(self, chunks: list[tuple[Seq, int]]) -> list[RankLoad]:
        from hetsim.costs import RankLoad

        loads = []
        for rank in self.ranks:
            mine = tuple((n, seq.done) for seq, n in chunks if seq.rank is rank)
            on = rank in self._decoding
            sums = tuple(rank.sums if on else rank.zeros)
            loads.append(RankLoad(mine, rank.running if on else 0, sums))
        return loads

    def _note_join(self, seq: Seq, start_s: float, first_end_s: float) -> None:
        """A sequence takes its first decode step (again): note the gap that its user sees."""
        if seq.decode_start_s != seq.decode_start_s:
            seq.decode_start_s = start_s
            seq.decode_instance = self.index
            if seq.first_s != seq.first_s:
                seq.first_s = first_end_s
            self._fresh.append(seq)
        if seq.last_s == seq.last_s:
            # After a preemption: the user has waited since the token before it.
            self._gap((seq.rid, first_end_s - seq.last_s))
            seq.last_s = NAN

    def _begin_segment(self, now: float) -> None:
        if len(self.ranks) == 1:
            rank = self._rank
            point = self.model.decode(rank.running)
            sums, grow, slopes = rank.sums, rank.grow, point.slopes_s
            if len(slopes) == 1:
                first = point.const_s + slopes[0] * sums[0]
                slope = slopes[0] * grow[0]
            else:
                first, slope = point.const_s, 0.0
                for i, rate in enumerate(slopes):
                    first += rate * sums[i]
                    slope += rate * grow[i]
            self._point = point
        else:
            ranks = self.model.decode_ranks(tuple(rank.running for rank in self.ranks))
            self._point = ranks
            top, slope = max(
                _rank_line(p, r) for p, r in zip(ranks.ranks, self.ranks, strict=True)
            )
            first = ranks.common_s + top
        segment = self.segment = Segment(now, first, slope)
        for rank in self._decoding:
            rank.pool.take(rank.blocks_in(1))
        segment.limit = 1 if self.stepwise else max(1, self._horizon(1))
        self.next_s = segment.at(segment.limit)
        if self._joined:
            end = segment.at(1)
            for seq in self._joined:
                self._note_join(seq, now, end)

    def _complete(self, now: float) -> None:
        """End a step with prompt chunks."""
        cost = self._step
        self._step = None
        prefill = sum(tokens for _, tokens in self._chunks)
        batch = sum(rank.running for rank in self._decoding)
        duration = now - self._step_s
        if self._decoding:
            self._note_second(lambda _: now, 1)
        self._row(
            self._step_s,
            duration,
            1,
            batch,
            duration,
            duration,
            prefill,
            batch,
            cost.bound_by,
            cost.flops,
            cost.bytes,
        )
        for rank in self._decoding:
            rank.advance(1)
        chunks, self._chunks = self._chunks, []
        self._end_finished(now)
        for seq, tokens in chunks:
            if seq.gone:
                continue
            seq.done += tokens
            seq.rank.queued -= tokens
            if seq.done >= seq.prompt:
                seq.rank.partial.remove(seq)
                self._prefilled(seq, now)

    def _prefilled(self, seq: Seq, now: float) -> None:
        """The whole prompt is in the KV cache: decode here, or hand it off."""
        rank = seq.rank
        rank.publish(seq)
        if seq.prefill_end_s != seq.prefill_end_s:
            seq.prefill_end_s = now
        if not self.keeps and seq.landed_s != seq.landed_s:
            self.outcomes.append((PREFILLED, seq, now, 0))
            return
        osl = int(self.osl[seq.rid])
        if osl > 0:
            seq.out += 1
        if seq.first_s != seq.first_s:
            seq.first_s = now
        elif seq.last_s == seq.last_s:
            self._gap((seq.rid, now - seq.last_s))
        seq.last_s = NAN
        if seq.out >= osl:
            self._finish(seq, now)
        else:
            rank.ready.append(seq)

    # -- running out of blocks ---------------------------------------------------------------

    def _make_room(self, rank: Rank, now: float) -> None:
        """Preempt the last to join until the next step of the others has its blocks."""
        while rank.running and rank.blocks_in(1) > rank.pool.available:
            seq = rank.victim()
            self._preempt(rank, seq, now)

    def _preempt(self, rank: Rank, seq: Seq, now: float) -> None:
        left = rank.left(seq)
        if seq in self._joined:
            self._joined.remove(seq)
        if seq.decode_start_s == seq.decode_start_s and seq.last_s != seq.last_s:
            seq.last_s = self.last_decode_s
        self._leave(rank, seq)
        seq.out = int(self.osl[seq.rid]) - left
        seq.preempted += 1
        self.preemptions += 1
        stored = rank.context(seq) - 1
        if self.swap_s_per_block is not None:
            self.extra_s += seq.blocks * self.swap_s_per_block
            rank.free(seq)
            seq.done = stored
            seq.rank = rank
            rank.swapped.append(seq)
            return
        rank.free(seq)
        seq.rank = None
        seq.prompt = seq.isl + max(0, seq.out)
        seq.done = seq.cached = 0
        rank.waiting.appendleft(seq)
        rank.queued += seq.prompt

    def _fits(self, rank: Rank, seq: Seq) -> bool:
        blocks = blocks_for(seq.done + 1, rank.block_tokens) + rank.rules.fixed_blocks
        return rank.running < rank.max_seqs and blocks + rank.blocks_in(1) <= rank.pool.available

    def _swap_in(self, rank: Rank) -> None:
        assert self.swap_s_per_block is not None
        while rank.swapped and self._fits(rank, rank.swapped[0]):
            seq = rank.swapped.popleft()
            blocks = blocks_for(seq.done, rank.block_tokens) + rank.rules.fixed_blocks
            rank.pool.take(blocks)
            seq.blocks = blocks
            self.extra_s += blocks * self.swap_s_per_block
            self._enter(rank, seq, seq.done + 1, int(self.osl[seq.rid]) - seq.out)

    # -- what routers see --------------------------------------------------------------------

    @property
    def queued_tokens(self) -> int:
        """Prompt tokens that wait or are being computed."""
        return sum(rank.queued for rank in self.ranks)

    def cached_tokens(self, keys: Sequence[int]) -> int:
        """Return how many leading tokens of a prompt are in a prefix cache here."""
        return max(rank.pool.hits(keys) * rank.rules.unit_tokens for rank in self.ranks)

    def free_blocks(self) -> int:
        """Return the blocks that could be given out (as of the last look)."""
        return sum(rank.room() for rank in self.ranks)


_BOUND = {name: code for code, name in enumerate(BOUNDS)}


def _rank_line(point: DecodePoint, rank: Rank) -> tuple[float, float]:
    """Return (time of the next step, its growth per step) of one DP rank."""
    value, slope = point.const_s, 0.0
    for i, rate in enumerate(point.slopes_s):
        value += rate * rank.sums[i]
        slope += rate * rank.grow[i]
    return value, slope


def _sum(const: float, slopes: tuple[float, ...], rank: Rank, steps: int) -> float:
    """Return the total of an affine quantity over ``steps`` decode steps."""
    total = const * steps
    pairs = 0.5 * steps * (steps - 1)
    for i, rate in enumerate(slopes):
        total += rate * (rank.sums[i] * steps + rank.grow[i] * pairs)
    return total
