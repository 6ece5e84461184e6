"""Azure LLM inference traces: CSV with a date and two token counts."""

from __future__ import annotations

from pathlib import Path

from hetsim.spec import register
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Field
from hetsim.workload.readers._csv import read_csv
from hetsim.workload.readers._findings import Findings
from hetsim.workload.readers._options import ReadOptions
from hetsim.workload.readers._signature import declare
from hetsim.workload.readers._values import date, text_tokens

__all__ = ["AZURE_HEADER", "read_azure"]

AZURE_HEADER = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")

_FIELDS = {
    "arrival": Field("TIMESTAMP", date),
    "isl": Field("ContextTokens", text_tokens(least=1)),
    "osl": Field("GeneratedTokens", text_tokens(least=0)),
}


declare("azure", "csv", *AZURE_HEADER)


@register("trace_format", "azure")
def read_azure(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read ``TIMESTAMP,ContextTokens,GeneratedTokens``; rows are sorted by arrival.

    Source: AzurePublicDataset, LLM inference traces 2023 (seven decimals, no zone) and 2024
    (zone stated).
    """
    table = read_csv(path, findings, _FIELDS, per_s=1e9, header=AZURE_HEADER, limit=limit)
    return table.replace(format="azure")
