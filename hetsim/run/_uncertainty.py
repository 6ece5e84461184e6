"""How far a result can be believed: the same run under samples, and what the model leaves out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.costs import load_calibration
from hetsim.engine import Streams
from hetsim.run._discrepancy import KINDS, Discrepancy, load_discrepancy, situation_of
from hetsim.run._moved import arrivals_given, figures_of, moved_figures
from hetsim.run._result import Result
from hetsim.run._run import run_loaded
from hetsim.runtimes import Runtime, sampled
from hetsim.scenario import Loaded, accelerator_of, runtime_of

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

__all__ = ["with_uncertainty"]

LOW, HIGH = 0.05, 0.95
_DRAWS = 32
"""Draws of the discrepancy for every sample of the parameters; they cost no simulation."""


def with_uncertainty(
    loaded: Loaded,
    samples: int,
    progress: Callable[[int, int], None] | None = None,
    discrepancy: Discrepancy | None = None,
) -> Result:
    """Return the nominal result with ``summary["uncertainty"]``: an interval for every figure.

    Each sample draws every calibration parameter around its value (lognormal; the covariance of its
    fit, and how far unmeasured shapes are off, correlated within an operator kind) and the fitted
    constants of the engines (host time, waiting, overheads, with their own fit's covariance), and
    runs the same requests again. On each of these runs the figures are moved by draws of what the
    model leaves out (:class:`~hetsim.run.Discrepancy`; the committed one unless another is given).
    ``intervals`` run from the 5 % to the 95 % quantile of both together, ``parameters`` of the
    parameters alone, and ``discrepancy_share`` is the part of an interval's squared width that the
    parameters do not explain. Figures of single stages have no discrepancy. The workload is taken
    as it is.
    """
    result = run_loaded(loaded)
    known = load_discrepancy() if discrepancy is None else discrepancy
    given = arrivals_given(loaded)
    alone: dict[str, list[float]] = {}
    moved: dict[str, list[Array]] = {}
    streams = Streams(loaded.scenario.seed)
    for index in range(samples):
        if progress is not None:
            progress(index, samples)
        with loaded.in_use():
            calibrations, presets = _sample(loaded, streams, index)
        made = run_loaded(loaded, calibrations=calibrations, presets=presets)
        factors = known.factors(situation_of(made.summary), _scores(known, streams, index))
        for name, value in figures_of(made.summary).items():
            alone.setdefault(name, []).append(value)
        for name, values in moved_figures(made, factors, arrivals_given=given).items():
            moved.setdefault(name, []).append(np.broadcast_to(values, _DRAWS))
    result.summary["uncertainty"] = _report(alone, moved, samples, known, result.summary)
    return result


def _scores(known: Discrepancy, streams: Streams, index: int) -> Array:
    """Return normal scores of a sample, each with its mirror image, so that few are even."""
    half = streams.generator("discrepancy", index).standard_normal((_DRAWS // 2, len(KINDS)))
    return known.normals(np.concatenate([half, -half]))


def _report(
    alone: Mapping[str, list[float]],
    moved: Mapping[str, list[Array]],
    samples: int,
    known: Discrepancy,
    summary: Mapping[str, Any],
) -> dict[str, Any]:
    parameters = {name: _interval(np.array(values)) for name, values in sorted(alone.items())}
    both = {
        name: _interval(np.concatenate(moved[name])) if name in moved else found
        for name, found in parameters.items()
    }
    situation = situation_of(summary)
    return {
        "samples": samples,
        "quantiles": [LOW, HIGH],
        "intervals": both,
        "parameters": parameters,
        "discrepancy_share": {
            name: _share(parameters[name], both[name]) for name in both if name in moved
        },
        "discrepancy": {
            "situation": situation,
            "source": known.source,
            "scales": {
                metric: {"scale": s.scale, "dof": s.dof, "rows": s.rows, "pairs": s.pairs}
                for metric, s in known.at(situation).items()
            },
        },
    }


def _share(parameters: list[float], both: list[float]) -> float:
    """Return which part of a squared width is not the parameters'.

    >>> _share([1.0, 2.0], [1.0, 3.0])
    0.75
    """
    narrow, wide = parameters[1] - parameters[0], both[1] - both[0]
    return max(0.0, 1.0 - (narrow / wide) ** 2) if wide > 0.0 else 0.0


def _sample(
    loaded: Loaded, streams: Streams, index: int
) -> tuple[dict[str, Any], dict[str, Runtime]]:
    """Return one sampled calibration per accelerator and one sampled preset per runtime.

    Pools that share a device or a runtime share its draw.
    """
    pools, sampled_devices, presets = loaded.scenario.pools.values(), {}, {}
    for number, name in enumerate(sorted({pool.accelerator for pool in pools})):
        accelerator = accelerator_of(name, loaded.base_dir)
        rng = streams.generator("calibration", index, number)
        sampled_devices[accelerator.name] = load_calibration(accelerator).sample(rng)
    for number, name in enumerate(sorted({pool.runtime for pool in pools})):
        preset = runtime_of(name, loaded.base_dir)
        rng = streams.generator("runtime", index, number)
        presets[preset.name] = sampled(preset, rng)
    return sampled_devices, presets


def _interval(values: Array) -> list[float]:
    # Of this kind, a quantile does not move when every value is there several times.
    low, high = np.quantile(values, [LOW, HIGH], method="hazen")
    return [float(low), float(high)]
