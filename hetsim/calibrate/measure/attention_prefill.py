"""Causal attention of whole prompts with grouped queries, over lengths and head counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = ["build", "points"]

QUICK_HEADS = ((16, 4, 64), (14, 2, 64), (32, 4, 64), (8, 8, 128), (12, 4, 128))
HEADS = (*QUICK_HEADS, (32, 8, 64), (32, 8, 128), (28, 4, 128), (16, 16, 128))
"""``(heads, kv_heads, head_dim)`` of TinyLlama, Qwen2.5, Llama-3 and others, some cut by TP."""
QUICK_LENGTHS = (16, 64, 128, 256, 512, 1024)
LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
PASTS = (512, 2048)


def points(quick: bool) -> Iterator[Point]:
    """Yield every point; prompts with a past are an own provider, since they need a mask."""
    for fmt in ("bf16", "fp32"):
        heads = QUICK_HEADS if quick else HEADS
        for shape in heads if fmt == "bf16" else heads[::2]:
            for new in QUICK_LENGTHS if quick else LENGTHS:
                yield _point(fmt, "torch", 1, new, 0, *shape)
    for new in () if quick else (64, 256, 1024):
        for past in PASTS:
            yield _point("bf16", "torch_masked", 1, new, past, *HEADS[0])


def _point(
    fmt: str, provider: str, batch: int, new: int, past: int, heads: int, kv_heads: int, dim: int
) -> Point:
    width = 4.0 if fmt == "fp32" else 2.0
    context = batch * new * (past + 0.5 * (new + 1.0))
    moved = batch * width * dim * (2.0 * new * heads + 2.0 * (new + past) * kv_heads)
    return point(
        "attention_prefill",
        "attention_prefill",
        fmt,
        provider,
        "sdpa",
        4.0 * context * heads * dim,
        moved,
        batch=batch,
        new=new,
        past=past,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dim,
    )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    torch = bench.torch
    batch, new, past, dim = at["batch"], at["new"], at["past"], at["head_dim"]
    q = bench.warm(at.format, batch, at["heads"], new, dim)
    k, v = (bench.warm(at.format, batch, at["kv_heads"], new + past, dim) for _ in "kv")
    attend: Any = torch.nn.functional.scaled_dot_product_attention
    if not past:
        return lambda i: attend(q, k, v, is_causal=True, enable_gqa=True)
    ones = torch.ones(new, new + past, dtype=torch.bool, device=bench.place)
    mask = ones.tril(diagonal=past)
    return lambda i: attend(q, k, v, attn_mask=mask, enable_gqa=True)
