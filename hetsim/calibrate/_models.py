"""One model per operator kind: parameters, rows, weights and families of its fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._attention import ATTENTION_MODELS
from hetsim.calibrate._fit import Bound, Sample
from hetsim.calibrate._forms import elementwise_s
from hetsim.calibrate._gemm import GEMM_MODEL
from hetsim.calibrate._grouped import GROUPED_MODEL
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._repeats import from_memory_part
from hetsim.calibrate._rows import (
    E_M,
    Model,
    base_columns,
    everything,
    fetched,
    label,
    make_sample,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MODELS", "Model"]


# --- passes over memory --------------------------------------------------------------------------

_STREAM_FITS, _STREAM_GONE = 0.8, 1.2
"""Parts of the last-level cache: a stream that is read again and again stays in it up to the first,
and is pushed out by itself before it comes round from the second on."""
_CACHED = Bound(name="cache_gain", start=1.2, low=1.0, high=16.0)
"""Rate of the cache in units of memory's: up to ten beside GDDR memory (L40S, RTX PRO 6000)."""


def _elementwise_sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    columns = base_columns(frame, nominal, "bf16")
    columns["cold"] = from_memory_part(
        columns["bytes"], nominal.cache_bytes, _STREAM_FITS, _STREAM_GONE
    )
    # Cached passes are many, and say nothing about memory.
    weight = 0.1 + 0.9 * columns["cold"]
    inside = np.ones(len(frame), dtype=bool)
    return make_sample(frame, columns, weight, label(frame, ("columns",)), inside, 5e-6)


def _elementwise_seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    return elementwise_s(parameters, fetched(parameters, c), c["bandwidth"])


MODELS: dict[str, Model] = {
    "gemm": GEMM_MODEL,
    "grouped_gemm": GROUPED_MODEL,
    **ATTENTION_MODELS,
    "elementwise": Model(
        plain=(Bound(name="t0_us", start=2.0, low=0.05, high=100.0, log=True), E_M, _CACHED),
        shaped=(),
        select=everything,
        sample=_elementwise_sample,
        seconds=_elementwise_seconds,
        valid="one kernel, operands from memory",
    ),
}
