"""Run a job: plan, simulate, read the figures that a table has. Step models are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from zlib import crc32

from hetsim.costs import Calibration, load_calibration, worst_grade
from hetsim.errors import InfeasibleError
from hetsim.hardware import Accelerator, get_accelerator
from hetsim.metrics import PoolInfo, Recorder, RunInfo
from hetsim.runtimes import sampled
from hetsim.scenario import Scenario
from hetsim.serving import BOUNDS
from hetsim.spec._check import build
from hetsim.stages import REASONS, PoolPlan, SimulationPlan, build_plan, simulate
from hetsim.validate._constants import Constants, engine_of, presets, stated
from hetsim.validate._figures import figures
from hetsim.validate._job import Job, Prediction
from hetsim.workload import RequestTable, Workload, build_workload

__all__ = ["Simulator"]

_LONG = 2**30
"""A measured row shows that its engine took the context, whatever the model's file says."""

_TIGHT = {"memory_utilisation": 0.95, "max_batched_tokens": 8192}
"""What people set where the defaults leave no room. Source: InferenceX recipe of DeepSeek-R1 fp8
on four B200 (mem-fraction-static 0.95, chunked prefill 8192), read 2026-11."""

_KEPT_MODELS = 64


class Simulator:
    """Runs jobs; what equal jobs share is built once.

    ``constants`` take the place of the fitted ones of the runtime presets. Without its ``own``
    calibration every device is predicted from its relatives'. With a ``draw``, calibrations and
    constants are sampled around them, the same in every simulator with that number.
    """

    def __init__(
        self, constants: Constants | None = None, *, own: bool = True, draw: int | None = None
    ) -> None:
        self._own = own
        self._draw = draw
        self._presets = presets(constants) if constants is not None else None
        if draw is not None:
            self._presets = {
                name: sampled(preset, _generator(draw, engine_of(name)))
                for name, preset in presets(constants or stated()).items()
            }
        self._answers: dict[str, Prediction | InfeasibleError] = {}
        self._models: dict[str, tuple[Any, ...]] = {}
        self._calibrations: dict[str, Calibration] = {}

    def best(self, jobs: list[Job]) -> Prediction:
        """Return the answer of the best job: most throughput, or least latency at a given rate.

        Raises
        ------
        InfeasibleError
            If none fits.
        """
        if len(jobs) == 1:
            return self.run(jobs[0])
        found: list[tuple[float, str, Prediction]] = []
        problem: InfeasibleError | None = None
        for job in jobs:
            try:
                answer = self.run(job)
            except InfeasibleError as error:
                problem = error
                continue
            cut = next(iter(job.data["pools"].values()))["parallel"]
            words = " ".join(f"{name}{size}" for name, size in cut.items())
            open_load = job.load == "open"
            score = -(answer.e2e_ms or 0.0) if open_load else answer.out_tok_s_per_accel or 0.0
            found.append((score, words, answer))
        if not found:
            raise problem or InfeasibleError("no layout divides the devices")
        _, words, answer = max(found, key=lambda item: (item[0], item[1]))
        note = f"best of {len(found)} layouts: {words}"
        return replace(answer, notes=(*answer.notes, note))

    def run(self, job: Job) -> Prediction:
        """Return the answer of one job.

        Raises
        ------
        ScenarioError
            If the scenario is wrong.
        InfeasibleError
            If it does not fit.
        """
        key = job.key
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = self._try(job)
        if isinstance(answer, InfeasibleError):
            raise answer
        return answer

    def _try(self, job: Job) -> Prediction | InfeasibleError:
        """Return the answer at the preset's memory, else with as much as an engine can be given."""
        try:
            return self._run(job)
        except InfeasibleError as error:
            refused = error
        pools = {name: {**pool, **_TIGHT} for name, pool in job.data["pools"].items()}
        note = "does not fit at the preset's memory; taken at 0.95 with steps of 8192 tokens"
        try:
            return self._run(
                replace(job, data={**job.data, "pools": pools}, notes=(*job.notes, note))
            )
        except InfeasibleError:
            return refused

    def _run(self, job: Job) -> Prediction:
        scenario = build(Scenario, job.data)
        plan = self.plan(job, scenario)
        recorder = Recorder()
        world = simulate(plan, recorder, _info(plan))
        columns = ("request_id", "arrival_s", "ttft_s", "tpot_s", "last_token_s", "osl_tokens",
            "isl_tokens", "status", "reason", "prefill_end_s")  # fmt: skip
        table = recorder.table("requests", list(columns)).to_pydict()
        if not any(status == "finished" for status in table["status"]):
            raise InfeasibleError(_refusals(world.reasons))
        scored = [pool for pool in plan.pools if job.scored_pool in ("", pool.name)]
        devices = job.copies * sum(pool.instances * pool.devices for pool in scored)
        found = figures(job, table, devices)
        grades: list[Any] = [pool.grade for pool in scored]
        return replace(found, grade=worst_grade(grades))

    def _calibration(self, accelerator: Accelerator) -> Calibration:
        found = load_calibration(accelerator, own=self._own)
        if self._draw is None:
            return found
        return found.sample(_generator(self._draw, accelerator.name))

    def plan(self, job: Job, scenario: Scenario) -> SimulationPlan:
        """Return the plan of a job, with step models of earlier jobs where they are the same."""
        for pool in scenario.pools.values():
            accelerator = get_accelerator(pool.accelerator)
            if accelerator.name not in self._calibrations:
                self._calibrations[accelerator.name] = self._calibration(accelerator)
        workload = _staged(job, scenario) if job.stages else None
        plan = build_plan(
            scenario,
            calibrations=self._calibrations,
            workload=workload,
            presets=self._presets,
        )
        models = self._models.setdefault(job.model_key, tuple(p.model for p in plan.pools))
        if len(self._models) > _KEPT_MODELS:
            self._models.clear()
        pools = tuple(
            replace(pool, model=model, **_settings(job))
            for pool, model in zip(plan.pools, models, strict=True)
        )
        plan = replace(plan, pools=pools, max_context=_LONG)
        if job.load == "offline":
            plan = replace(plan, workload=_cut(job, scenario, pools[0]))
        return plan


def _generator(draw: int, name: str) -> Any:
    import numpy as np

    return np.random.default_rng([draw, crc32(name.encode())])


def _settings(job: Job) -> dict[str, Any]:
    """Return what the benchmark changes of a pool: an offline one has no server in front."""
    if job.load in ("static", "offline"):
        return {"admission_steps": 0.0, "request_overhead_s": 0.0}
    steps = job.recipe.admission_steps
    return {} if steps is None else {"admission_steps": steps}


def _staged(job: Job, scenario: Scenario) -> Workload:
    """Return Poisson arrivals whose rate changes between stages; lengths as in the scenario."""
    table = build_workload(scenario.workload, scenario.seed, ".").table
    assert table is not None
    # Unit-rate arrivals, stretched piece by piece to each stage's rate.
    unit = table.arrival_s * scenario.workload.rate
    times, at_s, done = [], 0.0, 0.0
    for rate, length_s in job.stages:
        inside = unit[(unit >= done) & (unit < done + rate * length_s)]
        times += [at_s + (value - done) / rate for value in inside.tolist()]
        done += rate * length_s
        at_s += length_s
    count = len(times)
    return Workload("staged", table=RequestTable(times, table.isl[:count], table.osl[:count]))


def _cut(job: Job, scenario: Scenario, pool: PoolPlan) -> Workload:
    """Return as many of the requests as show the steady state: four full batches."""
    table = build_workload(scenario.workload, scenario.seed, ".").table
    assert table is not None
    room = pool.blocks * pool.rules.block_tokens // max(1, job.isl + job.osl // 2)
    batch = max(1, min(pool.rules.max_seqs, room)) * pool.ranks * pool.instances
    count = min(len(table), max(400, 4 * batch))
    return Workload(
        "offline", table=RequestTable(table.arrival_s[:count], table.isl[:count], table.osl[:count])
    )


def _info(plan: SimulationPlan) -> RunInfo:
    pools = tuple(
        PoolInfo(
            name=pool.name,
            instances=pool.instances,
            devices_per_instance=pool.devices,
            peak_flop_per_s=pool.peak_flop_per_s,
            memory_bytes_per_s=pool.memory_bytes_per_s,
        )
        for pool in plan.pools
    )
    protocol = plan.boundary.plan.kind if plan.boundary is not None else ""
    return RunInfo(
        pools=pools,
        reasons=REASONS,
        bounds=BOUNDS,
        protocols=(protocol,),
        transfer_kinds=("handoff", "swap", "tier"),
        moves=[],
    )


def _refusals(reasons: Any) -> str:
    found = dict(sorted(reasons.items()))
    words = ", ".join(f"{name} ({count})" for name, count in found.items()) or "none finished"
    return f"no request could be served: {words}"
