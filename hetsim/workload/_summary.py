"""What a table of requests holds, in the figures by which people compare traces."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.workload._table import RequestTable

__all__ = ["prefix_reuse", "trace_summary"]


def trace_summary(table: RequestTable) -> dict[str, Any]:
    """Return the statistics of a table in a fixed order; None where the source says nothing.

    Rate is requests over the span from first to last arrival. The interarrival CV is the
    population deviation of the gaps over their mean.

    >>> trace_summary(RequestTable([0.0, 1.0, 2.0], [10, 20, 30], [1, 0, 2]))["rate_per_s"]
    1.5
    """
    timed, answered = "arrivals" not in table.lacks, "outputs" not in table.lacks
    return {
        "requests": len(table),
        **_lengths("input_tokens", table.isl),
        **_lengths("output_tokens", table.osl if answered else None),
        "zero_inputs": table.zero_inputs,
        "zero_outputs": table.zero_outputs if answered else None,
        **_arrivals(table.arrival_s if timed else None),
        **_prefixes(table),
        "sessions": None if table.session is None else len(np.unique(table.session)),
        "format": table.format,
        "notes": list(table.notes),
    }


def _lengths(name: str, lengths: npt.NDArray[np.int32] | None) -> dict[str, Any]:
    if lengths is None or not len(lengths):
        return {f"{name}_{word}": None for word in ("mean", "p50", "p99")}
    p50, p99 = np.percentile(lengths, [50, 99])
    return {
        f"{name}_mean": float(lengths.mean()),
        f"{name}_p50": float(p50),
        f"{name}_p99": float(p99),
    }


def _arrivals(arrival_s: npt.NDArray[np.float64] | None) -> dict[str, Any]:
    if arrival_s is None or len(arrival_s) < 2 or arrival_s[-1] == arrival_s[0]:
        return {"span_s": None, "rate_per_s": None, "interarrival_cv": None}
    span_s, gaps = float(arrival_s[-1] - arrival_s[0]), np.diff(arrival_s)
    return {
        "span_s": span_s,
        "rate_per_s": len(arrival_s) / span_s,
        "interarrival_cv": float(gaps.std() / gaps.mean()),
    }


def _prefixes(table: RequestTable) -> dict[str, Any]:
    if table.hash_ids is None:
        return {"prefix_reuse_percent": None, "distinct_blocks": None, "block_tokens": None}
    reused = int(prefix_reuse(table).sum())
    return {
        "prefix_reuse_percent": 100.0 * reused / int(table.isl.sum(dtype=np.int64)),
        "distinct_blocks": len(np.unique(table.hash_ids)),
        "block_tokens": table.hash_block_tokens,
    }


def prefix_reuse(table: RequestTable) -> npt.NDArray[np.int64]:
    """Return, per request, the tokens of its leading blocks that some earlier request held.

    An infinite cache: nothing is evicted, and a request finds what all requests above it held.
    The last block may be partial, so that a row reuses at most its own length.
    """
    if table.hash_ids is None or table.hash_offsets is None or table.hash_block_tokens is None:
        return np.zeros(len(table), dtype=np.int64)
    counts = np.diff(table.hash_offsets)
    row = np.repeat(np.arange(len(table)), counts)
    _, first, back = np.unique(table.hash_ids, return_index=True, return_inverse=True)
    seen = row[first][back] < row
    # The first block that is new ends the run; rows without one reuse all their blocks.
    position = np.arange(len(row)) - table.hash_offsets[:-1][row]
    leading = counts.copy()
    new = ~seen
    np.minimum.at(leading, row[new], position[new])
    reused: npt.NDArray[np.int64] = np.minimum(leading * table.hash_block_tokens, table.isl)
    return reused
