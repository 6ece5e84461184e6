"""What errors have in common: between metrics of a row, and between designs for one model.

Half the squared difference of two residuals is the variance of what their rows do not share. Rows
under the same load that share device, model and engine but not the layout show the layout's part;
those of another device, or another engine, that part besides; those that share nothing show all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import pi, sin, sqrt

from hetsim.run import Mixture
from hetsim.validate._residuals import Residual
from hetsim.validate._score import METRICS

__all__ = ["correlations", "mixtures"]

_FEWEST = 30
_LEAST_KINDS = 3
"""Pairs of pairs below which nothing is said about what they share."""
_NEAR = 2.0
"""Loads whose users per device differ by less than this factor are alike."""

_NOTHING, _LAYOUT, _DEVICE, _ENGINE = "nothing", "layout", "device", "engine"


def mixtures(residuals: Sequence[Residual]) -> dict[str, Mixture]:
    """Return the parts of the variance of every metric.

    What no rows show is taken as not shared: it makes a ranking less sure, never more.
    """
    found = {}
    for metric in METRICS:
        part = [item for item in residuals if item.metric == metric and item.mode == "aggregated"]
        if part:
            found[metric] = _mixture(_variances(part))
    return found


def _mixture(variance: dict[str, float]) -> Mixture:
    whole = variance.get(_NOTHING)
    if not whole:
        return Mixture(common=0.0, device=0.0, engine=0.0, layout=1.0)
    layout = min(whole, variance.get(_LAYOUT, whole))
    device = max(0.0, variance.get(_DEVICE, whole) - layout)
    engine = max(0.0, variance.get(_ENGINE, whole) - layout)
    common = max(0.0, whole - layout - device - engine)
    total = layout + device + engine + common
    parts = [round(part / total, 2) for part in (common, device, engine)]
    return Mixture(
        common=parts[0],
        device=parts[1],
        engine=parts[2],
        layout=round(1.0 - sum(parts), 2),
    )


def _variances(part: Sequence[Residual]) -> dict[str, float]:
    """Return half the squared median difference of rows by what they do not share."""
    import numpy as np

    apart: dict[str, dict[tuple[str, ...], list[float]]] = {}
    for what, a, b in _alike(part):
        key = (a.pair, b.pair, a.engine, b.engine)
        apart.setdefault(what, {}).setdefault(key, []).append(abs(a.log_ratio - b.log_ratio))
    found = {}
    for what, groups in apart.items():
        if len(groups) >= _LEAST_KINDS:
            values = np.concatenate([np.array(values) for values in groups.values()])
            weight = np.concatenate([np.full(len(v), 1.0 / sqrt(len(v))) for v in groups.values()])
            order = np.argsort(values)
            share = np.cumsum(weight[order]) / weight.sum()
            found[what] = 0.5 * float(values[order][int(np.searchsorted(share, 0.5))]) ** 2
    return found


def _alike(part: Sequence[Residual]) -> Iterator[tuple[str, Residual, Residual]]:
    """Yield rows under the same load, with what they do not share."""
    groups: dict[tuple[str, ...], list[Residual]] = {}
    for item in part:
        groups.setdefault(item.offered, []).append(item)
    for items in groups.values():
        for a, b in combinations(items, 2):
            low, high = sorted((a.users_per_device, b.users_per_device))
            if high > _NEAR * low:
                continue
            what = _difference(a, b)
            if what:
                yield what, a, b


def _difference(a: Residual, b: Residual) -> str:
    device, model = a.pair.split(" / ", 1)
    other_device, other_model = b.pair.split(" / ", 1)
    same = (device == other_device, model == other_model, a.engine == b.engine)
    if same == (True, True, True):
        return _LAYOUT if a.layout != b.layout else ""
    kinds = {
        (False, True, True): _DEVICE,
        (True, True, False): _ENGINE,
        (False, False, False): _NOTHING,
    }
    return kinds.get(same, "")


def correlations(residuals: Sequence[Residual]) -> dict[str, float]:
    """Return the correlations of metrics of one row, from Kendall's tau (robust to tails)."""
    from scipy.stats import kendalltau

    rows: dict[str, dict[str, float]] = {}
    for item in residuals:
        rows.setdefault(item.row_id, {})[item.metric] = item.log_ratio
    found = {}
    for a, b in combinations(METRICS, 2):
        both = [(row[a], row[b]) for row in rows.values() if a in row and b in row]
        if len(both) >= _FEWEST:
            tau = float(kendalltau(*zip(*both, strict=True)).statistic)
            found[f"{a}/{b}"] = round(sin(0.5 * pi * tau), 2)
    return found
