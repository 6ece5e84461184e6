"""Text files as chunks of rows: JSON lines and CSV, plain or gzipped, bounded memory."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from hetsim.workload.readers._findings import Findings, shown

__all__ = [
    "csv_chunks",
    "csv_header",
    "csv_sample",
    "first_line",
    "jsonl_chunks",
    "jsonl_keys",
    "open_text",
]

_CHUNK_ROWS = 16384
_MAX_LINE = 64 * 2**20

csv.field_size_limit(_MAX_LINE)


def open_text(path: Path, findings: Findings) -> IO[str]:
    """Open a text file, unpacking gzip; bytes that are not UTF-8 stay visible to the parsers."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        if packed:
            return gzip.open(path, "rt", encoding="utf-8-sig", errors="surrogateescape", newline="")
        return path.open(encoding="utf-8-sig", errors="surrogateescape", newline="")
    except OSError as error:
        raise findings.fail(None, f"cannot be read: {error.strerror or error}") from None


def _lines(file: IO[str], findings: Findings) -> Iterator[str]:
    """Yield lines but for empty ones at the end; a damaged gzip stream is the user's problem."""
    number, empty = 0, 0
    try:
        while line := file.readline(_MAX_LINE):
            number += 1
            if line.isspace():
                empty += 1
                continue
            while empty:
                empty -= 1
                yield "\n"
            yield line
    except (OSError, EOFError) as error:
        raise findings.fail(number + 1, f"cannot be read on: {shown(str(error))}") from None


def first_line(path: Path, findings: Findings) -> str | None:
    """Return the first line of a text file, or None for a Parquet file."""
    try:
        with path.open("rb") as raw:
            if raw.read(4) == b"PAR1":
                return None
    except OSError as error:
        raise findings.fail(None, f"cannot be read: {error.strerror or error}") from None
    with open_text(path, findings) as file:
        return next(_lines(file, findings), "")


def jsonl_keys(line: str, findings: Findings) -> list[str]:
    """Return the keys of the object in a line."""
    record = _record(line, 1, findings)
    findings.check()
    return list(record or ())


def jsonl_chunks(
    path: Path, findings: Findings, limit: int | None = None
) -> Iterator[tuple[Sequence[int], list[dict[str, Any]]]]:
    """Yield line numbers and objects, a few thousand at a time; other lines are noted."""
    with open_text(path, findings) as file:
        source = islice(_lines(file, findings), limit)
        first = 1
        while chunk := list(islice(source, _CHUNK_ROWS)):
            numbers: list[int] = []
            objects: list[dict[str, Any]] = []
            for number, line in enumerate(chunk, first):
                record = _record(line, number, findings)
                if record is not None:
                    numbers.append(number)
                    objects.append(record)
            first += len(chunk)
            yield numbers, objects


def _record(line: str, number: int, findings: Findings) -> dict[str, Any] | None:
    try:
        value = _DECODER.decode(line)
    except (ValueError, RecursionError) as error:
        cut = line and not line.endswith(("\n", "\r"))
        what = "is an empty line" if not line.strip() else f"is not JSON ({_reason(error)})"
        hint = "; the last line is cut off" if cut else ""
        findings.add(number, f"{what}{hint}; seen {shown(line.strip())}")
        return None
    if not isinstance(value, dict):
        findings.add(number, f"must be a JSON object; seen {shown(value)}")
        return None
    return value


def _refuse_constant(word: str) -> Any:
    raise ValueError(f"{word} is not a number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "nested too deep" if isinstance(error, RecursionError) else str(error)[:80]


def csv_header(path: Path, findings: Findings) -> list[str]:
    """Return the cells of the first line, stripped."""
    with open_text(path, findings) as file:
        line = next(_lines(file, findings), "")
    try:
        return [cell.strip() for cell in next(csv.reader([line], strict=True), [])]
    except csv.Error as error:
        raise findings.fail(1, f"is not a CSV header ({error}); seen {shown(line)}") from None


def csv_sample(path: Path, findings: Findings, column: str) -> str:
    """Return the cell of a column in the first row, or nothing if there is none."""
    index = csv_header(path, findings).index(column)
    with open_text(path, findings) as file:
        rows = islice(_rows(csv.reader(_lines(file, findings), strict=True), findings), 1, 2)
        row = next(rows, [])
    return row[index] if index < len(row) else ""


def csv_chunks(
    path: Path, findings: Findings, width: int, *, header: bool = True, limit: int | None = None
) -> Iterator[tuple[Sequence[int], list[tuple[str, ...]]]]:
    """Yield line numbers and, for each of the ``width`` columns, its cells."""
    with open_text(path, findings) as file:
        reader = csv.reader(_lines(file, findings), strict=True)
        start = 1 if header else 0
        source = islice(_rows(reader, findings), start, None if limit is None else start + limit)
        first = start + 1
        while chunk := list(islice(source, _CHUNK_ROWS)):
            numbers: Sequence[int] = range(first, first + len(chunk))
            first += len(chunk)
            if set(map(len, chunk)) != {width}:
                numbers, chunk = _right_width(numbers, chunk, width, findings)
            yield numbers, list(zip(*chunk, strict=True)) or [()] * width


def _rows(reader: Any, findings: Findings) -> Iterator[list[str]]:
    count = 0
    try:
        for row in reader:
            count += 1
            if reader.line_num != count:
                raise findings.fail(count, "holds a quoted line break; one request a line")
            yield row
    except csv.Error as error:
        raise findings.fail(reader.line_num, f"is not CSV ({error})") from None


def _right_width(
    numbers: Sequence[int], rows: list[list[str]], width: int, findings: Findings
) -> tuple[list[int], list[list[str]]]:
    kept = []
    for number, row in zip(numbers, rows, strict=True):
        if len(row) == width:
            kept.append((number, row))
        elif not row:
            findings.add(number, "is an empty line; one request a line")
        else:
            cells = shown(",".join(row))
            findings.add(number, f"has {len(row)} columns, the header {width}; seen {cells}")
    return [number for number, _ in kept], [row for _, row in kept]
