"""The model of routed experts: rows that describe one thing, weights, families, tiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._fit import Bound, Sample
from hetsim.calibrate._forms import grouped_gemm_s
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._rows import (
    GAIN,
    ROOFLINE,
    Model,
    arrays,
    base_columns,
    extra,
    fetched,
    grid_weight,
    label,
    make_sample,
    narrowed,
)
from hetsim.calibrate._table import routed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["GROUPED_MODEL"]

_WELL_COVERED = 0.2
"""Part of the shapes that two frameworks must share before the others are left out."""
_HALF_S = 20e-6
"""Time of a kernel that counts half: what the experts of one decoded token take on new devices."""


def _select(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    rules: list[tuple[str, Any]] = [
        ("less than one row per rank", lambda f: f["tokens"] * f["top_k"] >= f["moe_ep"]),
        ("expert narrower than 64", lambda f: f["inter"] >= 64 * f["moe_tp"]),
    ]
    if "outrun" in frame:
        rules.append(("only a slower framework", lambda f: ~f["outrun"]))
    return narrowed(frame, *rules, ("only one framework", _coverage))


def _coverage(frame: pd.DataFrame) -> Any:
    """Whether two frameworks measured the shape; where few have two, all shapes without EP.

    Single frameworks run some expert-parallel shapes with untuned kernels, at the speed of EP 1.
    """
    shared = frame["frameworks"] >= 2
    return shared if shared.mean() >= _WELL_COVERED else frame["moe_ep"] == 1


def _sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    made = {name: np.asarray(values, float) for name, values in routed(frame).items()}
    made["local"] = frame["experts"].to_numpy(float) / frame["moe_ep"].to_numpy(float)
    named = arrays(frame, ("tokens", "hidden", "top_k"))
    columns = {**base_columns(frame, nominal, fmt), **named, **made}
    inside = made["width"] >= 256
    weight = grid_weight(columns["tokens"]) * np.where(inside, 1.0, 0.3)
    family = label(frame, ("hidden", "inter", "top_k", "experts"))
    return make_sample(frame, columns, weight, family, inside, _HALF_S)


def _seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    shape = (c["tokens"], c["hidden"], c["width"], c["rows"], c["distinct"])
    rates = (fetched(parameters, c), c["peak"], c["bandwidth"])
    return grouped_gemm_s(parameters, *shape, *rates, c["top_k"], c["local"])


_WITH_EP = ("tile_walk_ps", "pass_ps")
"""Terms of all copies of the group: on one rank, work and tiles of its rows cannot be told apart
from them."""


def _known(bound: Bound, frame: Any) -> bool:
    """Whether what a parameter is about was measured: experts spread over several ranks."""
    return bound.name not in _WITH_EP or bool((frame["moe_ep"] > 1).any())


_PLAIN = (
    Bound(name="t0_us", start=25.0, low=0.5, high=3000.0, log=True),
    *ROOFLINE[1:],
    GAIN,
)
GROUPED_MODEL = Model(
    plain=_PLAIN,
    shaped=(
        *_PLAIN,
        extra("n0", 8.0, 0.01, 8000.0),
        extra("tile_rows", 8.0, 0.01, 400.0),
        extra("tile_half", 4.0, 0.01, 400.0),
        extra("tile_walk_ps", 1.0, 1e-3, 1000.0),
        extra("pass_ps", 0.1, 1e-3, 100.0),
    ),
    select=_select,
    sample=_sample,
    seconds=_seconds,
    known=_known,
    valid="balanced routing, expert width per rank from 256, tokens 1 to 16384",
)
