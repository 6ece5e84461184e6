"""Kinds that are passes over memory: conversion, layout, copies, sampling, single operators.

All follow ``t = t0 + bytes / (bandwidth e_m)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._fit import Bound, Sample
from hetsim.calibrate._forms import elementwise_s
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._rows import GAIN, Model, base_columns, everything, fetched, make_sample

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["PASS_KINDS", "pass_model"]

_OPERATORS = ("rms_norm", "silu_mul", "rope", "residual_add", "kv_write", "embedding")
PASS_KINDS = (
    *("elementwise", "convert", "permute", "copy", "bandwidth", "sample", "host_copy"),
    *(f"elementwise_{op}" for op in _OPERATORS),
)
_T0 = Bound(name="t0_us", start=3.0, low=0.05, high=3000.0, log=True)
_E_M = Bound(name="e_m", start=0.2, low=1e-4, high=1.0, log=True)


def _sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    columns = base_columns(frame, nominal, "bf16")
    family = frame["op"].astype(str) + "/" + frame["bytes"].astype(int).astype(str)
    inside = np.ones(len(frame), dtype=bool)
    return make_sample(frame, columns, inside.astype(float), family.to_numpy(str), inside, 2e-6)


def _seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    return elementwise_s(parameters, fetched(parameters, c), c["bandwidth"])


def pass_model(kind: str) -> Model:
    """Return the model of such a kind."""
    warm = kind in ("bandwidth", "copy") or kind.startswith("elementwise_")
    return Model(
        plain=(_T0, _E_M, *((GAIN,) if warm else ())),
        shaped=(),
        select=everything,
        sample=_sample,
        seconds=_seconds,
        valid="sizes measured",
    )
