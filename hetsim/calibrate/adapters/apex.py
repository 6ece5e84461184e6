"""GEMMs in fp16 on a V100, launched one by one.

*Source:* microsoft/apex_plus at 8769096, MIT, ``profile/comp``: whole microseconds, about 13
of them for the launch, which a captured graph does not pay.
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

SOURCE = "apex_plus profiles at 8769096 (MIT)"
PROVIDER = "PyTorch kernels launched one by one"
DEVICES = {"v100-pcie-16": "V100-PCIE-16GB"}


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the GEMM table; ``root`` holds ``comp``."""
    folder = folder_of(root, "apex", SOURCE) / "comp" / DEVICES[accelerator]
    raw = read_csv(folder / "gemm_0.csv", "dtype", "m", "k", "n", "time(us)")
    raw = raw[raw["dtype"] == "half"]
    yield make_table(
        "gemm",
        {
            "format": "fp16",
            "time_s": raw["time(us)"].to_numpy(float) * 1e-6,
            "source": "apex_plus",
            "framework": "torch",
            **{name: raw[name].to_numpy() for name in ("m", "n", "k")},
        },
    )
