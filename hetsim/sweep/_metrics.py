"""Which figures a point will have: so that a name nobody computes is refused before any run."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from hetsim.errors import Problem, nearest
from hetsim.metrics import PATH, STATUSES
from hetsim.serving import BOUNDS
from hetsim.sweep._objectives import BOUNDED
from hetsim.sweep._types import SweepSpec

__all__ = ["known_metrics", "metric_problem", "metric_problems"]

_SHOWN = 4
_QUARTET = ("mean", "p50", "p90", "p99")
_MONEY = ("goodput_req_per_usd", "usd_per_h")
_RUN = (
    *_MONEY,
    "goodput_req_s",
    "slo_attainment",
    *(
        f"{name}.{part}"
        for name in ("ttft_s", "tpot_s", "itl_s", "first_itl_s", "e2e_s")
        for part in _QUARTET
    ),
    *(f"requests.{name}" for name in ("arrived", *STATUSES)),
    *(
        f"throughput.{name}"
        for name in ("req_s", "output_tok_s", "output_tok_s_per_accelerator", "total_tok_s")
    ),
    *(f"slo.{name}" for name in ("ttft_s", "tpot_s", "e2e_s", "percentile")),
    "slo_met",
    *(f"slo_missed_ratio.{name}" for name in ("ttft", "tpot", "e2e")),
    "cost_usd_per_mtok",
    "energy_j_per_tok",
    "power_w",
    *(f"critical_path_s.{name}" for name in PATH),
    "backlog_growth_req_s",
    "unstable",
    "simulated_s",
    "measured_s",
    "accelerators",
    "ok_corrupt",
    "leak_page_s",
    "lease_expired_ratio",
    "turned_away_ratio",
)
_CAPACITY = (
    *_MONEY,
    "rate_req_s",
    "attainment",
    "percentile",
    "output_tok_s",
    "accelerators",
    *(f"{name}.{part}" for name in ("ttft_s", "tpot_s") for part in _QUARTET),
    "power_w",
    "ok_corrupt",
    "lease_expired_ratio",
    "turned_away_ratio",
    "evaluations",
    *(f"bound_{name}req_s" for name in ("", "prefill_", "decode_", "link_")),
    "prefill_instances",
    "decode_instances",
)
_OF_POOL = (
    "instances",
    "utilisation",
    "mfu",
    "mbu",
    "kv_occupancy",
    "kv_occupancy_max",
    "mean_batch",
    "prefill_time_ratio",
    "steps",
    "prefill_tok_s",
    "decode_tok_s",
    *(f"bound_by.{name}" for name in BOUNDS),
    "loaded_utilisation",
    "loaded_kv_occupancy",
    "loaded_slot_occupancy",
    "pressure",
    "queue_growth_req_s",
)
_RATES = ("prefill_tok_s_per_accelerator", "decode_tok_s_per_accelerator")
_WORDS = ("model", "bottleneck", "reasons", "violations", "calibration_grade", "bound_stage")
"""Columns that are text: nothing can be best in them."""
_OPEN = ("residency.", "transit.", "recovery.", "placement.")
"""Figures of optional parts, named by tiers and counters that a level of an axis may add."""


def known_metrics(pools: Collection[str], measure: str = "run") -> tuple[str, ...]:
    """Return the columns of numbers that every point has, for pools of these names.

    >>> "stages.decode.mfu" in known_metrics(["decode"])
    True
    """
    if measure == "capacity":
        return _CAPACITY
    stages = [f"stages.{pool}.{name}" for pool in pools for name in _OF_POOL]
    rates = [f"throughput.by_pool.{pool}.{name}" for pool in pools for name in _RATES]
    return (*_RUN, *stages, *rates)


def metric_problem(metric: str, path: str, known: Sequence[str]) -> Problem | None:
    """Return what is wrong with the name of a metric, or None."""
    if metric in known or (metric.startswith(_OPEN) and "goodput_req_s" in known):
        return None
    if metric in _WORDS:
        return Problem(f"{metric!r} is text, and no number to judge by", path)
    if metric in BOUNDED or metric in _RUN:
        return Problem(
            f"{metric!r} is of one run, and a point measured by capacity has none; "
            f"{_near(metric, known)}",
            path,
        )
    if metric in _CAPACITY:
        return Problem(
            f"{metric!r} needs response: {{measure: capacity}}; {_near(metric, known)}", path
        )
    return Problem(f"no run has a {metric!r}; {_near(metric, known)}", path)


def _near(metric: str, known: Sequence[str]) -> str:
    """Return the names that are meant, most likely: by spelling, else by the part they share."""
    hint, _, _ = nearest(metric, known).partition(" allowed: ")
    if hint.startswith("did you mean"):
        return hint
    words = [word for word in re.split(r"[._]", metric) if len(word) > 2]
    like = [name for word in words for name in known if word in name][:_SHOWN]
    if like:
        return f"did you mean {' or '.join(map(repr, like))}?"
    return f"there are {', '.join(map(repr, known[:_SHOWN]))} and {len(known) - _SHOWN} more"


def metric_problems(
    spec: SweepSpec, data: Mapping[str, Any], pools: Collection[str]
) -> Iterator[Problem]:
    """Yield the metrics of a sweep that no point of it will have, with their places.

    Objectives that stand in the file are held to it, whatever ``keep`` says: a search asks for
    them, and a front is drawn over them. A search runs its points at the scenario's own rate.
    """
    measure = spec.response.measure
    found = metric_problem(spec.response.metric, "response.metric", known_metrics(pools, measure))
    if found is not None:
        yield found
    screen = data.get("screen")
    if not isinstance(screen, Mapping) or "objectives" not in screen:
        return
    known = (*known_metrics(pools), *(_CAPACITY if measure == "capacity" else ()))
    for number, name in enumerate(spec.screen.objectives):
        found = metric_problem(name, f"screen.objectives[{number}]", known)
        if found is not None:
            yield found
