"""Readers of CSV in one call: which column holds which role, the rest is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Assembler, Field
from hetsim.workload.readers._findings import Findings, shown
from hetsim.workload.readers._sources import csv_chunks, csv_header

__all__ = ["read_csv"]


def read_csv(
    path: Path,
    findings: Findings,
    fields: Mapping[str, Field],
    *,
    per_s: float | None,
    header: Sequence[str] | None = None,
    limit: int | None = None,
    empty_inputs: bool = False,
) -> RequestTable:
    """Return the requests of a CSV file whose first line names the columns.

    ``header`` is the exact header of a format; without it, the fields' columns must be there.
    ``empty_inputs`` is for formats that log calls without input tokens.
    """
    seen = csv_header(path, findings)
    names = [field.name for field in fields.values()]
    if (header is not None and seen != list(header)) or not set(names) <= set(seen):
        raise findings.fail(
            1, f"the header must be {','.join(header or names)}; seen {shown(','.join(seen))}"
        )
    where = {role: seen.index(field.name) for role, field in fields.items()}
    made = Assembler(fields, findings, per_s=per_s)
    for lines, columns in csv_chunks(path, findings, len(seen), limit=limit):
        made.feed(lines, {role: columns[index] for role, index in where.items()})
    return made.finish(empty_inputs=empty_inputs)
