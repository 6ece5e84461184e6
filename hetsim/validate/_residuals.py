"""What cross-fitted predictions miss by, row by row, and what rows have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log
from typing import NamedTuple

from hetsim.errors import HetsimError
from hetsim.validate._engines import engine_family
from hetsim.validate._inside import situation_of
from hetsim.validate._score import Outcome, Pair, is_queued, pair_of

__all__ = ["Residual", "residuals_of"]

_WIDTH = 2.563
"""From the 10 % to the 90 % quantile of a normal distribution, in standard deviations."""
_FEWEST = 4
"""Samples from which a spread is read."""


class Residual(NamedTuple):
    """One metric of one row."""

    metric: str
    pair: str
    mode: str
    evidence: str
    load: str
    """``queued`` where waiting rules a TTFT, else ``flowing``."""
    log_ratio: float
    """Logarithm of measured over predicted."""
    spread: float | None
    """Standard deviation of the logarithm of the sampled predictions; None = not sampled."""
    row_id: str
    engine: str
    layout: tuple[str, ...]
    offered: tuple[str, ...]
    """Lengths and kind of load."""
    users_per_device: float


def residuals_of(outcomes: Iterable[Outcome]) -> list[Residual]:
    """Return the residuals of every scored metric, and of TTFTs that a queue rules."""
    found: list[Residual] = []
    for outcome in outcomes:
        if outcome.status != "ok" or outcome.row.suspect:
            continue
        found += [_made(outcome, name, pair, "flowing") for name, pair in outcome.pairs.items()]
        waited = _waited(outcome)
        if waited is not None:
            found.append(_made(outcome, "ttft", waited, "queued"))
    return found


def _waited(outcome: Outcome) -> Pair | None:
    """Return predicted and measured TTFT of a row whose TTFT is not scored for its queue."""
    row = outcome.row
    if row.kind != "serving" or "ttft" in outcome.pairs:
        return None
    if not (row.text("load_type") == "burst_all_at_once" or is_queued(row)):
        return None
    measured, predicted = row.measured("ttft_ms_mean"), outcome.prediction.ttft_ms
    if measured is None:
        measured, predicted = row.measured("ttft_ms_p50"), outcome.prediction.ttft_ms_p50
    return Pair(predicted, measured) if measured and predicted else None


def _made(outcome: Outcome, metric: str, pair: Pair, load: str) -> Residual:
    row, where = outcome.row, situation_of(outcome)
    try:
        engine = engine_family(row.text("engine"), row.text("engine_version"))
    except HetsimError:
        engine = row.text("engine")
    return Residual(
        metric=metric,
        pair=pair_of(row),
        mode=where["mode"],
        evidence=where["evidence"],
        load=load,
        log_ratio=log(pair.measured / pair.predicted),
        spread=_spread((outcome.samples or {}).get(metric, ())),
        row_id=row.row_id,
        engine=engine,
        layout=tuple(row.text(name) for name in ("tp", "pp", "dp", "ep")),
        offered=tuple(row.text(name) for name in ("isl", "osl", "load_type")),
        users_per_device=(row.measured("concurrency") or 0.0) / (row.measured("n_accel") or 1.0),
    )


def _spread(values: Sequence[float]) -> float | None:
    import numpy as np

    if len(values) < _FEWEST:
        return None
    low, high = np.quantile(np.log(values), [0.1, 0.9])
    return float(high - low) / _WIDTH
