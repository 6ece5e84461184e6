"""Rankings with their uncertainty: P(A beats B), and what would have to be wrong to overturn it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hetsim.decisions._designs import Design, by_regime, scenario_of
from hetsim.decisions._left_out import factors_of, subject_of
from hetsim.decisions._overturn import overturning
from hetsim.decisions._price_range import price_story
from hetsim.decisions._worth import PER_USD, RATE, Worth
from hetsim.decisions._write import write_answer
from hetsim.errors import Problem, ScenarioError
from hetsim.run import Discrepancy, load_discrepancy

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["distinct", "probability_table", "ranking"]

Progress = Callable[[int, int], None]
_SAME = 1e-3
"""Relative difference within which two designs count as twins."""


def ranking(
    result: SweepResult,
    *,
    top: int = 3,
    samples: int = 20,
    progress: Progress | None = None,
    write: bool = True,
    discrepancy: Discrepancy | None = None,
) -> dict[str, Any]:
    """Return for every regime how surely its best designs stand in this order.

    Each sample draws every calibration parameter of the devices and every fitted constant of the
    runtimes (as ``hetsim run --uncertainty``), and takes the next seed; the best ``top`` designs
    are measured again with the same draw and the same requests, and moved by a draw of what the
    model leaves out, of which designs share what they have in common (:mod:`._left_out`): the
    committed one unless a ``discrepancy`` is given. ``p_beats[i][j]`` is the part of the samples in
    which design i is worth more than j.

    Raises
    ------
    ScenarioError
        If the sweep keeps no scenarios, or its response is not measured by simulation alone.
    """
    metric = str(result.manifest["response"]["metric"])
    measure = result.manifest["response"]["measure"]
    if measure == "run" and metric == PER_USD:
        raise ScenarioError(
            Problem(
                "is per dollar of one run at a fixed rate; rank goodput_req_s, or use "
                "response: {measure: capacity}",
                "response.metric",
            )
        )
    known = load_discrepancy() if discrepancy is None else discrepancy
    regimes = by_regime(result)
    total, done = len(regimes) * samples * top, 0
    found = {}
    for regime, designs in regimes.items():
        chosen = distinct(designs)[:top]

        def tell(more: int, done: int = done) -> None:
            if progress is not None:
                progress(min(total, done + more), total)

        found[regime] = _regime(result, metric, chosen, samples, known, tell)
        done += samples * len(chosen)
    answer = {
        "name": result.manifest["name"],
        "metric": metric,
        "samples": samples,
        "covers": _covers(known),
        "regimes": found,
    }
    if write and result.folder is not None:
        write_answer(Path(result.folder), "ranking", answer)
    return answer


def _regime(
    result: SweepResult,
    metric: str,
    chosen: list[Design],
    samples: int,
    known: Discrepancy,
    tell: Callable[[int], None],
) -> dict[str, Any]:
    seeds = list(result.manifest["seeds"])
    bases = [[scenario_of(result, one.point, seed) for seed in seeds] for one in chosen]
    worth = Worth(bases[0][0], metric)
    subjects = [subject_of(base[0], one.name) for one, base in zip(chosen, bases, strict=True)]
    values = np.zeros((samples, len(chosen)))
    for sample in range(samples):
        devices, presets = _draws([base[0] for base in bases], sample)
        for number, base in enumerate(bases):
            factors = factors_of(known, subjects[number], sample)
            values[sample, number] = worth.of(base[sample % len(seeds)], devices, presets, factors)
            tell(sample * len(chosen) + number + 1)
    table = probability_table(values)
    answer: dict[str, Any] = {
        "designs": [
            {
                "point": one.point,
                "levels": one.levels,
                "value": one.value,
                "interval": [float(v) for v in np.quantile(values[:, n], [0.05, 0.95])],
            }
            for n, one in enumerate(chosen)
        ],
        "p_beats": [[float(p) for p in row] for row in table],
        "overturn": None,
        "says": [],
    }
    if metric == PER_USD:
        answer["money"] = price_story([base[0] for base in bases], [one.value for one in chosen])
    if len(chosen) > 1:
        if metric in (PER_USD, RATE):
            answer["overturn"] = overturning(bases[0][0], bases[1][0], worth)
        answer["says"] = _says(chosen, table, answer["overturn"])
    return answer


def _covers(known: Discrepancy) -> str:
    if not known.metrics:
        return "calibration parameters, engine constants and seeds; not what the model leaves out"
    return (
        "calibration parameters, engine constants, seeds, and what the model leaves out (designs "
        "share the part of their model, their devices and their engines)"
    )


def distinct(designs: list[Design]) -> list[Design]:
    """Return the designs, the best first, without those that are worth the same as one before.

    A decision that does not matter in a regime makes twins of every design, whose order means
    nothing.
    """
    found: list[Design] = []
    for one in designs:
        if not found or one.value < found[-1].value * (1.0 - _SAME):
            found.append(one)
    return found


def _draws(bases: list[Any], sample: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return one sampled calibration per device of some scenarios, and one preset per runtime."""
    from hetsim.costs import load_calibration
    from hetsim.engine import Streams
    from hetsim.runtimes import sampled
    from hetsim.scenario import accelerator_of, runtime_of

    pools = [(pool, base.base_dir) for base in bases for pool in base.scenario.pools.values()]
    streams = Streams(0)
    devices, presets = {}, {}
    for number, (name, folder) in enumerate(sorted({(p.accelerator, at) for p, at in pools})):
        device = accelerator_of(name, folder)
        rng = streams.generator("calibration", sample, number)
        devices[device.name] = load_calibration(device).sample(rng)
    for number, (name, folder) in enumerate(sorted({(p.runtime, at) for p, at in pools})):
        preset = runtime_of(name, folder)
        presets[preset.name] = sampled(preset, streams.generator("runtime", sample, number))
    return devices, presets


def probability_table(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how often each column is above each other, over the rows; ties count half.

    >>> probability_table(np.array([[2.0, 1.0], [1.0, 1.0]])).tolist()
    [[0.5, 0.75], [0.25, 0.5]]
    """
    above = (values[:, :, None] > values[:, None, :]).mean(axis=0)
    equal = (values[:, :, None] == values[:, None, :]).mean(axis=0)
    table: npt.NDArray[np.float64] = above + 0.5 * equal
    return table


def _says(
    chosen: list[Design], table: npt.NDArray[np.float64], overturn: dict[str, Any] | None
) -> list[str]:
    first, second = chosen[0].name, chosen[1].name
    lines = [f"{first} beats {second} with p = {table[0, 1]:.2f}"]
    if overturn and overturn["parameters"]:
        one = overturn["parameters"][0]
        lines.append(
            f"overturns if the {one['text']} is {one['side']} {one['at']:.3g} "
            f"(now {one['now']:.3g}; {abs(one['z']):.1f} standard errors)"
        )
    elif overturn:
        lines.append(f"no single parameter within a factor of {overturn['range']:g} overturns it")
    return lines
