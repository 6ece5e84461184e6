"""Which calibration parameter would have to be wrong, and by how much, for the runner-up to win."""

from __future__ import annotations

from math import exp, log
from typing import Any

from hetsim.decisions._crossing import crossings
from hetsim.decisions._parameters import Parameter, changed, parameters_of
from hetsim.decisions._worth import Worth, log_ratio
from hetsim.scenario import Loaded, accelerator_of

__all__ = ["overturning"]

RANGE = 4.0
"""Largest factor on the time that a parameter stands for."""
_MOVES = 1e-3
"""Change of the logarithm of the ratio, at a doubled time, below which none matters."""
_KEPT = 3
_STEPS, _FEW = 12, 4


def overturning(winner: Loaded, runner_up: Loaded, worth: Worth) -> dict[str, Any]:
    """Return the parameters that overturn a choice, the least change in standard errors first.

    Found in closed form, shifted by what the simulation differs from it; the first one is then
    searched for in simulation as well (``at_simulated``, None if the closed form misleads there).
    """
    from hetsim.costs import load_calibration

    devices = [
        accelerator_of(pool.accelerator, one.base_dir)
        for one in (winner, runner_up)
        for pool in one.scenario.pools.values()
    ]
    nominal = {device.name: load_calibration(device) for device in devices}

    def closed(calibrations: dict[str, Any]) -> float:
        pair = [worth.closed_of(one, calibrations) for one in (winner, runner_up)]
        return log_ratio(pair[0], pair[1])

    def simulated(calibrations: dict[str, Any]) -> float:
        pair = [worth.of(one, calibrations) for one in (winner, runner_up)]
        return log_ratio(pair[0], pair[1])

    lead, formula = simulated(nominal), closed(nominal)
    rows = []
    for parameter in parameters_of(nominal):
        if abs(closed(changed(nominal, parameter, 2.0)) - formula) < _MOVES:
            continue

        def line(place: float, parameter: Parameter = parameter) -> float:
            return closed(changed(nominal, parameter, exp(place))) - formula + lead

        at = _nearest(line, _STEPS)
        if at is not None:
            rows.append((abs(at) / max(parameter.rse, 1e-6), at, parameter))
    rows.sort(key=lambda row: row[0])
    found = [_row(parameter, at) for _, at, parameter in rows[:_KEPT]]
    if found:
        _, at, parameter = rows[0]

        def tried(place: float) -> float:
            return simulated(changed(nominal, parameter, exp(place)))

        places = sorted((0.0, at * 1.5))
        crossed, _ = crossings(tried, places, steps=_FEW)
        found[0]["at_simulated"] = parameter.at(exp(crossed[0])) if crossed else None
    return {"lead": exp(lead) - 1.0, "range": RANGE, "parameters": found}


def _nearest(line: Any, steps: int) -> float | None:
    """Return the place nearest to zero at which a line that starts above zero crosses it."""
    found = []
    for end in (log(RANGE), -log(RANGE)):
        halves = sorted((0.0, end))
        found += crossings(line, halves, steps=steps)[0]
    return min(found, key=abs, default=None)


def _row(parameter: Parameter, at: float) -> dict[str, Any]:
    value = parameter.at(exp(at))
    return {
        "text": parameter.text,
        "accelerator": parameter.accelerator,
        "operator": parameter.kind,
        "format": parameter.fmt,
        "parameter": parameter.name,
        "now": parameter.value,
        "at": value,
        "side": "above" if value > parameter.value else "below",
        "factor_on_time": exp(at),
        "z": at / max(parameter.rse, 1e-6),
        "grade": parameter.grade,
    }
