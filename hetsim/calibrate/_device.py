"""From the tables of one device to its fitted parameters, with an account of every row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hetsim.calibrate._collectives import COLLECTIVES, Pieces, fit_collective
from hetsim.calibrate._fit import Fitted, judge
from hetsim.calibrate._formats import kernel_format
from hetsim.calibrate._models import MODELS, Model
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._table import Dropped, clean
from hetsim.spec import spec

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LEAST_POINTS",
    "CollectiveFit",
    "DeviceFit",
    "OperatorFit",
    "by_kind",
    "fit_device",
    "named",
]

LEAST_POINTS, LEAST_SHAPED = 25, 50
"""Shapes that a fit needs; with fewer, a device's relatives say more than its own table. From the
second on also in the fuller form, if that predicts shapes which were held back no worse."""

_MANY = 100
"""Shapes that may be of fewer families than usual."""

LEAST_FAMILIES = 3
"""Families without which a small table says too little about other shapes."""

_NOISE = 0.005
"""Errors nearer to each other than this are the same."""

WORST_MEDIAN = 0.35
"""A fit that misses more than this on held-back families is not published: the table is not one
curve (emulated kernels, for one), and what is transferred from a relative is better."""


@spec
class OperatorFit:
    """One operator kind in one format: parameters of both forms, and what was left out."""

    kind: str
    format: str
    read: int
    dropped: Mapping[str, int]
    plain: Fitted | None
    """None if too few shapes are left."""
    shaped: Fitted | None
    sources: tuple[str, ...]
    valid: str

    @property
    def usable(self) -> bool:
        """Whether the fit is good enough to be published."""
        if self.plain is None:
            return False
        varied = self.plain.families >= LEAST_FAMILIES or self.plain.points >= _MANY
        found = [made.median_out for made in (self.plain, self.shaped) if made is not None]
        return varied and min(found) <= WORST_MEDIAN


@spec
class CollectiveFit:
    """One collective over one group size."""

    kind: str
    ranks: int
    fit: Pieces


@spec
class DeviceFit:
    """Everything that was fitted for one accelerator."""

    accelerator: str
    operators: tuple[OperatorFit, ...]
    collectives: tuple[CollectiveFit, ...]
    dropped_collectives: Mapping[str, Dropped]


def fit_device(nominal: Nominal, frames: Iterable[pd.DataFrame]) -> DeviceFit:
    """Return the fits of all kinds and formats in ``frames``.

    The same frames in any order give the same result.
    """
    tables = by_kind(frames)
    operators = [
        _operator(kind, fmt, part, nominal)
        for kind in MODELS
        if kind in tables
        for fmt, part in _by_format(tables[kind])
    ]
    collectives: list[CollectiveFit] = []
    dropped: dict[str, Dropped] = {}
    for kind in COLLECTIVES:
        if kind in tables:
            cleaned, dropped[kind] = clean(tables[kind], nominal)
            for ranks, part in cleaned.groupby("ranks", sort=True):
                fit = fit_collective(part)
                if fit is not None:
                    collectives.append(
                        CollectiveFit(kind=kind, ranks=int(float(str(ranks))), fit=fit)
                    )
    return DeviceFit(
        accelerator=nominal.name,
        operators=tuple(operators),
        collectives=tuple(collectives),
        dropped_collectives=dropped,
    )


def by_kind(frames: Iterable[pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return one table per kind, sorted by name."""
    import pandas as pd

    parts: dict[str, list[pd.DataFrame]] = {}
    for frame in frames:
        if len(frame):
            parts.setdefault(str(frame["kind"].iloc[0]), []).append(frame)
    return {kind: pd.concat(parts[kind], ignore_index=True) for kind in sorted(parts)}


def _by_format(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return [(str(fmt), part) for fmt, part in table.groupby("format", sort=True)]


def _operator(kind: str, fmt: str, table: pd.DataFrame, nominal: Nominal) -> OperatorFit:
    model = MODELS[kind]
    rows, dropped = clean(table, nominal)
    rows, more = model.select(rows, nominal)
    enough = len(rows) >= LEAST_POINTS
    plain = _judged(model, rows, nominal, fmt, shaped=False) if enough else None
    many = len(rows) >= LEAST_SHAPED and bool(model.shaped)
    shaped = _judged(model, rows, nominal, fmt, shaped=True) if many else None
    return OperatorFit(
        kind=kind,
        format=named(kind, fmt, nominal),
        read=len(table),
        dropped={**dropped, **more},
        plain=plain,
        shaped=_better(model, plain, shaped),
        sources=tuple(sorted(set(table["source"].astype(str)))),
        valid=model.valid,
    )


def named(kind: str, fmt: str, nominal: Nominal) -> str:
    """Return the key of a format: narrow weights in 16 bit, if the device lacks its roof."""
    lacking = kind in ("gemm", "grouped_gemm") and not nominal.has(kernel_format(fmt).roof)
    return f"bf16_w_{fmt}" if lacking and "_w_" not in fmt else fmt


def _better(model: Model, plain: Fitted | None, shaped: Fitted | None) -> Fitted | None:
    """Return the shaped fit unless it predicts the same held-back rows worse than the plain one."""
    if plain is None or shaped is None or model.plain_rows is not None:
        return shaped
    middle = shaped.median_out > 1.05 * plain.median_out + _NOISE
    tail = shaped.p90_out > 1.3 * plain.p90_out + _NOISE
    return None if middle or tail else shaped


def _judged(
    model: Model, rows: pd.DataFrame, nominal: Nominal, fmt: str, *, shaped: bool
) -> Fitted:
    bounds = model.fuller(nominal) if shaped else model.plain
    if model.known is not None:
        bounds = tuple(bound for bound in bounds if model.known(bound, rows))
    if not shaped and model.plain_rows is not None:
        usual = rows[model.plain_rows(rows)]
        rows = usual if len(usual) >= LEAST_POINTS else rows
    return judge(bounds, model.seconds, model.sample(rows, nominal, fmt))
