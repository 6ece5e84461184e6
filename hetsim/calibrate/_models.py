"""One model per operator kind: parameters, rows, weights and families of its fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._attention import ATTENTION_MODELS
from hetsim.calibrate._fit import Bound, Sample
from hetsim.calibrate._forms import elementwise_s, gemm_s, grouped_gemm_s
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._rows import (
    E_M,
    GAIN,
    ROOFLINE,
    Model,
    arrays,
    base_columns,
    everything,
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

__all__ = ["MODELS", "Model"]


# --- projections ---------------------------------------------------------------------------------


def _gemm_select(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    return narrowed(frame, ("narrower than 64", lambda f: (f["n"] >= 64) & (f["k"] >= 64)))


def _gemm_sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    columns = {**base_columns(frame, nominal, fmt), **arrays(frame, ("m", "n", "k"))}
    inside = np.minimum(columns["n"], columns["k"]) >= 512
    weight = grid_weight(columns["m"]) * np.where(inside, 1.0, 0.15)
    return make_sample(frame, columns, weight, label(frame, ("n", "k")), inside, 20e-6)


def _gemm_seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    return gemm_s(
        parameters, c["m"], c["n"], c["k"], fetched(parameters, c), c["peak"], c["bandwidth"]
    )


_WELL_COVERED = 0.2
"""Part of the shapes that two frameworks must share before the others are left out."""

# --- experts -------------------------------------------------------------------------------------


def _grouped_select(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    return narrowed(
        frame,
        ("less than one row per rank", lambda f: f["tokens"] * f["top_k"] >= f["moe_ep"]),
        ("expert narrower than 64", lambda f: f["inter"] >= 64 * f["moe_tp"]),
        ("only one framework", _grouped_coverage),
    )


def _grouped_coverage(frame: pd.DataFrame) -> Any:
    """Whether two frameworks measured the shape; where few have two, all shapes without EP.

    Single frameworks run some expert-parallel shapes with untuned kernels, at the speed of EP 1.
    """
    shared = frame["frameworks"] >= 2
    return shared if shared.mean() >= _WELL_COVERED else frame["moe_ep"] == 1


def _grouped_sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    made = {name: np.asarray(values, float) for name, values in routed(frame).items()}
    columns = {**base_columns(frame, nominal, fmt), **arrays(frame, ("tokens", "hidden")), **made}
    inside = made["width"] >= 256
    weight = grid_weight(columns["tokens"]) * np.where(inside, 1.0, 0.3)
    family = label(frame, ("hidden", "inter", "top_k", "experts"))
    return make_sample(frame, columns, weight, family, inside, 60e-6)


def _grouped_seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    return grouped_gemm_s(
        parameters,
        c["tokens"],
        c["hidden"],
        c["width"],
        c["rows"],
        c["distinct"],
        fetched(parameters, c),
        c["peak"],
        c["bandwidth"],
    )


# --- passes over memory --------------------------------------------------------------------------


def _elementwise_sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    columns = base_columns(frame, nominal, "bf16")
    # Cached passes are many, and say nothing about memory.
    weight = 0.1 + 0.9 * columns["cold"]
    inside = np.ones(len(frame), dtype=bool)
    return make_sample(frame, columns, weight, label(frame, ("columns",)), inside, 5e-6)


def _elementwise_seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    return elementwise_s(parameters, fetched(parameters, c), c["bandwidth"])


_TILES = (
    extra("m0", 8.0, 0.01, 400.0),
    extra("n0", 8.0, 0.01, 8000.0),
)
MODELS: dict[str, Model] = {
    "gemm": Model(
        plain=(*ROOFLINE, GAIN),
        shaped=(
            *ROOFLINE,
            GAIN,
            *_TILES,
            extra("k0", 8.0, 0.01, 8000.0),
            extra("walk_ps", 100.0, 0.1, 8000.0),
        ),
        select=_gemm_select,
        sample=_gemm_sample,
        seconds=_gemm_seconds,
        valid="n and k from 512, m 1 to 32768",
    ),
    "grouped_gemm": Model(
        plain=(
            Bound(name="t0_us", start=25.0, low=0.5, high=3000.0, log=True),
            *ROOFLINE[1:],
            GAIN,
        ),
        shaped=(
            Bound(name="t0_us", start=25.0, low=0.5, high=3000.0, log=True),
            *ROOFLINE[1:],
            GAIN,
            *_TILES,
            extra("token_ps", 0.3, 1e-3, 100.0),
        ),
        select=_grouped_select,
        sample=_grouped_sample,
        seconds=_grouped_seconds,
        valid="balanced routing, expert width per rank from 256, tokens 1 to 16384",
    ),
    **ATTENTION_MODELS,
    "elementwise": Model(
        plain=(Bound(name="t0_us", start=2.0, low=0.05, high=100.0, log=True), E_M, GAIN),
        shaped=(),
        select=everything,
        sample=_elementwise_sample,
        seconds=_elementwise_seconds,
        valid="one kernel, operands from memory",
    ),
}
