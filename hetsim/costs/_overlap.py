"""Two-batch overlap: a step in two halves, one computing while the other exchanges tokens.

In every layer with experts the halves A and B take turns (A a letter before its partner)::

    compute   attention B   experts A    experts B   attention A of the next layer
    exchange  dispatch A    dispatch B   combine A   combine B

so that a layer takes, of one half's attention a, experts e, dispatch d and combine c,
``max(a, d) + max(e, d) + max(e, c) + max(a, c)``. Uncovered are the first attention, the last
combine, layers without experts, and head and sampling. Every kernel runs twice on half the tokens:
its floor counts twice, and so do weights. Where the exchange is done by the device's own processors
(kernels for many tokens, in steps with prompts), compute beside it goes on with what they leave:
``max(x + s y, y)``.

*Sources:* DeepSeek-V3 technical report 2024, 3.2 and 3.4; SGLang two-batch overlap and vLLM dual
batch overlap, 2025.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, NamedTuple

from hetsim.costs._stage import StageSums, remember
from hetsim.costs._step import Load, StepModel, bound_of, dot
from hetsim.costs._types import DecodePoint, RanksPoint, StepCost

__all__ = ["Beats", "Line", "OverlappedStepModel", "halves_of", "lines_of"]

_STOLEN = 20 / 132
"""Share of the processors that exchange kernels for many tokens hold. Source: DeepSeek-V3 technical
report 2024, 3.2.2 (20 of 132 of an H800); kernels for few tokens hold none while rows travel."""


class Beats(NamedTuple):
    """What one half does in a layer with experts, beside attention; and how many such layers."""

    layers: float
    experts_s: float
    dispatch_s: float
    combine_s: float
    stolen: float = 0.0
    """Part of the processors that the exchange takes from compute."""


class Line(NamedTuple):
    """``slope * body + fixed_s``, body being all that is computed outside experts and head."""

    slope: float
    fixed_s: float


def lines_of(beats: Beats, share: float) -> tuple[Line, Line, Line]:
    """Return the lines whose maximum is the time of all layers, both halves.

    ``share`` of the body lies in layers with experts. The first line rules where attention covers
    both dispatch and combine, the second where it covers the shorter of them, the third where it
    covers none.

    >>> beats = Beats(layers=1.0, experts_s=1.0, dispatch_s=2.0, combine_s=3.0)
    >>> first, second, third = lines_of(beats, 1.0)  # body 8 = attention of 4 in each half
    >>> first.slope * 8 + first.fixed_s  # 4, 4 over 2, 2 over 1, 3 over 1, and 3 at the end
    16.0
    """
    layers, experts, dispatch, combine, stolen = beats

    def beside(compute: float, exchange: float) -> float:
        return max(compute + stolen * exchange, exchange)

    fixed = combine + layers * (beside(experts, dispatch) + beside(experts, combine))
    (short, few), (long, many) = sorted(((dispatch, layers), (combine, layers - 1.0)))
    rest, each = 1.0 - share, 0.5 * share / layers
    return (
        Line(rest + each * (1.0 + few + many), fixed + stolen * (few * short + many * long)),
        Line(rest + each * (1.0 + few), fixed + stolen * few * short + many * long),
        Line(rest + each, fixed + few * short + many * long),
    )


def halves_of(tokens: int) -> tuple[int, int]:
    """Return the two parts that tokens or sequences are cut into."""
    return (tokens + 1) // 2, tokens // 2


class _Own(NamedTuple):
    """One DP rank's decode: seconds (scaled) outside and inside of what exchanges run beside."""

    rest_s: float
    body_s: float
    point: DecodePoint


class OverlappedStepModel(StepModel):
    """Times steps under two-batch overlap; a step of one sequence per rank is not cut.

    A decode step is the maximum of lines, affine in context each: :meth:`decode_ranks` returns
    all of them, and :meth:`decode` the one that is largest without context, which bounds the time
    from below.
    """

    overlapped = True

    def __init__(self, *, moe_share: float, **parts: Any) -> None:
        self.moe_share = moe_share
        """Part of the layers that exchange tokens."""
        super().__init__(**parts)

    def _forget(self) -> None:
        super()._forget()
        stage = self.sums.stage
        self._moves = [
            tuple([op for op in shared if op.kind == "all_to_all"])
            for shared in (self.sums.decode_shared, stage.shared)
        ]
        experts = tuple([op for op in stage.shared if op.kind != "all_to_all"])
        self._experts = StageSums(stage._replace(shared=experts))
        self._layers = sum(op.count for op in self._moves[0] if op.name == "moe_dispatch")
        self._own: dict[tuple[int, int], _Own] = {}
        self._lines: dict[tuple[float, float, bool], tuple[Line, ...]] = {}

    def lines(self, tokens: float, sent: float, prompts: bool) -> tuple[Line, ...]:
        """Return the lines of a step in which ``tokens`` of all ranks pass a stage together.

        ``sent`` are those of the rank with the most, times the ranks.
        """
        key = (tokens, sent, prompts)
        found = self._lines.get(key)
        if found is None:
            found = lines_of(self.beats(tokens, sent, prompts), self.moe_share)
            remember(self._lines, key, found)
        return found

    def beats(self, tokens: float, sent: float, prompts: bool) -> Beats:
        """Return what half of the tokens does in one layer."""
        layers = self._layers
        spent = {"moe_dispatch": 0.0, "moe_combine": 0.0}
        for op in self._moves[prompts]:
            spent[op.name] += op.count * op.evaluate(0.5 * sent)[0]
        return Beats(
            layers,
            self._experts.shared_part(0.5 * tokens).time_s / layers,
            spent["moe_dispatch"] / layers,
            spent["moe_combine"] / layers,
            _STOLEN if prompts else 0.0,
        )

    def cut(self, sequences: int) -> bool:
        """Return whether a microbatch of so many sequences or tokens of a rank is cut in two."""
        return sequences >= 2

    def _new_point(self, batch: int) -> DecodePoint:
        rank = ceil(max(batch, 0) / self.dp)
        passes = self.passes(rank)
        if not self.cut(ceil(rank / passes)):
            return super()._new_point(batch)
        sent = self.dp * ceil(rank / passes)
        lines, own = self.lines(batch / passes, sent, False), self._rank_own(rank, passes)
        scale = self.overheads.kernel_scale_decode * self.layout.pp
        made = [self._on_line(line, own, scale) for line in lines]
        best = max(made, key=lambda point: point.const_s)
        flops, moved = self._common(batch, passes)
        return best._replace(
            slopes_s=tuple([slope * rank / batch for slope in best.slopes_s]),
            flops_const=flops + own.point.flops_const * self.dp,
            bytes_const=moved + own.point.bytes_const * self.dp,
        )

    def decode_ranks(self, batches: tuple[int, ...]) -> RanksPoint:
        """Return the decode step of uneven DP ranks: lines of compute, and floors of exchange."""
        most = max(batches)
        passes, batch = self.passes(most), sum(batches)
        if not self.cut(ceil(most / passes)):
            return super().decode_ranks(batches)
        lines = self.lines(batch / passes, self.dp * ceil(most / passes), False)
        scale = self.overheads.kernel_scale_decode * self.layout.pp
        owns = [self._rank_own(own, passes) for own in batches]
        flops, moved = self._common(batch, passes)
        first, *floors = [
            tuple([self._on_line(line, own, scale) for own in owns]) for line in lines
        ]
        return RanksPoint(0.0, first, flops, moved, tuple(floors))

    def _on_line(self, line: Line, own: _Own, scale: float) -> DecodePoint:
        point = own.point
        return DecodePoint(
            own.rest_s + line.slope * own.body_s + scale * line.fixed_s,
            tuple([line.slope * slope for slope in point.slopes_s]),
            point.flops_const,
            point.flops_slopes,
            point.bytes_const,
            point.bytes_slopes,
            point.bound_by if line.slope == 1.0 else "link",
        )

    def _common(self, batch: int, passes: int) -> tuple[float, float]:
        if not self.cut(ceil(ceil(batch / self.dp) / passes)):
            return super()._common(batch, passes)
        flops = (self.model_flops.per_token + self.model_flops.per_logit) * batch
        weights = 2.0 * self._experts.shared_part(0.5 * batch / passes).weights
        return flops, weights * self.layout.devices * passes

    def _rank_own(self, batch: int, passes: int) -> _Own:
        """Return what one DP rank adds to a decode step that is cut in two."""
        key = (batch, passes)
        found = self._own.get(key)
        if found is None:
            found = self._new_own(batch, passes)
            remember(self._own, key, found)
        return found

    def _new_own(self, batch: int, passes: int) -> _Own:
        overheads, sums = self.overheads, self.sums
        micro = ceil(batch / passes)
        first, second = (sums.rank_part(half) for half in halves_of(micro))
        head, attended = sums.head_part(micro), sums.decodes(micro)
        twice = 2.0 if micro > 1 else 1.0
        scale = overheads.kernel_scale_decode * self.layout.pp
        body = first.time_s + second.time_s + twice * attended.fixed_s + attended.work_s
        host = overheads.host_step_s * passes + overheads.host_per_sequence_s * batch
        again = (first.weights + second.weights + head.weights) - sums.own_part(
            micro, micro
        ).weights
        whole = self._rank_point(batch, passes)
        more = again * passes * self.rank_devices
        point = whole._replace(bytes_const=whole.bytes_const + more)
        return _Own(scale * head.time_s + host, scale * body, point)

    def _decode_step(self, batch: int, context_sums: Sequence[float]) -> StepCost:
        if batch <= 0:
            return super()._decode_step(batch, context_sums)
        return self.step_ranks(self.deal((), batch, context_sums))

    def _mixed(self, loads: Sequence[Load]) -> StepCost:
        """Return the cost of a step with prompt chunks on some rank, cut in two."""
        passes = self.passes(max([len(chunks) + batch for chunks, batch, _ in loads]))
        counts = [sum([new for new, _ in chunks]) + batch for chunks, batch, _ in loads]
        if not self.cut(ceil(max(counts) / passes)):
            return super()._mixed(loads)
        lines = self.lines(sum(counts) / passes, self.dp * ceil(max(counts) / passes), True)
        scale = self.overheads.kernel_scale_prefill * self.layout.pp
        slowest, bound, flops, moved = -1.0, "", 0.0, 0.0
        for load in loads:
            rest_s, body_s, more_flops, more_bytes = self._mixed_own(load, passes)
            flops += more_flops
            moved += more_bytes
            for line in lines:
                time_s = rest_s + scale * (line.slope * body_s + line.fixed_s)
                if time_s > slowest:
                    slowest, bound = time_s, "" if line.slope == 1.0 else "link"
        if self._excess:
            slowest += self._excess * self.decode_kernels_s(loads)
        weights = 2.0 * self._experts.shared_part(0.5 * sum(counts) / passes).weights
        moved += weights * self.layout.devices * passes
        flops += self.model_flops.per_token * sum(counts)
        return StepCost(slowest, flops, moved, bound or self._bound(loads, passes))

    def _mixed_own(self, load: Load, passes: int) -> tuple[float, float, float, float]:
        """Return a rank's seconds outside (scaled) and inside of the layers, FLOPs and bytes."""
        chunks, batch, context_sums = load
        sums, whole = self.sums, self._mixed_rank(load, passes)
        sequences = len(chunks) + batch
        micro = ceil(whole.tokens / passes)
        first, second = (sums.rank_part(half) for half in halves_of(micro))
        head = sums.head_part(ceil(sequences / passes))
        prompts, decodes = sums.prompts(chunks), sums.decodes(ceil(batch / passes))
        twice = 2.0 if micro > 1 else 1.0
        fixed = (prompts.fixed_s if chunks else 0.0) + decodes.fixed_s
        seconds, _, _ = sums.slopes_at(ceil(batch / passes))
        read = prompts.work_s + dot(seconds, context_sums)
        body_s = first.time_s + second.time_s + twice * fixed + read / passes + decodes.work_s
        overheads = self.overheads
        host = overheads.host_step_s * passes + overheads.host_per_sequence_s * sequences
        rest_s = overheads.kernel_scale_prefill * self.layout.pp * head.time_s + host
        again = first.weights + second.weights - sums.rank_part(micro).weights
        return rest_s, body_s, whole.flops, whole.bytes + again * passes * self.rank_devices

    def _bound(self, loads: Sequence[Load], passes: int) -> str:
        """Return what binds the slowest rank, experts with it."""
        ranks = [self._mixed_rank(load, passes) for load in loads]
        slowest = max(ranks, key=lambda rank: rank.time_s)
        shared = self._experts.shared_part(sum(rank.tokens for rank in ranks) / passes)
        scale = self.overheads.kernel_scale_prefill * self.layout.pp
        buckets = [a + scale * b for a, b in zip(slowest.buckets, shared.buckets, strict=True)]
        return bound_of(buckets)
