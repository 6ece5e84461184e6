"""Chunks of cells to one ``RequestTable``: checks every row, remembers lines, holds little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.workload._table import RequestTable
from hetsim.workload.readers._findings import Findings
from hetsim.workload.readers._options import UNITS
from hetsim.workload.readers._units import infer_unit
from hetsim.workload.readers._values import Parser

__all__ = ["Assembler", "Field"]

Column = npt.NDArray[Any]


class Field:
    """One thing a row states: the column it is in, and how its cells are read."""

    __slots__ = ("name", "parser")

    def __init__(self, name: str, parser: Parser) -> None:
        self.name = name
        self.parser = parser


class Assembler:
    """Collects the rows of one file.

    Roles: ``arrival`` (any number, divided by ``per_s``; without it the unit is inferred), ``isl``,
    ``osl``, ``session``, ``hashes``, ``priority``; whole-number columns of other names end up in
    ``extra``. Rows must come in order of arrival unless ``sort`` is set, which is for formats that
    are grouped otherwise by their own rules (and hold no hashes).
    """

    __slots__ = (
        "_labels",
        "_last",
        "_parts",
        "extra",
        "fields",
        "findings",
        "per_s",
        "rows",
        "sort",
    )

    def __init__(
        self,
        fields: Mapping[str, Field],
        findings: Findings,
        *,
        per_s: float | None,
        sort: bool = False,
    ) -> None:
        self.fields = dict(fields)
        self.findings = findings
        self.per_s = per_s
        self.sort = sort
        self.extra: dict[str, Column] = {}
        self.rows = 0
        self._parts: dict[str, list[Column]] = {role: [] for role in self.fields}
        self._parts.update({"counts": [], "ids": []})
        self._labels: dict[object, int] = {}
        self._last: float | int | None = None

    def feed(self, lines: Sequence[int], cells: Mapping[str, Sequence[Any]]) -> None:
        """Take the cells of some rows; ``lines`` tells where in the file each of them stands."""
        try:
            columns = {role: f.parser.column(cells[role]) for role, f in self.fields.items()}
        except (ValueError, OverflowError):
            columns = self._one_by_one(lines, cells)
        if "arrival" in columns and not self.sort:
            self._check_order(lines, columns["arrival"])
        if not self.findings.count:  # after a problem nothing is kept: the file is refused anyway
            self._keep(columns, len(lines))
        self.rows += len(lines)

    def _one_by_one(
        self, lines: Sequence[int], cells: Mapping[str, Sequence[Any]]
    ) -> dict[str, Column]:
        """Parse cell by cell, note what is wrong and where; right columns come back as such."""
        columns: dict[str, Column] = {}
        for role, field in self.fields.items():
            values = []
            for line, value in zip(lines, cells[role], strict=True):
                try:
                    values.append(field.parser.cell(value))
                except ValueError as error:
                    self.findings.add(line, f"{field.name} {error}")
            if len(values) == len(lines):
                columns[role] = _as_column(role, values)
        return columns

    def _check_order(self, lines: Sequence[int], times: Column) -> None:
        if not len(times):
            return
        before = self._last if self._last is not None else times[0]
        early = np.flatnonzero(np.diff(times, prepend=np.asarray([before], dtype=times.dtype)) < 0)
        name = self.fields["arrival"].name
        for row in early.tolist():
            above = times[row - 1] if row else before
            self.findings.add(
                lines[row],
                f"{name} goes back from {above} to {times[row]}; sort the rows by {name}",
            )
        self._last = times[-1]

    def _keep(self, columns: dict[str, Column], count: int) -> None:
        for role, column in columns.items():
            if role == "hashes":
                self._parts["counts"].append(column[:count])
                self._parts["ids"].append(column[count:])
            elif role == "session":
                labels = self._labels
                ids = [labels.setdefault(name, len(labels)) for name in column.tolist()]
                self._parts[role].append(np.array(ids, dtype=np.int64))
            elif role == "arrival":
                self._parts[role].append(column)
            else:
                self._parts[role].append(column.astype(np.int32))

    def finish(self, **changes: Any) -> RequestTable:
        """Return the table of all rows.

        Raises
        ------
        ScenarioError
            With the problems found, or if there was no row at all.
        """
        self.findings.check()
        if not self.rows:
            raise self.findings.fail(None, "holds no request")
        joined = {role: np.concatenate(parts) for role, parts in self._parts.items() if parts}
        self._parts.clear()
        notes: list[str] = []
        joined["arrival"] = self._seconds(joined, notes)
        if self.sort:
            order = np.argsort(joined["arrival"], kind="stable")
            joined = {role: column[order] for role, column in joined.items()}
        self.extra = {
            role: joined[role] for role in self.fields if role not in _ROLES and role in joined
        }
        return RequestTable(
            joined["arrival"],
            joined["isl"],
            joined.get("osl", np.zeros(len(joined["isl"]), dtype=np.int32)),
            session=joined.get("session"),
            priority=joined.get("priority"),
            hash_offsets=_offsets(joined.get("counts")),
            hash_ids=joined.get("ids"),
            lacks=[word for role, word in _MISSING.items() if role not in self.fields],
            notes=notes,
            source=self.findings.file,
            **changes,
        )

    def _seconds(self, joined: dict[str, Column], notes: list[str]) -> Column:
        """Return arrivals in s from the first on; an inferred unit is noted."""
        if "arrival" not in joined:
            return np.zeros(self.rows)
        times = joined["arrival"]
        per_s = self.per_s
        if per_s is None:
            unit = infer_unit(times)
            name = self.fields["arrival"].name
            notes.append(f"{name} read in {unit}, inferred from its values; state time_unit if not")
            per_s = UNITS[unit]
        seconds: Column = (times - times.min()) / per_s
        return seconds


_ROLES = ("arrival", "isl", "osl", "session", "hashes", "priority")
_MISSING = {"arrival": "arrivals", "osl": "outputs"}


def _offsets(counts: Column | None) -> Column | None:
    return None if counts is None else np.concatenate(([0], np.cumsum(counts)))


def _as_column(role: str, values: list[Any]) -> Column:
    if role == "hashes":
        flat = [item for value in values for item in value]
        return np.array([len(value) for value in values] + flat, dtype=np.int64)
    return np.array(values, dtype=object if role == "session" else None)
