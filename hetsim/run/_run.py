"""Scenario -> plan -> simulation -> result."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim.metrics import PoolInfo, Recorder, RunInfo, SloSpec, last_moment_s, summarise
from hetsim.run._assumptions import assumptions, worst_pool_grade
from hetsim.run._collectives import collectives_story
from hetsim.run._directory import RunDirectory
from hetsim.run._economics import notes_on_power, power_of
from hetsim.run._faults import fault_story, write_faults
from hetsim.run._lapses import lapse_story
from hetsim.run._limits import check_fits, check_limits
from hetsim.run._manifest import manifest
from hetsim.run._overview import draw_overview
from hetsim.run._result import Result
from hetsim.run._stores import store_story
from hetsim.runtimes import Runtime
from hetsim.scenario import (
    Loaded,
    embedded_yaml,
    load_scenario,
    notes_on_profiles,
    resolved_yaml,
)
from hetsim.serving import BOUNDS
from hetsim.stages import (
    REASONS,
    TRANSFER_KINDS,
    USUAL_REASONS,
    SimulationPlan,
    World,
    build_plan,
    simulate,
)
from hetsim.workload import Workload

__all__ = ["Loaded", "pieces_or_bytes", "run", "run_info", "run_loaded", "summarise_run"]


def run(
    scenario: str | Path | Mapping[str, Any] | Loaded,
    *,
    out: str | Path | None = None,
    sets: Sequence[str] = (),
    workload: str | None = None,
    seed: int | None = None,
    stepwise: bool = False,
    check_laws: bool = False,
    overwrite: bool = False,
    plot: bool = False,
    also: Callable[[Result], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Simulate a scenario and return its result; with ``out``, write a run directory as well.

    ``plot`` adds the overview figure to the run directory; ``also`` may add files to
    ``result.folder`` before the directory gets its name.

    Raises
    ------
    ScenarioError
        If the input is wrong; every problem is named.
    InfeasibleError
        If the scenario is legal and cannot run.
    InvariantViolated
        If a law does not hold: a defect of hetsim.
    """
    loaded = scenario
    if not isinstance(loaded, Loaded):
        loaded = load_scenario(loaded, sets=sets, workload_file=workload, seed=seed)
    directory = RunDirectory(Path(out), overwrite) if out is not None else None
    try:
        result = run_loaded(
            loaded,
            stepwise=stepwise,
            check_laws=check_laws,
            folder=directory.temporary if directory else None,
            progress=progress,
        )
        if directory is not None:
            if plot:
                draw_overview(result)
            if also is not None:
                also(result)
            directory.write(result, embedded_yaml(loaded))
        return result
    except BaseException:
        if directory is not None:
            directory.abandon()
        raise


def run_loaded(
    loaded: Loaded,
    *,
    stepwise: bool = False,
    check_laws: bool = False,
    folder: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    calibrations: dict[str, Any] | None = None,
    workload: Workload | None = None,
    presets: Mapping[str, Runtime] | None = None,
) -> Result:
    """Simulate a loaded scenario; tables go to ``folder`` as they come, if one is given.

    ``workload`` takes the place of the scenario's (the same at another rate, say), ``calibrations``
    and ``presets`` that of the devices' and runtimes' on disk.
    """
    with loaded.in_use():
        return _simulated(
            loaded,
            stepwise=stepwise,
            check_laws=check_laws,
            folder=folder,
            progress=progress,
            calibrations=calibrations,
            workload=workload,
            presets=presets,
        )


def _simulated(
    loaded: Loaded,
    *,
    stepwise: bool,
    check_laws: bool,
    folder: Path | None,
    progress: Callable[[int, int], None] | None,
    calibrations: dict[str, Any] | None,
    workload: Workload | None,
    presets: Mapping[str, Runtime] | None,
) -> Result:
    started = time.perf_counter()
    scenario = loaded.scenario
    with loaded.locating():
        plan = build_plan(
            scenario,
            loaded.base_dir,
            stepwise=stepwise,
            check_laws=check_laws,
            calibrations=calibrations,
            workload=workload,
            presets=presets,
        )
    check_limits(scenario, plan)
    check_fits(plan)
    info = run_info(plan)
    recorder = Recorder(folder)
    total = plan.workload.requests
    tell = (lambda done: progress(done, total)) if progress is not None else None
    try:
        world = simulate(plan, recorder, info, tell)
    finally:
        recorder.close()
    summary = summarise_run(loaded, plan, world, recorder)
    summary["wall_s"] = time.perf_counter() - started
    if folder is not None and summary.get("faults"):
        write_faults(folder, summary["faults"])
    text = resolved_yaml(loaded, plan)
    return Result(summary, manifest(loaded, text, summary), recorder.table, text, folder)


def run_info(plan: SimulationPlan) -> RunInfo:
    """Return the names and peaks behind the codes of the tables."""
    pools = tuple(
        PoolInfo(
            name=pool.name,
            instances=pool.instances,
            devices_per_instance=pool.devices,
            peak_flop_per_s=pool.peak_flop_per_s,
            memory_bytes_per_s=pool.memory_bytes_per_s,
            slots=pool.rules.max_seqs * pool.ranks,
        )
        for pool in plan.pools
    )
    boundary = plan.boundary
    reserves = boundary is not None and boundary.plan.variant.facts.reserve_before_prefill
    # What D's cadence costs is overhead, or a wait for D where D reserves before the prefill.
    looks_late = boundary is not None and plan.pools[-1].runtime.handoff_steps > 0.0
    return RunInfo(
        pools=pools,
        reasons=REASONS if plan.guarded else REASONS[:USUAL_REASONS],
        bounds=BOUNDS,
        protocols=(boundary.plan.kind if boundary is not None else "", ""),
        transfer_kinds=TRANSFER_KINDS,
        moves=[],
        measured_from_s=plan.workload.measured_from_s,
        overhead_s=math.inf if looks_late and not reserves else plan.pools[0].request_overhead_s,
        reserves_first=reserves,
    )


def summarise_run(
    loaded: Loaded, plan: SimulationPlan, world: World, recorder: Recorder
) -> dict[str, Any]:
    """Return the summary: figures of the tables, and what the run says about itself."""
    scenario = loaded.scenario
    slo = scenario.slo
    tables = {name: recorder.coded(name) for name in ("requests", "steps", "gaps")}
    # Timers that nobody waits for may ring long after the last request: they cost nothing.
    end_s = world.end_s if scenario.horizon is not None else last_moment_s(tables)
    objectives = SloSpec(ttft_s=slo.ttft, tpot_s=slo.tpot, e2e_s=slo.e2e, percentile=slo.percentile)
    figures = summarise(
        tables,
        pools=world.info.pools,
        roles={pool.name: pool.role for pool in plan.pools},
        power=power_of(scenario, loaded.base_dir),
        slo=objectives,
        end_s=end_s,
        measured_from_s=plan.workload.measured_from_s,
        first_token_from=plan.boundary.first_token_from if plan.boundary else "prefill",
    )
    figures["bottleneck"] = _network_or_pieces(figures["bottleneck"], plan, tables["requests"])
    head = {"name": scenario.name, "seed": scenario.seed, "model": scenario.model}
    broken = fault_story(plan, world, tables, objectives, figures["simulated_s"])
    story = _story(loaded, plan, world, unstable=figures["unstable"])
    stores = store_story(world, figures["simulated_s"])
    lapses = lapse_story(world, recorder)
    shared = collectives_story(world, figures["simulated_s"])
    return {**head, **figures, **story, **broken, **stores, **shared, **lapses}


def _network_or_pieces(bottleneck: str, plan: SimulationPlan, requests: Any) -> str:
    """Return the bottleneck; a network that waits for descriptors, not for bytes, says so."""
    found = "transfer-bound: network"
    if plan.boundary is None or not bottleneck.startswith(found) or not len(requests):
        return bottleneck
    return pieces_or_bytes(bottleneck, plan, float(requests["isl_tokens"].to_numpy().mean()))


def pieces_or_bytes(bottleneck: str, plan: SimulationPlan, tokens: float) -> str:
    """Return a bottleneck that is the network, or the descriptors where these take longer."""
    found = "transfer-bound: network"
    many = plan.boundary is not None and plan.boundary.transfer.bound_by_descriptors(
        max(1, round(tokens))
    )
    return bottleneck.replace(found, "transfer-bound: descriptors", 1) if many else bottleneck


def _story(loaded: Loaded, plan: SimulationPlan, world: World, *, unstable: bool) -> dict[str, Any]:
    """Return what a run says beside its figures: outcomes, capacity, assumptions, notes."""
    notes = notes_on_power(loaded.scenario, loaded.base_dir) + notes_on_profiles(loaded)
    if unstable:
        notes = ["unstable: percentiles depend on the horizon", *notes]
    return {
        "reasons": dict(sorted(world.reasons.items())),
        "violations": dict(sorted(world.violations.items())),
        "ok_corrupt": world.ok_corrupt,
        "leak_page_s": sum(world.leak_page_s[name] for name in sorted(world.leak_page_s)),
        "leak_page_s_by_cause": dict(sorted(world.leak_page_s.items())),
        "calibration_grade": worst_pool_grade(plan),
        "capacity": {
            pool.name: pool.capacity.line() for pool in plan.pools if pool.capacity is not None
        },
        "assumptions": assumptions(loaded.scenario, plan),
        "notes": notes,
    }
