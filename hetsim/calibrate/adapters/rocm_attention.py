"""Attention without a mask on MI300X in fp16.

*Source:* nod-ai/rocm-gemm-benchmark at 068af6f. No licence is stated: the table is not to be
passed on; only parameters fitted to it are.
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

SOURCE = "nod-ai/rocm-gemm-benchmark at 068af6f (no licence; fitted parameters only)"
PROVIDER = "compiled MI300X attention kernels"
DEVICES = {"mi300x": "MI300X"}


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the table; a block without a mask is written as a prompt with the past it reads."""
    folder = folder_of(root, "rocm_attention_mi300x", SOURCE)
    needed = ("BATCH", "NH", "SEQ_Q", "SEQ_KV", "D_HEAD", "dtype", "mean_microseconds")
    raw = read_csv(folder / "torch_llama_sdxl_attention.csv", *needed)
    raw = raw[(raw["dtype"] == "fp16") & (raw["SEQ_KV"] >= raw["SEQ_Q"])]
    new = raw["SEQ_Q"].to_numpy(float)
    yield make_table(
        "attention_prefill",
        {
            "format": "fp16",
            "time_s": raw["mean_microseconds"].to_numpy(float) * 1e-6,
            "source": "rocm-gemm-benchmark",
            "framework": "rocm",
            "batch": raw["BATCH"].to_numpy(),
            "new": new,
            # new (past + (new + 1) / 2) = SEQ_Q SEQ_KV
            "past": raw["SEQ_KV"].to_numpy(float) - 0.5 * (new + 1.0),
            "heads": raw["NH"].to_numpy(),
            "kv_heads": raw["NH"].to_numpy(),
            "head_dim": raw["D_HEAD"].to_numpy(),
        },
    )
