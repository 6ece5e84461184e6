"""``RequestTable``: who arrives when, with how many tokens, sharing which prefix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from hetsim.errors import Problem, ScenarioError

__all__ = ["MAX_TOKENS", "RequestTable"]

MAX_TOKENS = 2**31 - 1
"""Largest length that a request may have; lengths are stored as int32."""

_CHUNK_ROWS = 8192


class RequestTable:
    """An open-loop workload: one row per request, in order of arrival, columns read-only.

    A row costs 16 bytes, 8 more with sessions, 4 more with priorities. Prefix hashes are stored
    one row after the other: row ``i`` holds ``hash_ids[hash_offsets[i]:hash_offsets[i + 1]]``.
    An id stands for the whole prefix up to the end of its block of ``hash_block_tokens``.

    Raises
    ------
    ScenarioError
        If the columns do not fit each other: lengths differ, arrivals are not sorted from 0 on,
        an input holds no token, an output is negative.

    >>> table = RequestTable([0.0, 0.5], [100, 200], [10, 0])
    >>> len(table), table.zero_outputs
    (2, 1)
    """

    __slots__ = (
        "arrival_s",
        "empty_inputs",
        "format",
        "hash_block_tokens",
        "hash_ids",
        "hash_offsets",
        "isl",
        "lacks",
        "measured_from_s",
        "notes",
        "osl",
        "priority",
        "session",
        "source",
    )

    def __init__(
        self,
        arrival_s: npt.ArrayLike,
        isl: npt.ArrayLike,
        osl: npt.ArrayLike,
        *,
        session: npt.ArrayLike | None = None,
        priority: npt.ArrayLike | None = None,
        hash_offsets: npt.ArrayLike | None = None,
        hash_ids: npt.ArrayLike | None = None,
        hash_block_tokens: int | None = None,
        measured_from_s: float = 0.0,
        empty_inputs: bool = False,
        lacks: Sequence[str] = (),
        notes: Sequence[str] = (),
        source: str = "",
        format: str = "",
    ) -> None:
        self.arrival_s = _column(arrival_s, np.float64)
        self.isl = _column(isl, np.int32)
        self.osl = _column(osl, np.int32)
        self.session = None if session is None else _column(session, np.int64)
        self.priority = None if priority is None else _column(priority, np.int32)
        self.hash_offsets = None if hash_offsets is None else _column(hash_offsets, np.int64)
        self.hash_ids = None if hash_ids is None else _column(hash_ids, np.int64)
        self.hash_block_tokens = hash_block_tokens
        self.measured_from_s = float(measured_from_s)
        """Requests that arrive earlier warm the system up: simulated, not measured."""
        self.empty_inputs = empty_inputs
        """Whether the source logs calls without input tokens; a replay leaves them out."""
        self.lacks = tuple(lacks)
        """What the source does not state (``arrivals``, ``outputs``); a workload must supply it."""
        self.notes = tuple(notes)
        self.source = source
        self.format = format
        problems = _problems(self)
        if problems:
            raise ScenarioError([Problem(text, "", source) for text in problems])

    def __len__(self) -> int:
        return len(self.arrival_s)

    def __repr__(self) -> str:
        return f"RequestTable({len(self)} requests, {self.format or 'made'}, {self.source!r})"

    def __reduce__(self) -> Any:
        return _rebuild, tuple(getattr(self, name) for name in RequestTable.__slots__)

    @property
    def has_hashes(self) -> bool:
        """Whether the rows tell which prefixes they share."""
        return self.hash_ids is not None

    @property
    def zero_outputs(self) -> int:
        """How many requests ask for no output token: a prefill without a decode."""
        return int(np.count_nonzero(self.osl == 0))

    @property
    def zero_inputs(self) -> int:
        """How many rows hold no input token; they carry no work, and a replay has none."""
        return int(np.count_nonzero(self.isl == 0))

    @property
    def nbytes(self) -> int:
        """Bytes held by the columns."""
        columns = (getattr(self, name) for name in RequestTable.__slots__)
        return sum(column.nbytes for column in columns if isinstance(column, np.ndarray))

    def hashes(self, row: int) -> list[int]:
        """Return the prefix block ids of a request, as Python ints; none where there are none."""
        if self.hash_ids is None or self.hash_offsets is None:
            return []
        start, stop = self.hash_offsets[row], self.hash_offsets[row + 1]
        ids: list[int] = self.hash_ids[start:stop].tolist()
        return ids

    def rows(self) -> Iterator[tuple[int, float, int, int]]:
        """Yield (row, arrival in s, ISL, OSL) as Python numbers, holding few of them at a time."""
        for start in range(0, len(self), _CHUNK_ROWS):
            part = slice(start, start + _CHUNK_ROWS)
            yield from zip(
                range(start, min(start + _CHUNK_ROWS, len(self))),
                self.arrival_s[part].tolist(),
                self.isl[part].tolist(),
                self.osl[part].tolist(),
                strict=True,
            )

    def select(self, rows: npt.NDArray[np.int64]) -> RequestTable:
        """Return the table of the given rows, in that order."""
        offsets, ids = _select_hashes(self, rows)
        return self.replace(
            arrival_s=self.arrival_s[rows],
            isl=self.isl[rows],
            osl=self.osl[rows],
            session=None if self.session is None else self.session[rows],
            priority=None if self.priority is None else self.priority[rows],
            hash_offsets=offsets,
            hash_ids=ids,
        )

    def replace(self, **changes: Any) -> RequestTable:
        """Return the table with other columns or other notes."""
        values = {name: getattr(self, name) for name in RequestTable.__slots__}
        return RequestTable(**{**values, **changes})


def _rebuild(*values: Any) -> RequestTable:
    return RequestTable(**dict(zip(RequestTable.__slots__, values, strict=True)))


def _column(values: npt.ArrayLike, dtype: type[Any]) -> npt.NDArray[Any]:
    column = np.asarray(values)
    if column.dtype != dtype and dtype is np.int32 and column.size:
        low, high = column.min(), column.max()
        if not (low >= -MAX_TOKENS and high <= MAX_TOKENS):
            raise ScenarioError(
                f"a length of {high:g} tokens is out of range; at most {MAX_TOKENS}"
            )
    view = np.ascontiguousarray(column, dtype=dtype).view()
    view.flags.writeable = False
    return view


def _select_hashes(
    table: RequestTable, rows: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64] | None, npt.NDArray[np.int64] | None]:
    if table.hash_offsets is None or table.hash_ids is None:
        return None, None
    counts = np.diff(table.hash_offsets)[rows]
    offsets = np.concatenate(([0], np.cumsum(counts)))
    shift = np.repeat(table.hash_offsets[:-1][rows] - offsets[:-1], counts)
    return offsets, table.hash_ids[np.arange(offsets[-1]) + shift]


def _problems(table: RequestTable) -> list[str]:
    """Return what does not fit in the columns of a table."""
    count = len(table.arrival_s)
    same = (table.isl, table.osl, table.session, table.priority)
    if any(column is not None and len(column) != count for column in same):
        return [f"the columns of a request table differ in length: {count} arrivals"]
    problems = _bad_rows(table)
    if (table.hash_ids is None) != (table.hash_offsets is None):
        problems.append("hash_ids and hash_offsets come together or not at all")
    elif table.hash_ids is not None and table.hash_offsets is not None:
        problems += _bad_hashes(table.hash_offsets, len(table.hash_ids), count)
    return problems


def _bad_rows(table: RequestTable) -> list[str]:
    times = table.arrival_s
    checks = (
        ("arrives at a time that is not finite", ~np.isfinite(times)),
        ("arrives before time 0", times < 0),
        ("has an input below 1 token", table.isl < (0 if table.empty_inputs else 1)),
        ("has a negative output length", table.osl < 0),
        ("arrives before the request above it", np.diff(times, prepend=times[:1]) < 0),
    )
    return [f"request {int(np.argmax(bad))} {text}" for text, bad in checks if bad.any()]


def _bad_hashes(offsets: npt.NDArray[np.int64], ids: int, count: int) -> list[str]:
    right = len(offsets) == count + 1 and offsets[0] == 0 and offsets[-1] == ids
    if not right or (np.diff(offsets) < 0).any():
        return [f"hash_offsets must rise from 0 to {ids} in {count + 1} steps"]
    return []
