"""What published benchmark recipes set beside an engine's defaults, as far as it moves a result.

*Source:* SemiAnalysisAI/InferenceX, benchmarks/*.sh and benchmarks/single_node/*.sh, read 2026-11.
"""

from __future__ import annotations

from typing import NamedTuple

from hetsim.hardware import Accelerator
from hetsim.model import Model
from hetsim.validate._table import Row

__all__ = ["Recipe", "family_of", "is_inferencex", "recipe_of"]


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


def recipe_of(
    row: Row, model: Model, accelerator: Accelerator, engine: str, isl: int, osl: int, users: int
) -> Recipe:
    """Return the settings of a row; those of an unknown recipe are the preset's."""
    if not is_inferencex(row) or row.text("mode") == "disagg":
        return Recipe()
    if engine == "trtllm":
        return _trtllm(row, model, isl, osl, users)
    if engine == "sglang":
        return _sglang(accelerator, users)
    return Recipe(max_batched_tokens=8192)


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
