"""Mooncake traces: JSON lines with cumulative prefix hashes of 512-token blocks."""

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
from hetsim.workload.readers._values import hash_list, json_number, json_tokens

__all__ = ["read_mooncake"]

_FIELDS = {
    "arrival": Field("timestamp", json_number),
    "isl": Field("input_length", json_tokens(least=1)),
    "osl": Field("output_length", json_tokens(least=0)),
    "hashes": Field("hash_ids", hash_list),
}


declare("mooncake", "jsonl", *(f.name for f in _FIELDS.values()), without=("chat_id",))


@register("trace_format", "mooncake")
def read_mooncake(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read ``timestamp`` (ms), ``input_length``, ``output_length``, ``hash_ids`` per line.

    Rows are sorted by arrival; many share one time. Source: Mooncake, FAST 2025 release traces.
    """
    keys = Keys(_FIELDS, per_s=1000.0)
    table = read_jsonl(path, findings, keys, limit).replace(format="mooncake")
    return infer_blocks(table, findings, BlockRule(512, partial=True), first_line=1)
