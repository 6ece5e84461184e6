"""``explain``: the operators of a typical step of every pool, and where each time comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hetsim.costs import StepModel
from hetsim.inspect._subject import Subject
from hetsim.run import decode_step_s
from hetsim.scenario import Loaded
from hetsim.stages import PoolPlan
from hetsim.units import format_seconds

__all__ = ["explain", "overlap_words", "typical_batch"]


def explain(
    scenario: str | Path | Mapping[str, Any] | Loaded,
    sets: Sequence[str] = (),
    workload: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return FLOPs, bytes, time and bound of every operator in a typical step of each pool.

    A prefill step computes one mean prompt (its first chunk, if the token budget is smaller) on
    every DP rank; a decode step has the batch that the offered load keeps running, at the mean
    context. Times of a step's rows add up to its ``time_s``; FLOPs and bytes are of one device.

    Raises
    ------
    ScenarioError, InfeasibleError
        As :func:`hetsim.check`.
    """
    subject = Subject(scenario, sets, workload, seed)
    with subject.loaded.in_use():
        return {"name": subject.scenario.name, "steps": _steps(subject)}


def _steps(subject: Subject) -> list[dict[str, Any]]:
    return [step for pool in subject.plan.pools for step in _steps_of(subject, pool)]


def _steps_of(subject: Subject, pool: PoolPlan) -> list[dict[str, Any]]:
    steps = []
    if pool.role != "decode":
        steps.append(_prefill(subject, pool))
    if pool.role != "prefill":
        steps.append(_decode(subject, pool))
    return steps


def overlap_words(subject: Subject, pool: PoolPlan) -> list[str]:
    """Return, of each typical step in two halves, what computes, what exchanges, and the sum."""
    found = []
    for step in _steps_of(subject, pool):
        rows = [row for row in step["operators"] if row["kind"] == "overlap"]
        said = rows[0]["source"] if rows else "too small to be cut in two"
        found.append(f"{step['title'].split(': ')[1]}: {said}")
    return found


def typical_batch(subject: Subject, pool: PoolPlan) -> int:
    """Return the requests that decode at once on a DP rank under the offered load.

    In balance ``batch = tokens/s x step time``, both of a rank; without a rate, or beyond the
    capacity, the largest batch that fits.
    """
    largest, demand = subject.bounds.decode_batch, subject.demand
    if demand.rate_req_s is None:
        return largest
    wanted = demand.rate_req_s * demand.output_tokens / (pool.instances * pool.ranks)
    low, high = 1, largest
    while low < high:
        middle = (low + high) // 2
        if middle >= wanted * decode_step_s(pool, middle, demand.context_tokens):
            high = middle
        else:
            low = middle + 1
    return low


def _prefill(subject: Subject, pool: PoolPlan) -> dict[str, Any]:
    tokens = max(1, min(round(subject.demand.computed_tokens), pool.rules.max_tokens))
    chunks = [(tokens, 0)] * pool.ranks
    none = [0.0] * len(pool.model.windows)
    title = f"pool {pool.name}: prefill of {tokens} tokens"
    return _step(pool, "prefill", title, chunks, 0, none, tokens)


def _decode(subject: Subject, pool: PoolPlan) -> dict[str, Any]:
    batch, context = typical_batch(subject, pool), subject.demand.context_tokens
    whole = batch * pool.ranks
    sums = [whole * (context if w is None else min(context, w)) for w in pool.model.windows]
    title = f"pool {pool.name}: decode, batch {whole}, context {context:.0f}"
    return _step(pool, "decode", title, [], whole, sums, context)


def _step(
    pool: PoolPlan,
    stage: str,
    title: str,
    chunks: list[tuple[int, int]],
    batch: int,
    sums: list[float],
    tokens: float,
) -> dict[str, Any]:
    cost = pool.model.step(chunks, batch, sums)
    if stage == "decode" and not isinstance(pool.model, StepModel):
        cost = cost._replace(time_s=pool.model.decode(batch).const_s)
    return {
        "pool": pool.name,
        "stage": stage,
        "title": f"{title}: {format_seconds(cost.time_s)}, {cost.bound_by}-bound",
        "batch": batch or len(chunks),
        "context_tokens": tokens,
        "time_s": cost.time_s,
        "flops": cost.flops,
        "bytes": cost.bytes,
        "mfu": cost.flops / (cost.time_s * pool.peak_flop_per_s * pool.devices),
        "mbu": cost.bytes / (cost.time_s * pool.memory_bytes_per_s * pool.devices),
        "bound_by": cost.bound_by,
        "operators": _operators(pool, chunks, batch, sums, cost.time_s),
    }


def _operators(
    pool: PoolPlan, chunks: list[tuple[int, int]], batch: int, sums: list[float], total_s: float
) -> list[dict[str, Any]]:
    if not isinstance(pool.model, StepModel):
        row = {"name": "constant", "kind": "constant", "count": 1.0, "flops": 0.0, "bytes": 0.0}
        said = {"bound_by": "host", "format": "any", "grade": "stated", "source": "scenario"}
        return [{**row, "time_s": total_s, **said, "share": 1.0}]
    rows = pool.model.operators(chunks, batch, sums)
    return [{**asdict(row), "share": row.time_s / total_s} for row in rows]
