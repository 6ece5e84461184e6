"""What is looked at: a scenario, its plan, what its workload asks, and what its stages can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim.model import Model
from hetsim.run import StageBounds, demand_of, stage_bounds
from hetsim.scenario import Loaded, Pool, Scenario, load_scenario, model_of
from hetsim.stages import PoolPlan, SimulationPlan, build_plan

__all__ = ["Subject"]


class Subject:
    """A scenario with everything looked up; made once, read by every topic."""

    def __init__(
        self,
        scenario: str | Path | Mapping[str, Any] | Loaded,
        sets: Sequence[str] = (),
        workload: str | None = None,
        seed: int | None = None,
    ) -> None:
        loaded = scenario
        if not isinstance(loaded, Loaded):
            loaded = load_scenario(loaded, sets=sets, workload_file=workload, seed=seed)
        self.loaded = loaded
        self.scenario: Scenario = loaded.scenario
        with loaded.locating():
            self.plan: SimulationPlan = build_plan(self.scenario, loaded.base_dir)
            self.model: Model = model_of(self.scenario.model, loaded.base_dir)
            cached = any(pool.rules.unit_blocks for pool in self.plan.pools)
            self.demand = demand_of(self.plan.workload, cached)
            self.bounds: StageBounds = stage_bounds(self.plan, self.demand, self.scenario.slo.tpot)

    def pool(self, name: str) -> Pool:
        """Return a pool as the scenario states it."""
        return self.scenario.pools[name]

    @property
    def first(self) -> PoolPlan:
        """The pool that computes prompts."""
        return self.plan.pools[0]

    @property
    def last(self) -> PoolPlan:
        """The pool that decodes; the same as ``first`` in a co-located system."""
        return self.plan.pools[-1]

    @property
    def offered_req_s(self) -> float | None:
        """Requests that arrive in a second; None where the workload has no rate."""
        return self.demand.rate_req_s

    def load(self, capacity_req_s: float | None) -> float | None:
        """Return the offered rate over a capacity."""
        if self.offered_req_s is None or not capacity_req_s:
            return None
        return self.offered_req_s / capacity_req_s
