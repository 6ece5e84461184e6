"""The routed experts of a layer: tokens dealt unevenly, both projections and the gate between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, NotAvailable, Point, point

__all__ = ["build", "deal", "points"]

QUICK_SHAPES = ((1024, 512, 8, 2), (1024, 512, 16, 4), (1536, 512, 16, 2))
SHAPES = (
    *QUICK_SHAPES,
    *((2048, 1024, 64, 8), (2048, 768, 128, 8), (4096, 1536, 16, 2)),
)
"""``(hidden, inter, experts, top_k)``.

Source: scaled after OLMoE-1B-7B, Qwen3-30B-A3B (128 experts of 768) and Granite-3.0 MoE, as
published; the small ones fit a CPU.
"""
TOKENS = (1, 4, 16, 64, 256, 1024, 4096)
_SKEW = 0.5
"""Expert i gets a share like ``(i + 1)^-0.5``: the busiest of 16 sees 2.4 times the mean."""


def points(quick: bool) -> Iterator[Point]:
    """Yield every point."""
    for fmt in ("bf16", "fp32"):
        for provider in ("torch", "torch_grouped"):
            for shape in QUICK_SHAPES if quick else SHAPES:
                for tokens in TOKENS[:5] if quick else TOKENS:
                    if not (quick and (fmt != "bf16" or provider != "torch")):
                        yield _point(fmt, provider, tokens, *shape)


def _point(
    fmt: str, provider: str, tokens: int, hidden: int, inter: int, experts: int, top_k: int
) -> Point:
    width = 2.0 if fmt == "bf16" else 4.0
    rows = tokens * top_k
    distinct = min(experts, rows)
    moved = distinct * 3.0 * hidden * inter * width + tokens * hidden * 4.0
    moved += rows * (2.0 * hidden + 3.0 * inter) * width
    return point(
        "grouped_gemm",
        "grouped_gemm",
        fmt,
        provider,
        "experts",
        6.0 * rows * hidden * inter,
        moved,
        tokens=tokens,
        hidden=hidden,
        inter=inter,
        top_k=top_k,
        experts=experts,
        moe_tp=1,
        moe_ep=1,
    )


def deal(rows: int, experts: int) -> list[int]:
    """Return how many rows each expert gets: unevenly, and none goes idle that need not.

    >>> deal(3, 8), deal(16, 4)
    ([1, 1, 1, 0, 0, 0, 0, 0], [6, 4, 3, 3])
    """
    working = min(rows, experts)
    share = [(i + 1.0) ** -_SKEW for i in range(working)]
    spare = rows - working
    counts = [1 + int(spare * s / sum(share)) for s in share]
    for i in range(rows - sum(counts)):
        counts[i % working] += 1
    return counts + [0] * (experts - working)


def build(at: Point, bench: Bench) -> Call:
    """Return the kernel, ready to run."""
    hidden, inter, experts = at["hidden"], at["inter"], at["experts"]
    counts = deal(at["tokens"] * at["top_k"], experts)
    x = bench.warm(at.format, sum(counts), hidden)
    first = bench.cold(at.format, 2 * inter, hidden)
    # The second projection reads on where the first ended, so that both are cold.
    second = bench.cold(at.format, hidden, inter)[::-1]
    if at.provider == "torch_grouped":
        return _grouped(at, bench, x, counts)
    return _loop(bench, x, first, second, counts)


def _loop(bench: Bench, x: Any, first: list[Any], second: list[Any], counts: list[int]) -> Call:
    torch = bench.torch
    linear, silu = torch.nn.functional.linear, torch.nn.functional.silu
    parts = [part for part in torch.split(x, counts) if part.shape[0]]

    def run(i: int) -> Any:
        made = []
        for j, part in enumerate(parts):
            at = i * len(parts) + j
            gate, up = linear(part, first[at % len(first)]).chunk(2, dim=-1)
            made.append(linear(silu(gate) * up, second[at % len(second)]))
        return torch.cat(made)

    return run


def _grouped(at: Point, bench: Bench, x: Any, counts: list[int]) -> Call:
    torch = bench.torch
    hidden, inter, experts = at["hidden"], at["inter"], at["experts"]
    multiply = getattr(torch, "_grouped_mm", None)
    if multiply is None or not bench.device.accelerated:
        raise NotAvailable("grouped_mm is a kernel of accelerators")
    first = bench.cold(at.format, experts, hidden, 2 * inter)
    second = bench.cold(at.format, experts, inter, hidden)
    ends = torch.tensor(counts, dtype=torch.int32, device=bench.place).cumsum(0).to(torch.int32)
    silu = torch.nn.functional.silu

    def run(i: int) -> Any:
        gate, up = multiply(x, first[i % len(first)], offs=ends).chunk(2, dim=-1)
        return multiply(silu(gate) * up, second[i % len(second)], offs=ends)

    return run
