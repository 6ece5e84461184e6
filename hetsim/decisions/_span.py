"""An axis of a break-even map: a path that runs from one value to another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from hetsim.errors import Problem, ScenarioError

__all__ = ["Span", "parse_span"]

_NUMBER = re.compile(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(.*?)\s*$")
_LOG_FROM = 4.0
"""Ratio of the ends from which steps are equal factors rather than equal differences."""


@dataclass(frozen=True, slots=True)
class Span:
    """``path`` from ``low`` to ``high``, in ``unit``; ``whole`` numbers only, if so written."""

    path: str
    low: float
    high: float
    unit: str
    whole: bool

    @property
    def log(self) -> bool:
        """Whether steps are equal factors."""
        return self.low > 0.0 and self.high / self.low >= _LOG_FROM

    def at(self, place: float) -> float:
        """Return the value at a place from 0 (low) to 1 (high)."""
        if self.log:
            return float(self.low * (self.high / self.low) ** place)
        return self.low + (self.high - self.low) * place

    def places(self, count: int) -> list[float]:
        """Return so many places from end to end."""
        return [float(place) for place in np.linspace(0.0, 1.0, count)]

    def setting(self, value: float) -> tuple[str, Any]:
        """Return what a scenario is set to for a value."""
        if self.whole:
            return self.path, round(value)
        return self.path, f"{value:.6g} {self.unit}" if self.unit else float(f"{value:.6g}")

    def text(self, value: float) -> str:
        """Return a value with its unit."""
        return f"{round(value) if self.whole else format(value, '.4g')} {self.unit}".strip()


def parse_span(text: str, option: str = "--along") -> Span:
    """Return the axis in ``PATH=LOW..HIGH``; both ends have the same unit, or the first has none.

    >>> parse_span("network.nic=25..400 Gbit/s").setting(100.0)
    ('network.nic', '100 Gbit/s')
    >>> parse_span("pools.decode.instances=1..8").at(0.5)
    2.8284271247461903
    """
    path, _, ends = text.partition("=")
    first, dots, last = ends.partition("..")
    found = [_NUMBER.match(end) for end in (first, last)]
    if not path or not dots or None in found:
        raise ScenarioError(
            Problem(f"{text!r}: write PATH=LOW..HIGH, such as network.nic=25..400 Gbit/s", option)
        )
    (a, unit_a), (b, unit_b) = (match.groups() for match in found if match is not None)
    if unit_a not in ("", unit_b):
        raise ScenarioError(Problem(f"{text!r}: {unit_a} and {unit_b} differ; use one", option))
    low, high = float(a), float(b)
    if not low < high:
        raise ScenarioError(Problem(f"{text!r}: {a} must be below {b}", option))
    whole = not unit_b and all(part.lstrip("+-").isdigit() for part in (a, b))
    return Span(path.strip(), low, high, unit_b, whole)
