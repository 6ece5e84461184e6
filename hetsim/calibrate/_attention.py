"""Attention, prompt and decode, grouped and latent: parameters, rows, weights, families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hetsim.calibrate._fit import Bound, Sample
from hetsim.calibrate._forms import attention_decode_s, attention_prefill_s
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._rows import (
    E_M,
    GAIN,
    Model,
    P,
    arrays,
    base_columns,
    extra,
    fetched,
    label,
    make_sample,
    narrowed,
    two_frameworks,
)
from hetsim.calibrate._table import MLA_NOPE, MLA_ROPE, MLA_VALUE

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ATTENTION_MODELS"]

_HEAD_SIZES = (64, 128, 256)
_MOST_SHARED = 32
"""Query heads per KV head; no current model shares more, and kernels treat such as exotic."""


def _long_enough(frame: pd.DataFrame) -> Any:
    return frame["context"] >= 64 if "context" in frame else frame["new"] >= 16


def _attention_select(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    return narrowed(
        frame,
        ("head size", lambda f: f["head_dim"].isin(_HEAD_SIZES)),
        ("only one framework", two_frameworks),
        ("context below 64", _long_enough),
        ("over 32 heads per KV head", lambda f: f["heads"] <= _MOST_SHARED * f["kv_heads"]),
    )


def _mla_select(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    return narrowed(frame, ("context below 64", _long_enough))


def _expanded_select(frame: pd.DataFrame, nominal: Nominal) -> tuple[pd.DataFrame, dict[str, int]]:
    # Shapes beyond the others' limits are run by single frameworks with untuned kernels.
    frame, dropped = narrowed(frame, ("only one framework", two_frameworks))
    rows, more = _mla_select(frame, nominal)
    return rows, {**dropped, **more}


def _head_known(bound: Bound, frame: pd.DataFrame) -> bool:
    """Whether what a parameter is about was measured: a head size, lone and grouped heads."""
    if bound.name == "lone_head":
        alone = frame["heads"] <= frame["kv_heads"]
        return bool(alone.any() and not alone.all())
    return not bound.name.startswith("head_") or bool(
        (frame["head_dim"] == int(bound.name[5:])).any()
    )


def _usual_head(frame: pd.DataFrame) -> Any:
    return frame["head_dim"] == 128


def _prefill_sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    columns = {
        **base_columns(frame, nominal, fmt),
        **arrays(frame, ("batch", "new", "past", "heads")),
    }
    mla = "head_dim" not in frame
    both = MLA_NOPE + MLA_ROPE + MLA_VALUE
    width = np.full(len(frame), float(both)) if mla else 2.0 * frame["head_dim"].to_numpy(float)
    columns["qk_plus_v"] = width
    # Latent attention expands keys and values per head, so that no head shares its work.
    columns["kv_heads"] = np.zeros(len(frame)) if mla else frame["kv_heads"].to_numpy(float)
    inside = columns["new"] >= 128
    weight = np.where(columns["new"] >= 256, 1.0, 0.2) * np.where(width == 256.0, 1.5, 1.0)
    names = ("heads",) if mla else ("heads", "kv_heads", "head_dim")
    return make_sample(frame, columns, weight, label(frame, names), inside, 50e-6)


def _prefill_seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    return attention_prefill_s(
        parameters,
        c["new"],
        c["past"],
        c["heads"],
        c["qk_plus_v"],
        fetched(parameters, c),
        c["peak"],
        c["bandwidth"],
        c["batch"],
        c["kv_heads"],
    )


def _decode_sample(frame: pd.DataFrame, nominal: Nominal, fmt: str) -> Sample:
    import numpy as np

    columns = {
        **base_columns(frame, nominal, "bf16"),
        **arrays(frame, ("batch", "context", "heads")),
    }
    read = columns["batch"] * columns["context"]
    columns["flops_each"] = frame["flops"].to_numpy(float) / read
    columns["bytes_each"] = columns["bytes"] / read
    mla = "kv_heads" not in frame
    columns["kv_heads"] = np.ones(len(frame)) if mla else frame["kv_heads"].to_numpy(float)
    columns["head_dim"] = np.full(len(frame), 128.0) if mla else frame["head_dim"].to_numpy(float)
    inside = columns["context"] >= 256
    weight = np.where(inside, 1.0, 0.3)
    if mla:
        family = label(frame, ("heads",))
    else:
        weight = weight * np.where(frame["head_dim"] == 128, 1.5, 1.0)
        family = label(frame, ("heads", "kv_heads", "head_dim"))
    return make_sample(frame, columns, weight, family, inside, 15e-6)


def _decode_seconds(parameters: Mapping[str, float], c: Mapping[str, Any]) -> Any:
    warm = fetched(parameters, c) / c["bytes"]
    return attention_decode_s(
        parameters,
        c["batch"],
        c["batch"] * c["context"],
        c["heads"],
        c["kv_heads"],
        c["flops_each"],
        c["bytes_each"] * warm,
        c["peak"],
        c["bandwidth"],
        c["head_dim"],
    )


_PREFILL = (
    Bound(name="t0_us", start=10.0, low=0.05, high=300.0, log=True),
    Bound(name="e_c", start=0.65, low=0.01, high=1.0),
    E_M,
    P,
    extra("s0_tokens", 700.0, 0.05, 20000.0),
)
_PREFILL_PLAIN = (
    *_PREFILL[:2],
    # Nearly the same curve as s0_tokens, so that only one of the two can be found.
    Bound(name="e_m", start=0.8, low=0.8, high=0.8),
    Bound(name="p", start=4.0, low=4.0, high=4.0),
    _PREFILL[4],
)
_DECODE = (
    Bound(name="t0_us", start=9.0, low=0.05, high=300.0, log=True),
    Bound(name="e_c", start=0.3, low=0.003, high=1.0),
    E_M,
    P,
    GAIN,
)
_PER_SEQUENCE = (
    extra("per_kv_head_ns", 1.0, 1e-3, 8000.0),
    extra("per_head_ns", 0.2, 1e-4, 2000.0),
)
_HEADS = (
    Bound(name="head_64", start=1.2, low=0.5, high=4.0),
    Bound(name="head_256", start=1.0, low=0.25, high=4.0),
)
_LONE = Bound(name="lone_head", start=1.1, low=0.5, high=4.0)
_FILL = (
    extra("q0", 5000.0, 1.0, 1e7),
    Bound(name="fill_p", start=1.2, low=1.0, high=8.0),
)
_SHARED = extra("kv0", 30.0, 0.01, 3000.0)
_WALK = (
    # From kernels that split every context to one block that reads it at a gigabyte per second.
    extra("walk_ps", 1e3, 1.0, 1e6),
    Bound(name="walk_p", start=2.0, low=1.0, high=8.0),
)
_TILED = (
    # Matrix units take 64 rows at the least; pipelined kernels compute while they load.
    Bound(name="head_tile", start=64.0, low=64.0, high=64.0),
    Bound(name="p", start=4.0, low=4.0, high=4.0),
)
_CACHED = Bound(name="cache_gain", start=1.2, low=1.0, high=16.0)
"""Rate of the last-level cache in units of memory's: up to ten beside GDDR memory."""

ATTENTION_MODELS: dict[str, Model] = {
    "attention_prefill": Model(
        plain=_PREFILL_PLAIN,
        shaped=(*_PREFILL, *_HEADS, *_FILL, _SHARED),
        select=_attention_select,
        sample=_prefill_sample,
        seconds=_prefill_seconds,
        plain_rows=_usual_head,
        known=_head_known,
        valid="prompts from 128 tokens, head size 64 to 256 (main keys: 128)",
    ),
    "attention_prefill_mla": Model(
        plain=_PREFILL_PLAIN,
        shaped=(*_PREFILL, *_FILL, _CACHED),
        select=_expanded_select,
        sample=_prefill_sample,
        seconds=_prefill_seconds,
        valid="prompts from 128 tokens, heads per rank 1 to 128",
    ),
    "attention_decode": Model(
        plain=_DECODE,
        shaped=(*_DECODE, *_PER_SEQUENCE, *_HEADS, _LONE, *_WALK),
        select=_attention_select,
        sample=_decode_sample,
        seconds=_decode_seconds,
        plain_rows=_usual_head,
        known=_head_known,
        valid="context from 256 tokens, head size 64 to 256 (main keys: 128)",
    ),
    "attention_decode_mla": Model(
        plain=_DECODE,
        shaped=(*_DECODE[:3], *_TILED, GAIN, *_PER_SEQUENCE[1:], *_WALK),
        select=_mla_select,
        sample=_decode_sample,
        seconds=_decode_seconds,
        valid="context from 256 tokens, heads per rank 1 to 128, absorbed",
    ),
}
