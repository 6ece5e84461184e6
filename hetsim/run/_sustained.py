"""The sustainable rate at the price of a few short runs: for design spaces, where many are asked.

:func:`hetsim.run.find_capacity` answers the same question of one scenario with more care. Here the
plan is built once, the bracket starts at the closed form, and the search follows how far the
objectives are from being missed, which is a smooth function of the rate, rather than whether.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import exp, log
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.metrics import Recorder, SloSpec, severities, worst_allowed
from hetsim.run._assumptions import worst_pool_grade
from hetsim.run._bound import StageBounds, demand_of, stage_bounds
from hetsim.run._limits import check_fits, check_limits
from hetsim.run._root import root_of
from hetsim.run._run import pieces_or_bytes, run_info, summarise_run
from hetsim.scenario import Loaded
from hetsim.stages import SimulationPlan, World, build_plan, simulate
from hetsim.workload import Workload, scale_rate

__all__ = ["sustainable_rate"]

PROBES = 8
TOLERANCE = 1.015
"""Upper over lower end of the bracket at which the search ends; the result lies between them."""
FILLING = 0.25
"""Part of the requests that fill an empty system, and are not measured."""
_BELOW = 0.05
"""How far below the closed form the search begins, as a logarithm of rates."""
_FAR = 3.0
"""Largest logarithm of a severity that is told apart."""


def sustainable_rate(
    loaded: Loaded,
    *,
    calibrations: dict[str, Any] | None = None,
    presets: Mapping[str, Any] | None = None,
    probes: int = PROBES,
) -> dict[str, Any]:
    """Return the largest rate that meets the objectives, from at most ``probes`` short runs.

    Every rate has the same requests, and their arrivals only move closer together (the gaps of a
    conversation with them), so that designs are compared on common random numbers. A rate above
    what prefill, network or the memory of decode can do without any queue is not sustained by
    anyone, however short the run that would not show it; the search does not go there.

    Raises
    ------
    ScenarioError
        If the workload has no rate of its own (users in a closed loop, or all at once).
    InfeasibleError
        If the scenario cannot run.
    """
    with loaded.locating():
        search = _Search(loaded, calibrations, presets)
        return search.run(probes)


class _Search:
    """One plan, the rates that were tried on it, and the last run on either side."""

    def __init__(
        self,
        loaded: Loaded,
        calibrations: dict[str, Any] | None,
        presets: Mapping[str, Any] | None = None,
    ) -> None:
        scenario = loaded.scenario
        self.loaded = loaded
        self.plan = build_plan(
            scenario, loaded.base_dir, calibrations=calibrations, presets=presets
        )
        check_limits(scenario, self.plan)
        check_fits(self.plan)
        cached = any(pool.rules.unit_blocks for pool in self.plan.pools)
        demand = demand_of(self.plan.workload, cached=cached)
        self.rate = _rate(self.plan.workload, demand.rate_req_s)
        self.table = _filling(self.plan.workload.table)
        self.bounds = stage_bounds(self.plan, demand, scenario.slo.tpot)
        slo = scenario.slo
        self.slo = SloSpec(
            ttft_s=slo.ttft, tpot_s=slo.tpot, e2e_s=slo.e2e, percentile=slo.percentile
        )
        self.tried: dict[float, float] = {}
        self.seen: dict[bool, tuple[SimulationPlan, World, Recorder]] = {}

    def run(self, probes: int) -> dict[str, Any]:
        """Return what was found."""
        top = log(self.bounds.rate_req_s)
        found = root_of(self.severity, top - _BELOW, top, probes=probes, width=log(TOLERANCE))
        rate = exp(found) if found is not None else 0.0
        return {**self._words(rate), **_stages(self.bounds, self.plan)}

    def severity(self, log_rate: float) -> float:
        """Simulate a rate; return the logarithm of the severity that must not be above 0."""
        plan = self.plan
        table = scale_rate(self.table, exp(log_rate) / self.rate)
        plan = replace(plan, workload=Workload(plan.workload.kind, table=table))
        info, recorder = run_info(plan), Recorder(None)
        world = simulate(plan, recorder, info)
        worst = worst_allowed(severities(recorder.table("requests"), self.slo), self.slo.percentile)
        value = min(_FAR, max(-_FAR, log(worst))) if worst > 0.0 else -_FAR
        self.tried[log_rate] = value
        passed = value <= 0.0
        best = [at for at, other in self.tried.items() if (other <= 0.0) == passed]
        if log_rate == (max(best) if passed else min(best)):
            self.seen[passed] = plan, world, recorder
        return value

    def _limit(self) -> str:
        """Return what limits the closed form, in the words of a run's verdict."""
        first, last = self.plan.pools[0], self.plan.pools[-1]
        if self.bounds.stage == "link":
            text = f"transfer-bound: network from pool {first.name} to pool {last.name}"
            return pieces_or_bytes(text, self.plan, float(self.table.isl.mean()))
        if self.bounds.stage == "prefill":
            return f"prefill-bound: compute of pool {first.name}"
        word = _WORDS.get(self.bounds.decode_limit)
        if word is None:
            by = str(last.model.decode(self.bounds.decode_batch * last.ranks).bound_by)
            word = _BOUND.get(by, by)
        return f"decode-bound: {word} of pool {last.name}"

    def _words(self, rate: float) -> dict[str, Any]:
        """Return the rate, and what a run on either side of it says."""
        told = {
            passed: summarise_run(self.loaded, plan, world, recorder)
            for passed, (plan, world, recorder) in self.seen.items()
        }
        best = told.get(True) or told[False]
        limit = told.get(False) or told[True]
        done = best["throughput"]["req_s"]
        per_request = best["throughput"]["output_tok_s"] / done if done else 0.0
        return {
            "rate_req_s": rate,
            "attainment": best["slo_attainment"],
            "percentile": self.slo.percentile,
            "output_tok_s": rate * per_request,
            "accelerators": best["accelerators"],
            # Where every rate up to the closed form passed, it is the closed form that limits.
            "bottleneck": limit["bottleneck"] if False in told else self._limit(),
            "ttft_s": best["ttft_s"],
            "tpot_s": best["tpot_s"],
            "power_w": best["power_w"],
            "violations": best["violations"],
            "ok_corrupt": best["ok_corrupt"],
            # Of the run that fails, where there is one: what goes wrong first is what binds.
            "lease_expired_ratio": limit["lease_expired_ratio"],
            "turned_away_ratio": limit["turned_away_ratio"],
            "calibration_grade": worst_pool_grade(self.plan),
            "evaluations": len(self.tried),
        }


_WORDS = {"KV blocks": "KV capacity", "batch slots": "batch slots"}
_BOUND = {"memory": "memory bandwidth", "link": "collectives", "latency": "kernel latency"}


def _rate(workload: Workload, seen: float | None) -> float:
    if workload.loop is None and seen is not None:
        return seen
    why = "all requests arrive at once" if workload.loop is None else "users wait for an answer"
    raise ScenarioError(
        Problem(
            f"{workload.kind} has no rate to search: {why}; use an open-loop kind (poisson, "
            "gamma, sessions, trace, a regime)",
            "workload.kind",
        )
    )


def _filling(table: Any) -> Any:
    """Return the requests with the first of them left out of what is measured."""
    if table.measured_from_s > 0.0:
        return table
    return table.replace(measured_from_s=float(table.arrival_s[int(len(table) * FILLING)]))


def _stages(bounds: StageBounds, plan: SimulationPlan) -> dict[str, Any]:
    """Return what each stage could do alone, and with how many instances."""
    return {
        "bound_req_s": bounds.rate_req_s,
        "bound_stage": bounds.stage,
        "bound_prefill_req_s": bounds.prefill_req_s,
        "bound_decode_req_s": bounds.decode_req_s,
        "bound_link_req_s": bounds.link_req_s,
        "prefill_instances": plan.pools[0].instances,
        "decode_instances": plan.pools[-1].instances,
    }
