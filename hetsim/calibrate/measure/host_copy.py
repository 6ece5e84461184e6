"""Copies between the host and an accelerator, from pinned and from pageable memory."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, NotAvailable, Point, point

__all__ = ["build", "points"]

SIZES = (1 << 12, 1 << 16, 1 << 20, 1 << 24, 1 << 28)


def points(quick: bool) -> Iterator[Point]:
    """Yield every point."""
    for op in ("to_device", "to_host"):
        for memory in ("pinned", "pageable"):
            for size in SIZES[:4] if quick else SIZES:
                yield point(
                    "host_copy",
                    "host_copy",
                    memory,
                    "torch",
                    op,
                    0.0,
                    size,
                    on_host=memory == "pageable",
                    message_bytes=size,
                )


def build(at: Point, bench: Bench) -> Call:
    """Return the copy, ready to run."""
    if not bench.device.accelerated:
        raise NotAvailable("a CPU is its own host")
    torch, size = bench.torch, at["message_bytes"]
    pinned = at.format == "pinned"
    host = torch.empty(size, dtype=torch.uint8, pin_memory=pinned)
    there = torch.empty(size, dtype=torch.uint8, device=bench.place)
    if at.op == "to_device":
        return lambda i: there.copy_(host, non_blocking=pinned)
    return lambda i: host.copy_(there, non_blocking=pinned)
