"""Measured kernels of NVIDIA (and one Intel) devices from the package aiconfigurator-core.

*Source:* aiconfigurator-core 0.12.0, Apache-2.0, Parquet files under ``systems/data/<device>``:
kernels of TensorRT-LLM, SGLang and vLLM, latency in milliseconds. Only the kernel tables named
below are read; the package's serving samples are not.

Conventions found by comparing with line rates and peaks: ``message_size`` of collectives counts
elements of 2 bytes (both for half and int8, of which half is read); MoE tables count the tokens of
the whole expert-parallel group; ``num_heads`` of latent attention is per rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._table import make_table
from hetsim.errors import Problem, ScenarioError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DEVICES", "PROVIDER", "SOURCE", "read"]

SOURCE = "aiconfigurator-core 0.12.0 (Apache-2.0), systems/data"
PROVIDER = "fastest of the TensorRT-LLM, SGLang and vLLM kernels in the table"

DEVICES = {
    "a100-sxm4-80": "a100_sxm",
    "h100-sxm": "h100_sxm",
    "h200-sxm": "h200_sxm",
    "b200-sxm": "b200_sxm",
    "b300-sxm": "b300_sxm",
    "gb200": "gb200",
    "gb300": "gb300",
    "l40s": "l40s",
    "rtxpro6000-server": "rtx_pro_6000_server",
    "arc-pro-b60": "b60",
}

_GEMM = {
    "bfloat16": "bf16",
    "fp8": "fp8_e4m3",
    "fp8_block": "fp8_block",
    "nvfp4": "nvfp4",
    "int8_wo": "bf16_w_int8",
    "int4_wo": "bf16_w_int4",
    "sq": "int8",
}
_MOE = {
    **_GEMM,
    "w4a16_mxfp4": "bf16_w_mxfp4",
    "w4a8_mxfp4_mxfp8": "mxfp8_w_mxfp4",
    "w4afp8": "fp8_e4m3_w_int4",
}
_KV = {"bfloat16": "bf16", "fp8": "fp8_e4m3"}
_NOT_GATED = "nongated|situ"
_NOT_GATED_TOP_K = 16
_NOT_GATED_HIDDEN = 2688
"""Nemotron models (top-k 22, or hidden size 2688) have experts of two matrices."""

_FILLED = 16
"""Token copies per expert from which a skewed routing touches all experts."""

_COLLECTIVES = {
    "all_reduce": "all_reduce",
    "all_gather": "all_gather",
    "reduce_scatter": "reduce_scatter",
    "alltoall": "all_to_all",
}
_ELEMENT_BYTES = 2.0


def read(accelerator: str, root: Path | None = None) -> Iterator[pd.DataFrame]:
    """Yield the kernel tables of one accelerator, one frame per kind and file.

    Raises
    ------
    ScenarioError
        If the package is not installed and no ``root`` (its ``systems/data``) is given, if the
        accelerator is not in it, or if a file lacks a column.
    """
    folder = _root(root) / DEVICES.get(accelerator, "")
    if accelerator not in DEVICES or not folder.is_dir():
        known = ", ".join(sorted(DEVICES))
        raise ScenarioError(Problem(f"{SOURCE} has no {accelerator!r}; it has {known}"))
    for pattern, reader in _READERS:
        for path in sorted(folder.glob(f"*/*/*/{pattern}")):
            raw = _load(path)
            if len(raw):
                where = path.relative_to(folder.parent).as_posix()
                yield from reader(raw, where, path.parent.parent.name)


def _root(root: Path | None) -> Path:
    if root is not None:
        return root
    from importlib.resources import files

    try:
        return Path(str(files("aiconfigurator_core"))) / "systems" / "data"
    except ModuleNotFoundError:
        raise ScenarioError(
            Problem("aiconfigurator-core is not installed; pip install 'hetsim[tables]'")
        ) from None


def _load(path: Path) -> pd.DataFrame:
    import pandas as pd
    from pyarrow import ArrowException

    try:
        return pd.read_parquet(path)
    except (ArrowException, OSError) as error:
        raise ScenarioError(Problem(f"cannot be read: {error}", "", str(path))) from None


def _need(raw: pd.DataFrame, where: str, *names: str) -> None:
    missing = [name for name in names if name not in raw.columns]
    if missing:
        raise ScenarioError([Problem(f"column {name!r} is missing", "", where) for name in missing])


def _known(raw: pd.DataFrame, column: str, names: dict[str, str]) -> tuple[pd.DataFrame, Any]:
    """Return the rows whose format we know, and our names of them."""
    formats = raw[column].astype(str).map(names)
    return raw[formats.notna()].reset_index(drop=True), formats.dropna().to_numpy()


def _common(raw: pd.DataFrame, formats: Any, where: str, framework: str) -> dict[str, Any]:
    return {
        "format": formats,
        "time_s": raw["latency"].to_numpy(float) * 1e-3,
        "source": where,
        "framework": framework,
    }


def _gemm(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    _need(raw, where, "gemm_dtype", "m", "n", "k", "latency")
    raw, formats = _known(raw, "gemm_dtype", _GEMM)
    columns = {name: raw[name].to_numpy() for name in ("m", "n", "k")}
    yield make_table("gemm", {**_common(raw, formats, where, framework), **columns})


def _moe(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    shape = {
        "tokens": "num_tokens",
        "hidden": "hidden_size",
        "inter": "inter_size",
        "top_k": "topk",
        "experts": "num_experts",
        "moe_tp": "moe_tp_size",
        "moe_ep": "moe_ep_size",
    }
    needed = ("moe_dtype", "kernel_source", "distribution", "latency")
    _need(raw, where, *needed, *shape.values())
    gated = ~raw["kernel_source"].astype(str).str.contains(_NOT_GATED)
    gated &= (raw["topk"] < _NOT_GATED_TOP_K) & (raw["hidden_size"] != _NOT_GATED_HIDDEN)
    raw = raw[gated & _evenly_loaded(raw) & ~_fills_with_strangers(raw)]
    raw, formats = _known(raw, "moe_dtype", _MOE)
    columns = {ours: raw[theirs].to_numpy() for ours, theirs in shape.items()}
    yield make_table("grouped_gemm", {**_common(raw, formats, where, framework), **columns})


def _evenly_loaded(raw: pd.DataFrame) -> Any:
    """Whether a row's work per rank follows from its shape.

    Balanced rows always; skewed ones only where one rank holds all experts and each gets many
    copies, since else the busiest rank is picked by a draw that the table does not state.
    """
    filled = raw["num_tokens"] * raw["topk"] >= _FILLED * raw["num_experts"]
    skewed = (raw["distribution"] == "power_law_1.01") & (raw["moe_ep_size"] == 1) & filled
    return (raw["distribution"] == "balanced") | skewed


def _fills_with_strangers(raw: pd.DataFrame) -> Any:
    """Whether a rank was made to compute the copies that belong to other ranks as well.

    SGLang's collector hands its Marlin kernel, which knows no remote experts, those copies under
    the number of the first local expert: with EP its rows hold up to EP times their work.
    """
    marlin = raw["kernel_source"].astype(str).str.startswith("sglang_marlin")
    return marlin & (raw["moe_ep_size"] > 1)


def _attention_rows(raw: pd.DataFrame, where: str) -> pd.DataFrame:
    shape = ("batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim")
    _need(raw, where, *shape, "kv_cache_dtype", "latency")
    if "window_size" not in raw:
        return raw
    return raw[raw["window_size"] == 0]


def _prefill(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    raw = _attention_rows(raw, where)
    _need(raw, where, "attn_dtype")
    raw = raw.assign(both=_prefill_format(raw, "attn_dtype"))
    raw, formats = _known(raw, "both", {name: name for name in _PREFILL_FORMATS})
    columns = {
        "batch": raw["batch_size"].to_numpy(),
        "new": raw["isl"].to_numpy(),
        "past": raw["step"].to_numpy(),
        "heads": raw["num_heads"].to_numpy(),
        "kv_heads": raw["num_key_value_heads"].to_numpy(),
        "head_dim": raw["head_dim"].to_numpy(),
    }
    yield make_table("attention_prefill", {**_common(raw, formats, where, framework), **columns})


_PREFILL_FORMATS = ("bf16", "fp8_e4m3", "bf16_kv_fp8_e4m3")


def _prefill_format(raw: pd.DataFrame, compute: str) -> Any:
    """Return compute and KV format as one key; the plain name where they agree."""
    left, right = raw[compute].astype(str).map(_KV), raw["kv_cache_dtype"].astype(str).map(_KV)
    return left.where(left == right, left + "_kv_" + right)


def _decode(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    raw = _attention_rows(raw, where)
    raw, formats = _known(raw, "kv_cache_dtype", _KV)
    columns = {
        "batch": raw["batch_size"].to_numpy(),
        "context": (raw["isl"] + raw["step"]).to_numpy(),
        "heads": raw["num_heads"].to_numpy(),
        "kv_heads": raw["num_key_value_heads"].to_numpy(),
        "head_dim": raw["head_dim"].to_numpy(),
    }
    yield make_table("attention_decode", {**_common(raw, formats, where, framework), **columns})


def _mla_prefill(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    _need(raw, where, "mla_dtype", "kv_cache_dtype", "num_heads", "batch_size", "isl", "latency")
    raw = raw.assign(both=_prefill_format(raw, "mla_dtype"))
    raw, formats = _known(raw, "both", {name: name for name in _PREFILL_FORMATS})
    columns = {
        "batch": raw["batch_size"].to_numpy(),
        "new": raw["isl"].to_numpy(),
        "past": raw["step"].to_numpy(),
        "heads": raw["num_heads"].to_numpy(),
    }
    table = {**_common(raw, formats, where, framework), **columns}
    yield make_table("attention_prefill_mla", table)


def _mla_decode(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    _need(raw, where, "kv_cache_dtype", "num_heads", "batch_size", "isl", "step", "latency")
    raw, formats = _known(raw, "kv_cache_dtype", _KV)
    columns = {
        "batch": raw["batch_size"].to_numpy(),
        "context": (raw["isl"] + raw["step"]).to_numpy(),
        "heads": raw["num_heads"].to_numpy(),
    }
    yield make_table("attention_decode_mla", {**_common(raw, formats, where, framework), **columns})


def _scaling(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    """Yield the static quantisation of activations: 2 bytes read, 1 written per element."""
    _need(raw, where, "m", "k", "latency")
    columns = {"rows": raw["m"].to_numpy(), "columns": raw["k"].to_numpy(), "passes": 3.0}
    yield make_table("elementwise", {**_common(raw, "bf16", where, framework), **columns})


def _collective(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    dtype = "nccl_dtype" if "nccl_dtype" in raw else "allreduce_dtype"
    _need(raw, where, dtype, "num_gpus", "message_size", "op_name", "latency")
    raw = raw[raw[dtype].isin(("half", "bfloat16"))]
    if "kernel_source" in raw:
        # Engines run decode inside captured graphs; eager launches only add host time.
        raw = raw[~raw["kernel_source"].astype(str).str.contains("eager")]
    for theirs, ours in _COLLECTIVES.items():
        part = raw[raw["op_name"] == theirs]
        if len(part):
            columns = {
                "ranks": part["num_gpus"].to_numpy(),
                "message_bytes": part["message_size"].to_numpy(float) * _ELEMENT_BYTES,
            }
            yield make_table(ours, {**_common(part, "bf16", where, framework), **columns})


def _exchange_low(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    """Yield low-latency expert exchanges: dispatch in fp8, combine in 16 bit."""
    shape = ("hidden_size", "num_token", "num_topk", "node_num")
    _need(raw, where, *shape, "dispatch_avg_t_us", "combine_avg_t_us")
    raw = raw.rename(columns={"num_token": "num_tokens", "num_topk": "topk"})
    for kind in ("dispatch", "combine"):
        yield _exchanged(raw, kind, raw[f"{kind}_avg_t_us"] * 1e-6, where, "low latency")


def _exchange_normal(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    """Yield high-throughput expert exchanges: notification and transfer."""
    shape = ("hidden_size", "num_token", "num_topk", "node_num")
    times = ("dispatch_transmit_us", "dispatch_notify_us", "combine_transmit_us")
    _need(raw, where, *shape, *times, "combine_notify_us")
    raw = raw.rename(columns={"num_token": "num_tokens", "num_topk": "topk"})
    for kind in ("dispatch", "combine"):
        time_us = raw[f"{kind}_transmit_us"] + raw[f"{kind}_notify_us"]
        yield _exchanged(raw, kind, time_us * 1e-6, where, "normal")


def _exchange_nvlink(raw: pd.DataFrame, where: str, framework: str) -> Iterator[pd.DataFrame]:
    """Yield the exchange of TensorRT-LLM over a rack's NVLink: the faster of its two kernels.

    The two-sided one needs a preparation before the way out; its 16-bit way back is read alone.
    """
    shape = ("hidden_size", "num_tokens", "topk", "moe_ep_size", "moe_dtype")
    _need(raw, where, *shape, "op_name", "kernel_source", "latency")
    keys = ["num_tokens", "hidden_size", "topk", "moe_ep_size", "moe_dtype"]
    table = raw.pivot_table(
        index=keys, columns=["op_name", "kernel_source"], values="latency", aggfunc="min"
    )
    one, two = (table.xs(f"NVLink{side}Sided", axis=1, level=1) for side in ("One", "Two"))
    way = {
        "dispatch": (
            one["alltoall_dispatch"],
            two["alltoall_prepare"] + two["alltoall_dispatch"],
        ),
        "combine": (one["alltoall_combine"], two["alltoall_combine"]),
    }
    for kind, (single, double) in way.items():
        time_ms = single.fillna(float("inf")).combine(double.fillna(float("inf")), min)
        rows = time_ms[time_ms < float("inf")].rename("time_ms").reset_index()
        width = rows["moe_dtype"].map(_NVLINK_BYTES) if kind == "dispatch" else 2.0
        copies = rows["num_tokens"].astype(float) * rows["topk"] * rows["hidden_size"]
        yield make_table(
            f"moe_{kind}",
            {
                "format": "bf16",
                "time_s": rows["time_ms"].to_numpy(float) * 1e-3,
                "source": where,
                "framework": framework,
                "ranks": rows["moe_ep_size"].to_numpy(float),
                "message_bytes": (copies * width).to_numpy(float),
            },
        )


_NVLINK_BYTES = {"nvfp4": 0.5625, "fp8": 1.0, "bfloat16": 2.0}

_EXCHANGE_HIDDEN, _EXCHANGE_TOP_K = 7168, 8
"""The shape that every exchange kernel was measured at, so that the fastest of them can be told."""

_SENT_BYTES = {"dispatch": 1.03125, "combine": 2.0}
"""Per element: fp8 with one 32-bit scale per 128, and bf16."""


def _exchanged(
    raw: pd.DataFrame, kind: str, time_s: Any, where: str, framework: str
) -> pd.DataFrame:
    per_node = 4.0 if where.startswith("gb") else 8.0
    usual = (raw["hidden_size"] == _EXCHANGE_HIDDEN) & (raw["topk"] == _EXCHANGE_TOP_K)
    raw, time_s = raw[usual], time_s[usual]
    copies = raw["num_tokens"].to_numpy(float) * raw["topk"] * raw["hidden_size"]
    return make_table(
        f"moe_{kind}",
        {
            "format": "bf16",
            "time_s": time_s.to_numpy(float),
            "source": where,
            "framework": framework,
            "ranks": raw["node_num"].to_numpy(float) * per_node,
            "message_bytes": copies.to_numpy(float) * _SENT_BYTES[kind],
        },
    )


Reader = Callable[[Any, str, str], Iterator[Any]]

_READERS: tuple[tuple[str, Reader], ...] = (
    ("gemm_perf.parquet", _gemm),
    ("moe_perf.parquet", _moe),
    ("context_attention_perf.parquet", _prefill),
    ("generation_attention_perf.parquet", _decode),
    ("context_mla_perf.parquet", _mla_prefill),
    ("generation_mla_perf.parquet", _mla_decode),
    ("scale_matrix_perf.parquet", _scaling),
    ("custom_allreduce_perf.parquet", _collective),
    ("nccl_perf.parquet", _collective),
    ("oneccl_perf.parquet", _collective),
    ("wideep_deepep_ll_perf.parquet", _exchange_low),
    ("wideep_deepep_normal_perf.parquet", _exchange_normal),
    ("trtllm_alltoall_perf.parquet", _exchange_nvlink),
)
