"""Names of the formats that kernels run in: what they compute in, what they read and write.

A key of a calibration file is the compute format; weights narrower than it are appended:
``bf16_w_int4`` computes in bf16 on int4 weights. For prompt attention ``bf16_kv_fp8_e4m3`` stores
KV narrower than it computes. The plain key alone means that both are the same.
"""

from __future__ import annotations

from hetsim.precision import get_format
from hetsim.spec import spec

__all__ = ["KernelFormat", "kernel_format"]


@spec
class KernelFormat:
    """A kernel's formats, resolved to what a fit needs."""

    name: str
    roof: str
    weight_bytes: float
    """Per element."""
    activation_bytes: float
    """Per element."""


def kernel_format(name: str) -> KernelFormat:
    """Return the formats behind a key such as ``fp8_block``, ``bf16_w_int4`` or ``bf16_kv_int8``.

    Raises
    ------
    ScenarioError
        If a part of it is no number format.

    >>> made = kernel_format("bf16_w_int4")
    >>> made.roof, made.weight_bytes, made.activation_bytes
    ('bf16', 0.515625, 2.0)
    """
    compute, stored = name, name
    for mark in ("_w_", "_kv_"):
        if mark in name:
            compute, stored = name.split(mark, 1)
    computing, storing = get_format(compute), get_format(stored)
    return KernelFormat(
        name=name,
        roof=computing.roof,
        weight_bytes=storing.bytes_per_element,
        activation_bytes=computing.bytes_per_element,
    )
