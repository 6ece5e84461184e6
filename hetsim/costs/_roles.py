"""Which format an operator really computes in on a device, and what is said about it."""

from __future__ import annotations

from typing import NamedTuple

from hetsim.costs._types import Precision
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.precision import Format, get_format

__all__ = ["Roles", "checkpoint_precision", "resolve_roles"]

_WIDE = ("bf16", "fp16", "fp32")
_FNUZ = {"fp8_e4m3": "fp8_e4m3fnuz", "fp8_e5m2": "fp8_e5m2fnuz", "fp8_block": "fp8_e4m3fnuz"}

_PARTIAL = {
    "gpt-oss": ("mxfp4", "nvfp4"),
    "deepseek": ("nvfp4", "mxfp4"),
    "kimi": ("nvfp4", "int4"),
}
"""Families whose quantised checkpoints keep attention in 16 bit, by the formats in question.

Source: gpt-oss model card 2025 (experts only); NVIDIA NVFP4 checkpoints of DeepSeek R1 and Kimi K2
(``exclude_modules`` of the quantisation configuration lists the attention projections).
"""


class Roles(NamedTuple):
    """Formats by role, after what the device can do; ``notes`` says what was replaced."""

    weights: Format
    attention_weights: Format
    wide: Format
    """16-bit format of norms, router, head and attention scores (fp32 if nothing else, or if the
    model computes in fp32)."""
    compute: Format
    attention_compute: Format
    kv: Format
    moved: Format
    """What the expert exchange sends out."""
    notes: tuple[str, ...]


def checkpoint_precision(family: str, precision: Precision) -> Precision:
    """Return ``precision`` with 16-bit attention where checkpoints of ``family`` keep it so.

    >>> p = Precision(weights="mxfp4", compute="bf16", kv="bf16")
    >>> checkpoint_precision("gpt_oss", p).attention_weights
    'bf16'
    """
    if precision.attention_weights is not None:
        return precision
    for prefix, formats in _PARTIAL.items():
        ours = family.replace("_", "-").startswith(prefix)
        if ours and get_format(precision.weights).name in formats:
            return Precision(
                weights=precision.weights,
                compute=precision.compute,
                kv=precision.kv,
                activations=precision.activations,
                attention_weights="bf16",
            )
    return precision


def _is_native(accelerator: Accelerator, fmt: Format) -> bool:
    return fmt.name in accelerator.native_formats and accelerator.peak(fmt.roof) is not None


def widest(accelerator: Accelerator) -> Format:
    """Return the 16-bit format that the device computes in (bf16, else fp16, else fp32).

    Raises
    ------
    ScenarioError
        If no source gives any of the three peaks.
    """
    for name in _WIDE:
        if accelerator.peak(name) is not None:
            return get_format(name)
    raise ScenarioError(
        Problem(f"accelerator {accelerator.name}: no known peak of bf16, fp16 or fp32")
    )


def _compute(accelerator: Accelerator, wanted: Format, notes: list[str]) -> Format:
    """Return ``wanted`` if the device computes in it, else what stands in; never a faster roof."""
    if _is_native(accelerator, wanted):
        return wanted
    twin = get_format(_FNUZ.get(wanted.name, wanted.name))
    if _is_native(accelerator, twin):
        notes.append(f"{accelerator.name} computes {wanted.name} as {twin.name}")
        return twin
    wide = widest(accelerator)
    if wide.name != wanted.name:
        notes.append(f"{accelerator.name} does not compute in {wanted.name}: runs in {wide.name}")
    return wide


def resolve_roles(accelerator: Accelerator, precision: Precision) -> Roles:
    """Return the formats of every role on ``accelerator``.

    A compute format that the device lacks falls back to its widest native format of at most
    16 bit, with dequantisation; the notes say so.

    Raises
    ------
    ScenarioError
        If the device has no 16-bit (or fp32) peak at all.
    """
    notes: list[str] = []
    wide = widest(accelerator)
    weights = get_format(precision.weights)
    compute = _compute(accelerator, get_format(precision.compute), notes)
    attention = get_format(precision.attention_weights or precision.weights)
    # A model that computes in fp32 does so in attention, norms and head as well.
    wide = compute if compute.bits > wide.bits else wide
    # Attention kept wider than the rest is not quantised on the fly to a faster roof.
    kept = precision.attention_weights is not None and attention.bits > compute.bits
    moved = get_format(precision.activations) if precision.activations else compute
    if weights.bits < compute.bits:
        notes.append(f"{weights.name} weights are dequantised to {compute.name}")
    kv = get_format(precision.kv)
    if kv.bits < 16 and not _is_native(accelerator, kv):
        notes.append(f"{accelerator.name} converts {kv.name} KV in software")
    return Roles(
        weights=weights,
        attention_weights=attention,
        wide=wide,
        compute=compute,
        attention_compute=wide if kept else compute,
        kv=kv,
        moved=moved,
        notes=tuple(notes),
    )
