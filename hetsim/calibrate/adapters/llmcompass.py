"""GEMMs and passes over memory on A100 and MI210, launched one by one from PyTorch.

*Source:* PrincetonUniversity/LLMCompass at 2e015fd, BSD-3-Clause, ``ae/figure5/*/real_hardware``.
Each time holds the host's launch (some 40 us for passes), which a captured graph does not pay.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.calibrate._table import make_table
from hetsim.calibrate.adapters._csv import folder_of, read_csv

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEVICES", "PROVIDER", "SOURCE", "read"]

SOURCE = "LLMCompass measurements at 2e015fd (BSD-3-Clause)"
PROVIDER = "PyTorch kernels launched one by one"
DEVICES = {"a100-sxm4-80": "A100", "mi210": "MI210"}

_READ_AND_WRITTEN = 4.0
"""Bytes per element of fp16 softmax, norm and activation."""


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the tables of one accelerator, those that exist."""
    folder = folder_of(root, "llmcompass", SOURCE)
    name = DEVICES[accelerator]
    common = {"format": "fp16", "source": "LLMCompass", "framework": "torch"}
    path = folder / f"matmul_{name}.csv"
    if path.is_file():
        raw = read_csv(path, names=["m", "k", "n", "latency", "rate"])
        time_s = raw["latency"].astype(str).str.removesuffix("ms").astype(float).to_numpy() * 1e-3
        shape = {column: raw[column].to_numpy() for column in ("m", "n", "k")}
        yield make_table("gemm", {**common, "time_s": time_s, **shape})
    for operator in ("softmax", "layernorm"):
        path = folder / f"{operator}_{name}.csv"
        if path.is_file():
            raw = read_csv(path, names=["rows", "columns", "rate"])
            elements = raw["rows"].to_numpy(float) * raw["columns"].to_numpy(float)
            columns = {
                "time_s": elements / (raw["rate"].to_numpy(float) * 1e9),
                "rows": raw["rows"].to_numpy(),
                "columns": raw["columns"].to_numpy(),
                "passes": _READ_AND_WRITTEN,
            }
            yield make_table("elementwise", {**common, **columns})
