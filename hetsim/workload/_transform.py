"""Pure changes of a table: another rate, fewer requests, a window of time, a warm-up."""

from __future__ import annotations

import numpy as np

from hetsim.errors import ScenarioError
from hetsim.units import format_seconds
from hetsim.workload._table import RequestTable

__all__ = ["limit", "scale_rate", "warm_up", "window"]


def scale_rate(table: RequestTable, factor: float) -> RequestTable:
    """Return the same requests arriving ``factor`` times as fast; times are divided by it."""
    if not (factor > 0 and np.isfinite(factor)):
        raise ScenarioError(f"rate_scale must be above 0, not {factor!r}")
    if factor == 1:
        return table
    return table.replace(
        arrival_s=table.arrival_s / factor, measured_from_s=table.measured_from_s / factor
    )


def limit(table: RequestTable, requests: int) -> RequestTable:
    """Return the first ``requests`` requests, or all if there are fewer."""
    if requests < 1:
        raise ScenarioError(f"limit must be at least 1, not {requests!r}")
    return table if requests >= len(table) else table.select(np.arange(requests))


def window(table: RequestTable, start_s: float, end_s: float) -> RequestTable:
    """Return the requests that arrive in ``[start_s, end_s)``, with ``start_s`` as new time 0."""
    if not 0 <= start_s < end_s:
        raise ScenarioError(f"window must end after it starts: {start_s:g} s to {end_s:g} s")
    first, last = np.searchsorted(table.arrival_s, [start_s, end_s])
    if first == last:
        span = format_seconds(float(table.arrival_s[-1])) if len(table) else "nothing"
        raise ScenarioError(
            f"no request arrives between {start_s:g} s and {end_s:g} s; the table spans {span}"
        )
    part = table.select(np.arange(first, last))
    measured = max(0.0, table.measured_from_s - start_s)
    return part.replace(arrival_s=part.arrival_s - start_s, measured_from_s=measured)


def warm_up(table: RequestTable, until_s: float) -> RequestTable:
    """Return the table with requests before ``until_s`` simulated but not measured."""
    if len(table) and until_s > table.arrival_s[-1]:
        last = format_seconds(float(table.arrival_s[-1]))
        raise ScenarioError(
            f"warmup of {format_seconds(until_s)} leaves nothing to measure; the last request "
            f"arrives at {last}"
        )
    return table.replace(measured_from_s=until_s)
