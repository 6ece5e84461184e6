"""A summary's figures under factors on TTFT, TPOT and throughput."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.run._result import Result
from hetsim.scenario import Loaded
from hetsim.workload import build_workload

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = ["arrivals_given", "figures_of", "moved_figures"]

_LEFT_OUT = ("requests", "slo", "violations", "reasons", "uncertainty", "measured_error")
_TIMES = {"ttft_s": "ttft", "tpot_s": "tpot", "itl_s": "tpot", "first_itl_s": "tpot"}
_PER_TOKEN = ("cost_usd_per_mtok", "energy_j_per_tok")


def figures_of(data: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return every figure of a summary by its dotted name; counts, switches and clocks left out."""
    found: dict[str, float] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if key not in _LEFT_OUT:
                found.update(figures_of(value, f"{name}."))
        elif isinstance(value, float) and value == value and key != "wall_s":
            found[name] = value
    return found


def moved_figures(
    result: Result, factors: Mapping[str, Array], *, arrivals_given: bool
) -> dict[str, Array]:
    """Return the figures that factors move, one value a draw.

    Latencies are multiplied; of an end-to-end latency the part until the first token by that of
    the TTFT, the rest by that of the TPOT. Where arrivals are given from outside and the system
    keeps up, throughput is what arrives until capacity (throughput over pressure) falls below it.
    SLO attainment and goodput are counted anew, request by request.
    """
    summary = result.summary
    base = figures_of(summary)
    ttft, tpot = factors.get("ttft", _ONE), factors.get("tpot", _ONE)
    rate = _rate(summary, factors.get("throughput", _ONE), arrivals_given)
    part = _first_part(base)
    latency = {"ttft": ttft, "tpot": tpot}
    found: dict[str, Array] = {}
    for name, value in base.items():
        head = name.split(".", 1)[0]
        if head in _TIMES:
            found[name] = value * latency[_TIMES[head]]
        elif head == "e2e_s":
            found[name] = value * (part * ttft + (1.0 - part) * tpot)
        elif head == "throughput":
            found[name] = value * rate
        elif name in _PER_TOKEN:
            found[name] = value / rate
    return {**found, **_attained(result, ttft, tpot, rate)}


_ONE: Any = np.ones(1)


def arrivals_given(loaded: Loaded) -> bool:
    """Say whether requests arrive at times that the system has no say in, and over a while."""
    spec = loaded.scenario.workload
    made = build_workload(spec, loaded.scenario.seed, loaded.base_dir)
    if made.loop is not None or made.table is None:
        return False
    return bool(len(made.table) > 1 and float(np.ptp(made.table.arrival_s)) > 0.0)


def _rate(summary: Mapping[str, Any], factor: Array, arrivals_given: bool) -> Array:
    if not arrivals_given or summary["unstable"]:
        return factor
    pressed = max((stage["pressure"] for stage in summary["stages"].values()), default=1.0)
    return np.minimum(1.0, factor / min(1.0, max(pressed, 1e-3)))


def _first_part(base: Mapping[str, float]) -> float:
    """Return which part of the mean end-to-end latency is the TTFT."""
    whole, first = base.get("e2e_s.mean", 0.0), base.get("ttft_s.mean", 0.0)
    return min(1.0, first / whole) if whole > 0.0 else 1.0


def _attained(result: Result, ttft: Array, tpot: Array, rate: Array) -> dict[str, Array]:
    """Return attainment, the part that misses each objective, and goodput."""
    summary, slo = result.summary, result.summary["slo"]
    rows = result.table("requests")
    rows = rows[rows["measured"].to_numpy(bool)]
    if not len(rows):
        return {}
    done = (rows["status"] == "finished").to_numpy()
    clean = done & ~rows["corrupt"].to_numpy(bool)
    first, gap, whole = (rows[n].to_numpy(float) for n in ("ttft_s", "tpot_s", "e2e_s"))
    met, late_first, late_gap = [], [], []
    for a, b in np.broadcast(ttft, tpot):
        with np.errstate(invalid="ignore"):
            late = first * a > slo["ttft_s"], gap * b > slo["tpot_s"]
            good = clean & ~late[0] & ~late[1]
            if slo["e2e_s"] is not None:
                good &= ~(first * a + (whole - first) * b > slo["e2e_s"])
        met.append(float(good.sum()) / len(rows))
        late_first.append(float((late[0] & done).sum()))
        late_gap.append(float((late[1] & done).sum()))
    finished, span_s = max(1, int(done.sum())), summary["measured_s"]
    share = np.array(met)
    found = {
        "slo_attainment": share,
        "slo_missed_ratio.ttft": np.array(late_first) / finished,
        "slo_missed_ratio.tpot": np.array(late_gap) / finished,
    }
    if span_s:
        found["goodput_req_s"] = share * len(rows) / span_s * rate
    return found
