"""One query per sequence against a cold KV cache: contiguous, and gathered from pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point
from hetsim.calibrate.measure.attention_prefill import HEADS, QUICK_HEADS

__all__ = ["build", "points"]

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CONTEXTS = (64, 256, 512, 1024, 2048, 4096, 8192, 16384)
QUICK_BATCHES = (1, 4, 16)
QUICK_CONTEXTS = (64, 256, 1024, 2048)
PAGE = 16
"""Tokens of a page, as most engines have it."""


def points(quick: bool) -> Iterator[Point]:
    """Yield every point."""
    batches, contexts = (QUICK_BATCHES, QUICK_CONTEXTS) if quick else (BATCHES, CONTEXTS)
    heads = QUICK_HEADS if quick else HEADS
    for fmt, provider, shapes in (
        ("bf16", "torch", heads),
        ("fp32", "torch", heads[::2]),
        ("bf16", "torch_paged", heads[:5:2]),
    ):
        for shape in shapes:
            for batch in batches if provider == "torch" else batches[::2]:
                for context in contexts:
                    yield _point(fmt, provider, batch, context, *shape)


def _point(
    fmt: str, provider: str, batch: int, context: int, heads: int, kv_heads: int, dim: int
) -> Point:
    width = 4.0 if fmt == "fp32" else 2.0
    read = float(batch * context * dim)
    return point(
        "attention_decode",
        "attention_decode",
        fmt,
        provider,
        "sdpa",
        4.0 * read * heads,
        2.0 * read * kv_heads * width,
        batch=batch,
        context=context,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=dim,
    )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    batch, context, dim, kv_heads = at["batch"], at["context"], at["head_dim"], at["kv_heads"]
    q = bench.warm(at.format, batch, at["heads"], 1, dim)
    attend: Any = bench.torch.nn.functional.scaled_dot_product_attention
    if at.provider == "torch_paged":
        return _paged(at, bench, q, attend)
    stored = [(x[0], x[1]) for x in bench.cold(at.format, 2, batch, kv_heads, context, dim)]
    count = len(stored)

    def run(i: int) -> Any:
        k, v = stored[i % count]
        return attend(q, k, v, enable_gqa=True)

    return run


def _paged(at: Point, bench: Bench, q: Any, attend: Any) -> Call:
    torch = bench.torch
    batch, context, dim, kv_heads = at["batch"], at["context"], at["head_dim"], at["kv_heads"]
    need = batch * context // PAGE
    pages = max(2 * need, int(bench.cold_bytes // (PAGE * kv_heads * dim * 2 * q.element_size())))
    stored = bench.cold(at.format, 2, pages, PAGE, kv_heads, dim)[0]
    # A fixed walk over all pages that never takes neighbours together.
    order = torch.arange(pages, device=bench.place) * 7919 % pages
    doubled = torch.cat((order, order))

    def run(i: int) -> Any:
        start = i * need % pages
        chosen = doubled[start : start + need]
        k, v = (
            part.index_select(0, chosen).view(batch, context, kv_heads, dim).transpose(1, 2)
            for part in stored
        )
        return attend(q, k, v, enable_gqa=True)

    return run
