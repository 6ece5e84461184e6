"""The best matrix product found on a device, one point each.

*Source:* stas00/ml-engineering at 744d01e, CC-BY-SA-4.0 (Stas Bekman), accelerator chapter. One
shape per device bounds ``e_c`` from below: for comparison, and too little to be fitted.
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

SOURCE = "ml-engineering maximum achievable matmul at 744d01e (CC-BY-SA-4.0)"
PROVIDER = "best PyTorch product of a search"
DEVICES = {
    "a100-sxm4-80": "NVIDIA A100 SXM",
    "b200-sxm": "NVIDIA B200 SXM",
    "gaudi2": "Intel Gaudi 2",
    "gaudi3": "Intel Gaudi 3",
    "h100-sxm": "NVIDIA H100 SXM",
    "gb200": "NVIDIA GB200 SXM",
    "h200-sxm": "NVIDIA H200 SXM",
    "b300-sxm": "NVIDIA B300 SXM",
    "mi300x": "AMD MI300X",
    "mi325x": "AMD MI325X",
    "mi355x": "AMD MI355X",
}
_FORMATS = {"bf16": "bf16", "fp8": "fp8_e4m3"}


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the device's points, one per precision."""
    folder = folder_of(root, "mamf", SOURCE)
    raw = read_csv(
        folder / "mamf.csv", "precision", "accelerator", "mamf_tflops", "best_shape_MxNxK"
    )
    raw = raw[(raw["accelerator"] == DEVICES[accelerator]) & raw["precision"].isin(_FORMATS)]
    shape = raw["best_shape_MxNxK"].astype(str).str.extract(r"(\d+)x(\d+)x(\d+)").astype(float)
    raw, shape = raw[shape.notna().all(axis=1)], shape.dropna()
    if raw.empty:
        return
    m, n, k = (shape[i].to_numpy() for i in range(3))
    yield make_table(
        "gemm",
        {
            "format": raw["precision"].map(_FORMATS).to_numpy(),
            "time_s": 2.0 * m * n * k / (raw["mamf_tflops"].to_numpy(float) * 1e12),
            "source": "mamf",
            "framework": "torch",
            "m": m,
            "n": n,
            "k": k,
        },
    )
