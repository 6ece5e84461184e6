"""Seconds of a conversion pass: read wide, write narrow (or the other way), at memory speed."""

from __future__ import annotations

from hetsim.errors import ScenarioError

__all__ = ["convert_s"]


def convert_s(
    bytes_read: float, bytes_written: float, memory_bytes_per_s: float, efficiency: float
) -> float:
    """Return the seconds to read and write so many bytes.

    ``(bytes_read + bytes_written) / (memory_bytes_per_s * efficiency)``. Valid for: passes that
    stream (quantise, permute whole rows); the efficiency of a scalar CPU loop is a few percent.

    >>> convert_s(2e9, 1e9, 3e12, 0.5)
    0.002
    """
    if memory_bytes_per_s <= 0 or not 0 < efficiency <= 1:
        raise ScenarioError(
            "conversion needs a memory bandwidth above 0 and an efficiency in (0, 1]"
        )
    return (bytes_read + bytes_written) / (memory_bytes_per_s * efficiency)
