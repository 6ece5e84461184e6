"""What published benchmark recipes set beside an engine's defaults, as far as it moves a result.

*Source:* SemiAnalysisAI/InferenceX, benchmarks/*.sh and benchmarks/single_node/*.sh, read 2026-11;
of laboratory rows ai-dynamo/aiconfigurator, src/aiconfigurator/generator, read 2026-11.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hetsim.hardware import Accelerator
from hetsim.model import Model
from hetsim.validate._table import Row

__all__ = [
    "Recipe",
    "built_engine",
    "drafts",
    "family_of",
    "is_inferencex",
    "is_laboratory",
    "mlperf_recipe",
    "recipe_of",
]


class Recipe(NamedTuple):
    """Settings of a pool that differ from the preset; None = as the preset has it."""

    max_batched_tokens: int | None = None
    max_seqs: int | None = None
    memory_utilisation: float | None = None
    admission_steps: float | None = None


def family_of(model: Model) -> str:
    """Return the family of a model, with dashes, whatever its file uses."""
    return model.family.lower().replace("_", "-")


def is_inferencex(row: Row) -> bool:
    """Say whether the row was measured by the InferenceX client and its recipes."""
    drawn = "0.8-1.0" in row.text("length_dist")
    return drawn or row.text("source").lower().startswith("inferencex")


def is_laboratory(row: Row) -> bool:
    """Say whether the row was measured by those who make aiconfigurator, on what it generates."""
    return row.text("source").lower().startswith("aiconfigurator-lab")


def recipe_of(
    row: Row, model: Model, accelerator: Accelerator, engine: str, isl: int, osl: int, users: int
) -> Recipe:
    """Return the settings of a row: of its client's recipes, else what its notes state."""
    if row.text("mode") == "disagg":
        return Recipe()
    if is_laboratory(row) and engine in ("trtllm", "vllm"):
        return Recipe(max_batched_tokens=isl + users + _LABORATORY_TOKENS)
    if not is_inferencex(row):
        return _said(row)
    if engine == "trtllm":
        return _trtllm(row, model, isl, osl, users)
    if engine == "sglang":
        return _sglang(accelerator, users)
    return Recipe(max_batched_tokens=8192)


_LABORATORY_TOKENS = 1500
"""Room in a step beyond one prompt and every user's token: ``max_num_tokens = max_batch_size + isl
+ 1500`` in rule_plugin/benchmark/trtllm.rule and vllm.rule, and in the generator before them. Of
SGLang the rules ask for mixed chunks, which the measured rows (0.5.1) do not show: its defaults."""


def built_engine(model: Model) -> bool:
    """Say whether MLPerf submissions of TensorRT-LLM serve a model from a built engine.

    They did under the C++ executor, except models that only the PyTorch flow has. Source: as
    :func:`mlperf_recipe` (build flags there, CUDA graphs and expert back ends here).
    """
    return not family_of(model).startswith(("deepseek", "gpt-oss"))


def mlperf_recipe(model: Model, engine: str) -> Recipe:
    """Return what MLPerf submissions set; of an engine that is not named here the preset stands.

    Source: of TensorRT-LLM, closed/NVIDIA/configs of MLPerf Inference v5.1, B200-SXM-180GBx8,
    Offline and Server, llama2-70b.py (gpu_batch_size 2048, max_num_tokens 3584,
    kvcache_free_gpu_mem_frac 0.95) and deepseek-r1.py (512, 3456, 0.9); of vLLM,
    open/Krai of the same round, eight H200 (max_num_seqs 1232, max_num_batched_tokens 8121,
    gpu_memory_utilization 0.95); read 2026-11.
    """
    if engine == "vllm":
        return Recipe(max_batched_tokens=8121, max_seqs=1232, memory_utilisation=0.95)
    if engine not in ("trtllm", "trtllm_old"):
        return Recipe()
    if built_engine(model):
        return Recipe(max_batched_tokens=3584, max_seqs=2048, memory_utilisation=0.95)
    return Recipe(max_batched_tokens=3456, max_seqs=512, memory_utilisation=0.9)


_FLAGS = {
    "max_batched_tokens": r"max[_-](?:num[_-])?batched(?:[_-]tokens)?[= ]+(\d+)",
    "max_seqs": r"max[_-](?:(?:num[_-])?seqs|running[_-]requests)[= ]+(\d+)",
    "memory_utilisation": r"(?:gpu-memory-utilization|mem-fraction-static)[= ]+(0?\.\d+)",
}
"""Settings that a row's notes may state, as an engine's command line has them."""


def _said(row: Row) -> Recipe:
    """Return the limits that the notes of a row state, of each the first.

    A page that varies one names it before the command that all its rows share.

    >>> _said(Row("serving", "r", {"notes": "max_num_seqs=128; cmd: vllm serve --max-num-seqs 9"}))
    Recipe(max_batched_tokens=None, max_seqs=128, memory_utilisation=None, admission_steps=None)
    """
    words = row.text("notes")
    found = {name: re.search(pattern, words) for name, pattern in _FLAGS.items()}
    said = {name: match[1] for name, match in found.items() if match}
    ratio = said.get("memory_utilisation")
    return Recipe(
        max_batched_tokens=_whole(said.get("max_batched_tokens")),
        max_seqs=_whole(said.get("max_seqs")),
        memory_utilisation=float(ratio) if ratio else None,
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text and int(text) > 0 else None


def _trtllm(row: Row, model: Model, isl: int, osl: int, users: int) -> Recipe:
    if family_of(model).startswith("gpt-oss"):
        return Recipe(max_batched_tokens=20000, memory_utilisation=0.85)
    # The shapes that the recipes tell apart are the nominal ones.
    even = isl == 1024 and osl == 1024
    if family_of(model).startswith("llama"):
        # max_num_tokens is the longest request there, a little above ISL + OSL.
        wait = _batch_wait(20) if even and (row.number("tp") or 1) < 8 else None
        return Recipe(max_batched_tokens=isl + osl + 200, admission_steps=wait)
    # Rounded up to 64 beyond one prompt and every decode, and at least 8192.
    tokens = max(8192, -(-(isl + users + 64) // 64) * 64)
    wait = None
    if (row.number("dp") or 1) > 1:
        # attention_dp_config: timeout_iters 60, until every rank has a prompt.
        wait = _batch_wait(60)
    elif even and "fp8" in row.text("weight_dtype") and 64 <= users < 256:
        wait = _batch_wait(40)
    return Recipe(max_batched_tokens=tokens, memory_utilisation=0.8, admission_steps=wait)


def _batch_wait(iterations: int) -> float:
    """Return the mean steps that a request waits for a batch (``batch_wait_timeout_iters``).

    The first of a batch waits for all of them, those who join it on average for half; three
    quarters are taken, beside the three steps that every request waits.

    >>> _batch_wait(20)
    18.0
    """
    return 0.75 * iterations + 3.0


def _sglang(accelerator: Accelerator, users: int) -> Recipe:
    if not accelerator.family.startswith("blackwell"):
        return Recipe(max_batched_tokens=32768, memory_utilisation=0.82)
    # scheduler-recv-interval: decode steps between two looks for new requests.
    wait = _batch_wait(30 if users >= 16 else 10)
    return Recipe(max_batched_tokens=32768, memory_utilisation=0.82, admission_steps=wait)


def drafts(row: Row, model: Model, engine: str) -> bool:
    """Say whether only a recipe with speculative decoding can have made the row.

    InferenceX rows do not record it. Of DeepSeek, the image 1.2.0rc6.post3 of TensorRT-LLM and the
    users beyond those of the plain recipes occur in the recipes with drafted tokens alone
    (.github/configs/nvidia-master.yaml at 0004cf5). Such rows are scored and never fitted.
    """
    if not is_inferencex(row) or row.text("mode") == "disagg":
        return False
    if not family_of(model).startswith("deepseek"):
        return False
    if row.text("engine_version") == "1.2.0rc6.post3":
        return True
    if "fp8" not in row.text("weight_dtype") or (row.number("concurrency") or 0) < _DRAFTED_USERS:
        return False
    hopper = row.text("accelerator").upper().startswith("H200")
    return (engine == "sglang" and not hopper) or (engine == "trtllm" and hopper)


_DRAFTED_USERS = 128
"""The plain recipes of DeepSeek in fp8 end at 64 users, with TensorRT-LLM on B200 at 256."""
