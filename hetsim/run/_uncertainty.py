"""How far calibrations and constants let a result be believed: the same run under samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hetsim.costs import load_calibration
from hetsim.engine import Streams
from hetsim.run._result import Result
from hetsim.run._run import run_loaded
from hetsim.runtimes import Runtime, sampled
from hetsim.scenario import Loaded, accelerator_of, runtime_of

__all__ = ["with_uncertainty"]

LOW, HIGH = 0.05, 0.95


def with_uncertainty(
    loaded: Loaded, samples: int, progress: Callable[[int, int], None] | None = None
) -> Result:
    """Return the nominal result with ``summary["uncertainty"]``: an interval for every figure.

    Each sample draws every calibration parameter around its value (lognormal; the covariance of its
    fit, and how far unmeasured shapes are off, correlated within an operator kind) and the fitted
    constants of the engines (host time, waiting, overheads, with their own fit's covariance), and
    runs the same requests again. The interval is that of the 5 % and 95 % quantiles of the samples.
    It does not cover the workload, nor what the model leaves out.
    """
    result = run_loaded(loaded)
    figures: dict[str, list[float]] = {}
    streams = Streams(loaded.scenario.seed)
    for index in range(samples):
        if progress is not None:
            progress(index, samples)
        calibrations, presets = _sample(loaded, streams, index)
        summary = run_loaded(loaded, calibrations=calibrations, presets=presets).summary
        for name, value in _numbers(summary).items():
            figures.setdefault(name, []).append(value)
    result.summary["uncertainty"] = {
        "samples": samples,
        "quantiles": [LOW, HIGH],
        "intervals": {name: _interval(values) for name, values in sorted(figures.items())},
    }
    return result


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
