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
from hetsim.metrics._stages import (
    backlog_growth,
    critical_path,
    is_growing,
    pool_figures,
    queue_growth,
)
from hetsim.metrics._verdict import MISSED, bottleneck, pressure
from hetsim.spec import spec

__all__ = ["PoolPower", "SloSpec", "good_requests", "itl_runs", "last_moment_s", "summarise"]


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


def itl_runs(steps: Any, requests: Any, gaps: Any, measured_from_s: float = 0.0) -> Runs:
    """Return every inter-token latency of a run, as runs of equal slope.

    A segment of ``k`` steps of a batch ``B`` holds ``B k`` of them; its first step also has what
    the batch waited since its step before, and is no gap for those who joined with it. Theirs are
    in ``requests`` (from the first token to the second) and, after a preemption, in ``gaps``.
    Segments that began while warming up are left out.
    """
    decode, batch, joined, count = columns(steps, "decode_tokens", "batch_size", "joined", "steps")
    stall, first, last, begun = columns(steps, "stall_s", "first_step_s", "last_step_s", "start_s")
    on = (decode > 0) & (begun >= measured_from_s)
    batch, joined, count = (
        batch[on].astype(float),
        joined[on].astype(float),
        count[on].astype(float),
    )
    stall, first, last = stall[on], first[on], last[on]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(count > 1, (last - first) / (count - 1), 0.0)
    ones, none = np.ones_like(first), np.zeros_like(first)
    early, token, start = columns(requests, "first_itl_s", "first_token_s", "decode_start_s")
    # Where the batch emits the first token, the first gap is counted by its segment already.
    own = early[~np.isnan(early) & ~(token > start)]
    (more,) = columns(gaps, "gap_s")
    singles = np.concatenate([own, more.astype(float)])
    return Runs(
        np.concatenate([first + stall, first + slope, singles]),
        np.concatenate([none, slope, np.zeros_like(singles)]),
        np.concatenate([ones, count - 1.0, np.ones_like(singles)]),
        np.concatenate([np.maximum(batch - joined, 0.0), batch, np.ones_like(singles)]),
    )


def last_moment_s(tables: Mapping[str, Any]) -> float:
    """Return when the last thing happened: an arrival, a token, or the end of a step."""
    arrival, last = columns(tables["requests"], "arrival_s", "last_token_s")
    start, duration = columns(tables["steps"], "start_s", "duration_s")
    moments = [arrival, last[~np.isnan(last)], start + duration]
    return max((float(part.max()) for part in moments if len(part)), default=0.0)


def _itl(runs: Runs) -> dict[str, float]:
    return {
        "mean": runs_mean(runs),
        "p50": run_quantile(runs, 0.5),
        "p90": run_quantile(runs, 0.9),
        "p99": run_quantile(runs, 0.99),
    }


def _misses(requests: Any, slo: SloSpec) -> dict[str, Any]:
    """Return by objective which requests miss it; NaN (a single token has no TPOT) misses none."""
    ttft, tpot, e2e = columns(requests, "ttft_s", "tpot_s", "e2e_s")
    with np.errstate(invalid="ignore"):
        missed = {"ttft": ttft > slo.ttft_s, "tpot": tpot > slo.tpot_s}
        if slo.e2e_s is not None:
            missed["e2e"] = e2e > slo.e2e_s
    return missed


def _meets(requests: Any, missed: Mapping[str, Any]) -> Any:
    """Return which requests meet every objective; an unfinished or corrupt one never does."""
    status, corrupt = columns(requests, "status", "corrupt")
    good = (status == "finished") & ~corrupt.astype(bool)
    for late in missed.values():
        good &= ~late
    return good


def good_requests(requests: Any, slo: SloSpec) -> list[int]:
    """Return the requests that meet every objective, by number."""
    (rid,) = columns(requests, "request_id")
    found: list[int] = rid[_meets(requests, _misses(requests, slo))].tolist()
    return found


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
    first_token_from: str = "prefill",
) -> dict[str, Any]:
    """Return the summary as plain data; figures are of requests that arrived once measuring began.

    Goodput is the rate of requests that meet all objectives: their number over the time from the
    start of measuring to the end of the last measured request.
    """
    requests, steps = tables["requests"], tables["steps"]
    status, last, measured = columns(requests, "status", "last_token_s", "measured")
    measured = measured.astype(bool)
    window = requests.filter(measured) if not measured.all() else requests
    ended = last[measured & (status == "finished")]
    span_s = max(float(ended.max()) - measured_from_s, 1e-300) if len(ended) else 0.0
    missed = _misses(window, slo)
    good = _meets(window, missed)
    attainment = float(good.sum()) / len(good) if len(good) else float("nan")
    stages = pool_figures(steps, pools, end_s, _loaded(requests, measured_from_s, end_s))
    growth = queue_growth(requests, roles, end_s)
    for name, stage in stages.items():
        stage["role"] = roles[name]
        stage["pressure"] = pressure(stage, roles[name])
        stage["queue_growth_req_s"] = growth[name]
    path, late = critical_path(window), _missed_ratio(window, missed)
    return {
        "requests": _counts(status),
        **_latencies(window, tables, measured_from_s),
        "goodput_req_s": float(good.sum()) / span_s if span_s else 0.0,
        "throughput": _throughput(window, stages, pools, span_s),
        "slo": {
            "ttft_s": slo.ttft_s,
            "tpot_s": slo.tpot_s,
            "e2e_s": slo.e2e_s,
            "percentile": slo.percentile,
        },
        "slo_attainment": attainment,
        "slo_met": bool(attainment >= slo.percentile / 100.0),
        "slo_missed_ratio": late,
        "cost_usd_per_mtok": _cost(power, end_s, requests),
        "energy_j_per_tok": _energy(power, stages, end_s, requests),
        "power_w": _power(power, stages),
        "stages": stages,
        "critical_path_s": path,
        "bottleneck": bottleneck(
            _path_of_missed(window, missed, late) or path, stages, roles, late, first_token_from
        ),
        **_backlog(requests, end_s),
        "simulated_s": end_s,
        "measured_s": span_s,
        "accelerators": sum(p.instances * p.devices_per_instance for p in pools),
    }


def _loaded(requests: Any, measured_from_s: float, end_s: float) -> tuple[float, float]:
    """Return the time in which requests arrive; the whole run if they come all at once."""
    (arrival,) = columns(requests, "arrival_s")
    last = min(end_s, float(arrival.max())) if len(arrival) else 0.0
    if last - measured_from_s < 0.1 * (end_s - measured_from_s):
        return 0.0, end_s
    return measured_from_s, last


def _latencies(window: Any, tables: Mapping[str, Any], measured_from_s: float) -> dict[str, Any]:
    ttft, tpot, first_itl, e2e = columns(window, "ttft_s", "tpot_s", "first_itl_s", "e2e_s")
    runs = itl_runs(tables["steps"], window, tables["gaps"], measured_from_s)
    return {
        "ttft_s": distribution(ttft),
        "tpot_s": distribution(tpot),
        "itl_s": _itl(runs),
        "first_itl_s": distribution(first_itl),
        "e2e_s": distribution(e2e),
    }


def _throughput(
    window: Any, stages: dict[str, Any], pools: tuple[PoolInfo, ...], span_s: float
) -> dict[str, Any]:
    status, out, isl = columns(window, "status", "output_tokens", "isl_tokens")
    done = status == "finished"
    rate = 1.0 / span_s if span_s else 0.0
    out_tokens, in_tokens = float(out[done].sum()), float(isl[done].sum())
    devices = sum(p.instances * p.devices_per_instance for p in pools)
    return {
        "req_s": float(done.sum()) * rate,
        "output_tok_s": out_tokens * rate,
        "output_tok_s_per_accelerator": out_tokens * rate / devices,
        "total_tok_s": (out_tokens + in_tokens) * rate,
        "by_pool": _per_pool(stages, pools),
    }


def _missed_ratio(window: Any, missed: Mapping[str, Any]) -> dict[str, float]:
    """Return the part of the finished requests that misses each objective."""
    done = columns(window, "status")[0] == "finished"
    count = max(1, int(done.sum()))
    return {name: float((late & done).sum()) / count for name, late in missed.items()}


def _path_of_missed(
    window: Any, missed: Mapping[str, Any], late: Mapping[str, float]
) -> dict[str, float] | None:
    """Return the mean path of the requests that miss the objective most missed, if 1 % do."""
    worst = max(late, key=lambda name: late[name])
    if late[worst] <= MISSED:
        return None
    import pyarrow as pa

    return critical_path(window.filter(pa.array(missed[worst])))


def _backlog(requests: Any, end_s: float) -> dict[str, Any]:
    """Return how the number inside grows; what was turned away is not inside."""
    status, arrival, last = columns(requests, "status", "arrival_s", "last_token_s")
    stays = (status == "finished") | (status == "unfinished")
    enter, leave = arrival[stays].astype(float), last[stays].astype(float)
    return {
        "backlog_growth_req_s": backlog_growth(enter, leave, end_s),
        "unstable": bool(is_growing(enter, leave, end_s)),
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
