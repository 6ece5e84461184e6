"""Bounds of one stage: an engine and its number of instances against realised requests.

A run in which every request finishes cannot end before each stage has done all its work; a run in
which some may fail is bounded by the easiest requests alone. Both are kept for every stage.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.sweep._curves import DecodeCurve, PromptCurve
from hetsim.sweep._demand import LATE, Demand

__all__ = [
    "FREE_DECODE",
    "FREE_PROMPT",
    "DecodeBound",
    "MixBound",
    "PromptBound",
    "decode_bound",
    "mix_bound",
    "prompt_bound",
]

Vector = npt.NDArray[np.float64]


class PromptBound(NamedTuple):
    """What a prefill stage cannot beat, on one demand."""

    end_s: float
    """Absolute time before which not all prompts are computed."""
    good: float
    """Requests whose TTFT can be met at all."""
    some_req_s: float
    """Largest rate of good requests where the others may never be served."""
    late_s: tuple[float, ...]
    """Least time to the end of the prompt of the last arrivals."""
    least_s: float
    ttft_s: tuple[float, float, float, float]
    """Mean, p50, p90, p99 of the least TTFT of all requests."""


class DecodeBound(NamedTuple):
    """What a decode stage cannot beat, on one demand, counted from its first request on."""

    busy_s: float
    """Seconds that the whole stage needs for all answers."""
    good: float
    """Requests whose TPOT can be met at all."""
    all_req_s: float
    """Largest rate of good requests where all finish, TPOT kept by those that are good."""
    some_req_s: float
    late_s: tuple[float, ...]
    least_s: float


FREE_PROMPT = PromptBound(
    end_s=0.0,
    good=np.inf,
    some_req_s=np.inf,
    late_s=(0.0,) * LATE,
    least_s=0.0,
    ttft_s=(0.0, 0.0, 0.0, 0.0),
)
"""Of a stage that nothing is known of: whatever happens, it is not beaten."""
FREE_DECODE = DecodeBound(
    busy_s=0.0,
    good=np.inf,
    all_req_s=np.inf,
    some_req_s=np.inf,
    late_s=(0.0,) * LATE,
    least_s=0.0,
)


class MixBound(NamedTuple):
    """What a co-located stage cannot beat: prompts and answers share its steps."""

    busy_s: float


def prompt_bound(
    curve: PromptCurve, instances: int, overhead_s: float, demand: Demand, cached: bool
) -> PromptBound:
    """Return the bounds of ``instances`` engines that compute the prompts of a demand."""
    past = np.minimum(demand.cached, demand.isl - 1.0) if cached else np.zeros_like(demand.isl)
    tokens = demand.isl - past
    work = tokens * curve.per_token_s
    alone = curve.prompt_s(tokens)
    start = demand.arrival_s + overhead_s
    attention = curve.attention_s(tokens.astype(int).tolist(), past.astype(int).tolist())
    left = np.cumsum(work[::-1])[::-1] / instances
    end = max(float((start + left).max()), float(start[0] + left[0] + attention / instances))
    least = overhead_s + alone
    able = least <= demand.slo.ttft
    window = demand.arrival_s[-1] + demand.slo.ttft - demand.arrival_s[0]
    easiest = np.cumsum(np.sort(work[able]))
    in_time = int(np.searchsorted(easiest, window * instances * (1.0 + 1e-9), side="right"))
    counts = np.arange(1, len(easiest) + 1)
    rate = counts / (easiest / instances + start[0] - demand.measured_from_s)
    half, most, worst = np.quantile(least, [0.5, 0.9, 0.99], method="lower")
    return PromptBound(
        end_s=end,
        good=float(in_time),
        some_req_s=float(rate.max()) if len(rate) else 0.0,
        late_s=_late(least),
        least_s=float(least.min()),
        ttft_s=(float(least.mean()), float(half), float(most), float(worst)),
    )


def _late(values: Vector) -> tuple[float, ...]:
    """Return the values of the last arrivals, the very last first; the first row fills up."""
    last = values[::-1][:LATE]
    return tuple(float(v) for v in np.append(last, np.full(LATE - len(last), last[-1])))


def decode_bound(curve: DecodeCurve, instances: int, start_s: float, demand: Demand) -> DecodeBound:
    """Return the bounds of ``instances`` engines that give the answers of a demand.

    ``start_s`` is how long after the start of measuring the first answer can begin. With ``n``
    steps in all, ``T`` tokens and context ``C``: busy >= n env(T/n) + slope C, which grows with
    ``n``, and n is at least T / slots and C / tokens held.
    """
    key = (demand.lengths, demand.slo.tpot, demand.slo.e2e)
    work = curve.known.get(key)
    if work is None:
        work = curve.known[key] = _answers(curve, demand)
    offset = max(start_s, 1e-12)
    return DecodeBound(
        busy_s=work.busy_s / instances,
        good=work.good,
        all_req_s=_rate(work.whole, offset, instances),
        some_req_s=_rate(work.some, offset, instances),
        late_s=work.late_s,
        least_s=work.least_s,
    )


def _rate(pieces: list[Vector], offset: float, instances: int) -> float:
    """Return the largest number of good requests over the time that it takes, least by piece."""
    if not pieces:
        return float("inf")
    return min(
        float((np.arange(1, len(p) + 1) / (offset + p / instances)).max(initial=0.0))
        for p in pieces
    )


class _Answers(NamedTuple):
    """What one engine would need for all answers, whatever the arrivals."""

    busy_s: float
    good: float
    whole: list[Vector]
    """By piece: seconds until g requests are good and all have finished, g = 1, 2, ..."""
    some: list[Vector]
    """The same where the others are never served."""
    late_s: tuple[float, ...]
    least_s: float


def _answers(curve: DecodeCurve, demand: Demand) -> _Answers:
    steps, context = demand.steps, demand.context_tokens(curve.windows)
    read = curve.slopes @ context
    alone = steps * curve.first_s + read
    each = np.divide(alone, steps, out=np.zeros_like(alone), where=steps > 0)
    able = each <= demand.slo.tpot
    if demand.slo.e2e is not None:
        able &= alone <= demand.slo.e2e
    total, seen = float(steps.sum()), float(read.sum())
    held = _held(curve, context)
    least = max(total / curve.most, float(held.sum()) / curve.tokens)
    busy = (least * curve.envelope(total / least) if least > 0.0 else 0.0) + seen
    parts = _Parts(demand, able, least, read, held)
    pieces = [_times(curve, piece, parts) for piece in _pieces(curve, parts)]
    return _Answers(
        busy_s=busy,
        good=float(able.sum()),
        whole=[piece[0] for piece in pieces],
        some=[piece[1] for piece in pieces],
        late_s=_late(alone),
        least_s=float(alone.min()),
    )


class _Parts(NamedTuple):
    demand: Demand
    able: npt.NDArray[np.bool_]
    least: float
    read: Vector
    held: Vector


def _pieces(curve: DecodeCurve, parts: _Parts) -> list[int]:
    """Return the lines of the envelope that matter.

    Those at the largest mean batch, at that which the TPOT leaves, and between: every line gives
    a bound, and these the least.
    """
    steps = float(parts.demand.steps.sum())
    if not steps or not parts.least:
        return [0]
    most = steps / parts.least
    slope = float(parts.read.sum()) / steps
    lines = curve.gradients + slope
    with np.errstate(divide="ignore"):
        room = np.maximum(parts.demand.slo.tpot - curve.intercepts, 0.0)
        paced = max(1.0, float((room / np.maximum(lines, 1e-300)).min()))
    batches = (most, min(most, paced), min(most, float(np.sqrt(most * paced))))
    found = [int((curve.intercepts + curve.gradients * batch).argmax()) for batch in batches]
    return sorted(set(found))


def _held(curve: DecodeCurve, context: npt.NDArray[np.float64]) -> Vector:
    """Return the context that takes blocks: of unlimited layers, or of the widest window.

    Where every layer has a window, blocks hold the whole context; the window's is less.
    """
    held: Vector = context[0 if curve.windows[0] is None else int(np.argmax(context.sum(axis=1)))]
    return held


def _times(curve: DecodeCurve, piece: int, parts: _Parts) -> tuple[Vector, Vector]:
    """Return the seconds of one engine for g good requests, by one line ``a + b n``.

    A step of ``x`` good tokens with costs z lasts at least ``a + sum z``. Where good requests keep
    their TPOT, ``sum x (a + sum z) <= tpot X``, and by Cauchy-Schwarz their steps are at least
    ``(sum sqrt z)^2 / ((tpot - a) X)``, which is at least ``sum (2 q s - q^2 x) / (tpot - a)`` for
    any q: a sum over requests, so that the easiest good set is the one of least terms.
    """
    a, b = float(curve.intercepts[piece]), float(curve.gradients[piece])
    steps, read = parts.demand.steps, parts.read
    room = parts.demand.slo.tpot - a
    able = parts.able if room > 0.0 else parts.able & (steps == 0.0)
    chosen = np.flatnonzero(able)
    wanted = _paced(curve, b, parts.demand)[chosen] / room if room > 0.0 else np.zeros(len(chosen))
    paced = np.cumsum(np.sort(wanted))
    whole = a * np.maximum(parts.least, paced) + b * float(steps.sum()) + float(read.sum())
    own = np.cumsum(np.sort(b * steps[chosen] + read[chosen]))
    few = np.maximum(np.cumsum(np.sort(steps[chosen])) / curve.most, paced)
    few = np.maximum(few, np.cumsum(np.sort(parts.held[chosen])) / curve.tokens)
    return whole, a * few + own


def _paced(curve: DecodeCurve, gradient: float, demand: Demand) -> Vector:
    """Return the terms ``2 q s - q^2 x`` of every request: s sums sqrt(z) over its tokens.

    z is concave in the context, and so is its root: the mean of the ends is never too much.
    """
    first = _cost(curve, gradient, demand.isl + 1.0)
    last = _cost(curve, gradient, demand.isl + demand.steps)
    roots = demand.steps * 0.5 * (np.sqrt(first) + np.sqrt(last))
    total = float(demand.steps.sum())
    mean = float(roots.sum()) / total if total else 0.0
    terms: Vector = 2.0 * mean * roots - mean * mean * demand.steps
    return terms


def _cost(curve: DecodeCurve, gradient: float, context: Vector) -> Vector:
    cost = np.full_like(context, gradient)
    for slope, window in zip(curve.slopes, curve.windows, strict=True):
        cost += slope * (context if window is None else np.minimum(context, window))
    return cost


def mix_bound(
    prompts: PromptCurve, decodes: DecodeCurve, instances: int, demand: Demand, cached: bool
) -> MixBound:
    """Return the bound of a pool that does both: a token costs its share of the fullest step."""
    overheads = getattr(prompts.model, "overheads", None)
    ratio = 1.0
    if overheads is not None:
        ratio = overheads.kernel_scale_prefill / overheads.kernel_scale_decode
    past = np.minimum(demand.cached, demand.isl - 1.0) if cached else np.zeros_like(demand.isl)
    tokens = demand.isl - past
    share = prompts.per_token_s * min(1.0, 1.0 / ratio)
    share = min(share, _least_share(decodes))
    attention = prompts.attention_s(tokens.astype(int).tolist(), past.astype(int).tolist())
    read = float((decodes.slopes @ demand.context_tokens(decodes.windows)).sum()) * min(1.0, ratio)
    busy = share * float(tokens.sum() + demand.steps.sum()) + attention + read
    return MixBound(busy_s=busy / instances)


def _least_share(decodes: DecodeCurve) -> float:
    """Return the least seconds per token of a pure decode step."""
    return decodes.envelope(decodes.most) / decodes.most
