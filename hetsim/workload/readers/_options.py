"""What a user may state about a trace that its file does not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["UNITS", "ReadOptions"]

UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
"""Time units of trace columns, and how many make a second."""


class ReadOptions(NamedTuple):
    """Options of :func:`read_trace` that only some formats heed."""

    time_unit: str | None = None
    """Unit of the arrival column of a generic file: s, ms, us or ns."""
    columns: Mapping[str, str] = {}
    """Generic file: which column holds ``arrival``, ``isl``, ``osl``, ``session``, ``hashes``."""
    seed: int = 0
    """ServeGen: the seed of the sampled requests."""
    window_s: tuple[float, float] | None = None
    """ServeGen: the part of the clients' time that is sampled, in s from its start."""
