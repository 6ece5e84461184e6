"""Capacity: the largest open-loop rate at which the service level objectives hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.run._bound import demand_of, stage_bounds
from hetsim.run._economics import notes_on_power, power_of
from hetsim.run._run import run_loaded
from hetsim.scenario import Loaded, missing_prices
from hetsim.stages import build_plan
from hetsim.workload import Workload, build_workload, scale_rate

__all__ = ["find_capacity"]

TOLERANCE = 1.02
_DOUBLINGS = 10


def find_capacity(loaded: Loaded, progress: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Return the largest rate that attains the objectives, to 2 %, and what stops the next one.

    The closed-form bound is tried first and moved until one rate passes and a higher one fails;
    bisection narrows them down. Every rate has the same requests: lengths do not change, and
    arrivals only move closer together.

    Raises
    ------
    ScenarioError
        If the workload has no rate of its own (users in a closed loop, or all at once).
    """
    with loaded.locating():
        search = _Search(loaded, progress)
        search.bracket()
        while search.high > search.low * TOLERANCE and search.low > 0.0:
            search.try_rate(sqrt(search.low * search.high))
        return search.result()


class _Search:
    """A rate that passes, a higher one that fails, and what was seen at both."""

    def __init__(self, loaded: Loaded, progress: Callable[[str], None] | None) -> None:
        self.loaded = loaded
        self.tell = progress or (lambda _: None)
        scenario = loaded.scenario
        self.base = build_workload(scenario.workload, scenario.seed, loaded.base_dir)
        plan = build_plan(scenario, loaded.base_dir, workload=self.base)
        demand = demand_of(self.base, cached=any(p.rules.unit_blocks for p in plan.pools))
        self.base_rate = self._stated_rate(demand.rate_req_s)
        self.bounds = stage_bounds(plan, demand, scenario.slo.tpot)
        self.bound = self.bounds.rate_req_s
        self.low, self.high = 0.0, float("inf")
        self.passed: dict[str, Any] = {}
        self.failed: dict[str, Any] = {}
        self.evaluations = 0

    def _stated_rate(self, seen: float | None) -> float:
        spec = self.loaded.scenario.workload
        if self.base.loop is not None:
            raise ScenarioError(
                Problem(
                    f"{self.base.kind} has no rate to search: each user waits for an answer; use "
                    "an open-loop kind (poisson, gamma, trace, ...) or vary users",
                    "workload.kind",
                )
            )
        if seen is None:
            raise ScenarioError(
                Problem(
                    f"{self.base.kind} has no rate to search: all requests arrive at once; use "
                    "poisson, gamma, a trace or a regime",
                    "workload.kind",
                )
            )
        return float(getattr(spec, "rate", seen))

    def workload_at(self, rate: float) -> Workload:
        """Return the workload at another rate: the same requests, closer together."""
        scenario, factor = self.loaded.scenario, rate / self.base_rate
        spec = scenario.workload
        if hasattr(spec, "rate"):
            changes: dict[str, Any] = {"rate": rate}
            if getattr(spec, "warmup", 0.0):
                changes["warmup"] = spec.warmup / factor
            return build_workload(replace(spec, **changes), scenario.seed, self.loaded.base_dir)
        assert self.base.table is not None
        return Workload(self.base.kind, table=scale_rate(self.base.table, factor))

    def try_rate(self, rate: float) -> bool:
        """Simulate ``rate`` and move the bracket; say whether it passed."""
        summary = run_loaded(self.loaded, workload=self.workload_at(rate)).summary
        self.evaluations += 1
        passed = bool(summary["slo_met"])
        seen = {"rate": rate, **summary}
        if passed:
            self.low, self.passed = rate, seen
        else:
            self.high, self.failed = rate, seen
        word = "meets" if passed else "misses"
        self.tell(f"{rate:.4g} req/s {word} the SLO (attainment {summary['slo_attainment']:.2%})")
        return passed

    def bracket(self) -> None:
        """Find a rate that passes below one that fails."""
        rate = self.bound
        if self.try_rate(rate):
            for _ in range(_DOUBLINGS):
                rate *= 2.0
                if not self.try_rate(rate):
                    return
            return
        for _ in range(_DOUBLINGS):
            rate *= 0.5
            if self.try_rate(rate):
                return

    def result(self) -> dict[str, Any]:
        """Return what was found; rates and cost are those of a long run at the rate that passed.

        A run of finite length ends with a tail in which the pools idle; it is not counted here.
        """
        best = self.passed or self.failed
        scenario = self.loaded.scenario
        goodput = self.low * best["slo_attainment"]
        tokens_per_s = self.low * self._tokens_per_request()
        return {
            "name": scenario.name,
            "seed": scenario.seed,
            "rate_req_s": self.low,
            "attainment": best["slo_attainment"],
            "next_rate_req_s": self.failed.get("rate"),
            "next_attainment": self.failed.get("slo_attainment"),
            "percentile": scenario.slo.percentile,
            "bound_req_s": self.bound,
            "bound_stage": self.bounds.stage,
            "goodput_req_s": goodput,
            "output_tok_s": tokens_per_s,
            "output_tok_s_per_accelerator": tokens_per_s / best["accelerators"],
            "cost_usd_per_mtok": self._cost(tokens_per_s),
            "bottleneck": (self.failed or self.passed)["bottleneck"],
            "calibration_grade": best["calibration_grade"],
            "evaluations": self.evaluations,
            "notes": self._notes(),
        }

    def _tokens_per_request(self) -> float:
        """Return the output tokens of the mean finished request at the rate that passed."""
        if not self.passed or not self.passed["throughput"]["req_s"]:
            return 0.0
        through = self.passed["throughput"]
        return float(through["output_tok_s"] / through["req_s"])

    def _cost(self, tokens_per_s: float) -> float | None:
        power = power_of(self.loaded.scenario, self.loaded.base_dir)
        prices = [pool.usd_per_h for pool in power.values()]
        known = [price for price in prices if price is not None]
        if len(known) < len(prices) or not tokens_per_s:
            return None
        return sum(known) / 3600.0 / tokens_per_s * 1e6

    def _notes(self) -> list[str]:
        notes = []
        if not self.passed:
            seen = f"{self.failed['rate']:.3g} req/s ({self.failed['slo_attainment']:.2%} attained)"
            notes.append(f"the objectives are missed at every rate tried, down to {seen}")
        elif self.passed["unstable"]:
            notes.append(
                "the backlog grows at this rate: the run is too short to show it; use more requests"
            )
        if not self.failed:
            notes.append(
                f"the objectives hold at every rate tried, up to {self.low:.4g} req/s: the "
                "workload is too short to load the system; use more requests"
            )
        scenario, folder = self.loaded.scenario, self.loaded.base_dir
        if missing_prices(scenario, folder):
            notes += [n for n in notes_on_power(scenario, folder) if n.startswith("cost")]
        return notes
