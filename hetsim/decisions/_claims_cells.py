"""What verdicts of claims are made of: a table of measurements, cells, findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["FAR", "Cell", "ClaimTable", "Finding", "Outcome", "Values", "Word"]

Values = npt.NDArray[np.float64]
Word = Literal["supported", "refuted", "depends"]
Outcome = Literal["holds", "fails", "open", "none"]
FAR = 1e6
"""Ratio that stands for "only one of the two can run at all"."""


@dataclass(frozen=True, slots=True)
class ClaimTable:
    """What was measured: a column is ``[alternative, condition, seed]``."""

    alternatives: tuple[str, ...]
    conditions: tuple[Mapping[str, str], ...]
    columns: Mapping[str, Values]
    """NaN where nothing was measured (the alternative cannot run)."""
    senses: Mapping[str, float]
    """1 where more is better, -1 where less is."""
    bottlenecks: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """By alternative and condition."""
    errors: tuple[float, ...] = ()
    """Composed error of each alternative, where quality is bounded."""
    bounds: tuple[float, ...] = ()
    joint: Mapping[str, Any] | None = None
    """What the study of interactions found, where a test asks for it."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One condition of one test."""

    condition: Mapping[str, str]
    outcome: Outcome
    p_wrong: float = 0.0
    """Chance that the outcome is on the wrong side, from the spread over seeds."""
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    first: str = ""
    second: str = ""
    says: str = ""
    loses: bool = False
    """The second wins by more than the tolerance."""

    @property
    def label(self) -> str:
        """The condition in words."""
        return ", ".join(self.condition.values()) or "all"


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict of one test, or of a claim."""

    verdict: Word
    on: str
    """What it depends on; empty where it does not."""
    confidence: float
    says: str
    cells: tuple[Cell, ...] = ()
