"""One engine instance as a pure machine: told the time, it says when it next has to be asked.

The driver calls ``boundary(now)`` at ``next_s`` and ``poke(now)`` after it has put something in.
Between two changes of the batch, decode steps are one segment with a closed form; ``stepwise``
walks the same steps one boundary at a time. :mod:`hetsim.serving._lockstep` is the same for
attention DP. This is the hottest code of hetsim: local names and few calls are on purpose.
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

__all__ = [
    "BOUNDS",
    "FINISHED",
    "PREFILLED",
    "STARTED",
    "Instance",
    "Outcome",
    "StepTimes",
    "work_of",
]

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
    """One scheduler domain under one step clock."""

    __slots__ = (
        "_chunks",
        "_decode",
        "_fresh",
        "_gap",
        "_joined",
        "_point",
        "_segment",
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
        "rank",
        "ranks",
        "record",
        "segment",
        "stepwise",
        "swap_s_per_block",
        "wake",
        "wake_s",
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
        self.rank = ranks[0]
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
        self.wake: Any = None
        """What the driver has on its clock for this instance, and when it is due."""
        self.wake_s = INFINITY
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
        self._decode = False
        self._step: Any = None
        self._step_s = 0.0
        self._joined: list[Seq] = []
        self._fresh: list[Seq] = []
        self._point: Any = None
        self._segment = Segment(0.0, 0.0, 0.0)

    # -- put in and take out -----------------------------------------------------------------

    def submit(self, seq: Seq, now: float) -> None:
        """Let ``seq`` wait for its prompt to be computed here."""
        rank = self.domain_for_prompt()
        seq.enqueued_s = now
        rank.waiting.append(seq)
        rank.queued += seq.prompt - seq.done
        self.load += 1
        self.poke(now)

    def domain_for_prompt(self) -> Rank:
        """Return the scheduler domain that takes a new prompt."""
        return self.rank

    def domain_for_kv(self) -> Rank:
        """Return the scheduler domain that takes KV from elsewhere."""
        return self.rank

    def reserve(self, seq: Seq, tokens: int, now: float) -> bool:
        """Take blocks for KV that will arrive from elsewhere; say whether there were enough."""
        self.look(now)
        rank = self.domain_for_kv()
        rules = rank.rules
        if rules.reserve_output:
            tokens += max(0, seq.declared - seq.out)
        blocks = -(-tokens // rank.block_tokens) + rules.fixed_blocks
        pool = rank.pool
        if blocks > pool.available - rules.watermark_blocks:
            return False
        pool.take(blocks)
        seq.dst_blocks = blocks
        seq.dst_rank = rank
        self.load += 1
        if self.segment is not None:
            self._refit()
        return True

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
        if rank.waiting:
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
        begun = segment.done_by(now) + 1
        if begun > segment.limit:
            begun = segment.limit
        if begun > segment.paid:
            self._pay(begun)

    def _pay(self, steps: int) -> None:
        segment, rank = self._segment, self.rank
        rank.pool.take(rank.blocks_in(steps) - rank.blocks_in(segment.paid))
        segment.paid = steps

    def _refit(self) -> None:
        """Blocks were taken from outside: the batch may now run out of them sooner."""
        segment = self._segment
        limit = max(segment.paid, self._horizon(segment.paid))
        if limit < segment.limit:
            segment.limit = limit
            self.next_s = segment.at(limit)

    # -- boundaries --------------------------------------------------------------------------

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
        return self._ranks_change(steps)

    def _ranks_change(self, steps: int) -> bool:
        rank = self.rank
        if rank.cross_in() <= steps:
            return True
        return self._rank_changes(rank, steps)

    def _rank_changes(self, rank: Rank, steps: int) -> bool:
        """Return whether one domain runs out of blocks, or can let something in."""
        rank.hold = rank.blocks_in(steps + 1) - rank.blocks_in(steps)
        if rank.hold > rank.pool.available:
            return True
        if rank.swapped and self._fits(rank, rank.swapped[0]):
            return True
        return bool((rank.waiting or rank.partial) and self.batcher.choose(rank)[0])

    def _extend(self) -> None:
        """Nothing changes at this boundary: go on with the same segment."""
        segment = self._segment
        steps = segment.limit
        if steps + 1 > segment.paid:
            self._pay(steps + 1)
        segment.limit = steps + 1 if self.stepwise else max(steps + 1, self._horizon(steps + 1))
        self.next_s = segment.at(segment.limit)

    def _horizon(self, begun: int) -> int:
        """Return after how many steps of the segment something inside must change.

        ``begun`` steps have their blocks; the next ones take from what is available now.
        """
        rank = self.rank
        limit = rank.next_finish - rank.steps
        if not rank.plain:
            limit = min(limit, rank.cross_in())
        return self._affordable(rank, begun, limit)

    def _affordable(self, rank: Rank, begun: int, limit: int) -> int:
        """Return how many of ``limit`` steps the blocks last, ``begun`` of them being paid."""
        available = rank.pool.available
        if (limit // rank.block_tokens + 1) * rank.running <= available:
            return limit
        return rank.steps_within(available + rank.blocks_in(begun), limit)

    def _close(self, now: float) -> None:
        """Record the segment that ends now, count its steps, and let finished requests go."""
        segment, point, rank = self._segment, self._point, self.rank
        steps = segment.limit
        if segment.paid != steps:
            raise InvariantViolated("L2", f"{segment.paid} steps have blocks, {steps} were done")
        self.segment = None
        flops, nbytes = work_of(point, rank, steps)
        self._end_segment(segment, now, rank.running, point.bound_by, flops, nbytes)
        rank.advance(steps)
        if rank.next_finish <= rank.steps:
            self._end_finished(rank, now)

    def _end_segment(
        self, segment: Segment, now: float, batch: int, bound: str, flops: float, nbytes: float
    ) -> None:
        steps = segment.limit
        start_s, first_s = segment.start_s, segment.first_s
        if self._fresh:
            self._note_second(segment.at(1), segment.at(2) if steps > 1 else NAN)
        joined = len(self._joined)
        # Those who were in the batch before have waited since its last decode step.
        stall_s = start_s - self.last_decode_s if batch > joined else 0.0
        if joined:
            self._joined = []
        self.last_decode_s = now
        self.busy_s += now - start_s
        total, available = self._blocks()
        last_s = first_s + (steps - 1) * segment.slope_s
        self.record(
            (
                self.pool_id, self.index, start_s, now - start_s, steps, batch, joined, stall_s,
                first_s, last_s, 0, batch * steps, _BOUND[bound], flops, nbytes,
                total - available, total,
            )
        )  # fmt: skip

    def _mixed_row(self, now: float, prefill: int, batch: int, cost: StepCost) -> None:
        start_s = self._step_s
        duration_s = now - start_s
        joined = len(self._joined)
        stall_s = 0.0
        if batch:
            stall_s = start_s - self.last_decode_s if batch > joined else 0.0
            self.last_decode_s = now
            self._joined = []
        self.busy_s += duration_s
        total, available = self._blocks()
        self.record(
            (
                self.pool_id, self.index, start_s, duration_s, 1, batch, joined, stall_s,
                duration_s, duration_s, prefill, batch, _BOUND[cost.bound_by], cost.flops,
                cost.bytes, total - available, total,
            )
        )  # fmt: skip

    def _blocks(self) -> tuple[int, int]:
        pool = self.rank.pool
        return pool.total, pool.available

    def _note_second(self, first_end_s: float, second_end_s: float) -> None:
        """Note when recently joined requests emit their second token."""
        later = []
        for seq in self._fresh:
            if seq.join_id == 0:
                continue
            if seq.first_s < first_end_s:
                seq.second_s = first_end_s
            elif second_end_s == second_end_s:
                seq.second_s = second_end_s
            else:
                later.append(seq)
        self._fresh = later

    def _end_finished(self, rank: Rank, now: float) -> None:
        for seq in rank.finished():
            self._leave(rank, seq)
            seq.out = self.osl[seq.rid]
            self._finish(seq, now)

    def _finish(self, seq: Seq, now: float) -> None:
        """Let the blocks go at once, so that the next step can use them."""
        seq.last_s = now
        seq.rank.free(seq)
        self.load -= 1
        self.outcomes.append((FINISHED, seq, now, 0))

    def _leave(self, rank: Rank, seq: Seq) -> None:
        """Take ``seq`` out of the batch and count the blocks that it has grown to."""
        context = seq.base + rank.steps
        rank.leave(seq)
        if not rank.rules.reserve_output:
            # ``blocks`` held, while it ran, what it has beside the blocks of its tokens.
            seq.blocks += -(-(context - 1) // rank.block_tokens)

    def _enter(self, rank: Rank, seq: Seq, context: int, left: int) -> None:
        rank.join(seq, context, left)
        if not rank.rules.reserve_output:
            seq.blocks -= -(-(context - 1) // rank.block_tokens)
        self._joined.append(seq)

    # -- the next step -----------------------------------------------------------------------

    def _start(self, now: float) -> None:
        """Compose the next step from what is here, or fall idle."""
        rank = self.rank
        decode = self._settle(rank, now)
        chunks: list[tuple[Seq, int]] | None = None
        if rank.waiting or rank.partial:
            found, decode = self.batcher.choose(rank)
            if found:
                chunks = [self._begin_chunk(rank, seq, n, now) for seq, n in found]  # type: ignore[arg-type]
        self._decode = decode and rank.running > 0
        if chunks or (self.extra_s and self._decode):
            self._begin_mixed(chunks or [], now)
        elif self._decode:
            self._begin_segment(now)
        else:
            self.next_s = INFINITY

    def _settle(self, rank: Rank, now: float) -> bool:
        """Bring in who is ready, preempt who has no blocks; hold those of the next step."""
        if rank.swapped:
            self._swap_in(rank)
        if rank.ready:
            self._admit_ready(rank)
        rank.hold = 0
        if rank.running:
            need = rank.next_need()
            while need > rank.pool.available:
                self._preempt(rank, rank.victim())
                need = rank.next_need()
            rank.hold = need
        return True

    def _admit_ready(self, rank: Rank) -> None:
        """Let sequences whose KV is here join the batch while there are slots."""
        ready = rank.ready
        while ready and rank.running < rank.max_seqs:
            seq = ready.popleft()
            if seq.gone:
                continue
            # Context of the next step: everything stored, and the token that is fed in.
            self._enter(rank, seq, seq.done + 1, self.osl[seq.rid] - seq.out)

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
        shapes = [(tokens, seq.done) for seq, tokens in chunks]
        if not self._decode:
            return self.model.step(shapes, 0, rank.zeros)
        rank.pool.take(rank.hold)
        return self.model.step(shapes, rank.running, rank.sums)

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
        rank = self.rank
        point = self._point = self.model.decode(rank.running)
        sums, grow, slopes = rank.sums, rank.grow, point.slopes_s
        first, slope = point.const_s, 0.0
        for i, rate in enumerate(slopes):
            first += rate * sums[i]
            slope += rate * grow[i]
        rank.pool.take(rank.hold)
        self._open(now, first, slope)

    def _open(self, now: float, first_s: float, slope_s: float) -> None:
        segment = self.segment = self._segment
        segment.start_s = now
        segment.first_s = first_s
        segment.slope_s = slope_s
        segment.paid = 1
        limit = segment.limit = 1 if self.stepwise else max(1, self._horizon(1))
        self.next_s = segment.at(limit)
        if self._joined:
            end = segment.at(1)
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
        self._mixed_row(now, prefill, batch, cost)
        if batch:
            self._advance_one(now)
        for seq, tokens in chunks:
            if seq.gone:
                continue
            seq.done += tokens
            seq.rank.queued -= tokens
            if seq.done >= seq.prompt:
                seq.rank.partial.remove(seq)
                self._prefilled(seq, now)

    def _decoding(self) -> int:
        return self.rank.running

    def _advance_one(self, now: float) -> None:
        rank = self.rank
        rank.advance(1)
        if rank.next_finish <= rank.steps:
            self._end_finished(rank, now)

    def _prefilled(self, seq: Seq, now: float) -> None:
        """The whole prompt is in the KV cache: decode here, or hand it off."""
        rank = seq.rank
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
            self._gap((seq.rid, now - seq.last_s))
        seq.last_s = NAN
        if seq.out >= osl:
            self._finish(seq, now)
        else:
            rank.ready.append(seq)

    # -- dying and coming back ---------------------------------------------------------------

    def sequences(self) -> list[Seq]:
        """Return every sequence that computes, waits or rests here, in a fixed order."""
        found: list[Seq] = []
        for rank in self.ranks:
            for group in (rank.waiting, rank.partial, rank.ready, rank.swapped):
                found += group
            found += rank.members.values()
        return found

    def crash(self, now: float) -> None:
        """Lose everything: whole steps done by now are recorded, the one in flight is not."""
        segment = self.segment
        if segment is not None:
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

    # -- running out of blocks ---------------------------------------------------------------

    def _preempt(self, rank: Rank, seq: Seq) -> None:
        left = rank.left(seq)
        if seq in self._joined:
            self._joined.remove(seq)
        elif seq.last_s != seq.last_s:
            seq.last_s = self.last_decode_s
        context = seq.base + rank.steps
        rank.forget(seq)
        if not rank.rules.reserve_output:
            seq.blocks += -(-(context - 1) // rank.block_tokens)
        seq.out = self.osl[seq.rid] - left
        seq.preempted += 1
        self.preemptions += 1
        blocks = seq.blocks
        rank.free(seq)
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
            self._enter(rank, seq, seq.done + 1, self.osl[seq.rid] - seq.out)

    # -- what routers see --------------------------------------------------------------------

    @property
    def step_s(self) -> float:
        """Duration of the step in flight; 0 when idle."""
        if self.segment is not None:
            return self._segment.first_s
        return self.next_s - self._step_s if self._step is not None else 0.0

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


def work_of(point: DecodePoint, rank: Rank, steps: int) -> tuple[float, float]:
    """Return FLOPs and bytes of ``steps`` decode steps of a batch, in closed form."""
    flops, nbytes = point.flops_const * steps, point.bytes_const * steps
    pairs = 0.5 * steps * (steps - 1)
    for i, total in enumerate(rank.sums):
        read = total * steps + rank.grow[i] * pairs
        flops += point.flops_slopes[i] * read
        nbytes += point.bytes_slopes[i] * read
    return flops, nbytes
