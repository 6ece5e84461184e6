"""What an instance is made of, and what may be read of it from outside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hetsim.policies import Batcher
from hetsim.serving._rank import Rank
from hetsim.serving._segment import Segment
from hetsim.serving._seq import NAN, Seq

if TYPE_CHECKING:
    from hetsim.costs import DecodePoint, RankLoad, RanksPoint, StepCost

__all__ = [
    "BOUNDS",
    "FINISHED",
    "INFINITY",
    "PREEMPTED",
    "PREFILLED",
    "STARTED",
    "InstanceState",
    "Outcome",
    "StepTimes",
]

INFINITY = float("inf")

FINISHED, PREFILLED, STARTED, PREEMPTED = 0, 1, 2, 3
"""Outcomes: the request has all its tokens; its prompt is in the KV cache; a chunk begins (or KV
comes back from the host); its blocks were taken."""

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


class InstanceState:
    """The parts of an instance; :class:`~hetsim.serving.Instance` moves them."""

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
        "bell",
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
        "watch_preempted",
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
        record: Callable[[bytes], None],
        gap: Callable[[bytes], None],
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
        self.watch_preempted = False
        """Tell the driver whose blocks are taken, and when they come back."""
        self.stepwise = stepwise
        self.swap_s_per_block = swap_s_per_block
        """Seconds to move a block to host memory; None = preempt by recompute."""
        self.next_s = INFINITY
        self.bell: Any = None
        """What the driver has on its clock for this instance, which entry of it counts, and when
        that one is due."""
        self.wake = -1
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

    def sequences(self) -> list[Seq]:
        """Return every sequence that computes, waits or rests here, in a fixed order."""
        found: list[Seq] = []
        for rank in self.ranks:
            for group in (rank.waiting, rank.partial, rank.ready, rank.swapped):
                found += group
            found += rank.members.values()
        return found

    # -- what routers see --------------------------------------------------------------------

    @property
    def step_s(self) -> float:
        """Duration of a decode step now, or of the last one; 0 when idle."""
        if self.segment is None and self._step is None:
            return 0.0
        return self._segment.first_s

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
