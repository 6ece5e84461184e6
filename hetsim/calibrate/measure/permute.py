"""Changing the order of a KV block's dimensions: tokens before heads, and back."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = ["build", "points"]

_HEADS, _DIM = 8, 64
TOKENS = (64, 256, 1024, 4096, 16384)


def points(quick: bool) -> Iterator[Point]:
    """Yield every point."""
    for tokens in TOKENS[:4:1] if quick else TOKENS:
        for fmt in ("bf16",) if quick else ("bf16", "fp32"):
            each = 2.0 * (4.0 if fmt == "fp32" else 2.0)
            yield point(
                "permute",
                "permute",
                fmt,
                "torch",
                "tokens_to_heads",
                0.0,
                tokens * _HEADS * _DIM * each,
                rows=tokens,
                columns=_HEADS * _DIM,
                passes=each,
            )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    inputs = bench.cold(at.format, at["rows"], _HEADS, _DIM)
    count = len(inputs)
    return lambda i: inputs[i % count].transpose(0, 1).contiguous()
