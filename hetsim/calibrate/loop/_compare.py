"""Predicted against measured: one row per case and quantity, errors by group, a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from hetsim.calibrate.loop._cases import Case
from hetsim.calibrate.loop._rounds import LEAST, Clock, Verdict
from hetsim.spec import spec

__all__ = [
    "SHORT_S",
    "TARGETS",
    "Group",
    "Row",
    "Target",
    "compare",
    "groups_of",
    "judge",
    "observe",
]

Rows = Sequence[Mapping[str, Any]]

SHORT_S = 1e-3
"""Transfers up to here are judged by their absolute error."""


@spec
class Target:
    """What must hold of the median error of one quantity."""

    name: str
    quantity: str
    limit: float
    absolute: bool = False
    """Seconds rather than a ratio."""
    short: bool | None = None
    """Only transfers up to :data:`SHORT_S`, or only longer ones."""

    def takes(self, row: Row) -> bool:
        """Return whether a row counts."""
        if row.quantity != self.quantity:
            return False
        return self.short is None or (row.measured_s <= SHORT_S) == self.short


TARGETS = (
    Target(name="prefill time", quantity="prefill", limit=0.15),
    Target(name="TPOT", quantity="tpot", limit=0.20),
    Target(name="transfer above 1 ms", quantity="transfer", limit=0.20, short=False),
    Target(name="transfer up to 1 ms", quantity="transfer", limit=3e-4, absolute=True, short=True),
)


@spec
class Row:
    """One quantity of one case."""

    case: str
    size: str
    format: str
    convert: str
    """Who converts: none, producer, consumer, both."""
    kv: str
    wire: str
    through: str
    together: int
    """Requests that were served at once."""
    quantity: str
    clock: Clock
    predicted_s: float
    measured_s: float
    """Median over the good rounds; ``throughput`` is in tokens per second."""
    spread_ratio: float
    """Range over the good rounds, over the median."""
    wall_s: float | None = None
    """What the wall clock said where the CPU clock counts."""
    rounds: int

    @property
    def error(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted_s / self.measured_s - 1.0


_MEAN: Mapping[str, tuple[str, Clock, str | None]] = {
    "prefill": ("prefill_cpu_s", "cpu", "prefill_wall_s"),
    "tpot": ("tpot_cpu_s", "cpu", "tpot_wall_s"),
    "producer_convert": ("producer_convert_s", "cpu", None),
    "consumer_convert": ("consumer_convert_s", "cpu", None),
    "transfer": ("transfer_s", "wall", None),
    "ttft": ("ttft_s", "wall", None),
}
"""By quantity: the column whose mean over the requests counts, its clock, and the wall beside."""


def observe(rows: Rows) -> dict[str, tuple[float, float | None]]:
    """Return each quantity of a case from its requests, and the wall clock's word if it differs.

    >>> row = {"prefill_cpu_s": 1.0, "ttft_s": 2.0, "first_token_s": 2.0, "last_token_s": 4.0,
    ...        "osl": 8, "arrival_s": 0.0}
    >>> observe([row])["throughput"]
    (2.0, None)
    """
    made: dict[str, tuple[float, float | None]] = {}
    for quantity, (column, _, beside) in _MEAN.items():
        if all(column in row for row in rows):
            wall = _mean(rows, beside) if beside and beside in rows[0] else None
            made[quantity] = _mean(rows, column), wall
    began = min(row["arrival_s"] for row in rows)
    ended = max(row["last_token_s"] for row in rows)
    made["throughput"] = sum(row["osl"] for row in rows) / (ended - began), None
    return made


def _mean(rows: Rows, column: str) -> float:
    return sum(float(row[column]) for row in rows) / len(rows)


def _clock(quantity: str) -> Clock:
    return _MEAN[quantity][1] if quantity in _MEAN else "wall"


def compare(
    case: Case, rounds: Sequence[Rows], usable: Mapping[Clock, Sequence[bool]], predicted: Rows
) -> list[Row]:
    """Return the rows of a case: the good rounds of each quantity's clock against hetsim.

    ``rounds`` holds the requests of each round, ``usable`` says by clock which rounds count. A
    conversion that nobody makes is no row, nor is a transfer among others on the same wire.
    """
    expected = observe(predicted)
    seen = [observe(rows) for rows in rounds]
    made = []
    for quantity, (value, _) in expected.items():
        clock = _clock(quantity)
        kept = [one[quantity] for one, use in zip(seen, usable[clock], strict=True) if use]
        if not kept or value <= 0.0 or (quantity == "transfer" and not case.alone):
            continue
        values = [measured for measured, _ in kept]
        walls = [wall for _, wall in kept if wall is not None]
        middle = median(values)
        if middle <= 0.0:
            continue
        made.append(
            Row(
                case=case.name,
                size=case.model.size,
                format=case.model.format,
                convert=case.handoff.side(case.model.format),
                kv=case.handoff.kv,
                wire=case.handoff.wire,
                through=case.handoff.through,
                together=len(case.asks),
                quantity=quantity,
                clock=clock,
                predicted_s=value,
                measured_s=middle,
                spread_ratio=(max(values) - min(values)) / middle,
                wall_s=median(walls) if walls else None,
                rounds=len(values),
            )
        )
    return made


@spec
class Group:
    """The errors of one quantity over some rows."""

    quantity: str
    key: str
    rows: int
    median_error: float
    worst_error: float
    bias: float
    """Median of the signed error."""
    spread: float
    """Median over the rows of how far the rounds were apart."""


def groups_of(rows: Iterable[Row], key: Callable[[Row], str]) -> list[Group]:
    """Return the errors by quantity and ``key``, in the order in which they were met."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row.quantity, key(row)), []).append(row)
    return [
        Group(
            quantity=quantity,
            key=name,
            rows=len(members),
            median_error=median(abs(row.error) for row in members),
            worst_error=max(abs(row.error) for row in members),
            bias=median(row.error for row in members),
            spread=median(row.spread_ratio for row in members),
        )
        for (quantity, name), members in found.items()
    ]


def judge(
    rows: Sequence[Row], good_rounds: Mapping[Clock, int], least: int = LEAST
) -> tuple[Verdict, list[dict[str, Any]]]:
    """Return the verdict, and per target its median error.

    A target whose clock has fewer than ``least`` good rounds, or that no row speaks of, is
    inconclusive, and so is then the whole, unless another target is missed on good rounds.
    """
    made: list[dict[str, Any]] = []
    for target in TARGETS:
        clock = _clock(target.quantity)
        members = [row for row in rows if target.takes(row)]
        errors = [
            abs(row.predicted_s - row.measured_s) if target.absolute else abs(row.error)
            for row in members
        ]
        verdict: Verdict = "inconclusive"
        if target.short is not None and not errors and good_rounds[clock] >= least:
            continue  # no transfer of that length was made
        if errors and good_rounds[clock] >= least:
            verdict = "good" if median(errors) <= target.limit else "missed"
        made.append(
            {
                "target": target.name,
                "limit": target.limit,
                "unit": "s" if target.absolute else "ratio",
                "clock": clock,
                "rows": len(errors),
                "good_rounds": good_rounds[clock],
                "median_error": median(errors) if errors else None,
                "worst_error": max(errors) if errors else None,
                "verdict": verdict,
            }
        )
    found = [str(row["verdict"]) for row in made]
    if "missed" in found:
        return "missed", made
    return ("inconclusive" if "inconclusive" in found or not found else "good"), made
