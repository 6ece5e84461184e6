"""Stage pressure and the verdict: which stage holds requests up, and what binds it."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetsim.metrics._quantiles import Array, columns
from hetsim.metrics._schema import PoolInfo

__all__ = ["backlog_growth", "bottleneck", "critical_path", "pool_figures"]

PATH = ("queue_s", "prefill_s", "hold_s", "transfer_s", "convert_s", "admit_s", "decode_s")
"""The critical path of a request, in order; the parts add up to its end-to-end latency."""


def critical_path(table: Any) -> dict[str, float]:
    """Return the mean seconds of each part over finished requests (a missing part is 0)."""
    status, *parts = columns(table, "status", *PATH)
    done = status == "finished"
    result = {}
    for name, values in zip(PATH, parts, strict=True):
        there = np.nan_to_num(values[done].astype(float))
        result[name] = float(there.mean()) if len(there) else float("nan")
    return result


def backlog_growth(enter: Array, leave: Array, end_s: float) -> float:
    """Return by how many requests a second the number inside grows over the last two thirds.

    ``enter`` and ``leave`` are times, NaN = never. The slope is that of the least-squares line
    through 64 samples.
    """
    enter, leave = np.sort(enter[~np.isnan(enter)]), np.sort(leave[~np.isnan(leave)])
    if len(enter) < 16 or end_s <= 0.0:
        return 0.0
    last = min(end_s, float(enter[-1]))
    times = np.linspace(last / 3.0, last, 64)
    inside = np.searchsorted(enter, times, "right") - np.searchsorted(leave, times, "right")
    if last <= 0.0:
        return 0.0
    centred = times - times.mean()
    return float((centred * inside).sum() / (centred * centred).sum())


def pool_figures(steps: Any, pools: tuple[PoolInfo, ...], span_s: float) -> dict[str, Any]:
    """Return utilisation, MFU, MBU, KV occupancy and what bound its steps, by pool."""
    names = ("pool", "duration_s", "steps", "batch_size", "prefill_tokens", "decode_tokens")
    pool, duration, count, batch, prefill, decode = columns(steps, *names)
    flop, nbytes, used, total, bound = columns(
        steps, "flop", "bytes", "blocks_used", "blocks_total", "bound_by"
    )
    result: dict[str, Any] = {}
    for info in pools:
        mine = pool == info.name
        busy = float(duration[mine].sum())
        devices = info.instances * info.devices_per_instance
        seconds = max(span_s, 1e-300) * devices
        weights = duration[mine] / max(busy, 1e-300)
        occupied = float((weights * used[mine] / np.maximum(total[mine], 1)).sum())
        peak = float((used[mine] / np.maximum(total[mine], 1)).max()) if mine.any() else 0.0
        shares = {
            str(word): float(duration[mine & (bound == word)].sum() / max(busy, 1e-300))
            for word in sorted({str(word) for word in bound[mine]})
        }
        decoding = mine & (decode > 0)
        result[info.name] = {
            "utilisation": busy / max(span_s * info.instances, 1e-300),
            "mfu": float(flop[mine].sum()) / (seconds * info.peak_flop_per_s),
            "mbu": float(nbytes[mine].sum()) / (seconds * info.memory_bytes_per_s),
            "kv_occupancy": occupied,
            "kv_occupancy_max": peak,
            "mean_batch": float(
                (batch[decoding] * duration[decoding]).sum()
                / max(float(duration[decoding].sum()), 1e-300)
            ),
            "steps": int(count[mine].sum()),
            "prefill_tok_s": float(prefill[mine].sum()) / max(span_s, 1e-300),
            "decode_tok_s": float(decode[mine].sum()) / max(span_s, 1e-300),
            "bound_by": shares,
        }
    return result


def bottleneck(path: dict[str, float], stages: dict[str, Any], roles: dict[str, str]) -> str:
    """Return one line: the stage whose waiting dominates, and what binds it.

    A stage is held responsible for the waiting in front of it: the queue for prefill, the hold for
    decode's KV blocks, admission for decode's slots, the transfer for the link. If nothing waits
    to speak of, the busiest stage is named.
    """
    by_role = {role: name for name, role in roles.items()}
    first = by_role.get("prefill") or by_role.get("both") or next(iter(roles))
    last = by_role.get("decode") or first
    waits = {
        "prefill": path["queue_s"],
        "hold": path["hold_s"],
        "transfer": path["transfer_s"] + path["convert_s"],
        "admit": path["admit_s"],
    }
    total = sum(path.values())
    worst = max(waits, key=lambda name: waits[name])
    if not total > 0.0:
        return "nothing finished"
    if waits[worst] > 0.1 * total:
        return _verdict(worst, first, last, stages)
    busiest = max(stages, key=lambda name: stages[name]["utilisation"])
    used = stages[busiest]["utilisation"]
    if used < 0.5:
        return f"no stage is under pressure (busiest: pool {busiest}, {used:.0%} of the time)"
    return f"{roles[busiest]}-bound: {_limit(stages[busiest])} of pool {busiest}"


def _verdict(worst: str, first: str, last: str, stages: dict[str, Any]) -> str:
    if worst == "prefill":
        if stages[first]["kv_occupancy_max"] > 0.95 and stages[first]["utilisation"] < 0.9:
            return f"prefill-bound: KV capacity of pool {first}"
        return f"prefill-bound: {_limit(stages[first])} of pool {first}"
    if worst == "hold":
        if stages[last]["kv_occupancy_max"] > 0.9:
            return f"decode-bound: KV capacity of pool {last}"
        return f"hand-off-bound: control latency between pools {first} and {last}"
    if worst == "transfer":
        return f"transfer-bound: network from pool {first} to pool {last}"
    if stages[last]["kv_occupancy_max"] > 0.9:
        return f"decode-bound: KV capacity of pool {last}"
    return f"decode-bound: batch slots of pool {last}"


def _limit(stage: dict[str, Any]) -> str:
    shares = stage["bound_by"]
    if not shares:
        return "time"
    return {
        "compute": "compute",
        "memory": "memory bandwidth",
        "link": "collectives",
        "latency": "kernel latency",
        "host": "host time",
    }.get(max(shares, key=lambda word: shares[word]), "time")
