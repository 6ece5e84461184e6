"""Expert dispatch and combine over RDMA and NVLink, a few points each: for comparison.

*Source:* deepseek-ai/DeepEP at dd758ca, MIT, README and docs/legacy.md: H800 (NVLink of 160 GB/s
as measured) with one 400 Gbit/s NIC each. Low latency: 128 tokens of 7168 elements per rank, 8
experts a token, dispatched in fp8 and combined in bf16, microseconds. Too few points to be fitted.
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

SOURCE = "DeepEP README at dd758ca (MIT)"
PROVIDER = "DeepEP low-latency kernels"
DEVICES = {"h800-sxm": "H800"}

_COPIES = 128 * 8 * 7168
"""Elements that one rank sends: tokens, experts per token, hidden size. Source: the README."""
_ELEMENT_BYTES = {"dispatch": ("fp8_e4m3", 1.0), "combine": ("bf16", 2.0)}


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield dispatch and combine of the low-latency kernels; ``root`` holds the two tables."""
    folder = folder_of(root, "deepep", SOURCE)
    raw = read_csv(folder / "legacy_low_latency.csv", "ep", "dispatch_us", "combine_us")
    for kind, (fmt, width) in _ELEMENT_BYTES.items():
        yield make_table(
            f"moe_{kind}",
            {
                "format": fmt,
                "time_s": raw[f"{kind}_us"].to_numpy(float) * 1e-6,
                "source": f"DeepEP, {DEVICES[accelerator]}",
                "framework": "DeepEP",
                "ranks": raw["ep"].to_numpy(),
                "message_bytes": _COPIES * width,
            },
        )
