"""What it costs to start a kernel that does next to nothing, on the host and on the device."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.calibrate.measure._bench import Bench
from hetsim.calibrate.measure._types import Call, Point, point

__all__ = ["build", "points"]


def points(quick: bool) -> Iterator[Point]:
    """Yield one launch by the clock of the host, and one by that of the device."""
    for op, on_host in (("host", True), ("device", False)):
        yield point(
            "launch", "launch", "any", "torch", op, on_host=on_host, rows=1, columns=1, passes=1
        )


def build(at: Point, bench: Bench) -> Call:
    """Return the smallest kernel."""
    x = bench.warm("fp32", 1)
    return lambda i: x + 1.0
