"""How far kernels are off that were predicted from a relative, as if a device had no table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._collectives import COLLECTIVES, LARGEST, SMALLEST
from hetsim.calibrate._device import LEAST_POINTS, by_kind, named
from hetsim.calibrate._fit import Sample
from hetsim.calibrate._forms import collective_s
from hetsim.calibrate._import import read_tables
from hetsim.calibrate._models import MODELS, Model
from hetsim.calibrate._nominal import Nominal, nominal_of
from hetsim.calibrate._table import clean
from hetsim.calibrate.adapters import get_adapter
from hetsim.costs import Calibration, Parameters, load_calibration, measured_pieces
from hetsim.hardware import get_accelerator
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LeftOut", "leave_out", "leave_out_page", "leave_out_tables", "transferred_errors"]

_GAINS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)
"""Factors by which cached operands may have been faster in a benchmark."""


@spec
class LeftOut:
    """One operator kind in one format, predicted from the device's own fit and from a relative's.

    Errors are ratios; ``bias`` is the median of the log error, negative if predicted too fast.
    """

    accelerator: str
    kind: str
    format: str
    points: int
    lender: str
    grade: str
    own_median: float
    median: float
    p90: float
    bias: float


def leave_out(accelerator: str, frames: Iterable[pd.DataFrame]) -> tuple[LeftOut, ...]:
    """Return the errors of every kind and format of which ``accelerator`` has a published fit."""
    nominal, device = nominal_of(accelerator), get_accelerator(accelerator)
    own, others = load_calibration(device), load_calibration(device, own=False)
    found: list[LeftOut] = []
    for kind, table in by_kind(frames).items():
        if kind in COLLECTIVES:
            found += _collectives(device, kind, clean(table, nominal)[0], own, others)
        if kind not in MODELS:
            continue
        for fmt, part in table.groupby("format", sort=True):
            made = _operator(kind, str(fmt), part, nominal, own, others)
            found += [made] if made is not None else []
    return tuple(found)


def _operator(
    kind: str,
    fmt: str,
    table: pd.DataFrame,
    nominal: Nominal,
    own: Calibration,
    others: Calibration,
) -> LeftOut | None:
    import numpy as np

    model, key = MODELS[kind], named(kind, fmt, nominal)
    key = "any" if kind == "elementwise" else key
    first, second = own.find(kind, key), others.find(kind, key)
    rows = model.select(clean(table, nominal)[0], nominal)[0]
    if len(rows) < LEAST_POINTS or first is None or second is None or first.grade != "fitted":
        return None
    sample = model.sample(rows, nominal, fmt)
    sample = sample.take(sample.inside) if sample.inside.any() else sample
    misses = {gain: _misses(model, first, sample, gain) for gain in _GAINS}
    gain = min(misses, key=lambda g: float(np.median(np.abs(misses[g]))))
    miss = _misses(model, second, sample, gain)
    return _made(nominal.name, kind, key, second.grade, second.source, misses[gain], miss)


def _made(
    accelerator: str, kind: str, fmt: str, grade: str, source: str, own: Any, miss: Any
) -> LeftOut:
    import numpy as np

    size = np.abs(np.expm1(miss))
    return LeftOut(
        accelerator=accelerator,
        kind=kind,
        format=fmt,
        points=len(miss),
        lender=source.rsplit("(", 1)[-1].rstrip(")"),
        grade=grade,
        own_median=float(np.median(np.abs(np.expm1(own)))),
        median=float(np.median(size)),
        p90=float(np.quantile(size, 0.9)),
        bias=float(np.median(miss)),
    )


def _misses(model: Model, parameters: Parameters, sample: Sample, gain: float) -> Any:
    import numpy as np

    cells = {**_cells(parameters), "cache_gain": gain}
    return np.log(model.seconds(cells, sample.columns) / sample.time_s)


_ATTENTION = ("fill_p", "kv0", "walk_p", "head_tile")
_EXPERTS = ("tile_rows", "tile_half")


def _cells(parameters: Parameters) -> dict[str, float]:
    """Return parameters under the names that the equations take them by."""
    rates = ("e_c", "e_m", "p", "s0_tokens", "m0", "n0", "k0", "q0")
    same = (*rates, "head_64", "head_256", "lone_head", "feed", "wave", "blocks")
    made: dict[str, float] = {
        name: getattr(parameters, name) for name in (*same, *_ATTENTION, *_EXPERTS)
    }
    made["t0_us"] = parameters.t0_s * 1e6
    made["walk_ps"], made["token_ps"] = parameters.walk_s * 1e12, parameters.token_s * 1e12
    made["tile_walk_ps"] = parameters.tile_walk_s * 1e12
    made["pass_ps"] = parameters.pass_s * 1e12
    made["per_kv_head_ns"] = parameters.per_kv_head_s * 1e9
    made["per_head_ns"], made["row_ns"] = parameters.per_head_s * 1e9, parameters.row_s * 1e9
    return made


def _collectives(
    device: Any, kind: str, table: pd.DataFrame, own: Calibration, others: Calibration
) -> list[LeftOut]:
    import numpy as np

    found = []
    inside = table[table["message_bytes"].between(SMALLEST, LARGEST)]
    for ranks, rows in inside.groupby("ranks", sort=True):
        count = int(float(str(ranks)))
        misses = []
        for calibration in (own, others):
            pieces = measured_pieces(device, calibration, kind, count)
            pairs = [(piece.t0_s * 1e6, 1.0 / piece.s_per_byte) for piece in pieces]
            if pairs:
                time_s = collective_s(pairs, rows["message_bytes"].to_numpy(float))
                misses.append(np.log(time_s / rows["time_s"].to_numpy(float)))
        if len(misses) == 2:
            name = others.lender(kind, count) or "nominal link rates"
            grade = "transferred" if others.lender(kind, count) else "datasheet"
            found.append(_made(device.name, kind, str(count), grade, name, misses[0], misses[1]))
    return found


def transferred_errors(found: Sequence[LeftOut]) -> Mapping[str, float]:
    """Return one relative standard error per kind: the upper quartile over devices.

    A miss of the median shape is taken as 0.67 standard deviations; each device counts once, by the
    middle of its formats. The quartile, since most measured devices have a twin (H100 and H200,
    B200 and GB200), which a device that was never measured seldom has. Collectives are one kind.
    """
    import numpy as np

    groups: dict[str, dict[str, list[float]]] = {}
    for item in found:
        if item.grade == "transferred":
            kind = "collectives" if item.kind in COLLECTIVES else item.kind
            groups.setdefault(kind, {}).setdefault(item.accelerator, []).append(item.median)
    return {
        kind: round(float(np.quantile([np.median(v) for v in devices.values()], 0.75)) / 0.6745, 2)
        for kind, devices in sorted(groups.items())
    }


def leave_out_tables(
    adapters: Sequence[str],
    *,
    accelerators: Sequence[str] | None = None,
    roots: Mapping[str, Path] | None = None,
) -> tuple[LeftOut, ...]:
    """Return the errors of all devices that have both a table in ``adapters`` and a fit.

    Raises
    ------
    ScenarioError
        If a table is missing or malformed.
    """
    known = sorted({d for name in adapters for d in get_adapter(name).DEVICES})
    found: list[LeftOut] = []
    for name in accelerators or known:
        found += leave_out(name, read_tables(adapters, name, roots)[0])
    return tuple(found)


_PAGE = """# Transferred calibrations: what a relative is worth

Every device that has kernel tables was predicted as if it had none: from the fits of its closest
measured relative (fractions of nominal carry over; links at their nominal rates), or where no
relative measured the kind, from the efficiencies of its family. Errors are |predicted / measured -
1| in percent, median / 90th percentile, and bias (median, negative: predicted too fast). *Own* is
the median error of the device's own fit on the same shapes.

"""

_TABLE = """| device | kind | format | shapes | predicted from | own | transferred | bias |
|---|---|---|---|---|---|---|---|
"""

_NEAR = 2.0
"""A relative whose fits miss less than this many times what a device's own fits do is a twin."""


def leave_out_page(found: Sequence[LeftOut], made_by: str = "") -> str:
    """Return the errors as a page: what they say in words, every one, and what they say per kind.

    ``made_by`` is the command and the date.
    """
    from math import expm1

    lines = []
    for x in found:
        where = x.lender if x.grade == "transferred" else f"{x.lender} (datasheet)"
        miss = f"{100 * x.median:.0f} / {100 * x.p90:.0f} | {100 * expm1(x.bias):+.0f}"
        own = f"{100 * x.own_median:.0f}"
        head = f"| {x.accelerator} | {x.kind} | {x.format} | {x.points}"
        lines.append(f"{head} | {where} | {own} | {miss} |")
    errors = transferred_errors(found)
    if errors:
        lines += [
            "",
            "One relative standard error per kind (`transferred_rse` in `families.yaml`), the",
            "upper quartile of devices, each by its middle format: "
            + ", ".join(f"{k} {v:.2f}" for k, v in errors.items())
            + ".",
        ]
    origin = f"Made by `{made_by}`.\n\n" if made_by else ""
    words = "\n".join(findings(found))
    return _PAGE + origin + (words + "\n\n" if words else "") + _TABLE + "\n".join(lines) + "\n"


def findings(found: Sequence[LeftOut]) -> list[str]:
    """Return in words what the loss depends on: how close the relative is, and exchanges apart.

    A device is judged by its kernels: the middle over them of what a relative's fit misses, over
    what its own misses.
    """
    from textwrap import wrap

    kernels: dict[tuple[str, bool], list[LeftOut]] = {}
    for item in found:
        if item.kind not in COLLECTIVES:
            kernels.setdefault((item.accelerator, item.grade == "transferred"), []).append(item)
    groups: dict[str, list[tuple[str, float, float]]] = {"twin": [], "relative": [], "none": []}
    for (device, transferred), items in kernels.items():
        own, miss = _middle([x.own_median for x in items]), _middle([x.median for x in items])
        near = "twin" if miss < _NEAR * own else "relative"
        kind = near if transferred else "none"
        groups[kind].append((device, own, miss))
    texts = {
        "twin": "A twin loses little",
        "relative": "Another chip of the family loses more",
        "none": "Without a relative, from the efficiencies of the family",
    }
    lines = ["What it says, by device (middle over its kernels: own fit, then predicted):", ""]
    for kind, members in groups.items():
        if members:
            shown = ", ".join(f"{d} {100 * a:.0f} to {100 * b:.0f} %" for d, a, b in members)
            lines += wrap(f"- {texts[kind]}: {shown}.", 98, subsequent_indent="  ")
    moved = [x for x in found if x.kind in COLLECTIVES]
    if moved:
        own, miss = _middle([x.own_median for x in moved]), _middle([x.median for x in moved])
        lines.append(f"- Collectives, over all devices: {100 * own:.0f} to {100 * miss:.0f} %.")
    return lines if kernels else []


def _middle(values: Sequence[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else 0.5 * (ordered[half - 1] + ordered[half])
