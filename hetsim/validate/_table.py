"""Tables of measurements: which kind a file is, its rows, and which of them are doubtful."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from hetsim.errors import Problem, ScenarioError

__all__ = ["KINDS", "Row", "Table", "read_tables"]

KINDS: Mapping[str, tuple[str, ...]] = {
    "serving": (
        "row_id", "accelerator", "n_accel", "model", "engine", "weight_dtype", "load_type", "isl",
        "osl",
    ),
    "phase_latency": (
        "row_id", "accelerator", "model", "engine", "weight_dtype", "tp", "phase", "metric",
        "value",
    ),
    "mlperf_llm": (
        "row_id", "accelerator", "n_accel", "model", "scenario", "weight_dtype", "engine", "tok_s",
    ),
    "kv_transfer": ("row_id", "src_accel", "dst_accel", "link", "line_rate_gbytes", "engine"),
    "pd_scale": (
        "row_id", "accelerator", "n_accel_phase", "phase", "model", "parallelism",
        "tok_s_per_accel",
    ),
}  # fmt: skip
"""The columns that make a table of each kind; further columns are carried through."""

_EMPTY = ("", "nan", "none", "null", "n/a", "na")


class Row:
    """One line of a table: words and numbers by column; an absent or empty cell is None."""

    __slots__ = ("kind", "row_id", "suspect", "values")

    def __init__(self, kind: str, row_id: str, values: dict[str, str], suspect: str = "") -> None:
        self.kind = kind
        self.row_id = row_id
        self.values = values
        self.suspect = suspect
        """Why the row is left out of scores; empty for a row that is not doubted."""

    def text(self, name: str) -> str:
        """Return a cell as text, empty where the table says nothing."""
        value = (self.values.get(name) or "").strip()
        return "" if value.lower() in _EMPTY else value

    def number(self, name: str) -> float | None:
        """Return a cell as a finite number, or None where the table says nothing.

        Raises
        ------
        ScenarioError
            If the cell holds something else.
        """
        text = self.text(name)
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ScenarioError(Problem(f"is {text!r}; must be a finite number", name))
        return value

    def measured(self, *names: str) -> float | None:
        """Return the first of the cells that holds a positive number."""
        for name in names:
            try:
                value = self.number(name)
            except ScenarioError:
                continue
            if value is not None and value > 0:
                return value
        return None

    def count(self, name: str, default: int | None = None) -> int:
        """Return a cell as a whole number of at least 1.

        Raises
        ------
        ScenarioError
            If the cell is empty without a default, or is not such a number.
        """
        value = self.number(name)
        if value is None:
            if default is None:
                raise ScenarioError(Problem("is empty; the row needs it", name))
            return default
        if value < 1 or value != int(value):
            raise ScenarioError(Problem(f"is {value:g}; must be a whole number from 1", name))
        return int(value)

    def tokens(self, name: str) -> int:
        """Return a cell as a number of tokens, rounded, at least 1.

        Raises
        ------
        ScenarioError
            If the cell is empty or not positive.
        """
        value = self.number(name)
        if value is None or value <= 0:
            seen = "empty" if value is None else f"{value:g}"
            raise ScenarioError(Problem(f"is {seen}; must be a positive number of tokens", name))
        return max(1, round(value))

    @property
    def grade(self) -> str:
        """How complete the source is; a table without grades counts as A."""
        return self.text("grade") or "A"


class Table:
    """The rows of one file."""

    __slots__ = ("kind", "path", "rows")

    def __init__(self, path: Path, kind: str, rows: list[Row]) -> None:
        self.path = path
        self.kind = kind
        self.rows = rows


def read_tables(paths: list[Path]) -> list[Table]:
    """Return the tables of ``paths``.

    Raises
    ------
    ScenarioError
        If a file cannot be read, or has the columns of no kind; every such file is named.
    """
    tables: list[Table] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            tables.append(_read(path))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return tables


def _read(path: Path) -> Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            columns = [name.strip() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            lines = [{k: v for k, v in line.items() if isinstance(v, str)} for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScenarioError(Problem(f"cannot be read: {error}", file=str(path))) from None
    kind = _kind_of(columns, path)
    doubts = _suspects(path.parent / "suspects.csv")
    rows = []
    for number, values in enumerate(lines, 1):
        row_id = (values.get("row_id") or "").strip() or f"line {number + 1}"
        rows.append(Row(kind, row_id, values, doubts.get(row_id, "")))
    return Table(path, kind, rows)


def _kind_of(columns: list[str], path: Path) -> str:
    """Return the kind whose required columns are all there; the longest list wins."""
    held = set(columns)
    fits = [kind for kind, needed in KINDS.items() if held.issuperset(needed)]
    if fits:
        return max(fits, key=lambda kind: len(KINDS[kind]))
    near = max(KINDS, key=lambda kind: len(held.intersection(KINDS[kind])) / len(KINDS[kind]))
    missing = [name for name in KINDS[near] if name not in held]
    seen = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    raise ScenarioError(
        Problem(
            f"has the columns of no table that can be validated ({', '.join(KINDS)}); the nearest "
            f"is {near}, which lacks {', '.join(missing)}; "
            f"seen {seen or 'none'}",
            file=str(path),
        )
    )


def _suspects(path: Path) -> dict[str, str]:
    """Return the reasons of the doubtful rows by their id, if a list lies beside the table."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {
            (line.get("row_id") or "").strip(): (line.get("reason") or "doubted").strip()
            for line in csv.DictReader(file)
        }
