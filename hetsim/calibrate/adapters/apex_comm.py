"""NCCL collectives on one or more nodes of H100 and on V100 over PCIe.

*Source:* microsoft/apex_plus at 8769096, MIT, ``profile/comm``: message in kilobytes, whole
microseconds. Only groups within one node are yielded, since files of devices hold no network.
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

SOURCE = "apex_plus collectives at 8769096 (MIT)"
PROVIDER = "NCCL"
DEVICES = {"h100-sxm": "H100-SXM-80GB", "v100-pcie-16": "V100-PCIE-16GB"}

_FILES = {
    "all_reduce": "all_reduce",
    "all_gather": "all_gather",
    "alltoall": "all_to_all",
    "reduce_scatter": "reduce_scatter",
}
_BYTES_PER_UNIT = 1024.0


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the collectives of one accelerator; ``root`` holds ``comm``."""
    folder = folder_of(root, "apex", SOURCE) / "comm" / DEVICES[accelerator]
    needed = ("num_nodes", "num_gpus_per_node", "dtype", "size(kb)", "time(us)")
    for name, kind in _FILES.items():
        path = folder / f"{name}.csv"
        if path.is_file():
            raw = read_csv(path, *needed)
            raw = raw[(raw["num_nodes"] == 1) & (raw["dtype"] == "half") & (raw["size(kb)"] > 0)]
            yield _collective(kind, raw)


def _collective(kind: str, raw: pd.DataFrame) -> pd.DataFrame:
    return make_table(
        kind,
        {
            "format": "bf16",
            "time_s": raw["time(us)"].to_numpy(float) * 1e-6,
            "source": "apex_plus, NCCL",
            "framework": "NCCL",
            "ranks": raw["num_gpus_per_node"].to_numpy(),
            "message_bytes": raw["size(kb)"].to_numpy(float) * _BYTES_PER_UNIT,
        },
    )
