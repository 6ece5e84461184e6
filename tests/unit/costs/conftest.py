"""A device, a calibration and models with round numbers, so that tests can be done by hand."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from hetsim.costs import (
    Calibration,
    GroupLinks,
    Layout,
    Overheads,
    Parameters,
    Precision,
    StepModel,
    build_step_model,
)
from hetsim.costs._calibration import Layer
from hetsim.hardware import Accelerator, get_accelerator
from hetsim.model import Attention, LayerGroup, Mlp, Model

NO_OVERHEADS = Overheads(
    host_step_s=0.0,
    host_per_sequence_s=0.0,
    kernel_scale_decode=1.0,
    kernel_scale_prefill=1.0,
    floor_scale=1.0,
)
WIDE = GroupLinks(devices_per_domain=64)


def device(**changes: Any) -> Accelerator:
    """Return a device of 100 TFLOP/s (bf16), 200 TFLOP/s (fp8), 1 TB/s of memory."""
    base = get_accelerator("h100-sxm")
    peaks = {"fp32": 5e13, "bf16": 1e14, "fp16": 1e14, "fp8": 2e14, "int8": 2e14}
    fields = {"peaks_flop_per_s": peaks, "memory_bytes_per_s": 1e12, **changes}
    return replace(base, **fields)


def ideal(**changes: float) -> Calibration:
    """Return a calibration without floors in which everything reaches nominal rates."""
    base = Parameters(t0_s=0.0, e_c=1.0, e_m=1.0, p=8.0, grade="fitted", rse=0.1, source="by hand")
    one = replace(base, **changes)
    kinds = ("gemm", "grouped_gemm", "elementwise", "dequantise")
    kinds += ("attention_decode", "attention_prefill")
    kinds += ("attention_decode_mla", "attention_prefill_mla")
    layer = Layer(
        name="ideal",
        best="measured",
        operators={kind: {"any": one} for kind in kinds},
        collectives={},
    )
    return Calibration(accelerator="ideal", layers=(layer,), collective_scale={})


def tiny(attention: Attention | None = None, mlp: Mlp | None = None, count: int = 2) -> Model:
    """Return a model of ``count`` layers, hidden 64, vocabulary 100."""
    attention = attention or Attention(kind="gqa", heads=4, kv_heads=2, head_dim=16)
    mlp = mlp or Mlp(kind="dense", inter=128)
    return Model(
        name="tiny",
        family="tiny",
        hidden=64,
        vocab=100,
        layers=(LayerGroup(count=count, attention=attention, mlp=mlp),),
        max_context=4096,
        tied_embeddings=False,
        norm_params_per_layer=128,
    )


def bf16(**changes: Any) -> Precision:
    """Return 16-bit everything."""
    return replace(Precision(weights="bf16", compute="bf16", kv="bf16"), **changes)


def build(model: Model | None = None, **changes: Any) -> StepModel:
    """Return a step model of the round device."""
    fields: dict[str, Any] = {
        "model": model or tiny(),
        "accelerator": device(),
        "layout": Layout(),
        "precision": bf16(),
        "calibration": ideal(),
        "overheads": NO_OVERHEADS,
        "links": WIDE,
    }
    return build_step_model(**{**fields, **changes})


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """Return the makers of this file, for tests that are done by hand."""
    return SimpleNamespace(
        device=device,
        ideal=ideal,
        tiny=tiny,
        bf16=bf16,
        build=build,
        overheads=NO_OVERHEADS,
        links=WIDE,
    )
