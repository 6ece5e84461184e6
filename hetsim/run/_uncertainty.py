"""How far the calibration lets a result be believed: the same run under sampled calibrations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hetsim.costs import load_calibration
from hetsim.engine import Streams
from hetsim.run._result import Result
from hetsim.run._run import run_loaded
from hetsim.scenario import Loaded, accelerator_of

__all__ = ["with_uncertainty"]

LOW, HIGH = 0.05, 0.95


def with_uncertainty(
    loaded: Loaded, samples: int, progress: Callable[[int, int], None] | None = None
) -> Result:
    """Return the nominal result with ``summary["uncertainty"]``: an interval for every figure.

    Each sample draws every calibration parameter around its value (lognormal, its relative standard
    error, correlated within an operator kind) and runs the same requests again. The interval is
    that of the 5 % and 95 % quantiles of the samples. It covers the calibration alone: not the
    workload, not the structure of the model.
    """
    result = run_loaded(loaded)
    figures: dict[str, list[float]] = {}
    streams = Streams(loaded.scenario.seed)
    for index in range(samples):
        if progress is not None:
            progress(index, samples)
        summary = run_loaded(loaded, calibrations=_sample(loaded, streams, index)).summary
        for name, value in _numbers(summary).items():
            figures.setdefault(name, []).append(value)
    result.summary["uncertainty"] = {
        "samples": samples,
        "quantiles": [LOW, HIGH],
        "intervals": {name: _interval(values) for name, values in sorted(figures.items())},
    }
    return result


def _sample(loaded: Loaded, streams: Streams, index: int) -> dict[str, Any]:
    """Return one sampled calibration per accelerator, the same for every pool that has it."""
    sampled: dict[str, Any] = {}
    for number, name in enumerate(sorted({p.accelerator for p in loaded.scenario.pools.values()})):
        accelerator = accelerator_of(name, loaded.base_dir)
        rng = streams.generator("calibration", index, number)
        sampled[accelerator.name] = load_calibration(accelerator).sample(rng)
    return sampled


def _numbers(data: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return every figure of a summary by its dotted name; counts, switches and clocks left out."""
    found: dict[str, float] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if key not in ("requests", "slo", "violations", "reasons"):
                found.update(_numbers(value, f"{name}."))
        elif isinstance(value, float) and value == value and key != "wall_s":
            found[name] = value
    return found


def _interval(values: list[float]) -> list[float]:
    low, high = np.quantile(np.array(values), [LOW, HIGH])
    return [float(low), float(high)]
