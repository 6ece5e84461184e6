"""Any CSV, JSON lines or Parquet file whose columns have names that people use for them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from hetsim.spec import register
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._assemble import Field
from hetsim.workload.readers._blocks import BlockRule, infer_blocks
from hetsim.workload.readers._csv import read_csv
from hetsim.workload.readers._findings import Findings, shown
from hetsim.workload.readers._jsonl import Keys, read_jsonl
from hetsim.workload.readers._options import UNITS, ReadOptions
from hetsim.workload.readers._parquet import parquet_columns, parquet_table
from hetsim.workload.readers._sources import csv_header, csv_sample, first_line, jsonl_keys
from hetsim.workload.readers._units import unit_of_name
from hetsim.workload.readers._values import (
    Parser,
    any_time,
    date,
    hash_list,
    json_tokens,
    label,
    looks_like_date,
    text_number,
    text_tokens,
)

__all__ = ["guess_roles", "read_generic_csv", "read_generic_jsonl", "read_parquet"]

_SYNONYMS = {
    "arrival": "timestamp time arrival arrivaltime arrivedat arrivaltimestamp starttime start "
    "starttimeoffset requesttime sendtime offset ts",
    "isl": "input inputs inputlength inputlen inputtokens inputtoks inputsize numinputtokens isl "
    "prompt promptlength promptlen prompttokens promptsize numprompttokens context contexttokens "
    "contextlength requesttokens prefilltokens numprefilltokens prefilllength inputtokenstotal",
    "osl": "output outputs outputlength outputlen outputtokens outputtoks outputsize "
    "numoutputtokens osl generated generatedtokens generationlength gentokens genlen completion "
    "completiontokens responsetokens responselength decodetokens numdecodetokens decodelength",
    "session": "session sessionid conversation conversationid chatid",
    "hashes": "hashids hashes blockhashes prefixhashes blockids",
    "priority": "priority",
}
_ROLE_OF = {word: role for role, words in _SYNONYMS.items() for word in words.split()}


def guess_roles(names: Iterable[str]) -> dict[str, list[str]]:
    """Return, for every role that some column names stand for, those names.

    >>> guess_roles(["Timestamp (ms)", "prompt_tokens", "model"])
    {'arrival': ['Timestamp (ms)'], 'isl': ['prompt_tokens']}
    """
    found: dict[str, list[str]] = {}
    for name in names:
        plain, unit = unit_of_name(name)
        role = _ROLE_OF.get(_letters(name)) or _ROLE_OF.get(_letters(plain) if unit else "")
        if role is not None:
            found.setdefault(role, []).append(name)
    return found


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _chosen(names: list[str], findings: Findings, options: ReadOptions) -> dict[str, str]:
    """Return the column of each role: the stated one, or the only one with a fitting name."""
    guesses = guess_roles(names)
    chosen = dict(options.columns)
    for role, name in chosen.items():
        if name not in names:
            findings.add(1, f"has no column {name!r} for {role}; seen {shown(', '.join(names))}")
    for role, columns in guesses.items():
        if role not in chosen and len(columns) > 1:
            findings.add(
                1, f"columns {', '.join(columns)} could all be {role}; state one under 'columns'"
            )
        chosen.setdefault(role, columns[0])
    if "isl" not in chosen:
        seen = shown(", ".join(names))
        findings.add(1, f"has no column of input tokens; seen {seen}; name it input_tokens")
    findings.check()
    return chosen


def _per_s(column: str | None, findings: Findings, options: ReadOptions) -> float | None:
    """Return how many units of the arrival column make a second, None if nothing says so."""
    stated = options.time_unit
    if stated is not None and stated not in UNITS:
        raise findings.fail(None, f"time_unit must be one of {', '.join(UNITS)}, not {stated!r}")
    unit = stated or (unit_of_name(column)[1] if column else None)
    return UNITS[unit] if unit else None


def _fields(chosen: Mapping[str, str], tokens: Callable[..., Parser], time: Parser) -> Any:
    parsers = {
        "arrival": time,
        "isl": tokens(least=1),
        "osl": tokens(least=0),
        "priority": tokens(least=0),
        "session": label,
        "hashes": hash_list,
    }
    return {role: Field(name, parsers[role]) for role, name in chosen.items()}


def _finished(table: RequestTable, findings: Findings, format: str, line: int) -> RequestTable:
    table = table.replace(format=format)
    if not table.has_hashes:
        return table
    return infer_blocks(table, findings, BlockRule(512, partial=True), first_line=line)


@register("trace_format", "generic_csv")
def read_generic_csv(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read a CSV whose header names arrivals, inputs and outputs; sorted by arrival.

    Arrivals are dates or numbers, in the unit that ends the column's name, or that is stated, or
    that is inferred and noted. Without an arrival column the file holds lengths only.
    """
    names = csv_header(path, findings)
    chosen = _chosen(names, findings, options)
    chosen.pop("hashes", None)  # a CSV cell cannot hold a list
    per_s, time = _per_s(chosen.get("arrival"), findings, options), text_number
    if "arrival" in chosen and looks_like_date(csv_sample(path, findings, chosen["arrival"])):
        per_s, time = UNITS["ns"], date
    fields = _fields(chosen, text_tokens, time)
    table = read_csv(path, findings, fields, per_s=per_s, limit=limit)
    return _finished(table, findings, "generic_csv", 2)


@register("trace_format", "generic_jsonl")
def read_generic_jsonl(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read JSON lines whose keys name arrivals, inputs, outputs, hashes; sorted by arrival."""
    line = first_line(path, findings) or ""
    chosen = _chosen(jsonl_keys(line, findings), findings, options)
    per_s, time = any_time(
        line_value(line, chosen.get("arrival")), _per_s(chosen.get("arrival"), findings, options)
    )
    fields = _fields(chosen, json_tokens, time)
    table = read_jsonl(path, findings, Keys(fields, per_s=per_s), limit)
    return _finished(table, findings, "generic_jsonl", 1)


def line_value(line: str, key: str | None) -> object:
    """Return the value of a key in the first line, which has been found to be an object."""
    import json

    return json.loads(line).get(key) if key else None


@register("trace_format", "parquet")
def read_parquet(
    path: Path, findings: Findings, limit: int | None, options: ReadOptions
) -> RequestTable:
    """Read a Parquet file as :func:`read_generic_jsonl`; problems are told by row, from 1."""
    names, dated = parquet_columns(path, findings)
    chosen = _chosen(names, findings, options)
    arrival = chosen.get("arrival")
    per_s, time = any_time(
        "2026-01-01 00:00:00" if arrival in dated else 0, _per_s(arrival, findings, options)
    )
    fields = _fields(chosen, json_tokens, time)
    table = parquet_table(path, findings, fields, per_s, limit)
    return _finished(table, findings, "parquet", 1)
