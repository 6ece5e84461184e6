"""Memory bandwidth by size: read, copy and triad, from the cache and from memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = ["build", "points"]

PASSES = {"read": 4.0, "copy": 8.0, "triad": 12.0}
"""Bytes per element of fp32."""
ELEMENTS = (1 << 14, 1 << 17, 1 << 20, 1 << 22, 1 << 24, 1 << 26, 1 << 28)


def points(quick: bool) -> Iterator[Point]:
    """Yield every point; ``copy`` is a kind of its own as well, since KV is copied."""
    for op, each in PASSES.items():
        for elements in ELEMENTS[:5] if quick else ELEMENTS:
            yield point(
                "bandwidth",
                "copy" if op == "copy" else "bandwidth",
                "fp32",
                "torch",
                op,
                0.0,
                elements * each,
                rows=1,
                columns=elements,
                passes=each,
            )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run: the same operands again, so that small ones stay cached."""
    torch = bench.torch
    elements = at["columns"]
    a, b, c = bench.cold("fp32", 3, elements)[0]
    if at.op == "read":
        return lambda i: a.sum()
    if at.op == "copy":
        return lambda i: b.copy_(a)

    def run(i: int) -> Any:
        return torch.add(a, b, alpha=2.0, out=c)

    return run
