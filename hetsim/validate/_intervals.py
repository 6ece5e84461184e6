"""Intervals of a validation: whose discrepancy a row has, shares inside, and the file of one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hetsim.run import Discrepancy, Scale, load_discrepancy
from hetsim.validate._discrepancy import Coverage, Estimate, estimate
from hetsim.validate._inside import LEVELS, NAMES, inside_of
from hetsim.validate._residuals import residuals_of
from hetsim.validate._score import METRICS, Outcome, pair_of

__all__ = ["Intervals", "discrepancy_yaml"]


class Intervals:
    """Sampled outcomes and their intervals.

    Cross-fitted rows have a discrepancy estimated from the rows of other pairs, all others the
    committed one.
    """

    def __init__(self, scored: Sequence[Outcome], *, crossed: bool) -> None:
        self._scored = scored
        self._crossed = crossed

    @cached_property
    def estimate(self) -> Estimate | None:
        """The discrepancy of the scored rows; None unless they are cross-fitted and sampled."""
        if not self._crossed or not any(outcome.samples for outcome in self._scored):
            return None
        return estimate(residuals_of(self._scored))

    def known(self, outcome: Outcome) -> Discrepancy:
        """Return the discrepancy of a row."""
        if self.estimate is None:
            return load_discrepancy()
        return self.estimate.without.get(pair_of(outcome.row), self.estimate.found)

    def shares(self, members: Sequence[Outcome]) -> dict[str, Any]:
        """Return the shares of measured values inside, by level; empty if nothing was sampled."""
        if not any(outcome.samples for outcome in members):
            return {}
        made: dict[str, Any] = {
            NAMES[level]: dict(inside_of(members, self.known, level)) for level in LEVELS
        }
        made["inside_80_parameters"] = dict(inside_of(members, lambda _: None, 0.8))
        return made

    def lines(self) -> list[str]:
        """Return what the intervals hold, for people."""
        shares = self.shares(self._scored)
        if not shares:
            return []
        names = ("50 %", "80 %", "95 %", "80 % of parameters alone")
        lines = ["measured values within the sampled middle " + ", ".join(names) + ":"]
        for metric in METRICS:
            values = [shares[name][metric] for name in shares]
            if values[0] is not None:
                shown = ", ".join(f"{100 * value:.0f} %" for value in values)
                lines.append(f"  {metric:12s}{shown}")
        if self.estimate is not None:
            lines.append("all scored rows, discrepancy from other pairs (rows; pairs alike):")
            lines += [_coverage_line(one) for one in self.estimate.coverage]
        return lines

    def plain(self) -> dict[str, Any] | None:
        """Return the estimated discrepancy and its coverage as plain data."""
        if self.estimate is None:
            return None
        return {
            "metrics": {
                metric: [_scale_data(scale) for scale in scales]
                for metric, scales in self.estimate.found.metrics.items()
            },
            "coverage": [_coverage_data(one) for one in self.estimate.coverage],
        }


def _coverage_line(one: Coverage) -> str:
    rows = ", ".join(f"{100 * value:.0f} %" for value in one.by_row)
    pairs = ", ".join(f"{100 * value:.0f} %" for value in one.by_pair)
    return f"  {one.metric:12s}{rows}; {pairs} ({one.rows} rows, {one.pairs} pairs)"


def _coverage_data(one: Coverage) -> dict[str, Any]:
    def shares(values: Sequence[float]) -> list[float]:
        return [round(value, 3) for value in values]

    return {
        "metric": one.metric,
        "rows": one.rows,
        "pairs": one.pairs,
        "levels": list(LEVELS),
        "by_row": shares(one.by_row),
        "by_pair": shares(one.by_pair),
        "parameters_only": shares(one.parameters_only),
    }


def _scale_data(scale: Scale) -> dict[str, Any]:
    words = {name: getattr(scale, name) for name in ("mode", "evidence", "load")}
    figures = ("scale", "dof", "within_half", "rows", "pairs")
    return {
        **{name: word for name, word in words.items() if word},
        **{name: getattr(scale, name) for name in figures},
    }


_HEAD = """\
# What the model leaves out, as a factor on TPOT, TTFT and throughput. Written by
# hetsim validate ... --cross-fit pair --uncertainty N --discrepancy FILE, never by hand.
# A factor is exp(scale * t), t of Student's distribution with dof degrees of freedom; what sampled
# parameters explain stands beside it. The most special line that fits counts: mode (aggregated,
# disaggregated), evidence (own: kernels measured on the device; borrowed), load (queued: waiting
# rules the TTFT). Every pair of device and model counts alike, as for a pair of which nothing was
# measured. within_half: the relative error that half stays within, parameters and all. A situation
# with fewer than 30 rows or 5 pairs has no line of its own; no disaggregated row has a measured
# throughput.
# shared: parts of the variance that designs for one model have in common (common), have in common
# on the same device or the same engine, or not at all (layout). correlation: of the logarithms of
# measured over predicted. held_out: shares of measured values inside the middle 50, 80 and 95 %,
# each row at scales that were estimated without its pair.
"""


def discrepancy_yaml(found: Estimate, date: str, source: str) -> str:
    """Return an estimate as the text of ``calibration/discrepancy.yaml``."""
    lines = [_HEAD + "schema: 1", f'date: "{date}"', f'source: "{source}"', "metrics:"]
    for metric, scales in found.found.metrics.items():
        lines.append(f"  {metric}:")
        lines += [f"    - {_flow(_scale_data(scale))}" for scale in scales]
    lines.append("correlation: " + _flow(found.found.correlation))
    lines.append("shared:")
    for metric, one in found.found.shared.items():
        parts = {name: getattr(one, name) for name in ("common", "device", "engine", "layout")}
        lines.append(f"  {metric}: {_flow(parts)}")
    lines.append("held_out:")
    lines += [f"  - {_flow(_coverage_data(one))}" for one in found.coverage]
    return "\n".join(lines) + "\n"


def _flow(data: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_word(value)}" for key, value in data.items()) + "}"


def _word(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_word(item) for item in value) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
