"""The model of projections: rows, weights, families, and the stair of tiles in numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._fit import Bound, Sample
from hetsim.calibrate._forms import gemm_s
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._rows import (
    GAIN,
    ROOFLINE,
    Model,
    arrays,
    base_columns,
    extra,
    fetched,
    label,
    make_sample,
    narrowed,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GEMM_MODEL", "TILED", "family_grid_weight"]

_LONE = 0.7
"""Weight of a row whose family has too few of them to tell a spacing: that of m, 2 m, 4 m."""


def _select(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    rules: list[tuple[str, Any]] = [
        ("narrower than 64", lambda f: (f["n"] >= 64) & (f["k"] >= 64)),
    ]
    if "outrun" in frame:
        rules.append(("only a slower framework", lambda f: ~f["outrun"]))
    return narrowed(frame, *rules)


def _sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    columns = {**base_columns(frame, nominal, fmt), **arrays(frame, ("m", "n", "k"))}
    inside = np.minimum(columns["n"], columns["k"]) >= 512
    family = label(frame, ("n", "k"))
    weight = family_grid_weight(columns["m"], family) * np.where(inside, 1.0, 0.15)
    return make_sample(frame, columns, weight, family, inside, 20e-6)


def family_grid_weight(values: Any, family: Any) -> Any:
    """Return weights that make every family count evenly in the logarithm of its own values.

    A table in which one family has a thousand rows and the next one sixteen, over the same range,
    would else be fitted to the former alone.

    >>> import numpy as np
    >>> grid = np.array([1.0, 2.0, 4.0, 8.0])
    >>> [round(float(w), 2) for w in family_grid_weight(grid, np.array(["a"] * 4))]
    [0.69, 0.69, 0.69, 0.69]
    """
    import numpy as np

    made = np.full(len(values), _LONE)
    _, index = np.unique(family, return_inverse=True)
    order = np.argsort(index, kind="stable")
    ends = np.cumsum(np.bincount(index))
    for rows in np.split(order, ends[:-1]):
        known, at = np.unique(values[rows], return_inverse=True)
        if len(known) >= 3:
            made[rows] = np.gradient(np.log(known))[at]
    return made


def _seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    return gemm_s(
        parameters, c["m"], c["n"], c["k"], fetched(parameters, c), c["peak"], c["bandwidth"]
    )


_ALONG_K = (extra("k0", 8.0, 0.01, 8000.0), extra("walk_ps", 100.0, 0.1, 8000.0))
TILED = (
    *ROOFLINE,
    GAIN,
    extra("feed", 30.0, 0.1, 300.0),
    Bound(name="wave", start=0.5, low=0.0, high=1.0),
    *_ALONG_K,
    extra("token_ps", 0.3, 1e-3, 100.0),
    extra("row_ns", 1.0, 1e-3, 100.0),
)
"""The fuller form where the number of multiprocessors is known."""

GEMM_MODEL = Model(
    plain=(*ROOFLINE, GAIN),
    shaped=(
        *ROOFLINE,
        GAIN,
        extra("m0", 8.0, 0.01, 400.0),
        extra("n0", 8.0, 0.01, 8000.0),
        *_ALONG_K,
    ),
    on_blocks=TILED,
    select=_select,
    sample=_sample,
    seconds=_seconds,
    valid="n and k from 512, m 1 to 32768",
)
