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

__all__ = ["DecodeBound", "MixBound", "PromptBound", "decode_bound", "mix_bound", "prompt_bound"]

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
    quantiles = np.quantile(least, [0.5, 0.9, 0.99])
    return PromptBound(
        end_s=end,
        good=float(in_time),
        some_req_s=float(rate.max()) if len(rate) else 0.0,
        late_s=_late(least),
        least_s=float(least.min()),
        ttft_s=(float(least.mean()), *(float(q) for q in quantiles)),
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
    pairs = [
        _rates(curve, piece, instances, start_s, demand, able, least, (total, seen), read, held)
        for piece in range(len(curve.intercepts))
    ]
    none = (float("inf"), float("inf"))
    return DecodeBound(
        busy_s=busy / instances,
        good=float(able.sum()),
        all_req_s=min((pair[0] for pair in pairs), default=none[0]),
        some_req_s=min((pair[1] for pair in pairs), default=none[1]),
        late_s=_late(alone),
        least_s=float(alone.min()),
    )


def _held(curve: DecodeCurve, context: npt.NDArray[np.float64]) -> Vector:
    """Return the context that takes blocks: of unlimited layers, or of the widest window.

    Where every layer has a window, blocks hold the whole context; the window's is less.
    """
    held: Vector = context[0 if curve.windows[0] is None else int(np.argmax(context.sum(axis=1)))]
    return held


def _rates(
    curve: DecodeCurve,
    piece: int,
    instances: int,
    start_s: float,
    demand: Demand,
    able: npt.NDArray[np.bool_],
    least: float,
    totals: tuple[float, float],
    read: Vector,
    held: Vector,
) -> tuple[float, float]:
    """Return the largest rate of good requests by one line ``a + b n`` of the envelope.

    A step of ``x`` good tokens with costs z lasts at least ``a + sum z``. Where good requests keep
    their TPOT, ``sum x (a + sum z) <= tpot X``, and by Cauchy-Schwarz their steps are at least
    ``(sum sqrt z)^2 / ((tpot - a) X)``, which is at least ``sum (2 q s - q^2 x) / (tpot - a)`` for
    any q: a sum over requests, so that the easiest good set is the one of least terms.
    """
    a, b = float(curve.intercepts[piece]), float(curve.gradients[piece])
    room = demand.slo.tpot - a
    steps = demand.steps
    if room <= 0.0:
        able = able & (steps == 0.0)
    chosen = np.flatnonzero(able)
    if not len(chosen):
        return 0.0, 0.0
    counts = np.arange(1, len(chosen) + 1)
    wanted = _paced(curve, b, demand)[chosen] / room if room > 0.0 else np.zeros(len(chosen))
    paced = np.cumsum(np.sort(wanted))
    everything = a * np.maximum(least, paced) + b * totals[0] + totals[1]
    own = np.cumsum(np.sort(b * steps[chosen] + read[chosen]))
    few = np.maximum(np.cumsum(np.sort(steps[chosen])) / curve.most, paced)
    few = np.maximum(few, np.cumsum(np.sort(held[chosen])) / curve.tokens)
    offset = max(start_s, 1e-12)
    whole = counts / (offset + everything / instances)
    some = counts / (offset + (a * few + own) / instances)
    return float(whole.max()), float(some.max())


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
    """Return the bound of a pool that does both: every token costs its share of the fullest step."""
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
