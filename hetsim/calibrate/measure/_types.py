"""What is measured, and what one reading holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hetsim.errors import HetsimError
from hetsim.spec import spec

__all__ = ["COLUMNS", "Call", "NotAvailable", "Point", "Reading", "point"]

Call = Callable[[int], Any]
"""A kernel, ready to run: the argument counts the executions and picks the operands."""

COLUMNS = (
    *("m", "n", "k"),
    *("tokens", "hidden", "inter", "top_k", "experts", "moe_tp", "moe_ep"),
    *("batch", "new", "past", "context", "heads", "kv_heads", "head_dim"),
    *("rows", "columns", "passes", "message_bytes", "ranks"),
)
"""Shape columns of a table of samples; missing where they are not of the kind."""


class NotAvailable(HetsimError):
    """A kernel that this device or library does not have; measurements leave it out and say so."""


class Reading(NamedTuple):
    """One timed run of some executions, per execution."""

    time_s: float
    """By the clock of the device: events, the CPU clock of a single thread, or the wall clock."""
    wall_s: float
    cpu_s: float


@spec
class Point:
    """One kernel at one shape."""

    family: str
    kind: str
    format: str
    provider: str
    """Whose kernel: the same operator of another library differs by tens of percent."""
    op: str
    shape: tuple[tuple[str, float], ...]
    flops: float = 0.0
    bytes: float = 0.0
    """The least that it must move."""
    on_host: bool = False
    """Whether the host's clock is meant even on an accelerator (launches, copies)."""

    @property
    def group(self) -> str:
        """Everything but the shape."""
        return f"{self.kind}/{self.format}/{self.provider}/{self.op}"

    @property
    def key(self) -> str:
        """A stable name.

        >>> point("gemm", "gemm", "bf16", "torch", "linear", m=16, n=64, k=32).key
        'gemm/bf16/torch/linear/m=16,n=64,k=32'
        """
        shape = ",".join(f"{name}={value:g}" for name, value in self.shape)
        return f"{self.group}/{shape}"

    def __getitem__(self, name: str) -> int:
        """Return one size."""
        return int(dict(self.shape)[name])


def point(
    family: str,
    kind: str,
    format: str,
    provider: str,
    op: str,
    flops: float = 0.0,
    bytes: float = 0.0,
    on_host: bool = False,
    **shape: float,
) -> Point:
    """Return a point from its shape in keywords."""
    return Point(
        family=family,
        kind=kind,
        format=format,
        provider=provider,
        op=op,
        shape=tuple((name, float(value)) for name, value in shape.items()),
        flops=float(flops),
        bytes=float(bytes),
        on_host=on_host,
    )
