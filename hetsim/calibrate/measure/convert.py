"""Changing the number format of KV: casts, and quantisation with a scale per row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = ["build", "points"]

_ROW = 64
"""Elements that share a scale: one head of one token."""
_WIDTH = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8_e4m3": 1.0, "int8": 1.0 + 4.0 / _ROW}
PAIRS = (
    *(("bf16", "fp8_e4m3"), ("fp8_e4m3", "bf16"), ("bf16", "int8"), ("int8", "bf16")),
    *(("fp32", "bf16"), ("bf16", "fp32"), ("bf16", "fp16"), ("fp16", "bf16")),
)
SIZES = (1 << 14, 1 << 17, 1 << 20, 1 << 23)


def points(quick: bool) -> Iterator[Point]:
    """Yield every point."""
    for source, target in PAIRS[:6] if quick else PAIRS:
        for size in SIZES:
            each = _WIDTH[source] + _WIDTH[target]
            yield point(
                "convert",
                "convert",
                f"{source}_to_{target}",
                "torch",
                "quantise" if "int8" in (source, target) else "cast",
                0.0,
                size * each,
                rows=size // _ROW,
                columns=_ROW,
                passes=each,
            )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    source, target = at.format.split("_to_")
    rows = at["rows"]
    inputs = bench.cold(source, rows, _ROW)
    make = _conversion(bench, source, target, rows)
    count = len(inputs)
    return lambda i: make(inputs[i % count])


def _conversion(bench: Bench, source: str, target: str, rows: int) -> Callable[[Any], Any]:
    torch = bench.torch
    if target == "int8":
        return lambda x: _quantise(torch, x)
    if source == "int8":
        scale = bench.warm("fp32", rows, 1)
        return lambda x: (x * scale).to(torch.bfloat16)
    wanted = bench.dtype(target)
    return lambda x: x.to(wanted)


def _quantise(torch: Any, x: Any) -> Any:
    scale = x.abs().amax(dim=-1, keepdim=True).float() / 127.0
    return (x / scale).round_().to(torch.int8), scale
