"""Readers of JSON lines in one call: which key holds which role, the rest is shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Assembler, Field
from hetsim.workload.readers._findings import Findings, shown
from hetsim.workload.readers._sources import jsonl_chunks

__all__ = ["Keys", "feed_jsonl", "read_jsonl"]


class Keys(NamedTuple):
    """What a line of a JSON format holds, and the unit of its arrival times."""

    fields: Mapping[str, Field]
    per_s: float | None


def read_jsonl(
    path: Path, findings: Findings, keys: Keys, limit: int | None = None
) -> RequestTable:
    """Return the requests of a JSON lines file."""
    made = Assembler(keys.fields, findings, per_s=keys.per_s)
    feed_jsonl(made, path, limit)
    return made.finish()


def feed_jsonl(made: Assembler, path: Path, limit: int | None) -> None:
    """Feed the rows of a JSON lines file to an assembler."""
    for lines, records in jsonl_chunks(path, made.findings, limit):
        made.feed(*_columns(lines, records, made.fields, made.findings))


def _columns(
    lines: Sequence[int],
    records: list[dict[str, Any]],
    fields: Mapping[str, Field],
    findings: Findings,
) -> tuple[Sequence[int], dict[str, list[Any]]]:
    try:
        return lines, {
            role: [record[field.name] for record in records] for role, field in fields.items()
        }
    except KeyError:
        return _complete_only(lines, records, fields, findings)


def _complete_only(
    lines: Sequence[int],
    records: list[dict[str, Any]],
    fields: Mapping[str, Field],
    findings: Findings,
) -> tuple[list[int], dict[str, list[Any]]]:
    """Return the rows that have every key, and note the others."""
    names = [field.name for field in fields.values()]
    kept: list[int] = []
    columns: dict[str, list[Any]] = {role: [] for role in fields}
    for line, record in zip(lines, records, strict=True):
        missing = [name for name in names if name not in record]
        if missing:
            seen = shown(", ".join(record))
            findings.add(line, f"lacks {', '.join(missing)}; seen the keys {seen}")
            continue
        kept.append(line)
        for role, field in fields.items():
            columns[role].append(record[field.name])
    return kept, columns
