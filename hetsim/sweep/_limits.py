"""Constraints: which points are left out before anything is simulated, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.errors import Problem, ScenarioError
from hetsim.scenario import accelerator_of
from hetsim.sweep._load import LoadedSweep
from hetsim.sweep._tables import Tables

__all__ = ["broken_by", "excluded"]


def excluded(sweep: LoadedSweep, tables: Tables) -> dict[int, str]:
    """Return the reason of every point that breaks a constraint.

    Raises
    ------
    ScenarioError
        If no point is left: the constraints contradict each other, or the axes.
    """
    reasons = broken_by(sweep, tables)
    rows = np.arange(len(tables.points))
    if len(reasons) == len(rows):
        checks = _checks(sweep, tables, rows)
        hints = [hint for broken, _, hint in checks if broken.all()]
        told = "; ".join(hints) or "each point breaks one of them"
        raise ScenarioError(
            Problem(f"the constraints leave none of {len(rows)} points: {told}", "constraints")
        )
    return reasons


def broken_by(sweep: LoadedSweep, tables: Tables) -> dict[int, str]:
    """Return the reason of every point of some tables that breaks a constraint."""
    rows = np.arange(len(tables.points))
    reasons: dict[int, str] = {}
    for broken, words, _ in _checks(sweep, tables, rows):
        for row in rows[broken].tolist():
            reasons.setdefault(row, words(row))
    return reasons


def _checks(
    sweep: LoadedSweep, tables: Tables, rows: npt.NDArray[Any]
) -> Iterator[tuple[npt.NDArray[np.bool_], Any, str]]:
    """Yield, for each constraint, who breaks it, the words for a point, and the nearest value."""
    limits = sweep.spec.constraints
    if limits.supply:
        for name, most in limits.supply.items():
            device = accelerator_of(name, sweep.base.base_dir).name
            yield _most(
                tables.devices(rows, device), most, f"needs {{:g}} {device}, supply is {most}"
            )
        supplied = sum(
            tables.devices(rows, d)
            for d in sorted({accelerator_of(n, sweep.base.base_dir).name for n in limits.supply})
        )
        other = tables.devices(rows) - supplied
        yield _most(other, 0, "needs {:g} accelerators of which there is no supply")
    if limits.budget is not None:
        yield _most(
            tables.usd_per_h(rows),
            limits.budget,
            f"costs {{:.4g}} USD/h, budget is {limits.budget:g}",
        )
    if limits.power is not None:
        yield _most(
            tables.max_w(rows), limits.power, f"draws up to {{:.4g}} W, limit is {limits.power:g}"
        )
    if limits.accelerators_at_most is not None:
        most = limits.accelerators_at_most
        yield _most(tables.devices(rows), most, f"has {{:g}} accelerators, at most {most}")
    if limits.accelerators_at_least is not None:
        least = limits.accelerators_at_least
        yield _most(-tables.devices(rows), -least, f"has {{:g}} accelerators, at least {least}")


def _most(
    values: npt.NDArray[np.float64], most: float, form: str
) -> tuple[npt.NDArray[np.bool_], Any, str]:
    """Return who is above ``most`` or unknown, and the words for it."""
    broken = ~(values <= most)

    def words(row: int) -> str:
        value = float(values[row])
        return form.format(abs(value)) if value == value else "unknown: " + form.format(value)

    known = values[~np.isnan(values)]
    nearest = (
        f"at best {form.format(abs(float(known.min())))}" if len(known) else "nothing is known"
    )
    return broken, words, nearest
