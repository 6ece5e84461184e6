"""The efficiencies of a device as a table: what the step times of a run rest on."""

from __future__ import annotations

from typing import Any

from hetsim.costs import load_calibration
from hetsim.hardware import get_accelerator

__all__ = ["calibration_rows"]


def calibration_rows(name: str) -> list[dict[str, Any]]:
    """Return the parameters that each operator and format of a device would use, sorted.

    ``e_c`` and ``e_m`` are fractions of the nominal peaks; ``rse`` is their relative standard
    error; ``grade`` is measured, fitted, transferred or datasheet.

    Raises
    ------
    ScenarioError
        If there is no such accelerator.
    """
    calibration = load_calibration(get_accelerator(name))
    pairs = {
        (kind, form)
        for layer in calibration.layers
        for kind, formats in layer.operators.items()
        for form in formats
    }
    rows = []
    for kind, form in sorted(pairs):
        found = calibration.operator(kind, form)
        rows.append(
            {
                "operator": kind,
                "format": form,
                "t0_s": found.t0_s,
                "e_c": found.e_c,
                "e_m": found.e_m,
                "p": found.p,
                "grade": found.grade,
                "rse": found.rse,
                "source": found.source,
            }
        )
    return rows
