"""Engine names of published tables to runtime presets."""

from __future__ import annotations

import re

from hetsim.errors import Problem, ScenarioError
from hetsim.runtimes import get_runtime, runtime_names

__all__ = ["engine_family", "preset_for"]

_FAMILIES = (
    (r"gptsession|triton backend", "trtllm_old"),
    (r"tensorrt|trt-?llm", "trtllm"),
    (r"sglang", "sglang"),
    (r"vllm|mindie|optimum-habana|gaudi sw|distserve|jax", "vllm"),
)
"""Words of an engine's name, most special first. MindIE, the Gaudi stack and DistServe have no
preset of their own and are run as vLLM, whose scheduling (continuous batching of whole prompts
under a token budget) is the nearest; their rows show what that costs."""

_APART = {
    "trtllm": ("trtllm_v2", "trtllm_cpp"),
    "trtllm_old": ("trtllm_v2", "trtllm_cpp"),
    "sglang": ("sglang_early", "sglang_prefill_complete"),
    "vllm": ("vllm_nixl_pull", "vllm_mooncake"),
}
_TOGETHER = {
    "trtllm": ("trtllm",),
    "trtllm_old": ("trtllm_2024", "trtllm"),
    "sglang": ("sglang",),
    "vllm": ("vllm",),
}


def engine_family(engine: str, version: str = "") -> str:
    """Return which of the engines with a preset ``engine`` is.

    Raises
    ------
    ScenarioError
        If it is none of them.

    >>> engine_family("TensorRT-LLM (Triton backend)"), engine_family("vLLM (ROCm)", "0.9.1")
    ('trtllm_old', 'vllm')
    """
    for pattern, family in _FAMILIES:
        if re.search(pattern, engine, re.IGNORECASE):
            old = family == "trtllm" and re.match(r"0\.", version)
            return "trtllm_old" if old else family
    raise ScenarioError(
        Problem(
            f"is {engine!r}; no runtime preset stands for it, there are TensorRT-LLM, vLLM, SGLang",
            "engine",
        )
    )


def preset_for(family: str, *, apart: bool) -> str:
    """Return the preset of an engine family, co-located or for pools ``apart``.

    Raises
    ------
    ScenarioError
        If none of the presets that would do exists.
    """
    known = set(runtime_names())
    wanted = (_APART if apart else _TOGETHER)[family]
    for name in wanted:
        if name in known and (get_runtime(name).use == "disaggregated") == apart:
            return name
    raise ScenarioError(Problem(f"no runtime preset for {family}: wanted {', '.join(wanted)}"))
