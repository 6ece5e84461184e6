"""Choosing the next token from logits: greedy, and by top-k with a draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = ["build", "points"]

_VOCABULARIES = (32000, 128256)
_TOP = 50


def points(quick: bool) -> Iterator[Point]:
    """Yield every point; bytes are those of reading the logits once."""
    for op in ("argmax", "top_k_draw"):
        for vocabulary in _VOCABULARIES[:1] if quick else _VOCABULARIES:
            for rows in (1, 4, 16) if quick else (1, 4, 16, 64, 256):
                yield point(
                    "sample",
                    "sample",
                    "fp32",
                    "torch",
                    op,
                    0.0,
                    4.0 * rows * vocabulary,
                    rows=rows,
                    columns=vocabulary,
                    passes=4.0,
                )


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    torch = bench.torch
    logits = bench.warm("fp32", at["rows"], at["columns"])
    if at.op == "argmax":
        return lambda i: torch.argmax(logits, dim=-1)

    def run(i: int) -> Any:
        values, places = torch.topk(logits, _TOP, dim=-1)
        drawn = torch.multinomial(torch.softmax(values, dim=-1), 1)
        return places.gather(-1, drawn)

    return run
