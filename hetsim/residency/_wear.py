"""How fast drives wear."""

from __future__ import annotations

__all__ = ["drive_writes_per_day"]

DAY_S = 86_400.0


def drive_writes_per_day(written_bytes: float, capacity_bytes: float, span_s: float) -> float:
    """Return how often a day the whole capacity is written at the rate of a run.

    Host writes; what the drive writes on top by itself (write amplification) is not counted, as
    in the rating of drives (JEDEC JESD218: host writes over the warranty).

    >>> drive_writes_per_day(2e12, 4e12, 43_200.0)
    1.0
    """
    return written_bytes / capacity_bytes * DAY_S / span_s if span_s > 0.0 else 0.0
