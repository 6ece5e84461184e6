"""The step model: seconds, FLOPs and bytes of one step of one instance."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from math import ceil
from typing import NamedTuple

from hetsim.costs._calibration import Grade, worst_grade
from hetsim.costs._memory import Memory
from hetsim.costs._network import NetworkUse, on_network
from hetsim.costs._operators import BOUNDS
from hetsim.costs._prompts import only_prompts
from hetsim.costs._stage import StageSums, added, remember
from hetsim.costs._types import (
    Chunk,
    DecodePoint,
    Layout,
    OperatorCost,
    Overheads,
    RankLoad,
    RanksPoint,
    StepCost,
)

__all__ = ["Load", "ModelFlops", "StepModel", "bound_of", "dot"]

_SHARES = 64
"""Rates of the network whose step times are remembered at a time."""


class ModelFlops(NamedTuple):
    """FLOPs that the model asks for, whatever the layout: per token and per row of logits."""

    per_token: float
    per_logit: float


class StepModel:
    """Times the steps of one instance. Made by :func:`hetsim.costs.build_step_model`.

    One step is one forward pass over everything that is batched. With ``pp`` pipeline stages it
    is one round: ``m = min(pp, sequences)`` microbatches, each with its share of the tokens, pass
    the stages in ``pp`` stage times (a token must pass every stage, and no more microbatches than
    stages are formed). Under attention DP the slowest rank counts: the one with the most tokens
    sets the pace of the exchange too; the experts see the tokens of all ranks.

    A pure decode step costs ``kernel_scale_decode`` times its kernels. One with prompt chunks
    costs ``kernel_scale_prefill`` times all of them, plus what its decodes alone would pay beyond
    that scale, so that adding a token never makes a step faster. Host time is added, not hidden:
    once per microbatch, and per sequence.
    """

    overlapped = False
    """Whether steps run in two halves (:class:`~hetsim.costs._overlap.OverlappedStepModel`)."""

    def __init__(
        self,
        *,
        sums: StageSums,
        layout: Layout,
        overheads: Overheads,
        memory: Memory,
        model_flops: ModelFlops,
        peak_flop_per_s: float,
        peak_bytes_per_s: float,
        notes: tuple[str, ...],
        network: NetworkUse | None = None,
    ) -> None:
        self.sums = sums
        self.overheads = overheads
        self.layout = layout
        self.dp = layout.dp
        self.windows = sums.windows
        self.notes = notes
        self.network = network
        """What its collectives ask of the links between nodes; None if they stay inside."""
        self.memory = memory
        self.model_flops = model_flops
        self.peak_flop_per_s = peak_flop_per_s
        """Dense peak of the whole instance at its compute format, for MFU."""
        self.peak_bytes_per_s = peak_bytes_per_s
        """Memory bandwidth of the whole instance, for MBU."""
        self.weight_bytes_per_device = memory.weight_bytes
        self.kv_bytes_per_token_per_device = sum(memory.kv_bytes)
        self.kv_bytes_by_window = memory.kv_bytes
        self.state_bytes_per_sequence = memory.state_bytes
        self._forget()
        self.rank_devices = layout.tp * layout.pp
        self._excess = max(0.0, overheads.kernel_scale_decode - overheads.kernel_scale_prefill)
        self._single = layout.pp == 1 and layout.dp == 1

    def _forget(self) -> None:
        self._points: dict[int, DecodePoint] = {}
        self._prompts: dict[Chunk, StepCost] = {}
        self._rank_points: dict[tuple[int, int], DecodePoint] = {}
        self._shares: dict[float, StepModel] = {}

    def on_network(self, share: float) -> StepModel:
        """Return the step times while the links between nodes yield ``share`` of their rate.

        Only what collectives move between nodes is slower: ``t0 + bytes / (rate share)``. The
        models of the last shares are remembered.
        """
        if share == 1.0 or self.network is None:
            return self
        found = self._shares.get(share)
        if found is None:
            if len(self._shares) >= _SHARES:
                self._shares.clear()
            found = self._shares[share] = copy(self)
            found.sums = StageSums(on_network(self.sums.stage, share))
            found._forget()
        return found

    def activation_bytes(self, max_tokens: int) -> float:
        """Return the working memory per device of a step of ``max_tokens`` tokens per DP rank."""
        return self.memory.activation_bytes_per_token * max_tokens

    def decode(self, batch: int) -> DecodePoint:
        """Return the decode step at ``batch`` sequences, spread evenly over the DP ranks."""
        point = self._points.get(batch)
        if point is None:
            point = self._new_point(batch)
            remember(self._points, batch, point)
        return point

    def _new_point(self, batch: int) -> DecodePoint:
        none = (0.0,) * len(self.windows)
        if batch <= 0:
            return DecodePoint(0.0, none, 0.0, none, 0.0, none, "latency")
        dp, rank = self.dp, ceil(batch / self.dp)
        passes = self.passes(rank)
        own = self._rank_point(rank, passes)
        shared = self.sums.decode_part(batch / passes, dp * ceil(rank / passes))
        scale = self.overheads.kernel_scale_decode * self.layout.pp
        flops, moved = self._common(batch, passes)
        buckets = added(self._rank_buckets(rank, passes), [scale * v for v in shared.buckets])
        return DecodePoint(
            scale * shared.time_s + own.const_s,
            tuple([slope * rank / batch for slope in own.slopes_s]),
            flops + own.flops_const * dp,
            own.flops_slopes,
            moved + own.bytes_const * dp,
            own.bytes_slopes,
            bound_of(buckets),
        )

    def decode_ranks(self, batches: tuple[int, ...]) -> RanksPoint:
        """Return the decode step of uneven DP ranks, ``batches[r]`` sequences on rank r.

        ``time = common_s + max over r of (const_s + sum(slopes_s[g] * context_sum[r][g]))``.
        """
        most, batch = max(batches), sum(batches)
        passes = self.passes(most)
        shared = self.sums.decode_part(batch / passes, self.dp * ceil(most / passes))
        flops, moved = self._common(batch, passes)
        common_s = self.overheads.kernel_scale_decode * self.layout.pp * shared.time_s
        ranks = tuple([self._rank_point(own, passes) for own in batches])
        return RanksPoint(common_s, ranks, flops, moved)

    def passes(self, sequences: int) -> int:
        """Return how many microbatches a round of ``sequences`` (per DP rank) is cut into."""
        return max(1, min(self.layout.pp, sequences))

    def _common(self, batch: int, passes: int) -> tuple[float, float]:
        """Return model FLOPs outside attention, and expert bytes, of a decode round."""
        flops = (self.model_flops.per_token + self.model_flops.per_logit) * batch
        weights = self.sums.decode_part(batch / passes).weights
        return flops, weights * self.layout.devices * passes

    def _rank_point(self, batch: int, passes: int) -> DecodePoint:
        """Return what one DP rank adds to a decode step; FLOPs and bytes of all its devices."""
        key = (batch, passes)
        point = self._rank_points.get(key)
        if point is None:
            point = self._new_rank_point(batch, passes)
            remember(self._rank_points, key, point)
        return point

    def _new_rank_point(self, batch: int, passes: int) -> DecodePoint:
        overheads, pp, devices = self.overheads, self.layout.pp, self.rank_devices
        micro = ceil(batch / passes)
        part, attended = self.sums.own_part(micro, micro), self.sums.decodes(micro)
        scale = overheads.kernel_scale_decode * pp
        kernels = scale * (part.time_s + attended.fixed_s + attended.work_s)
        host = overheads.host_step_s * passes + overheads.host_per_sequence_s * batch
        seconds, flops, moved = self.sums.slopes_at(micro)
        return DecodePoint(
            kernels + host,
            tuple([slope * scale / passes for slope in seconds]),
            attended.flops * passes * devices,
            tuple([value * devices for value in flops]),
            (part.weights + attended.bytes) * passes * devices,
            tuple([value * devices for value in moved]),
            bound_of(self._rank_buckets(batch, passes)),
        )

    def _rank_buckets(self, batch: int, passes: int) -> list[float]:
        """Return the seconds of a rank's decode constant by bound."""
        micro = ceil(batch / passes)
        attended = self.sums.decodes(micro)
        scale = self.overheads.kernel_scale_decode * self.layout.pp
        buckets = [scale * value for value in self.sums.own_part(micro, micro).buckets]
        buckets[1] += scale * attended.work_s
        buckets[3] += scale * attended.fixed_s
        host, each = self.overheads.host_step_s, self.overheads.host_per_sequence_s
        buckets[4] += host * passes + each * batch
        return buckets

    def step(self, chunks: Sequence[Chunk], batch: int, context_sums: Sequence[float]) -> StepCost:
        """Return the cost of a step: prompt ``chunks`` and ``batch`` decodes together.

        ``chunks`` holds (new, past) tokens; ``context_sums`` the sum of ``min(context, window)``
        over the decodes, for each of ``windows``. Under attention DP the load is dealt evenly;
        :meth:`step_ranks` takes it as it lies.
        """
        if not chunks:
            return self._decode_step(batch, context_sums)
        if self.dp > 1:
            return self.step_ranks(self.deal(chunks, batch, context_sums))
        if batch or any(context_sums):
            return self._mixed(((chunks, batch, context_sums),))
        if len(chunks) == 1:
            return self._prompt(chunks[0], context_sums)
        if self._single:
            return only_prompts(self, chunks)
        return self._mixed(((chunks, batch, context_sums),))

    def _prompt(self, chunk: Chunk, none: Sequence[float]) -> StepCost:
        """Return the cost of one prompt chunk alone: most steps of a prefill pool, remembered."""
        new, past = chunk
        key = (new, past)
        cost = self._prompts.get(key)
        if cost is None:
            alone = only_prompts(self, (key,)) if self._single else None
            cost = alone or self._mixed((((key,), 0, none),))
            remember(self._prompts, key, cost)
        return cost

    def _decode_step(self, batch: int, context_sums: Sequence[float]) -> StepCost:
        point = self.decode(batch)
        time_s, flops, moved = point.const_s, point.flops_const, point.bytes_const
        for group, total in enumerate(context_sums):
            time_s += point.slopes_s[group] * total
            flops += point.flops_slopes[group] * total
            moved += point.bytes_slopes[group] * total
        grown = 2.0 * point.const_s < time_s
        return StepCost(time_s, flops, moved, "memory" if grown else point.bound_by)

    def deal(
        self, chunks: Sequence[Chunk], batch: int, context_sums: Sequence[float]
    ) -> tuple[RankLoad, ...]:
        """Return an even deal of a load over the DP ranks: chunks in turn, decodes by share."""
        dp = self.dp
        loads = []
        for rank in range(dp):
            own = (batch + dp - 1 - rank) // dp
            share = own / batch if batch else 0.0
            sums = tuple([total * share for total in context_sums])
            loads.append(RankLoad(tuple(chunks[rank::dp]), own, sums))
        return tuple(loads)

    def step_ranks(self, loads: Sequence[RankLoad]) -> StepCost:
        """Return the cost of a step whose DP ranks carry ``loads``; the slowest rank counts."""
        if any(load.chunks for load in loads):
            return self._mixed(loads)
        point = self.decode_ranks(tuple([load.batch for load in loads]))
        times, flops, moved = [], point.flops_common, point.bytes_common
        for rank, load in zip(point.ranks, loads, strict=True):
            sums = load.context_sums
            times.append(rank.const_s + dot(rank.slopes_s, sums))
            flops += rank.flops_const + dot(rank.flops_slopes, sums)
            moved += rank.bytes_const + dot(rank.bytes_slopes, sums)
        slowest = max(range(len(times)), key=times.__getitem__)
        time_s, bound = times[slowest], point.ranks[slowest].bound_by
        for floors in point.floors:
            for rank, load in zip(floors, loads, strict=True):
                floor = rank.const_s + dot(rank.slopes_s, load.context_sums)
                if floor > time_s:
                    time_s, bound = floor, rank.bound_by
        return StepCost(point.common_s + time_s, flops, moved, bound)

    def operators(
        self, chunks: Sequence[Chunk], batch: int, context_sums: Sequence[float]
    ) -> list[OperatorCost]:
        """Return one row per operator of a step; their times add up to :meth:`step`'s."""
        from hetsim.costs._explain import explain  # it reads this module

        return explain(self, chunks, batch, context_sums)

    @property
    def grade(self) -> Grade:
        """The worst grade among operators that matter in a usual decode and prefill step."""
        from hetsim.costs._explain import grade_of

        decode = self.operators((), 32, [64_000.0] * len(self.windows))
        prompt = self.operators(((2048, 0),), 0, [0.0] * len(self.windows))
        return worst_grade([grade_of(decode), grade_of(prompt)])

    def _mixed(self, loads: Sequence[Load]) -> StepCost:
        """Return the cost of a step with prompt chunks on some rank."""
        passes = self.passes(max([len(chunks) + batch for chunks, batch, _ in loads]))
        tokens, most, flops, moved = 0, 0, 0.0, 0.0
        slowest, buckets = -1.0, [0.0] * len(BOUNDS)
        for load in loads:
            found = self._mixed_rank(load, passes)
            tokens += found.tokens
            most = max(most, found.tokens)
            flops += found.flops
            moved += found.bytes
            if found.time_s > slowest:
                slowest, buckets = found.time_s, found.buckets
        shared = self.sums.shared_part(tokens / passes, self.dp * ceil(most / passes))
        scale = self.overheads.kernel_scale_prefill * self.layout.pp
        time_s = slowest + scale * shared.time_s
        if self._excess:
            time_s += self._excess * self.decode_kernels_s(loads)
        moved += shared.weights * self.layout.devices * passes
        flops += self.model_flops.per_token * tokens
        total = added(buckets, [scale * value for value in shared.buckets])
        return StepCost(time_s, flops, moved, bound_of(total))

    def _mixed_rank(self, load: Load, passes: int) -> _RankCost:
        """Return what one DP rank adds to a step with prompt chunks."""
        chunks, batch, context_sums = load
        sums, overheads, pp, devices = self.sums, self.overheads, self.layout.pp, self.rank_devices
        sequences, tokens = len(chunks) + batch, batch
        for new, _ in chunks:
            tokens += new
        body, head = sums.rank_part(ceil(tokens / passes)), sums.head_part(ceil(sequences / passes))
        micro = ceil(batch / passes)
        prompts, decodes = sums.prompts(chunks), sums.decodes(micro)
        seconds, slope_flops, slope_bytes = sums.slopes_at(micro)
        fixed = prompts.fixed_s * (1 if chunks else 0) + decodes.fixed_s
        work = (prompts.work_s + dot(seconds, context_sums)) / passes + decodes.work_s
        scale = overheads.kernel_scale_prefill * pp
        host = overheads.host_step_s * passes + overheads.host_per_sequence_s * sequences
        flops = prompts.flops + decodes.flops * passes + dot(slope_flops, context_sums)
        moved = prompts.bytes + decodes.bytes * passes + dot(slope_bytes, context_sums)
        buckets = [scale * (a + b) for a, b in zip(body.buckets, head.buckets, strict=True)]
        buckets[0] += scale * work
        buckets[3] += scale * fixed
        buckets[4] += host
        return _RankCost(
            scale * (body.time_s + head.time_s + fixed + work) + host,
            tokens,
            flops * devices + self.model_flops.per_logit * sequences,
            (moved + (body.weights + head.weights) * passes) * devices,
            buckets,
        )

    def decode_kernels_s(self, loads: Sequence[Load]) -> float:
        """Return the unscaled kernel seconds that the decodes of ``loads`` would take alone."""
        batches = [batch for _, batch, _ in loads]
        if not any(batches):
            return 0.0
        passes, pp = self.passes(max(batches)), self.layout.pp
        sent = self.dp * ceil(max(batches) / passes)
        times = []
        for _, batch, context_sums in loads:
            micro = ceil(batch / passes)
            part, attended = self.sums.own_part(micro, micro), self.sums.decodes(micro)
            read = dot(self.sums.slopes_at(micro)[0], context_sums) / passes
            times.append(part.time_s + attended.fixed_s + attended.work_s + read)
        return pp * (self.sums.decode_part(sum(batches) / passes, sent).time_s + max(times))


Load = RankLoad | tuple[Sequence[Chunk], int, Sequence[float]]


class _RankCost(NamedTuple):
    """One rank's part of a step with prompt chunks."""

    time_s: float
    tokens: int
    flops: float
    bytes: float
    buckets: list[float]


def dot(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the sum of the products of two rows."""
    total = 0.0
    for x, y in zip(a, b, strict=True):
        total += x * y
    return total


def bound_of(buckets: Sequence[float]) -> str:
    """Return the name of the bound that most seconds fall under."""
    return BOUNDS[buckets.index(max(buckets))]
