"""Matrix products of cuBLASLt and all-reduces of NCCL on cloud nodes of eight A100 or H100.

*Source:* Azure/AI-benchmarking-guide at 8fd0c6e, MIT: products in TFLOP/s (fp16 on A100, fp8 on
H100), NCCL all-reduce as bus bandwidth in GB/s over eight devices. Bus bandwidth is
``2 (n-1)/n bytes / time``; sizes are written as 1K or 33M, powers of two to three digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.calibrate._table import make_table
from hetsim.calibrate.adapters._csv import folder_of, read_csv
from hetsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEVICES", "PROVIDER", "SOURCE", "read"]

SOURCE = "Azure AI benchmarking guide at 8fd0c6e (MIT)"
PROVIDER = "cuBLASLt and NCCL of a cloud node"
DEVICES = {"a100-sxm4-80": "ND_A100_v4", "h100-sxm": "ND_H100_v5"}

_FORMATS = {"a100-sxm4-80": "fp16", "h100-sxm": "fp8_e4m3"}
_RANKS = 8
_UNITS = {"K": 1e3, "M": 1e6, "G": 1e9}


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield products and all-reduces of one accelerator."""
    folder = folder_of(root, "azure_nd", SOURCE)
    path = folder / f"{DEVICES[accelerator]}_results.csv"
    raw = read_csv(path, "section", "c1", "c2", "c3", "c4")
    yield _products(raw, accelerator)
    yield _reduces(raw, str(path))


def _products(raw: pd.DataFrame, accelerator: str) -> pd.DataFrame:
    import pandas as pd

    part = raw[raw["section"].str.startswith("GEMM")]
    numbers = part[["c1", "c2", "c3", "c4"]].apply(pd.to_numeric, errors="coerce").dropna()
    m, n, k, tflops = (numbers[name].to_numpy(float) for name in numbers)
    return make_table(
        "gemm",
        {
            "format": _FORMATS[accelerator],
            "time_s": 2.0 * m * n * k / (tflops * 1e12),
            "source": "Azure ND",
            "framework": "cuBLASLt",
            "m": m,
            "n": n,
            "k": k,
        },
    )


def _reduces(raw: pd.DataFrame, path: str) -> pd.DataFrame:
    part = raw[raw["section"].str.startswith("NCCL")]
    part = part[part["c1"].astype(str).str.fullmatch(r"[\d.]+[KMG]")]
    size = part["c1"].astype(str).map(lambda text: _bytes(text, path)).to_numpy(float)
    rate = part["c2"].to_numpy(float) * 1e9
    return make_table(
        "all_reduce",
        {
            "format": "bf16",
            "time_s": 2.0 * (_RANKS - 1) / _RANKS * size / rate,
            "source": "Azure ND, NCCL",
            "framework": "NCCL",
            "ranks": _RANKS,
            "message_bytes": size,
        },
    )


def _bytes(text: str, path: str) -> float:
    """Return a size such as ``33M`` in bytes.

    >>> _bytes("65K", "")
    65000.0
    """
    try:
        return float(text[:-1]) * _UNITS[text[-1]]
    except (KeyError, ValueError):
        raise ScenarioError(Problem(f"{text!r} is no size such as 33M", "c1", path)) from None
