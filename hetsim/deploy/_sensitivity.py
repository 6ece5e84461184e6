"""How the figures of a run move with what it assumes: a few runs, one parameter changed in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from math import log
from typing import Any

from hetsim.costs import Calibration, load_calibration
from hetsim.deploy._blame import Curve, blame
from hetsim.errors import HetsimError
from hetsim.run import run_loaded
from hetsim.runtimes import Runtime
from hetsim.scenario import Loaded, accelerator_of, runtime_of
from hetsim.spec import spec
from hetsim.topology import NicSpec
from hetsim.workload import Workload, build_workload, scale_rate

__all__ = [
    "PARAMETERS",
    "Perturbed",
    "changes",
    "figures_of",
    "perturbed",
    "refined",
    "sensitivities",
]

STEP = 1.25
"""Factor by which a parameter is moved, up and down."""
ROUNDS, LIKELY, CLOSE = 5, 3, 0.03
"""Times that the best candidates are simulated again, how many of them, and when one is not."""

PARAMETERS: Mapping[str, str] = {
    "host step time": "time of the host per step and sequence",
    "request overhead": "fixed time of a request beside compute and transfer",
    "bandwidth efficiency": "part of the memory bandwidth that kernels reach",
    "compute efficiency": "part of the peak that kernels reach",
    "link rate": "rate of the network between instances",
    "load": "rate at which requests arrive",
}


@spec
class Perturbed:
    """A run with one parameter changed: what takes the place of files and of the workload."""

    loaded: Any
    calibrations: Any = None
    presets: Any = None
    workload: Any = None

    def figures(self) -> dict[str, float]:
        """Simulate, and return the figures."""
        result = run_loaded(
            self.loaded,
            calibrations=self.calibrations,
            presets=self.presets,
            workload=self.workload,
        )
        return figures_of(result.summary)


def figures_of(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures of a summary that can be measured, by their dotted names."""
    found = {}
    for family in ("ttft_s", "tpot_s", "itl_s", "e2e_s"):
        for name in ("mean", "p50", "p90", "p99"):
            value = summary[family].get(name)
            if value is not None and value == value and value > 0.0:
                found[f"{family}.{name}"] = float(value)
    for name in ("req_s", "output_tok_s"):
        value = summary["throughput"][name]
        if value > 0.0:
            found[f"throughput.{name}"] = float(value)
    return found


def sensitivities(
    loaded: Loaded,
    base: Mapping[str, float],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Curve]:
    """Return how the figures ``base`` move with each parameter, a step up and a step down.

    Parameters that do not exist in this scenario (a link where nothing crosses, a rate in a closed
    loop) are left out.
    """
    found: dict[str, Curve] = {}
    for number, name in enumerate(PARAMETERS):
        if progress is not None:
            progress(number, len(PARAMETERS))
        for factor in (STEP, 1.0 / STEP):
            moved = changes(loaded, name, factor, base)
            if moved is not None:
                found[name] = found.get(name, Curve(points=())).with_point(factor, moved)
    return found


def refined(
    loaded: Loaded,
    base: Mapping[str, float],
    ratios: Mapping[str, float],
    curves: Mapping[str, Curve],
) -> dict[str, Curve]:
    """Return curves that are exact where each parameter would have to be.

    Queues make figures bend: a slope at the prediction says little of a factor of two. Candidates
    are therefore simulated at the factor that was found for them, and fitted again: all of them
    once, then the best.
    """
    found = dict(curves)
    tried: dict[str, list[float]] = {name: [0.0] for name in found}
    for turn in range(ROUNDS):
        verdict = blame(ratios, found)
        if verdict.kind == "agrees":
            break
        likely = verdict.candidates[: LIKELY if turn else None]
        moved = [
            one
            for one in likely
            if min(abs(log(one.factor) - at) for at in tried[one.parameter]) > CLOSE
        ]
        for one in moved:
            tried[one.parameter].append(log(one.factor))
            point = changes(loaded, one.parameter, one.factor, base)
            if point is not None:
                found[one.parameter] = found[one.parameter].with_point(one.factor, point)
        if not moved:
            break
    return found


def changes(
    loaded: Loaded, name: str, factor: float, base: Mapping[str, float]
) -> dict[str, float] | None:
    """Return the logarithm by which each figure changes; None if that cannot run."""
    made = perturbed(loaded, name, factor)
    if made is None:
        return None
    try:
        figures = made.figures()
    except HetsimError:
        return None
    return {key: log(figures[key] / value) for key, value in base.items() if key in figures}


def perturbed(loaded: Loaded, name: str, factor: float) -> Perturbed | None:
    """Return the run in which a parameter is ``factor`` times; None where it does not exist."""
    return _CHANGES[name](loaded, factor)


def _presets(loaded: Loaded, factor: float, fields: tuple[str, ...]) -> Perturbed:
    presets: dict[str, Runtime] = {}
    for pool in loaded.scenario.pools.values():
        runtime = runtime_of(pool.runtime, loaded.base_dir)
        values: dict[str, Any] = {name: getattr(runtime, name) * factor for name in fields}
        presets[runtime.name] = replace(runtime, **values)
    return Perturbed(loaded=loaded, presets=presets)


def _host(loaded: Loaded, factor: float) -> Perturbed:
    return _presets(loaded, factor, ("host_step_s", "host_per_sequence_s"))


def _overhead(loaded: Loaded, factor: float) -> Perturbed:
    return _presets(loaded, factor, ("request_overhead_s", "handoff_overhead_s", "handoff_steps"))


def _calibrated(loaded: Loaded, factor: float, name: str) -> Perturbed | None:
    pools = loaded.scenario.pools.values()
    if all(pool.estimator.kind == "constant" for pool in pools):
        return None
    calibrations = {}
    for pool in pools:
        device = accelerator_of(pool.accelerator, loaded.base_dir)
        calibrations[device.name] = _scaled(load_calibration(device), name, factor)
    return Perturbed(loaded=loaded, calibrations=calibrations)


def _scaled(calibration: Calibration, name: str, factor: float) -> Calibration:
    """Return a calibration with every efficiency of one kind ``factor`` times as high."""
    layers = []
    for layer in calibration.layers:
        operators = {
            kind: {fmt: replace(held, **_held(held, name, factor)) for fmt, held in formats.items()}
            for kind, formats in layer.operators.items()
        }
        layers.append(replace(layer, operators=operators))
    return replace(calibration, layers=tuple(layers))


def _held(held: Any, name: str, factor: float) -> dict[str, Any]:
    made: dict[str, Any] = {name: getattr(held, name) * factor}
    if name == "e_m" and held.table:
        # A table of times on the device itself stands for the bandwidth of projections.
        made["table"] = tuple((m, seconds / factor) for m, seconds in held.table)
    return made


def _bandwidth(loaded: Loaded, factor: float) -> Perturbed | None:
    return _calibrated(loaded, factor, "e_m")


def _compute(loaded: Loaded, factor: float) -> Perturbed | None:
    return _calibrated(loaded, factor, "e_c")


def _link(loaded: Loaded, factor: float) -> Perturbed | None:
    network = loaded.scenario.network
    if not isinstance(network, NicSpec) or loaded.scenario.boundary is None:
        return None
    pools = {
        name: replace(own, nic=own.nic * factor) if own.nic else own
        for name, own in network.pools.items()
    }
    changed = copy(loaded)
    changed.scenario = replace(
        loaded.scenario, network=replace(network, nic=network.nic * factor, pools=pools)
    )
    return Perturbed(loaded=changed)


def _load(loaded: Loaded, factor: float) -> Perturbed | None:
    scenario = loaded.scenario
    workload = build_workload(scenario.workload, scenario.seed, loaded.base_dir)
    table = workload.table
    if table is None or not len(table) or float(table.arrival_s[-1]) <= 0.0:
        return None
    scaled = Workload(workload.kind, table=scale_rate(table, factor))
    return Perturbed(loaded=loaded, workload=scaled)


_CHANGES: Mapping[str, Callable[[Loaded, float], Perturbed | None]] = {
    "host step time": _host,
    "request overhead": _overhead,
    "bandwidth efficiency": _bandwidth,
    "compute efficiency": _compute,
    "link rate": _link,
    "load": _load,
}
