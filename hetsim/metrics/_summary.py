"""The summary of a run: pure functions of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hetsim.metrics._quantiles import (
    Runs,
    columns,
    distribution,
    run_quantile,
    runs_mean,
)
from hetsim.metrics._schema import STATUSES, PoolInfo
from hetsim.metrics._stages import backlog_growth, bottleneck, critical_path, pool_figures
from hetsim.spec import spec

__all__ = ["PoolPower", "SloSpec", "itl_runs", "summarise"]


@spec
class SloSpec:
    """Objectives in seconds; attainment at ``percentile`` decides whether they hold."""

    ttft_s: float
    tpot_s: float
    e2e_s: float | None
    percentile: float


@spec
class PoolPower:
    """What a pool costs and draws, all its instances together; None = no source gives it."""

    usd_per_h: float | None
    idle_w: float | None
    max_w: float | None


def itl_runs(steps: Any, requests: Any, gaps: Any) -> Runs:
    """Return every inter-token latency of a run, as runs of equal slope.

    A segment of ``k`` steps of a batch ``B`` holds ``B k`` of them; its first step also has what
    the batch waited since its step before, and is no gap for those who joined with it. Theirs are
    in ``requests`` (from the first token to the second) and, after a preemption, in ``gaps``.
    """
    decode, batch, joined, count = columns(
        steps, "decode_tokens", "batch_size", "joined", "steps"
    )
    stall, first, last = columns(steps, "stall_s", "first_step_s", "last_step_s")
    on = decode > 0
    batch, joined, count = batch[on].astype(float), joined[on].astype(float), count[on].astype(float)
    stall, first, last = stall[on], first[on], last[on]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(count > 1, (last - first) / (count - 1), 0.0)
    ones, none = np.ones_like(first), np.zeros_like(first)
    early, second, start = columns(requests, "first_itl_s", "first_token_s", "decode_start_s")
    # A first gap that lies wholly inside the batch is counted by its segment already.
    own = early[~np.isnan(early) & ~(second > start)]
    (more,) = columns(gaps, "gap_s")
    singles = np.concatenate([own, more.astype(float)])
    return Runs(
        np.concatenate([first + stall, first + slope, singles]),
        np.concatenate([none, slope, np.zeros_like(singles)]),
        np.concatenate([ones, count - 1.0, np.ones_like(singles)]),
        np.concatenate([np.maximum(batch - joined, 0.0), batch, np.ones_like(singles)]),
    )


def _itl(runs: Runs) -> dict[str, float]:
    return {
        "mean": runs_mean(runs),
        "p50": run_quantile(runs, 0.5),
        "p90": run_quantile(runs, 0.9),
        "p99": run_quantile(runs, 0.99),
    }


def _meets(requests: Any, slo: SloSpec) -> Any:
    """Return which requests meet every objective; an unfinished or corrupt one never does."""
    status, corrupt, ttft, tpot, e2e = columns(
        requests, "status", "corrupt", "ttft_s", "tpot_s", "e2e_s"
    )
    good = (status == "finished") & ~corrupt.astype(bool)
    with np.errstate(invalid="ignore"):
        good &= ttft <= slo.ttft_s
        good &= np.isnan(tpot) | (tpot <= slo.tpot_s)
        if slo.e2e_s is not None:
            good &= e2e <= slo.e2e_s
    return good


def _counts(status: Any) -> dict[str, int]:
    counts = {"arrived": len(status)}
    counts.update({name: int((status == name).sum()) for name in STATUSES})
    return counts


def summarise(
    tables: Mapping[str, Any],
    *,
    pools: tuple[PoolInfo, ...],
    roles: dict[str, str],
    power: Mapping[str, PoolPower],
    slo: SloSpec,
    end_s: float,
    measured_from_s: float,
) -> dict[str, Any]:
    """Return the summary as plain data; figures are of requests that arrived once measuring began.

    Goodput is the rate of requests that meet all objectives: their number over the time from the
    start of measuring to the end of the last measured request.
    """
    requests, steps = tables["requests"], tables["steps"]
    status, arrival, last, measured = columns(
        requests, "status", "arrival_s", "last_token_s", "measured"
    )
    measured = measured.astype(bool)
    window = requests.filter(measured) if not measured.all() else requests
    ended = last[measured & (status == "finished")]
    span_s = max(float(ended.max()) - measured_from_s, 1e-300) if len(ended) else 0.0
    good = _meets(window, slo)
    ttft, tpot, e2e, first_itl, out, isl = columns(
        window, "ttft_s", "tpot_s", "e2e_s", "first_itl_s", "output_tokens", "isl_tokens"
    )
    done = columns(window, "status")[0] == "finished"
    arrived = len(good)
    attainment = float(good.sum()) / arrived if arrived else float("nan")
    out_tokens = float(out[done].sum())
    devices = sum(p.instances * p.devices_per_instance for p in pools)
    rate = 1.0 / span_s if span_s else 0.0
    stages = pool_figures(steps, pools, end_s)
    path = critical_path(window)
    growth = _growth(requests, end_s)
    arrival_rate = len(status) / float(arrival.max()) if len(status) and arrival.max() > 0 else 0.0
    unstable = growth > 0.05 * arrival_rate > 0.0
    for name, stage in stages.items():
        stage["role"] = roles[name]
        stage["pressure"] = max(stage["utilisation"], stage["kv_occupancy"])
    return {
        "requests": _counts(status),
        "ttft_s": distribution(ttft),
        "tpot_s": distribution(tpot),
        "itl_s": _itl(itl_runs(steps, requests, tables["gaps"])),
        "first_itl_s": distribution(first_itl),
        "e2e_s": distribution(e2e),
        "goodput_req_s": float(good.sum()) * rate,
        "throughput": {
            "req_s": float(done.sum()) * rate,
            "output_tok_s": out_tokens * rate,
            "output_tok_s_per_accelerator": out_tokens * rate / devices,
            "total_tok_s": (out_tokens + float(isl[done].sum())) * rate,
            "by_pool": _per_pool(stages, pools),
        },
        "slo_attainment": attainment,
        "slo_met": bool(attainment >= slo.percentile / 100.0),
        "cost_usd_per_mtok": _cost(power, end_s, requests),
        "energy_j_per_tok": _energy(power, stages, end_s, requests),
        "power_w": _power(power, stages),
        "stages": stages,
        "critical_path_s": path,
        "bottleneck": bottleneck(path, stages, roles),
        "backlog_growth_req_s": growth,
        "unstable": bool(unstable),
        "simulated_s": end_s,
        "measured_s": span_s,
        "accelerators": devices,
    }


def _per_pool(stages: dict[str, Any], pools: tuple[PoolInfo, ...]) -> dict[str, Any]:
    result = {}
    for info in pools:
        devices = info.instances * info.devices_per_instance
        stage = stages[info.name]
        result[info.name] = {
            "prefill_tok_s_per_accelerator": stage["prefill_tok_s"] / devices,
            "decode_tok_s_per_accelerator": stage["decode_tok_s"] / devices,
        }
    return result


def _growth(requests: Any, end_s: float) -> float:
    arrival, last = columns(requests, "arrival_s", "last_token_s")
    return backlog_growth(arrival.astype(float), last.astype(float), end_s)


def _tokens(requests: Any) -> float:
    return float(np.sum(columns(requests, "output_tokens")[0]))


def _cost(power: Mapping[str, PoolPower], end_s: float, requests: Any) -> float | None:
    """Return dollars per million output tokens: every device is paid for all the time."""
    prices = [pool.usd_per_h for pool in power.values()]
    tokens = _tokens(requests)
    if any(price is None for price in prices) or not tokens:
        return None
    return sum(p for p in prices if p is not None) * end_s / 3600.0 / tokens * 1e6


def _power(power: Mapping[str, PoolPower], stages: dict[str, Any]) -> float | None:
    """Return mean watts: idle power, and the rest in proportion to the busy share of the time."""
    total = 0.0
    for name, pool in power.items():
        if pool.idle_w is None or pool.max_w is None:
            return None
        busy = min(1.0, stages[name]["utilisation"])
        total += pool.idle_w + (pool.max_w - pool.idle_w) * busy
    return total


def _energy(
    power: Mapping[str, PoolPower], stages: dict[str, Any], end_s: float, requests: Any
) -> float | None:
    watts, tokens = _power(power, stages), _tokens(requests)
    return watts * end_s / tokens if watts is not None and tokens else None

