"""Whole prompt and decode steps of dense models on A100, L4 and T4: for comparison, not for fits.

*Sources:* Mutinifni/splitwise-sim at 8f99e7d (MIT): A100, vLLM on DGX, milliseconds;
Thesys-lab/Helix-ASPLOS25 at 148b733 (Apache-2.0): milliseconds of one layer by tokens or batch.
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

SOURCE = "splitwise-sim at 8f99e7d (MIT) and Helix at 148b733 (Apache-2.0) step times"
PROVIDER = "engines measured as a whole"
DEVICES = {"a100-sxm4-80": "a100", "l4": "l4", "t4": "t4"}

_SPLITWISE_DEVICE = "a100-80gb"


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield step tables of one accelerator; ``root`` holds ``splitwise_sim`` and ``helix``."""
    base = folder_of(root, ".", SOURCE)
    if DEVICES[accelerator] == "a100" and (base / "splitwise_sim").is_dir():
        yield from _splitwise(base / "splitwise_sim" / "perf_model.csv")
    for path in sorted((base / "helix").glob(f"*/{DEVICES[accelerator]}/*_bs2time.csv")):
        yield _helix(path)


def _splitwise(path: Path) -> Iterator[pd.DataFrame]:
    needed = ("model", "hardware", "prompt_size", "batch_size", "token_size", "tensor_parallel")
    raw = read_csv(path, *needed, "prompt_time", "token_time")
    raw = raw[raw["hardware"] == _SPLITWISE_DEVICE]
    common = {
        "format": "fp16",
        "source": "splitwise-sim",
        "framework": "vLLM",
        "model": raw["model"].to_numpy(str),
        "moe_tp": raw["tensor_parallel"].to_numpy(),
        "batch": raw["batch_size"].to_numpy(),
    }
    prompt = {"new": raw["prompt_size"].to_numpy(), "time_s": raw["prompt_time"].to_numpy() * 1e-3}
    yield make_table("prefill_step", {**common, **prompt})
    middle = raw["prompt_size"] + 0.5 * raw["token_size"]
    decode = {"context": middle.to_numpy(), "time_s": raw["token_time"].to_numpy() * 1e-3}
    yield make_table("decode_step", {**common, **decode})


def _helix(path: Path) -> pd.DataFrame:
    raw = read_csv(path, names=["size", "milliseconds"])
    raw = raw[raw["size"] > 0]
    common = {
        "format": "fp16",
        "source": "Helix, one layer",
        "framework": "Helix",
        "model": path.parent.parent.name,
        "moe_tp": 1,
        "time_s": raw["milliseconds"].to_numpy(float) * 1e-3,
    }
    if path.name.startswith("prompt"):
        return make_table("prefill_step", {**common, "batch": 1, "new": raw["size"].to_numpy()})
    # The context is not stated; one token stands for that.
    return make_table("decode_step", {**common, "batch": raw["size"].to_numpy(), "context": 1.0})
