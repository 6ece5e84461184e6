"""What published benchmark recipes set beside an engine's defaults, as far as it moves a result.

*Source:* SemiAnalysisAI/InferenceX, benchmarks/*.sh and benchmarks/single_node/*.sh, read 2026-11.
"""

from __future__ import annotations

from typing import NamedTuple

from hetsim.hardware import Accelerator
from hetsim.model import Model
from hetsim.validate._table import Row

__all__ = ["Recipe", "is_inferencex", "recipe_of"]


class Recipe(NamedTuple):
    """Settings of a pool that differ from the preset; None = as the preset has it."""

    max_batched_tokens: int | None = None
    max_seqs: int | None = None
    memory_utilisation: float | None = None
    admission_steps: float | None = None


def is_inferencex(row: Row) -> bool:
    """Say whether the row was measured by the InferenceX client and its recipes."""
    drawn = "0.8-1.0" in row.text("length_dist")
    return drawn or row.text("source").lower().startswith("inferencex")


def recipe_of(
    row: Row, model: Model, accelerator: Accelerator, engine: str, isl: int, osl: int, users: int
) -> Recipe:
    """Return the settings of a row; those of an unknown recipe are the preset's."""
    if not is_inferencex(row) or row.text("mode") == "disagg":
        return Recipe()
    if engine == "trtllm":
        return _trtllm(model, isl, osl, users)
    if engine == "sglang":
        return _sglang(accelerator, users)
    return Recipe(max_batched_tokens=8192)


def _trtllm(model: Model, isl: int, osl: int, users: int) -> Recipe:
    if model.family.startswith("gpt-oss"):
        return Recipe(max_batched_tokens=20000, memory_utilisation=0.85)
    if model.family.startswith("llama"):
        # max_num_tokens is the longest request there, a little above ISL + OSL.
        return Recipe(max_batched_tokens=isl + osl + 200)
    # Rounded up to 64 beyond one prompt and every decode, and at least 8192.
    tokens = max(8192, -(-(isl + users + 64) // 64) * 64)
    return Recipe(max_batched_tokens=tokens, memory_utilisation=0.8)


def _sglang(accelerator: Accelerator, users: int) -> Recipe:
    if not accelerator.family.startswith("blackwell"):
        return Recipe(max_batched_tokens=32768, memory_utilisation=0.82)
    # The scheduler looks for requests every so many decode steps (scheduler-recv-interval); one
    # that arrives at any moment between two looks waits half of that.
    interval = 30 if users >= 16 else 10
    return Recipe(
        max_batched_tokens=32768, memory_utilisation=0.82, admission_steps=0.5 * interval
    )
