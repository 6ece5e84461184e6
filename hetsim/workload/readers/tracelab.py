"""TraceLab coding sessions: JSON lines, one per round of a coding agent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hetsim.spec import register
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Assembler, Field
from hetsim.workload.readers._findings import Findings, shown
from hetsim.workload.readers._jsonl import feed_jsonl
from hetsim.workload.readers._options import ReadOptions
from hetsim.workload.readers._signature import declare
from hetsim.workload.readers._values import Parser, date, json_tokens, label

__all__ = ["read_tracelab"]

_BLOCK_TOKENS = 16


def _first_event(value: object) -> int:
    first = value[0] if isinstance(value, list) and value else None
    stamp = first.get("timestamp") if isinstance(first, dict) else None
    if stamp is None:
        raise ValueError(f"must start with an event that has a timestamp; seen {shown(value)}")
    moment: int = date.cell(stamp)
    return moment


def _first_events(values: object) -> npt.NDArray[np.int64]:
    return np.array([_first_event(value) for value in values], dtype=np.int64)  # type: ignore[attr-defined]


_FIELDS = {
    "arrival": Field("timing_events", Parser(_first_events, _first_event)),
    "session": Field("session_id", label),
    "isl": Field("input_tokens_total", json_tokens(least=1)),
    "osl": Field("output_tokens", json_tokens(least=0)),
    "prefix": Field("prefix_tokens", json_tokens(least=0)),
}

declare("tracelab", "jsonl", *(field.name for field in _FIELDS.values()))


@register("trace_format", "tracelab")
def read_tracelab(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read rounds; a round arrives with its first timing event (user message or tool result).

    Rounds are grouped by session in the file, so rows are sorted here. Prefix ids are made from
    ``prefix_tokens``: that much of the input is what the session's round before held, in blocks
    of 16 tokens; what a first round found cached came from outside and is not shared.
    Source: TraceLab (uw-syfi), sanitized round traces.
    """
    made = Assembler(_FIELDS, findings, per_s=1e9, sort=True)
    feed_jsonl(made, path, limit)
    table = made.finish(format="tracelab")
    offsets, ids = _prefix_ids(table, made.extra["prefix"])
    note = f"prefix blocks of {_BLOCK_TOKENS} tokens made from prefix_tokens, within each session"
    return table.replace(
        hash_offsets=offsets,
        hash_ids=ids,
        hash_block_tokens=_BLOCK_TOKENS,
        notes=(*table.notes, note),
    )


def _prefix_ids(
    table: RequestTable, prefix: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return CSR prefix ids: the shared part of the session's chain, then new ids."""
    chains: dict[int, list[int]] = {}
    offsets, ids, fresh = [0], [], 0
    sessions = table.session if table.session is not None else np.zeros(len(table), np.int64)
    for session, isl, shared in zip(
        sessions.tolist(), table.isl.tolist(), prefix.tolist(), strict=True
    ):
        blocks = isl // _BLOCK_TOKENS
        kept = chains.get(session, [])[: min(shared // _BLOCK_TOKENS, blocks)]
        more = blocks - len(kept)
        chains[session] = [*kept, *range(fresh, fresh + more)]
        fresh += more
        ids += chains[session]
        offsets.append(len(ids))
    return np.array(offsets, dtype=np.int64), np.array(ids, dtype=np.int64)
