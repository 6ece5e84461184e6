"""The figures of a simulated benchmark, weighed as the real one would have weighed them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hetsim.validate._job import Job, Prediction

__all__ = ["figures", "weights_of"]


def figures(job: Job, table: Mapping[str, Sequence[Any]], devices: int) -> Prediction:
    """Return TTFT, TPOT and throughput of a job from its table of requests."""
    columns: dict[str, Any] = {
        name: np.array(values, dtype=float)
        for name, values in table.items()
        if name not in ("status", "reason")
    }
    done = np.array([status == "finished" for status in table["status"]])
    weights = weights_of(job, columns["request_id"]) * done
    if job.steady:
        weights = weights * (columns["arrival_s"] >= _settled_s(columns))
    ttft_ms = _mean(columns["ttft_s"], weights)
    tpot_ms = _mean(columns["tpot_s"], weights)
    rate = _rate(job, columns, done, ttft_ms, tpot_ms)
    out = None if rate is None else rate * job.copies
    return Prediction(
        ttft_ms=ttft_ms,
        tpot_ms=tpot_ms,
        ttft_ms_p50=_median(columns["ttft_s"], weights),
        tpot_ms_p50=_median(columns["tpot_s"], weights),
        out_tok_s=out,
        out_tok_s_per_accel=None if out is None else out / devices,
        prompt_tok_s_per_accel=_prompts(columns, done, devices / job.copies),
        e2e_ms=_mean(columns["last_token_s"] - columns["arrival_s"], weights),
        notes=job.notes,
    )


def weights_of(job: Job, ids: Any) -> Any:
    """Return how much each request counts.

    A closed loop of W waves is cut to fewer. The first, in which everybody asks at once, and the
    last, in which the load runs out, then stand for 1/W each, the waves between for the rest.

    >>> from hetsim.validate._job import Job
    >>> job = Job(data={"pools": {}}, load="closed", users=2, waves=10.0)
    >>> weights_of(job, np.arange(8.0)).tolist()
    [0.4, 0.4, 1.6, 1.6, 1.6, 1.6, 0.4, 0.4]
    """
    count, users = len(ids), job.users
    ones = np.ones(count)
    if job.load != "closed" or count < 3 * users or count >= job.waves * users:
        return ones
    edge = count / (job.waves * users)
    middle = (count - 2.0 * users * edge) / (count - 2 * users)
    return np.where((ids < users) | (ids >= count - users), edge, middle)


def _mean(values: Any, weights: Any) -> float | None:
    there = np.isfinite(values) & (weights > 0)
    if not there.any():
        return None
    return float(np.average(values[there], weights=weights[there])) * 1e3


def _median(values: Any, weights: Any) -> float | None:
    there = np.isfinite(values) & (weights > 0)
    if not there.any():
        return None
    order = np.argsort(values[there])
    total = np.cumsum(weights[there][order])
    index = int(np.searchsorted(total, 0.5 * total[-1]))
    return float(values[there][order][index]) * 1e3


def _rate(
    job: Job, columns: Mapping[str, Any], done: Any, ttft_ms: float | None, tpot_ms: float | None
) -> float | None:
    """Return output tokens per second of the simulated deployment.

    A closed loop follows Little's law, as the tables that it is compared with do; a decode phase
    gives a token of each request at a time; everything else is all tokens over the time until the
    last.
    """
    if job.load == "decode":
        return job.requests / tpot_ms * 1e3 if tpot_ms else None
    if job.load == "closed" and ttft_ms is not None:
        total_ms = ttft_ms + (tpot_ms or 0.0) * (job.osl - 1)
        return job.users * job.osl / total_ms * 1e3
    ends = np.sort(columns["last_token_s"][done])
    tokens = float(columns["osl_tokens"][done].sum())
    if job.steady:
        return _steady_rate(columns, done)
    if not len(ends) or ends[-1] <= 0:
        return None
    if job.load == "open":
        span = float(ends[-1] - columns["arrival_s"].min())
        return tokens / span
    missing = max(0, job.requests - len(ends))
    makespan = float(ends[-1]) + missing * _steady_gap(ends)
    return (tokens + missing * tokens / len(ends)) / makespan


def _settled_s(columns: Mapping[str, Any]) -> float:
    """Return when a third of the arrivals is over."""
    arrival = columns["arrival_s"]
    return float(arrival.min() + (arrival.max() - arrival.min()) / 3.0)


def _steady_rate(columns: Mapping[str, Any], done: Any) -> float | None:
    """Return output tokens per second of requests that end while others still arrive."""
    begin, end = _settled_s(columns), float(columns["arrival_s"].max())
    last = columns["last_token_s"]
    inside = done & (last >= begin) & (last <= end)
    return float(columns["osl_tokens"][inside].sum()) / (end - begin) if end > begin else None


def _steady_gap(ends: Any) -> float:
    """Return the mean time between completions while the system is full.

    Of four batches, completions from three eighths to three quarters are past the start and
    before the queue has run out.
    """
    first, last = int(0.375 * len(ends)), int(0.75 * len(ends))
    if last <= first:
        return float(ends[-1]) / len(ends)
    return float(ends[last] - ends[first]) / (last - first)


def _prompts(columns: Mapping[str, Any], done: Any, devices: float) -> float | None:
    ends = columns["prefill_end_s"][done]
    ends = ends[np.isfinite(ends)]
    if not len(ends) or ends.max() <= 0:
        return None
    return float(columns["isl_tokens"][done].sum()) / float(ends.max()) / devices
