"""The result tables: their columns, units and types, declared once.

A run records rows of plain numbers (the *raw* columns); names, ratios and differences are derived
when a block of rows is closed, a column at a time. Units end the column name; a missing value is
NaN; words are dictionary-encoded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "RAW",
    "STATUSES",
    "PoolInfo",
    "RunInfo",
    "build_batch",
]

STATUSES = ("finished", "rejected", "timed_out", "failed", "unfinished")
"""How a request may end; they add up to the arrived ones (law L1)."""

RAW: Mapping[str, tuple[str, ...]] = {
    "requests": (
        "request_id", "arrival_s", "isl_tokens", "osl_tokens", "status", "reason", "enqueued_s",
        "prefill_start_s", "prefill_end_s", "transfer_start_s", "landed_s", "decode_start_s",
        "first_token_s", "second_token_s", "last_token_s", "cached_tokens", "preemptions",
        "prefill_instance", "decode_instance", "output_tokens", "convert_s", "corrupt", "user",
        "turn",
    ),
    "steps": (
        "pool", "instance", "start_s", "duration_s", "steps", "batch_size", "joined", "stall_s",
        "first_step_s", "last_step_s", "prefill_tokens", "decode_tokens", "bound_by", "flop",
        "bytes", "blocks_used", "blocks_total",
    ),
    "transfers": (
        "request_id", "source_instance", "target_instance", "bytes", "descriptors", "queued_s",
        "start_s", "duration_s", "pieces", "exposed_s", "kind", "protocol",
    ),
    "ownership": ("time_s", "request_id", "move"),
    "gaps": ("request_id", "gap_s"),
}  # fmt: skip


@spec
class PoolInfo:
    """What turns counts of a pool into ratios."""

    name: str
    instances: int
    devices_per_instance: int
    peak_flop_per_s: float
    """Dense peak of one device at the pool's compute precision."""
    memory_bytes_per_s: float
    slots: int = 0
    """Requests that one instance runs at once at most; 0 = not known."""


@spec
class RunInfo:
    """Names behind the codes of the raw rows."""

    pools: tuple[PoolInfo, ...]
    reasons: Sequence[str]
    bounds: tuple[str, ...]
    protocols: tuple[str, ...]
    transfer_kinds: tuple[str, ...]
    moves: Sequence[tuple[str, str, str, str, str]]
    """(block_set, state_from, state_to, owner, cause) by code; grows while the run goes on."""
    measured_from_s: float = 0.0
    overhead_s: float = 0.0
    """Fixed time of a request before a scheduler sees it; the rest of that wait is queueing."""
    reserves_first: bool = False
    """Whether a request waits for blocks on the decode side before the prefill side sees it."""


Matrix = npt.NDArray[np.float64]


def _words(codes: Any, names: Sequence[str]) -> Any:
    import pyarrow as pa

    indices = pa.array(np.asarray(codes).astype(np.int32))
    return pa.DictionaryArray.from_arrays(indices, pa.array(list(names) or [""], pa.string()))


def _int(values: Any, bits: int = 32) -> Any:
    return np.asarray(values).astype(np.int64 if bits == 64 else np.int32)


def _requests(raw: Matrix, info: RunInfo) -> dict[str, Any]:
    col = {name: raw[:, i] for i, name in enumerate(RAW["requests"])}
    finished = col["status"] == 0
    first, last = col["first_token_s"], col["last_token_s"]
    more = finished & (col["osl_tokens"] > 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        tpot = np.where(more, (last - first) / (col["osl_tokens"] - 1), np.nan)
    return {
        "request_id": _int(col["request_id"], 64),
        "arrival_s": col["arrival_s"],
        "first_token_s": first,
        "last_token_s": last,
        "isl_tokens": _int(col["isl_tokens"]),
        "osl_tokens": _int(col["osl_tokens"]),
        "output_tokens": _int(col["output_tokens"]),
        "status": _words(col["status"], STATUSES),
        "reason": _words(col["reason"], info.reasons),
        "ttft_s": np.where(finished, first - col["arrival_s"], np.nan),
        "tpot_s": tpot,
        "first_itl_s": np.where(finished, col["second_token_s"] - first, np.nan),
        "e2e_s": np.where(finished, last - col["arrival_s"], np.nan),
        **_before_prefill(col, info),
        "prefill_s": col["prefill_end_s"] - col["prefill_start_s"],
        **_after_prefill(col),
        "prefill_start_s": col["prefill_start_s"],
        "prefill_end_s": col["prefill_end_s"],
        "decode_start_s": col["decode_start_s"],
        "cached_tokens": _int(col["cached_tokens"]),
        "preemptions": _int(col["preemptions"]),
        "prefill_instance": _int(col["prefill_instance"]),
        "decode_instance": _int(col["decode_instance"]),
        "corrupt": col["corrupt"] > 0,
        "measured": col["arrival_s"] >= info.measured_from_s,
        "user": _int(col["user"]),
        "turn": _int(col["turn"]),
    }


def _before_prefill(col: Mapping[str, Matrix], info: RunInfo) -> dict[str, Matrix]:
    """Return overhead, credit and queue: they add up from the arrival to the prefill.

    ``credit_s`` is the wait for blocks on the decode side, where the protocol reserves them before
    the prefill; elsewhere there is none, and a wait in front of the pool is queueing.
    """
    # After a crash a request may be queued a second time: its first prefill counts.
    seen = np.minimum(col["enqueued_s"], col["prefill_start_s"]) - col["arrival_s"]
    overhead = np.minimum(seen, info.overhead_s)
    credit = seen - overhead if info.reserves_first else 0.0 * seen
    waited = col["prefill_start_s"] - col["arrival_s"]
    return {"overhead_s": overhead, "credit_s": credit, "queue_s": waited - overhead - credit}


def _after_prefill(col: Mapping[str, Matrix]) -> dict[str, Matrix]:
    """Return hold, transfer, convert, admit and decode: they add up to the last token.

    What a layer-wise or chunk-wise hand-off does while the prefill still runs costs no time: the
    parts begin at the end of the prefill.
    """
    last, done, landed = col["last_token_s"], col["prefill_end_s"], col["landed_s"]
    decode_from = np.where(np.isnan(col["decode_start_s"]), last, col["decode_start_s"])
    exposed = np.maximum(landed - done, 0.0)
    start = np.where(np.isnan(col["transfer_start_s"]), landed, col["transfer_start_s"])
    hold = np.clip(start - done, 0.0, exposed)
    convert = np.minimum(col["convert_s"], exposed - hold)
    here = np.where(np.isnan(landed), done, np.maximum(landed, done))
    return {
        "hold_s": hold,
        "transfer_s": exposed - hold - convert,
        "convert_s": convert,
        "admit_s": decode_from - here,
        "decode_s": last - decode_from,
    }


def _device_ids(raw: Matrix, info: RunInfo) -> Any:
    names: list[str] = []
    offset: list[int] = []
    for pool in info.pools:
        offset.append(len(names))
        names += [f"{pool.name}/{i}" for i in range(pool.instances)]
    codes = np.array(offset)[raw[:, 0].astype(np.int64)] + raw[:, 1]
    return _words(codes, names)


def _steps(raw: Matrix, info: RunInfo) -> dict[str, Any]:
    col = {name: raw[:, i] for i, name in enumerate(RAW["steps"])}
    pool = col["pool"].astype(np.int64)
    devices = np.array([p.devices_per_instance for p in info.pools], np.float64)[pool]
    peak = np.array([p.peak_flop_per_s for p in info.pools])[pool] * devices
    rate = np.array([p.memory_bytes_per_s for p in info.pools])[pool] * devices
    return {
        "pool": _words(pool, [p.name for p in info.pools]),
        "device_id": _device_ids(raw, info),
        "start_s": col["start_s"],
        "duration_s": col["duration_s"],
        "steps": _int(col["steps"]),
        "batch_size": _int(col["batch_size"]),
        "joined": _int(col["joined"]),
        "stall_s": col["stall_s"],
        "first_step_s": col["first_step_s"],
        "last_step_s": col["last_step_s"],
        "prefill_tokens": _int(col["prefill_tokens"]),
        "decode_tokens": _int(col["decode_tokens"], 64),
        "bound_by": _words(col["bound_by"], info.bounds),
        "flop": col["flop"],
        "bytes": col["bytes"],
        "mfu": col["flop"] / (col["duration_s"] * peak),
        "mbu": col["bytes"] / (col["duration_s"] * rate),
        "blocks_used": _int(col["blocks_used"]),
        "blocks_total": _int(col["blocks_total"]),
    }


def _occupancy(raw: Matrix, info: RunInfo) -> dict[str, Any]:
    names = RAW["steps"]
    start, duration = raw[:, names.index("start_s")], raw[:, names.index("duration_s")]
    return {
        "time_s": start + duration,
        "device_id": _device_ids(raw, info),
        "blocks_used": _int(raw[:, names.index("blocks_used")]),
        "blocks_total": _int(raw[:, names.index("blocks_total")]),
    }


def _transfers(raw: Matrix, info: RunInfo) -> dict[str, Any]:
    col = {name: raw[:, i] for i, name in enumerate(RAW["transfers"])}
    return {
        "request_id": _int(col["request_id"], 64),
        "source_instance": _int(col["source_instance"]),
        "target_instance": _int(col["target_instance"]),
        "kind": _words(col["kind"], info.transfer_kinds),
        "protocol": _words(col["protocol"], info.protocols),
        "bytes": col["bytes"],
        "descriptors": col["descriptors"],
        "pieces": _int(col["pieces"]),
        "queued_s": col["queued_s"],
        "start_s": col["start_s"],
        "duration_s": col["duration_s"],
        "exposed_s": col["exposed_s"],
    }


def _ownership(raw: Matrix, info: RunInfo) -> dict[str, Any]:
    move = raw[:, 2].astype(np.int64)
    columns: dict[str, Any] = {"time_s": raw[:, 0], "request_id": _int(raw[:, 1], 64)}
    for index, name in enumerate(("block_set", "state_from", "state_to", "owner", "cause")):
        words = [entry[index] for entry in info.moves] or [""]
        known = sorted(set(words))
        codes = np.array([known.index(word) for word in words])
        columns[name] = _words(codes[move] if len(move) else move, known)
    return columns


def _gaps(raw: Matrix, info: RunInfo) -> dict[str, Any]:
    return {"request_id": _int(raw[:, 0], 64), "gap_s": raw[:, 1]}


_BUILD = {
    "requests": _requests,
    "steps": _steps,
    "occupancy": _occupancy,
    "transfers": _transfers,
    "ownership": _ownership,
    "gaps": _gaps,
}


def build_batch(table: str, raw: Matrix, info: RunInfo) -> pa.RecordBatch:
    """Return a block of raw rows of ``table`` as it is stored."""
    import pyarrow as pa

    columns = _BUILD[table](raw, info)
    arrays = [pa.array(c) if isinstance(c, np.ndarray) else c for c in columns.values()]
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))
