"""LLMServingSim workloads: JSON lines with two token counts and an arrival in ns."""

from __future__ import annotations

from pathlib import Path

from hetsim.spec import register
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Field
from hetsim.workload.readers._findings import Findings
from hetsim.workload.readers._jsonl import Keys, read_jsonl
from hetsim.workload.readers._options import ReadOptions
from hetsim.workload.readers._signature import declare
from hetsim.workload.readers._values import json_number, json_tokens

__all__ = ["read_llmservingsim"]

_FIELDS = {
    "arrival": Field("arrival_time_ns", json_number),
    "isl": Field("input_toks", json_tokens(least=1)),
    "osl": Field("output_toks", json_tokens(least=0)),
}

declare("llmservingsim", "jsonl", *(f.name for f in _FIELDS.values()))


@register("trace_format", "llmservingsim")
def read_llmservingsim(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read ``input_toks``, ``output_toks``, ``arrival_time_ns`` per line, sorted by arrival.

    Token ids, where a file holds them, are not read. Source: LLMServingSim, workloads folder.
    """
    table = read_jsonl(path, findings, Keys(_FIELDS, per_s=1e9), limit)
    return table.replace(format="llmservingsim")
