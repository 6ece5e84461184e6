"""Kernels of dense models in fp16 on A100 and A40, profiled for vidur.

*Source:* microsoft/vidur at 7d47513, MIT, ``data/profiling``: medians over repeated runs, in
milliseconds, to a microsecond. Chunked prompt attention over a past is in it, which most other
tables lack.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._table import make_table
from hetsim.calibrate.adapters._csv import folder_of, read_csv

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEVICES", "PROVIDER", "SOURCE", "attention_tables", "read"]

SOURCE = "vidur profiles at 7d47513 (MIT)"
PROVIDER = "PyTorch and FlashAttention kernels profiled for vidur"
DEVICES = {"a100-sxm4-80": "a100", "a40": "a40"}

_SHAPE = ("n_head", "n_kv_head", "n_embd", "n_expanded_embd", "use_gated_mlp", "num_tokens")
_TP = "num_tensor_parallel_workers"


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the tables of one accelerator; ``root`` holds ``compute``, ``network``, ``history``."""
    folder = folder_of(root, "vidur", SOURCE)
    name = DEVICES[accelerator]
    for path in sorted((folder / "compute" / name).glob("*/*/mlp.csv")):
        raw = read_csv(path, *_SHAPE, _TP)
        yield from _dense(raw, path.relative_to(folder).as_posix())
    for path in sorted((folder / "history" / name).glob("attention.csv")):
        yield from attention_tables(read_csv(path), path.relative_to(folder).as_posix(), "vidur")
    for path in sorted((folder / "network").glob(f"{name}_dgx/all_reduce.csv")):
        yield _all_reduce(read_csv(path, "size", "num_workers", "devices_per_node"))


def _dense(raw: pd.DataFrame, where: str) -> Iterator[pd.DataFrame]:
    tp, hidden = raw[_TP], raw["n_embd"]
    head = hidden / raw["n_head"]
    inter = raw["n_expanded_embd"] / tp
    gates = raw["use_gated_mlp"].map({True: 2.0, False: 1.0})
    shapes = {
        "attn_pre_proj": ((raw["n_head"] + 2 * raw["n_kv_head"]) / tp * head, hidden),
        "attn_post_proj": (hidden, hidden / tp),
        "mlp_up_proj": (gates * inter, hidden),
        "mlp_down_proj": (hidden, inter),
    }
    for operator, (n, k) in shapes.items():
        columns = {"m": raw["num_tokens"].to_numpy(), "n": n.to_numpy(), "k": k.to_numpy()}
        yield make_table("gemm", {**_common(raw, operator, where, "bf16"), **columns})
    # The residual: two inputs and one output of 2 bytes each. Norms and activations of that time
    # ran at a third to a half of the memory bandwidth and were replaced in all engines since.
    table = _common(raw, "add", where, "bf16")
    table |= {"rows": raw["num_tokens"].to_numpy(), "columns": hidden.to_numpy(), "passes": 6.0}
    yield make_table("elementwise", table)


def _common(raw: pd.DataFrame, operator: str, where: str, fmt: str) -> dict[str, Any]:
    return {
        "format": fmt,
        "time_s": raw[f"time_stats.{operator}.median"].to_numpy(float) * 1e-3,
        "source": where,
        "framework": "vidur",
    }


def attention_tables(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    """Yield prompt and decode attention of a table in vidur's layout (milliseconds)."""
    tp = raw[_TP]
    heads = raw["n_q_head"] / tp
    kv_heads = (raw["n_kv_head"] / tp).clip(lower=1)
    shape = {
        "batch": raw["batch_size"],
        "heads": heads,
        "kv_heads": kv_heads,
        "head_dim": raw["n_embd"] / raw["n_q_head"],
    }
    prompt = raw["is_prefill"].astype(bool) & (raw["prefill_chunk_size"] > 0)
    for kind, rows, operator in (
        ("attention_prefill", prompt, "attn_prefill"),
        ("attention_decode", ~prompt & (raw["kv_cache_size"] > 0), "attn_decode"),
    ):
        part = raw[rows]
        columns: dict[str, Any] = {name: values[rows].to_numpy() for name, values in shape.items()}
        if kind == "attention_prefill":
            columns["new"] = part["prefill_chunk_size"].to_numpy()
            columns["past"] = part["kv_cache_size"].to_numpy()
        else:
            columns["context"] = part["kv_cache_size"].to_numpy()
        common = {**_common(part, operator, where, "bf16"), "framework": framework}
        yield make_table(kind, {**common, **columns})


def _all_reduce(raw: pd.DataFrame) -> pd.DataFrame:
    raw = raw[raw["num_workers"] == raw["devices_per_node"]]
    columns = {"ranks": raw["num_workers"].to_numpy(), "message_bytes": raw["size"].to_numpy(float)}
    return make_table("all_reduce", {**_common(raw, "all_reduce", "vidur", "bf16"), **columns})
