"""The realised requests of a condition and a seed, as the vectors that bounds are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.scenario import Scenario
from hetsim.workload import build_workload, prefix_reuse

__all__ = ["Demand", "demand_of"]

Vector = npt.NDArray[np.float64]

LATE = 8
"""Arrivals at the end of which each may be the one that a run waits for."""


class Demand:
    """Measured requests in order of arrival, and what the service level asks of them."""

    __slots__ = (
        "arrival_s",
        "cached",
        "isl",
        "lengths",
        "measured_from_s",
        "osl",
        "output_tokens",
        "slo",
        "steps",
        "workload",
    )

    def __init__(self, workload: Any, slo: Any) -> None:
        table = workload.table
        measured = table.arrival_s >= workload.measured_from_s
        self.workload = workload
        self.slo = slo
        self.measured_from_s = float(workload.measured_from_s)
        self.arrival_s: Vector = table.arrival_s[measured]
        self.isl: Vector = table.isl[measured].astype(float)
        self.osl: Vector = table.osl[measured].astype(float)
        self.steps: Vector = np.maximum(self.osl - 1.0, 0.0)
        """Decode steps of each: the first token is not counted, whoever gives it."""
        self.cached: Vector = prefix_reuse(table)[measured].astype(float)
        """Of each prompt, what a prefix cache that forgets nothing would supply."""
        self.output_tokens = float(table.osl.sum())
        """Of all requests, those before measuring included."""
        self.lengths = hash((self.isl.tobytes(), self.osl.tobytes(), self.cached.tobytes()))

    @property
    def longest(self) -> int:
        """The longest prompt and answer together."""
        return int((self.isl + self.osl).max()) if len(self.isl) else 0

    def context_tokens(self, windows: tuple[int | None, ...]) -> npt.NDArray[np.float64]:
        """Return the context tokens that decode reads, ``[windows, requests]``.

        Step j of a request reads ``isl + j`` tokens, no more than the window.
        """
        rows = []
        for window in windows:
            full = self.steps * self.isl + 0.5 * self.steps * (self.steps + 1.0)
            if window is not None:
                inside = np.clip(window - self.isl, 0.0, self.steps)
                low = inside * self.isl + 0.5 * inside * (inside + 1.0)
                full = low + (self.steps - inside) * np.minimum(window, self.isl + self.steps)
            rows.append(full)
        return np.stack(rows)


def demand_of(scenario: Scenario, base_dir: str | Path) -> Demand | None:
    """Return the demand of a scenario, or None for users in a closed loop.

    When those ask again depends on the answers.
    """
    workload = build_workload(scenario.workload, scenario.seed, base_dir)
    if workload.table is None or not len(workload.table):
        return None
    made = Demand(workload, scenario.slo)
    return made if len(made.isl) else None
