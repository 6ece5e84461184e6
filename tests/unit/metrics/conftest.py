"""Tables made from a few columns; what a test does not state is missing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hetsim.metrics import RAW, STATUSES, PoolInfo, RunInfo, build_batch

POOLS = (
    PoolInfo(
        name="p", instances=1, devices_per_instance=2, peak_flop_per_s=1e12,
        memory_bytes_per_s=1e11, slots=10,
    ),
    PoolInfo(
        name="d", instances=2, devices_per_instance=1, peak_flop_per_s=1e12,
        memory_bytes_per_s=1e11, slots=10,
    ),
)  # fmt: skip

_ZERO = {
    "requests": (
        "status",
        "reason",
        "cached_tokens",
        "preemptions",
        "corrupt",
        "turn",
        "convert_s",
    ),
    "steps": (
        "pool",
        "instance",
        "joined",
        "stall_s",
        "prefill_tokens",
        "bound_by",
        "flop",
        "bytes",
    ),
    "gaps": (),
}
_OTHER = {
    "isl_tokens": 100.0, "osl_tokens": 2.0, "output_tokens": 2.0, "prefill_instance": 0.0,
    "decode_instance": 0.0, "user": -1.0, "steps": 1.0, "batch_size": 1.0, "decode_tokens": 1.0,
    "blocks_used": 0.0, "blocks_total": 100.0,
}  # fmt: skip


def info(**changes: Any) -> RunInfo:
    words: dict[str, Any] = {
        "pools": POOLS, "reasons": ("", "queue_full"), "bounds": ("compute", "memory"),
        "protocols": ("",), "transfer_kinds": ("handoff",), "moves": [],
    }  # fmt: skip
    return RunInfo(**{**words, **changes})


@pytest.fixture
def make() -> Callable[..., Any]:
    """``make("requests", rows, **run_info)``: a table of rows given as dicts of raw columns."""

    def made(table: str, rows: Sequence[dict[str, Any]], **changes: Any) -> Any:
        names = RAW[table]
        raw = np.full((len(rows), len(names)), np.nan)
        for number, row in enumerate(rows):
            for column, name in enumerate(names):
                value = row.get(name, _OTHER.get(name, 0.0 if name in _ZERO[table] else np.nan))
                raw[number, column] = STATUSES.index(value) if isinstance(value, str) else value
            if table == "requests" and "request_id" not in row:
                raw[number, 0] = number
        return pa.Table.from_batches([build_batch(table, raw, info(**changes))])

    return made


@pytest.fixture
def pools() -> tuple[PoolInfo, ...]:
    return POOLS
