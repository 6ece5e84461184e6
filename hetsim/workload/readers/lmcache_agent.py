"""Agent traces derived from LMCache's logs: Mooncake's shape with sessions and 16-token blocks."""

from __future__ import annotations

from pathlib import Path

from hetsim.spec import register
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Field
from hetsim.workload.readers._blocks import BlockRule, infer_blocks
from hetsim.workload.readers._findings import Findings
from hetsim.workload.readers._jsonl import Keys, read_jsonl
from hetsim.workload.readers._options import ReadOptions
from hetsim.workload.readers._signature import declare
from hetsim.workload.readers._values import hash_list, json_number, json_tokens, label

__all__ = ["read_lmcache_agent"]

_FIELDS = {
    "arrival": Field("timestamp", json_number),
    "session": Field("session_id", label),
    "isl": Field("input_length", json_tokens(least=1)),
    "osl": Field("output_length", json_tokens(least=0)),
    "hashes": Field("hash_ids", hash_list),
}

declare("lmcache_agent", "jsonl", *(f.name for f in _FIELDS.values()), without=("chat_id",))


@register("trace_format", "lmcache_agent")
def read_lmcache_agent(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read ``timestamp`` (ms), ``session_id``, the two lengths and ``hash_ids`` per line.

    Rows are sorted by arrival. An output of 0 is a call whose log holds no text (a tool call).
    Source: LMCache agent traces, tokenised and hashed in full blocks.
    """
    table = read_jsonl(path, findings, Keys(_FIELDS, per_s=1000.0), limit)
    table = table.replace(format="lmcache_agent")
    return infer_blocks(table, findings, BlockRule(16, partial=False), first_line=1)
