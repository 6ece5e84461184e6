"""Parquet files as columns of Python values, a batch of rows at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetsim.errors import ScenarioError
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Assembler, Field
from hetsim.workload.readers._findings import Findings, shown

__all__ = ["parquet_columns", "parquet_table"]

_BATCH_ROWS = 16384


def _open(path: Path, findings: Findings) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise findings.fail(None, f"is not Parquet: {shown(str(error))}") from None


def parquet_columns(path: Path, findings: Findings) -> tuple[list[str], set[str]]:
    """Return the names of all columns, and of those that hold dates."""
    schema = _open(path, findings).schema_arrow
    dated = {name for name in schema.names if "timestamp" in str(schema.field(name).type)}
    return list(schema.names), dated


def parquet_table(
    path: Path,
    findings: Findings,
    fields: Mapping[str, Field],
    per_s: float | None,
    limit: int | None,
) -> RequestTable:
    """Return the requests of a Parquet file."""
    made = Assembler(fields, findings, per_s=per_s)
    try:
        for columns in _batches(_open(path, findings), fields, limit):
            count = len(columns["isl"])
            made.feed(range(made.rows + 1, made.rows + 1 + count), columns)
    except ScenarioError:
        raise
    except Exception as error:  # pyarrow raises many kinds for a damaged page
        raise findings.fail(None, f"cannot be read on: {shown(str(error))}") from None
    return made.finish()


def _batches(file: Any, fields: Mapping[str, Field], limit: int | None) -> Any:
    left = limit if limit is not None else file.metadata.num_rows
    names = [field.name for field in fields.values()]
    for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
        part = batch.slice(0, left)
        left -= part.num_rows
        if part.num_rows:
            yield {role: part.column(f.name).to_pylist() for role, f in fields.items()}
