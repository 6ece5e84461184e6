"""Stage pressure: how busy each pool is, and where the mean request spends its time."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetsim.metrics._quantiles import Array, columns
from hetsim.metrics._schema import PoolInfo

__all__ = ["PATH", "backlog_growth", "critical_path", "is_growing", "pool_figures", "queue_growth"]

PATH = (
    "overhead_s",
    "credit_s",
    "queue_s",
    "prefill_s",
    "hold_s",
    "transfer_s",
    "convert_s",
    "admit_s",
    "decode_s",
)
"""The critical path of a request, in order; the parts add up to its end-to-end latency."""

_SAMPLES = 64
_TINY = 1e-300


def critical_path(table: Any) -> dict[str, float]:
    """Return the mean seconds of each part over finished requests (a missing part is 0)."""
    status, *parts = columns(table, "status", *PATH)
    done = status == "finished"
    result = {}
    for name, values in zip(PATH, parts, strict=True):
        there = np.nan_to_num(values[done].astype(float))
        result[name] = float(there.mean()) if len(there) else float("nan")
    return result


def _inside(enter: Array, leave: Array, end_s: float) -> tuple[Array, Array]:
    """Return 64 times over the last two thirds of the arrivals, and how many were inside then."""
    none = np.empty(0)
    enter, leave = np.sort(enter[~np.isnan(enter)]), np.sort(leave[~np.isnan(leave)])
    if len(enter) < 16 or end_s <= 0.0:
        return none, none
    last = min(end_s, float(enter[-1]))
    if last <= 0.0:
        return none, none
    times = np.linspace(last / 3.0, last, _SAMPLES)
    inside = np.searchsorted(enter, times, "right") - np.searchsorted(leave, times, "right")
    return times, inside.astype(float)


def backlog_growth(enter: Array, leave: Array, end_s: float) -> float:
    """Return by how many requests a second the number inside grows over the last two thirds.

    ``enter`` and ``leave`` are times, NaN = never. The slope is that of the least-squares line
    through 64 samples.
    """
    times, inside = _inside(enter, leave, end_s)
    if not len(times):
        return 0.0
    centred = times - times.mean()
    return float((centred * inside).sum() / (centred * centred).sum())


def is_growing(enter: Array, leave: Array, end_s: float) -> bool:
    """Return whether the backlog grows: beyond 5 % of what arrives, and beyond what chance does.

    A stable queue of mean ``L`` wanders by about ``sqrt(L)``; four times that over the window is
    no chance.

    >>> arrivals = np.arange(1000.0)
    >>> is_growing(arrivals, arrivals + 5.0, 1e9), is_growing(arrivals, 2 * arrivals, 1e9)
    (False, True)
    """
    times, inside = _inside(enter, leave, end_s)
    if not len(times):
        return False
    grown = backlog_growth(enter, leave, end_s) * float(times[-1] - times[0])
    came = float(((enter > times[0]) & (enter <= times[-1])).sum())
    return grown > max(0.05 * came, 4.0 * float(np.sqrt(max(1.0, inside.mean()))))


def queue_growth(requests: Any, roles: dict[str, str], end_s: float) -> dict[str, float]:
    """Return by how many requests a second the queue before each pool grows.

    A prefill pool holds back from the arrival to the start of the prefill, a decode pool from the
    end of the prefill to the first decode step; a co-located pool both.
    """
    names = ("status", "arrival_s", "prefill_start_s", "prefill_end_s", "decode_start_s")
    status, *times = columns(requests, *names)
    stays = (status == "finished") | (status == "unfinished")
    arrival, start, end, decode = (column[stays].astype(float) for column in times)
    # One without a decode (a single token) does not wait for it.
    decode = np.where(np.isnan(decode) & (status[stays] == "finished"), end, decode)
    before = {"prefill": (arrival, start), "decode": (end, decode), "both": (arrival, start)}
    return {name: backlog_growth(*before[role], end_s) for name, role in roles.items()}


def pool_figures(
    steps: Any,
    pools: tuple[PoolInfo, ...],
    span_s: float,
    loaded: tuple[float, float] | None = None,
) -> dict[str, Any]:
    """Return utilisation, MFU, MBU, KV occupancy and what bound its steps, by pool.

    Utilisation, MFU and MBU are over the whole time, KV occupancy and batch over busy time.
    ``loaded_`` figures are over the time ``loaded``, in which requests arrive: without the slow
    end of a run, when the last answers are finished.
    """
    table = dict(zip(_COLUMNS, columns(steps, *_COLUMNS), strict=True))
    span_s = max(span_s, _TINY)
    result = {}
    for info in pools:
        of_pool = table["pool"] == info.name
        mine = {name: column[of_pool] for name, column in table.items() if name != "pool"}
        result[info.name] = {
            **_figures(mine, info, span_s),
            **_under_load(mine, info, loaded or (0.0, span_s)),
        }
    return result


def _under_load(
    mine: dict[str, Any], info: PoolInfo, loaded: tuple[float, float]
) -> dict[str, float]:
    begin, end = loaded
    start = mine["start_s"]
    inside = np.minimum(start + mine["duration_s"], end) - np.maximum(start, begin)
    inside = np.maximum(inside, 0.0)
    busy, span_s = float(inside.sum()), max(end - begin, _TINY) * info.instances
    occupied = mine["blocks_used"] / np.maximum(mine["blocks_total"], 1)
    running = float((inside * (mine["decode_tokens"] > 0) * mine["batch_size"]).sum())
    return {
        "loaded_utilisation": busy / span_s,
        "loaded_kv_occupancy": float((inside * occupied).sum()) / max(busy, _TINY),
        "loaded_slot_occupancy": running / (span_s * info.slots) if info.slots else float("nan"),
    }


_COLUMNS = (
    "pool",
    "start_s",
    "duration_s",
    "steps",
    "batch_size",
    "prefill_tokens",
    "decode_tokens",
    "flop",
    "bytes",
    "blocks_used",
    "blocks_total",
    "bound_by",
)


def _figures(mine: dict[str, Any], info: PoolInfo, span_s: float) -> dict[str, Any]:
    duration, bound = mine["duration_s"], mine["bound_by"]
    busy = float(duration.sum())
    occupied = mine["blocks_used"] / np.maximum(mine["blocks_total"], 1)
    seconds = span_s * info.instances * info.devices_per_instance

    def share(weight: Any) -> float:
        return float((duration * weight).sum()) / max(busy, _TINY)

    decoding = mine["decode_tokens"] > 0
    running = float((duration * decoding * mine["batch_size"]).sum())
    return {
        "instances": info.instances,
        "utilisation": busy / (span_s * info.instances),
        "mfu": float(mine["flop"].sum()) / (seconds * info.peak_flop_per_s),
        "mbu": float(mine["bytes"].sum()) / (seconds * info.memory_bytes_per_s),
        "kv_occupancy": share(occupied),
        "kv_occupancy_max": float(occupied.max()) if len(occupied) else 0.0,
        "mean_batch": running / max(float(duration[decoding].sum()), _TINY),
        "prefill_time_ratio": share(mine["prefill_tokens"] > 0),
        "steps": int(mine["steps"].sum()),
        "prefill_tok_s": float(mine["prefill_tokens"].sum()) / span_s,
        "decode_tok_s": float(mine["decode_tokens"].sum()) / span_s,
        "bound_by": {word: share(bound == word) for word in sorted(set(bound.tolist()))},
    }
