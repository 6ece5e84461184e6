"""Layers of two models profiled inside vLLM on RTX PRO 6000 and RTX A6000.

*Source:* casys-kaist/LLMServingSim at 5daddb2, MIT, ``profiler``: vLLM 0.19 in bf16 (microseconds)
and an older profile (nanoseconds).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._table import make_table
from hetsim.calibrate.adapters._csv import folder_of, read_csv

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEVICES", "PROVIDER", "SOURCE", "read"]

SOURCE = "LLMServingSim profiles at 5daddb2 (MIT)"
PROVIDER = "vLLM layers profiled in place"
DEVICES = {"rtxa6000": "A6000", "rtxpro6000-server": "RTXPRO6000"}

_MODELS = {
    "Llama-3.1-8B": {"hidden": 4096, "inter": 14336, "heads": 32, "kv_heads": 8, "head_dim": 128},
    "Qwen3-30B-A3B-Instruct-2507": {
        "hidden": 2048,
        "inter": 768,
        "heads": 32,
        "kv_heads": 4,
        "head_dim": 128,
    },
}
"""Source: the config.json of each model."""


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the tables of one accelerator; ``root`` holds ``profiler``."""
    folder = folder_of(root, "llmservingsim", SOURCE) / "profiler"
    name = DEVICES[accelerator]
    for path in sorted((folder / "perf" / name).glob("*/*/bf16/tp*")):
        model = _MODELS[path.parent.parent.name]
        yield from _current(path, model, int(path.name[2:]))
    for path in sorted((folder / "v0" / "perf_models" / name).glob("*/*/tp*")):
        yield from _older(path, _MODELS[path.parent.name], int(path.name[2:]))


def _current(path: Path, model: dict[str, int], tp: int) -> Iterator[pd.DataFrame]:
    dense = read_csv(path / "dense.csv", "layer", "tokens", "time_us")
    yield from _layers(dense, "layer", "tokens", dense["time_us"] * 1e-6, model, tp)
    raw = read_csv(path / "attention.csv", "prefill_chunk", "kv_prefill", "n_decode", "kv_decode")
    heads = {
        "heads": model["heads"] / tp,
        "kv_heads": max(1.0, model["kv_heads"] / tp),
        "head_dim": model["head_dim"],
    }
    prompt = raw[(raw["n_decode"] == 0) & (raw["prefill_chunk"] > 0)]
    columns: dict[str, Any] = {
        "batch": 1,
        "new": prompt["prefill_chunk"].to_numpy(),
        "past": prompt["kv_prefill"].to_numpy(),
    }
    if len(prompt):
        yield make_table("attention_prefill", {**_common(prompt), **heads, **columns})
    decode = raw[(raw["prefill_chunk"] == 0) & (raw["n_decode"] > 0)]
    columns = {"batch": decode["n_decode"].to_numpy(), "context": decode["kv_decode"].to_numpy()}
    if len(decode):
        yield make_table("attention_decode", {**_common(decode), **heads, **columns})


def _common(raw: pd.DataFrame) -> dict[str, Any]:
    return {
        "format": "bf16",
        "time_s": raw["time_us"].to_numpy(float) * 1e-6,
        "source": "LLMServingSim",
        "framework": "vLLM in place",
    }


def _older(path: Path, model: dict[str, int], tp: int) -> Iterator[pd.DataFrame]:
    layers = read_csv(path / "layers.csv", "layer_name", "input", "latency(ns)")
    # Its attention table is left out: decode beats the memory of the device tenfold.
    yield from _layers(layers, "layer_name", "input", layers["latency(ns)"] * 1e-9, model, tp)


def _layers(
    raw: pd.DataFrame, layer: str, tokens: str, time_s: Any, model: dict[str, int], tp: int
) -> Iterator[pd.DataFrame]:
    hidden, inter = model["hidden"], model["inter"] / tp
    head = model["head_dim"]
    query, kv = model["heads"] * head / tp, max(1.0, model["kv_heads"] / tp) * head
    shapes = {
        "qkv_proj": (query + 2.0 * kv, hidden),
        "o_proj": (hidden, query),
        "gate_up_proj": (2.0 * inter, hidden),
        "down_proj": (hidden, inter),
    }
    common = {"format": "bf16", "source": "LLMServingSim", "framework": "vLLM in place"}
    for name, (n, k) in shapes.items():
        rows = raw[layer] == name
        if rows.any():
            columns = {"m": raw[tokens][rows].to_numpy(), "n": n, "k": k}
            yield make_table("gemm", {**common, "time_s": time_s[rows].to_numpy(float), **columns})
    for name, width in (("act_fn", inter), ("layernorm", float(hidden))):
        rows = raw[layer] == name
        if rows.any():
            # Gated activation: two inputs, one output; norm with residual: two of each.
            passes = 6.0 if name == "act_fn" else 8.0
            columns = {"rows": raw[tokens][rows].to_numpy(), "columns": width, "passes": passes}
            table = {**common, "time_s": time_s[rows].to_numpy(float), **columns}
            yield make_table("elementwise", table)
