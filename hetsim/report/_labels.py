"""What metrics are called, in which unit they are shown, and which way is better."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from hetsim.sweep import sense_of
from hetsim.units import format_seconds

__all__ = ["EXPLORED", "label_of", "metric_of", "number_text", "present", "value_text"]


class Metric(NamedTuple):
    """A metric in words."""

    key: str
    name: str
    unit: str
    more_is_better: bool

    @property
    def label(self) -> str:
        """The name with its unit."""
        return f"{self.name} ({self.unit})" if self.unit else self.name


_NAMES = {
    "goodput_req_s": ("goodput", "req/s"),
    "goodput_req_per_usd": ("goodput per dollar", "req/USD"),
    "rate_req_s": ("capacity", "req/s"),
    "rate_req_per_usd": ("capacity per dollar", "req/USD"),
    "slo_attainment": ("SLO attainment", ""),
    "cost_usd_per_mtok": ("cost", "USD/Mtok"),
    "usd_per_h": ("price", "USD/h"),
    "power_w": ("power", "W"),
    "energy_j_per_tok": ("energy", "J/token"),
    "ttft_s.p50": ("TTFT p50", "s"),
    "ttft_s.p99": ("TTFT p99", "s"),
    "tpot_s.p50": ("TPOT p50", "s"),
    "tpot_s.p99": ("TPOT p99", "s"),
    "first_itl_s.p99": ("first ITL p99", "s"),
    "e2e_s.p50": ("E2E p50", "s"),
    "e2e_s.p99": ("E2E p99", "s"),
    "accelerators": ("accelerators", ""),
}
EXPLORED = (
    "goodput_req_s", "slo_attainment", "cost_usd_per_mtok", "ttft_s.p99", "tpot_s.p99",
    "first_itl_s.p99", "power_w", "usd_per_h", "accelerators",
)  # fmt: skip
"""What people filter and compare designs by, after the response of the sweep."""


def metric_of(key: str, sense: str | None = None) -> Metric:
    """Return a metric in words; an unknown one keeps its name.

    >>> metric_of("ttft_s.p99").label, metric_of("mfu").label
    ('TTFT p99 (s)', 'mfu')
    """
    name, unit = _NAMES.get(key, (key, ""))
    return Metric(key, name, unit, sense_of(key, sense) > 0)


def label_of(key: str) -> str:
    """Return name and unit."""
    return metric_of(key).label


def number_text(value: float | None) -> str:
    """Return a number with four digits; none is a dash.

    >>> number_text(12345.6), number_text(0.012345), number_text(float("nan"))
    ('12,346', '0.01235', '-')
    """
    if value is None or value != value:
        return "-"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def value_text(key: str, value: Any) -> str:
    """Return a value with its unit.

    >>> value_text("ttft_s.p99", 0.25), value_text("slo_attainment", 0.5)
    ('250 ms', '50.0%')
    """
    if value is None or value != value:
        return "-"
    if "_s." in key:
        return format_seconds(float(value))
    if key == "slo_attainment":
        return f"{value:.1%}"
    unit = metric_of(key).unit
    return f"{number_text(float(value))} {unit}".strip()


def present(keys: Iterable[str], columns: Any) -> list[str]:
    """Return the keys that are columns, in order and once."""
    known = {str(name) for name in columns}
    return [key for key in dict.fromkeys(keys) if key in known]
