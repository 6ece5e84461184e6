"""Number formats of a row: from its columns, and from published recipes where they are empty.

*Source* of the KV rules: SemiAnalysisAI/InferenceX, benchmarks/*.sh, read 2026-11: Llama fp8 on
TensorRT-LLM and vLLM; DeepSeek fp8 on TensorRT-LLM, and on SGLang on Blackwell; GPT-OSS fp8 on
Blackwell, ``auto`` (16 bit) on Hopper; Qwen3.5 fp8 on SGLang on Blackwell. Laboratory rows of the
same export: 16 bit, but fp8 where TensorRT-LLM serves weights with one scale per tensor. Those are
checkpoints of TensorRT Model Optimizer, whose hf_quant_config.json says fp8 of the KV cache too,
and ``auto`` follows it; the rows show it, since 64 prompts of 4,096 tokens of Qwen3-32B run at once
beside its weights on one H100, for which 16 bit would take 73 GB.
"""

from __future__ import annotations

from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.model import Model
from hetsim.precision import get_format
from hetsim.validate._recipes import family_of, is_laboratory
from hetsim.validate._table import Row

__all__ = ["formats_of"]

_WORDS = {
    "f16": "fp16",
    "float16": "fp16",
    "int4-awq": "int4",
    "awq": "int4",
    "int4-gptq": "int4",
    "w4a16": "int4",
    "w8a8-int8": "int8",
    "fp4": "nvfp4",
    "fp4 / fp8": "nvfp4",
    "q4_k_m": "int4",
    "q8_0": "int8",
}
_BLOCKWISE = ("deepseek", "kimi", "minimax", "glm-5")
"""Families whose fp8 checkpoints carry scales per 128 x 128 block. Source: their model cards."""


def _word(text: str) -> str:
    low = text.lower()
    return _WORDS.get(low, low)


def formats_of(row: Row, model: Model, accelerator: Accelerator, engine: str) -> dict[str, str]:
    """Return the ``precision`` section of a pool.

    Raises
    ------
    ScenarioError
        If a format is not known.
    """
    stated = _word(row.text("weight_dtype"))
    if not stated:
        raise ScenarioError(Problem("is empty; the row needs it", "weight_dtype"))
    weights, compute = _weights(row, stated, model), ""
    native = accelerator.native_formats
    # A table's "fp4" is the one that the device has: of AMD's, mxfp4 for weights and activations.
    if row.text("weight_dtype").lower() == "fp4" and "nvfp4" not in native and "mxfp4" in native:
        kv = _kv(row, model, accelerator, engine, "mxfp4", "bf16")
        return {"weights": "mxfp4", "compute": "mxfp4", "kv": kv}
    wide = "fp16" if stated == "fp16" else "bf16"
    act = _word(row.text("act_dtype"))
    if weights == "mxfp4":
        compute = "mxfp8" if "mxfp8" in accelerator.native_formats else wide
    elif weights == "int4":
        compute = wide
    elif act in ("bf16", "fp16") and get_format(weights, "weight_dtype").bits < 16:
        compute = act
    else:
        compute = weights
    kv = _kv(row, model, accelerator, engine, weights, wide)
    return {"weights": weights, "compute": compute, "kv": kv}


def _weights(row: Row, stated: str, model: Model) -> str:
    """Return the weights' format; block scales are what the checkpoint has."""
    if get_format(stated, "weight_dtype").name != "fp8_e4m3":
        return get_format(stated).name
    family, name = family_of(model), row.text("model").lower()
    if _word(row.text("act_dtype")) == "fp8_block" or family.startswith(_BLOCKWISE):
        return "fp8_block"
    if "qwen" in name and (name.endswith("-fp8") or "qwen3.5" in name):
        return "fp8_block"
    return "fp8_e4m3"


def _kv(
    row: Row, model: Model, accelerator: Accelerator, engine: str, weights: str, wide: str
) -> str:
    stated = _word(row.text("kv_dtype"))
    if stated == "auto":
        return wide
    if stated:
        return get_format(stated, "kv_dtype").name
    narrow = get_format(weights).bits < 16
    blackwell = accelerator.family.startswith("blackwell")
    if row.kind in ("mlperf_llm", "pd_scale"):
        return "fp8_e4m3" if narrow else wide
    if not narrow or row.kind != "serving":
        return wide
    if "lab" in row.text("source").lower():
        built = is_laboratory(row) and engine == "trtllm" and weights == "fp8_e4m3"
        return "fp8_e4m3" if built else wide
    if engine == "sglang" or family_of(model).startswith("gpt-oss"):
        return "fp8_e4m3" if blackwell else wide
    return "fp8_e4m3"
