"""What an engine cannot do faster: lower bounds of its step times, made once per engine.

Everything here errs on the fast side. Steps are taken as full as the rules allow, fixed costs are
shared as widely as possible, and nothing waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.stages import PoolPlan

__all__ = ["DecodeCurve", "PromptCurve"]

Vector = npt.NDArray[np.float64]

_PARTS = 24
"""Step sizes at which a prompt step is timed, up to the token budget."""
_FINE = 48
"""Batches up to which every size is timed; above, they grow by 3 %."""
_SAFETY = 0.999
"""Rounding of sums in another order must not lift a bound above a result."""


class PromptCurve:
    """Steps that compute prompts: seconds of a step without attention, and attention by itself.

    ``f(T)`` is the time of a step of ``T`` tokens less its attention. A token of a prompt costs
    at least ``min over T of f(T) / T``, the share that it has in the fullest step.
    """

    def __init__(self, plan: PoolPlan, longest: int) -> None:
        self.plan = plan
        self.model = plan.model
        self._known: dict[int, float] = {}
        rules = plan.rules
        most = rules.max_tokens if rules.chunked else max(rules.max_tokens, longest)
        most *= plan.ranks
        self.sizes = np.unique(np.geomspace(1, most, _PARTS).astype(np.int64))
        self.seconds = np.array([self._step_s(int(size)) for size in self.sizes])
        # f(T) / T falls with T but for kernels that change their way at some size.
        self.per_token_s = float((self.seconds / self.sizes).min()) * _SAFETY

    def _step_s(self, tokens: int) -> float:
        """Return the seconds of a step of ``tokens``, attention and per-sequence time left out."""
        model = self.model
        layout = getattr(model, "layout", None)
        ways = self.plan.ranks * (layout.pp if layout is not None else 1)
        count = min(tokens, ways)
        share, rest = divmod(tokens, count)
        chunks = [(share + (1 if i < rest else 0), 0) for i in range(count)]
        none = (0.0,) * len(model.windows)
        total: float = model.step(chunks, 0, none).time_s
        if not hasattr(model, "operators"):
            return total
        total -= _attention_s(model, chunks)
        return max(0.0, total - float(model.overheads.host_per_sequence_s) * count)

    def prompt_s(self, tokens: Vector) -> Vector:
        """Return the least seconds between a prompt's first step and its end, by itself."""
        at = np.searchsorted(self.sizes, np.maximum(tokens, 1.0), side="right") - 1
        alone = np.where(tokens <= self.sizes[-1], self.seconds[at], 0.0)
        least: Vector = np.maximum(alone * _SAFETY, tokens * self.per_token_s)
        return least

    def attention_s(self, tokens: Sequence[int], past: Sequence[int]) -> float:
        """Return attention seconds of all prompts, as if one step had computed them.

        The sum over steps is never less: a norm of sums is at most the sum of norms.
        """
        if self.plan.ranks > 1 or not hasattr(self.model, "operators"):
            return 0.0
        key = hash((tuple(tokens), tuple(past)))
        found = self._known.get(key)
        if found is None:
            chunks = list(zip(tokens, past, strict=True))
            found = self._known[key] = _attention_s(self.model, chunks) * _SAFETY
        return found


def _attention_s(model: Any, chunks: list[tuple[int, int]]) -> float:
    rows = model.operators(chunks, 0, [0.0] * len(model.windows))
    return float(sum(row.time_s for row in rows if row.kind == "attention_prefill"))


class DecodeCurve:
    """Decode steps of an instance: a convex lower envelope of the part without context.

    ``step(b, S) >= intercept_k + gradient_k b + sum(slope S)`` for every piece ``k``.
    """

    def __init__(self, plan: PoolPlan) -> None:
        model, rules = plan.model, plan.rules
        self.known: dict[tuple[Any, ...], Any] = {}
        """What has been worked out for some answers already."""
        self.most = float(max(1, min(rules.max_seqs, plan.blocks))) * plan.ranks
        """Sequences that one step can hold."""
        batches = _batches(int(self.most))
        points = [model.decode(int(batch)) for batch in batches]
        seconds = np.array([point.const_s for point in points])
        self.first_s = float(seconds[0]) * _SAFETY
        self.windows: tuple[int | None, ...] = tuple(model.windows)
        self.slopes = np.array(
            [min(p.slopes_s[g] for p in points) for g in range(len(self.windows))]
        )
        self.slopes = self.slopes * _SAFETY
        shares = plan.rules.unit_blocks > 0
        tokens = float(plan.blocks) * rules.block_tokens * plan.ranks
        self.tokens = np.inf if shares else tokens
        """Context tokens that the blocks of an instance hold; shared prefixes are not counted."""
        # Between two sampled batches the time is at least that of the smaller one.
        x, y = batches.astype(float), seconds * _SAFETY
        wide = np.diff(batches) > 1
        self.intercepts, self.gradients = _lower_hull(
            np.append(x, x[1:][wide]), np.append(y, y[:-1][wide])
        )

    def envelope(self, batch: float) -> float:
        """Return the envelope at a mean batch size."""
        return float((self.intercepts + self.gradients * batch).max())


def _batches(most: int) -> npt.NDArray[np.int64]:
    fine = np.arange(1, min(most, _FINE) + 1)
    if most <= _FINE:
        return fine
    count = int(np.ceil(np.log(most / _FINE) / np.log(1.03))) + 1
    coarse = np.geomspace(_FINE, most, count).astype(np.int64)
    return np.unique(np.concatenate([fine, coarse]))


def _lower_hull(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Return intercepts and gradients of the lines that bound the points from below.

    The first is flat, so that batches below the first point are covered as well.
    """
    order = np.lexsort((y, x))
    hull: list[tuple[float, float]] = []
    for px, py in zip(x[order].tolist(), y[order].tolist(), strict=True):
        if hull and hull[-1][0] == px:
            continue
        while len(hull) > 1 and _turns(hull[-2], hull[-1], (px, py)):
            hull.pop()
        hull.append((px, py))
    intercepts, gradients = [min(py for _, py in hull)], [0.0]
    for (ax, ay), (bx, by) in pairwise(hull):
        gradient = (by - ay) / (bx - ax)
        if gradient >= 0.0 and ay - gradient * ax >= 0.0:
            gradients.append(gradient)
            intercepts.append(ay - gradient * ax)
    return np.array(intercepts), np.array(gradients)


def _turns(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])
