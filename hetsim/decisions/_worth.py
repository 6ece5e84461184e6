"""What a scenario is worth: the same measure for every alternative, simulated or in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf, log
from typing import Any

import numpy as np

from hetsim.errors import InfeasibleError, Problem, ScenarioError
from hetsim.run import (
    arrivals_given,
    demand_of,
    moved_figures,
    pool_power,
    run_loaded,
    stage_bounds,
    sustainable_rate,
)
from hetsim.scenario import Loaded, load_data
from hetsim.stages import build_plan
from hetsim.sweep import flatten, known_metrics, metric_problem, sense_of

__all__ = ["PER_USD", "RATE", "Worth", "log_ratio", "usd_per_h"]

PER_USD, RATE = "goodput_req_per_usd", "rate_req_s"
Sets = Sequence[tuple[str, Any]]


def log_ratio(first: float, second: float) -> float:
    """Return the logarithm of ``first / second``; infinite where only one is above zero.

    >>> log_ratio(2.0, 2.0), log_ratio(1.0, 0.0)
    (0.0, inf)
    """
    if first > 0.0 and second > 0.0:
        return log(first / second)
    return inf if first > 0.0 else -inf if second > 0.0 else 0.0


def usd_per_h(loaded: Loaded) -> float:
    """Return what all pools cost an hour.

    Raises
    ------
    ScenarioError
        If a price is not known: nothing can be said per dollar.
    """
    total, problems = 0.0, []
    for name in loaded.scenario.pools:
        price = pool_power(loaded.scenario, name, loaded.base_dir).usd_per_h
        if price is None:
            text = f"has no price; state one, such as prices: {{{name}: 2 USD/h}}"
            problems.append(Problem(text, f"pools.{name}", loaded.file))
        total += price or 0.0
    if problems:
        raise ScenarioError(problems)
    return total


class Worth:
    """Values scenarios by one metric; what was simulated once is remembered.

    ``goodput_req_per_usd`` and ``rate_req_s`` are of the sustainable rate under the SLO, searched
    for every scenario; any other metric is a column of one run's summary. Larger is better: of
    costs and latencies the inverse is taken. A scenario that cannot run is worth nothing.

    Raises
    ------
    ScenarioError
        If no run has such a metric.
    """

    def __init__(self, base: Loaded, metric: str = PER_USD, seeds: Sequence[int] = ()) -> None:
        self.base = base
        self.metric = metric
        self.seeds = tuple(seeds) or (base.scenario.seed,)
        self.simulated = 0
        self._known: dict[str, float] = {}
        self._loads: dict[int, tuple[Loaded, Any]] = {}
        known = (PER_USD, RATE, *known_metrics(base.scenario.pools))
        wrong = metric_problem(metric, "--metric", known)
        if wrong is not None:
            raise ScenarioError(wrong)

    @property
    def by_rate(self) -> bool:
        """Whether the metric is of the sustainable rate."""
        return self.metric in (PER_USD, RATE)

    def resolve(self, sets: Sets, seed: int) -> Loaded:
        """Return the base with some settings and a seed, checked."""
        base = self.base
        return load_data(
            base.data,
            base_dir=base.base_dir,
            file=base.file,
            marks=base.marks,
            sets=list(sets),
            seed=seed,
        )

    def value(self, sets: Sets) -> float:
        """Return the mean over the seeds, simulated; every call sees the same requests."""
        return sum(self._seed(sets, seed) for seed in self.seeds) / len(self.seeds)

    def _seed(self, sets: Sets, seed: int) -> float:
        key = repr((list(sets), seed))
        if key not in self._known:
            try:
                self._known[key] = self.of(self.resolve(sets, seed))
            except InfeasibleError:
                self._known[key] = 0.0
            self.simulated += 1
        return self._known[key]

    def of(
        self,
        loaded: Loaded,
        calibrations: Mapping[str, Any] | None = None,
        presets: Mapping[str, Any] | None = None,
        factors: Mapping[str, float] | None = None,
    ) -> float:
        """Return the value of one scenario, simulated; devices and runtimes may be sampled ones.

        ``factors`` are on TPOT, TTFT and throughput: a rate is searched under objectives that are
        so much tighter, and multiplied; figures of a run are moved (:func:`moved_figures`).
        """
        given = dict(calibrations) if calibrations else None
        if self.by_rate:
            asked = _tightened(loaded, factors) if factors else loaded
            found = sustainable_rate(asked, calibrations=given, presets=presets)
            rate = float(found["rate_req_s"]) * (factors or {}).get("throughput", 1.0)
            return rate * 3600.0 / usd_per_h(loaded) if self.metric == PER_USD else rate
        result = run_loaded(loaded, calibrations=given, presets=presets)
        row = flatten(result.summary)
        value = row.get(self.metric)
        if factors:
            arrays = {name: np.array([factor]) for name, factor in factors.items()}
            moved = moved_figures(result, arrays, arrivals_given=arrivals_given(loaded))
            value = float(moved[self.metric][0]) if self.metric in moved else value
        if not isinstance(value, (int, float)):
            raise ScenarioError(Problem(f"no run has a {self.metric!r}", "--metric"))
        if sense_of(self.metric) > 0.0:
            return float(value)
        return 1.0 / float(value) if value else inf

    def closed(self, sets: Sets, calibrations: Mapping[str, Any] | None = None) -> float | None:
        """Return the closed form of the same: rates of stages, no queues; None if there is none."""
        if not self.by_rate:
            return None
        values = []
        for seed in self.seeds:
            try:
                loaded = self.resolve(sets, seed)
                values.append(self.closed_of(loaded, calibrations))
            except InfeasibleError:
                values.append(0.0)
        return sum(values) / len(values)

    def closed_of(self, loaded: Loaded, calibrations: Mapping[str, Any] | None = None) -> float:
        """Return the closed form of one scenario."""
        scenario = loaded.scenario
        known = self._loads.get(id(loaded))
        with loaded.locating():
            given = dict(calibrations) if calibrations else None
            load = known[1] if known is not None else None
            plan = build_plan(scenario, loaded.base_dir, calibrations=given, workload=load)
        self._loads[id(loaded)] = (loaded, plan.workload)
        cached = any(pool.rules.unit_blocks for pool in plan.pools)
        rate = stage_bounds(plan, demand_of(plan.workload, cached=cached), scenario.slo.tpot)
        worth = rate.rate_req_s
        return worth * 3600.0 / usd_per_h(loaded) if self.metric == PER_USD else worth


def _tightened(loaded: Loaded, factors: Mapping[str, float]) -> Loaded:
    """Return a scenario whose objectives are met when the true latencies meet the stated ones."""
    slo = loaded.scenario.slo
    ttft, tpot = factors.get("ttft", 1.0), factors.get("tpot", 1.0)
    tight = replace(
        slo,
        ttft=slo.ttft / ttft,
        tpot=slo.tpot / tpot,
        # Most of an end-to-end latency is decoding.
        e2e=slo.e2e / tpot if slo.e2e is not None else None,
    )
    scenario = replace(loaded.scenario, slo=tight)
    return Loaded(
        scenario, loaded.base_dir, loaded.file, loaded.data, loaded.marks, loaded.profiles
    )
