"""A preset whose fitted constants are drawn around their values."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import TYPE_CHECKING

from hetsim.runtimes._types import Runtime

if TYPE_CHECKING:
    import numpy as np


def sampled(runtime: Runtime, rng: np.random.Generator) -> Runtime:
    """Return ``runtime`` with its fitted constants drawn, lognormally, as its fit left them.

    Constants that trade off against each other in the fit (host time and kernel scale, say) do so
    in the draw. What a preset switches off stays off.
    """
    names = [name for name in sorted(runtime.rse) if getattr(runtime, name) > 0]
    if not names:
        return runtime
    draws = _draw(runtime, names, rng)
    values = {n: getattr(runtime, n) * exp(x) for n, x in zip(names, draws, strict=True)}
    return replace(runtime, **values)


def _draw(runtime: Runtime, names: list[str], rng: np.random.Generator) -> list[float]:
    import numpy as np

    deviation = np.array([runtime.rse[name] for name in names])
    matrix = np.eye(len(names))
    for i, a in enumerate(names):
        for j, b in enumerate(names):
            if i != j:
                found = runtime.correlation
                matrix[i, j] = found.get(f"{a}/{b}", found.get(f"{b}/{a}", 0.0))
    spread, axes = np.linalg.eigh(matrix * np.outer(deviation, deviation))
    # Rounded correlations, with small ones left out, may be a little impossible.
    scale = np.sqrt(np.clip(spread, 0.0, None)) * rng.standard_normal(len(names))
    return [float(x) for x in axes @ scale]
