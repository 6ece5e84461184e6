"""BurstGPT traces: CSV of calls with seconds since the first day and token counts."""

from __future__ import annotations

from pathlib import Path

from hetsim.spec import register
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Field
from hetsim.workload.readers._csv import read_csv
from hetsim.workload.readers._findings import Findings
from hetsim.workload.readers._options import ReadOptions
from hetsim.workload.readers._signature import declare
from hetsim.workload.readers._values import text_number, text_tokens

__all__ = ["read_burstgpt", "read_burstgpt_arrivals"]

_ARRIVAL = {"arrival": Field("Timestamp", text_number)}
_FIELDS = {
    **_ARRIVAL,
    "isl": Field("Request tokens", text_tokens(least=0)),
    "osl": Field("Response tokens", text_tokens(least=0)),
}
_CAPPED = {**_ARRIVAL, "isl": Field("Request_tokens_capped1023", text_tokens(least=0))}

declare("burstgpt", "csv", *(f.name for f in _FIELDS.values()), "Model", "Log Type")
declare("burstgpt_arrivals", "csv", *(f.name for f in _CAPPED.values()))


@register("trace_format", "burstgpt")
def read_burstgpt(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read ``Timestamp`` (s), ``Request tokens``, ``Response tokens``; sorted by arrival.

    Failed calls have no response tokens: a prefill without a decode. Rows without request tokens
    are kept here and left out of a replay, with their number in the notes.
    Source: BurstGPT (HPMLL), releases 1.1 and 2.0.
    """
    table = read_csv(path, findings, _FIELDS, per_s=1.0, limit=limit, empty_inputs=True)
    return table.replace(format="burstgpt")


@register("trace_format", "burstgpt_arrivals")
def read_burstgpt_arrivals(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read arrivals recovered from a replay: request tokens capped at 1023, no response tokens.

    Rows without request tokens are kept here and left out of a replay.
    """
    table = read_csv(path, findings, _CAPPED, per_s=1.0, limit=limit, empty_inputs=True)
    note = "input lengths are capped at 1023 by the replay they were recovered from"
    return table.replace(format="burstgpt_arrivals", notes=(*table.notes, note))
