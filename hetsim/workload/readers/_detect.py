"""Which format a trace has, told from its content, and the one call that reads any of them."""

from __future__ import annotations

from pathlib import Path

from hetsim.errors import ScenarioError
from hetsim.spec import kinds, lookup
from hetsim.workload._table import RequestTable
from hetsim.workload.readers._findings import Findings, shown
from hetsim.workload.readers._options import ReadOptions
from hetsim.workload.readers._signature import best_match
from hetsim.workload.readers._sources import csv_header, first_line, jsonl_keys
from hetsim.workload.readers.generic import guess_roles
from hetsim.workload.readers.servegen import is_client_folder

__all__ = ["detect_format", "read_trace", "trace_formats"]


def trace_formats() -> tuple[str, ...]:
    """Return the names of the formats that can be read."""
    return kinds("trace_format")


def detect_format(path: str | Path) -> str:
    """Return the name of the format of a file or folder, from its content alone.

    Raises
    ------
    ScenarioError
        If there is nothing at ``path``, or it is no trace that any reader knows.
    """
    place, findings = Path(path), Findings(str(path))
    if not _exists(place):
        raise findings.fail(None, "no such file or folder")
    if place.is_dir():
        if is_client_folder(place):
            return "servegen"
        raise findings.fail(None, "is a folder without ServeGen's chunk-*-trace.csv files")
    line = first_line(place, findings)
    if line is None:
        return "parquet"
    if not line.strip():
        raise findings.fail(1, "holds no request: the first line is empty")
    if line.lstrip().startswith(("{", "[")):
        return _of("jsonl", jsonl_keys(line, findings), "generic_jsonl", findings)
    return _of("csv", csv_header(place, findings), "generic_csv", findings)


def _exists(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:  # a name longer than the file system allows
        return False


def _of(shape: str, names: list[str], generic: str, findings: Findings) -> str:
    found = best_match(shape, frozenset(names))
    if found is not None:
        return found
    if "isl" in guess_roles(names):
        return generic
    raise _unknown(names, findings)


def _unknown(names: list[str], findings: Findings) -> ScenarioError:
    return findings.fail(
        1,
        f"is in no known trace format; seen the columns {shown(', '.join(names))}; name the input "
        f"column input_tokens, or state a format: {', '.join(trace_formats())}",
    )


def read_trace(
    path: str | Path,
    format: str | None = None,
    limit: int | None = None,
    options: ReadOptions | None = None,
) -> RequestTable:
    """Return the requests of a trace; its format is recognised unless stated.

    Raises
    ------
    ScenarioError
        With file, line, value seen and remedy of the first twenty problems, and their number.
    """
    findings = Findings(str(path))
    if not _exists(Path(path)):
        raise findings.fail(None, "no such file or folder")
    if limit is not None and limit < 1:
        raise findings.fail(None, f"limit must be at least 1, not {limit}")
    reader = lookup("trace_format", format or detect_format(path))
    table: RequestTable = reader(Path(path), findings, limit, options or ReadOptions())
    return table
