"""Attention of a single head on Ascend 910B2, without a mask.

*Source:* cannmirror/pto-isa at defdb75, CANN Open Software License 2.0: the table is not to be
passed on. One head does not fill the device, so that these points are a floor, not an efficiency;
they are yielded for comparison and are too few to be fitted.
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

SOURCE = "cannmirror/pto-isa at defdb75 (restrictive licence; comparison only)"
PROVIDER = "fastest of the vendor's fused and a hand-written kernel"
DEVICES = {"ascend-910b": "910B2"}


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the table: queries ``S0`` against ``S1`` keys of one head of size 128."""
    folder = folder_of(root, "ascend_attention", SOURCE)
    raw = read_csv(folder / "pto_isa_table1.csv", "S0", "S1", "fused_us", "jit_us")
    new = raw["S0"].to_numpy(float)
    yield make_table(
        "attention_prefill",
        {
            "format": "fp16",
            "time_s": raw[["fused_us", "jit_us"]].min(axis=1).to_numpy(float) * 1e-6,
            "source": "pto-isa",
            "framework": "cann",
            "batch": 1,
            "new": new,
            "past": raw["S1"].to_numpy(float) - 0.5 * (new + 1.0),
            "heads": 1,
            "kv_heads": 1,
            "head_dim": 128,
        },
    )
