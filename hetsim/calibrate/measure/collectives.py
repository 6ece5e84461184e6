"""Collectives over all devices of one kind, where the library offers them in one process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, NotAvailable, Point, point

__all__ = ["build", "points"]

SIZES = (1 << 13, 1 << 16, 1 << 19, 1 << 22, 1 << 25, 1 << 28)


def points(quick: bool) -> Iterator[Point]:
    """Yield every point; group sizes beyond the devices there are turn out not available."""
    for kind in ("all_reduce", "all_gather", "reduce_scatter"):
        for ranks in (2, 4, 8):
            for size in SIZES:
                yield point(
                    "collectives",
                    kind,
                    "bf16",
                    "torch",
                    kind,
                    0.0,
                    size,
                    ranks=ranks,
                    message_bytes=size,
                )


def build(at: Point, bench: Bench) -> Call:
    """Return the collective, ready to run."""
    ranks, elements = at["ranks"], at["message_bytes"] // 2
    if bench.device.count < ranks:
        raise NotAvailable(f"{ranks} devices are needed, there is {bench.device.count}")
    library = getattr(bench.device.module, "nccl", None)
    if library is None:
        raise NotAvailable(f"no collectives in one process on {bench.place}")
    torch = bench.torch

    def spread(size: int) -> list[Any]:
        places = [f"{bench.place}:{i}" for i in range(ranks)]
        return [torch.zeros(size, dtype=torch.bfloat16, device=place) for place in places]

    if at.kind == "all_reduce":
        held = spread(elements)
        return lambda i: library.all_reduce(held)
    part, whole = spread(elements // ranks), spread(elements)
    if at.kind == "all_gather":
        return lambda i: library.all_gather(part, whole)
    return lambda i: library.reduce_scatter(whole, part)
