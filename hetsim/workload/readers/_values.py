"""From cells of a file to numpy columns: fast for a right column, exact about a wrong cell.

A parser's ``column`` turns a whole column at once and raises ValueError at the least doubt;
``cell`` then turns one value, and its ValueError says what was seen and what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.workload._table import MAX_TOKENS
from hetsim.workload.readers._findings import shown

__all__ = [
    "Parser",
    "any_time",
    "date",
    "hash_list",
    "json_number",
    "json_tokens",
    "label",
    "looks_like_date",
    "text_number",
    "text_tokens",
]

Column = npt.NDArray[Any]

_TOKENS = re.compile(r"\s*[+-]?\d{1,18}(?:\.0*)?\s*", re.ASCII)
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?\s*", re.ASCII)
_DATE = re.compile(
    r"\s*(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,9})?\d*\s*(Z|UTC|[+-]\d\d:?\d\d)?\s*",
    re.ASCII,
)
_INT64 = 2**63


class Parser(NamedTuple):
    """How the cells of one column become numbers."""

    column: Callable[[Sequence[Any]], Column]
    cell: Callable[[Any], Any]


def text_tokens(*, least: int) -> Parser:
    """Token counts written as text, at least ``least``."""

    def cell(text: str) -> int:
        if not _TOKENS.fullmatch(text):
            raise ValueError(f"must be a whole number of tokens; seen {shown(text)}")
        return _within(int(float(text)) if "." in text else int(text), least)

    def column(texts: Sequence[str]) -> Column:
        _refuse_odd(texts)
        return _bounded(np.array(list(map(int, texts)), dtype=np.int64), least)

    return Parser(column, cell)


def json_tokens(*, least: int) -> Parser:
    """Token counts that arrive as numbers, at least ``least``."""

    def cell(value: object) -> int:
        whole = isinstance(value, float) and value.is_integer() and abs(value) < _INT64
        if isinstance(value, bool) or not (isinstance(value, int) or whole):
            raise ValueError(f"must be a whole number of tokens; seen {shown(value)}")
        return _within(int(value), least)  # type: ignore[call-overload]

    def column(values: Sequence[Any]) -> Column:
        return _bounded(_ints(values), least)

    return Parser(column, cell)


def _refuse_odd(texts: Sequence[str]) -> None:
    """Refuse what Python would read as a number and a trace never means: 1_000, other digits."""
    joined = "".join(texts)
    if "_" in joined or not joined.isascii():
        raise ValueError


def _within(tokens: int, least: int) -> int:
    if not least <= tokens <= MAX_TOKENS:
        raise ValueError(f"must be between {least} and {MAX_TOKENS} tokens; seen {shown(tokens)}")
    return tokens


def _bounded(tokens: Column, least: int) -> Column:
    if len(tokens) and not (tokens.min() >= least and tokens.max() <= MAX_TOKENS):
        raise ValueError
    return tokens


def _ints(values: Sequence[Any]) -> Column:
    if not set(map(type, values)) <= {int}:
        raise ValueError
    try:
        return np.array(values, dtype=np.int64)
    except OverflowError:
        raise ValueError from None


def _number_text(text: str) -> float | int:
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"must be a finite number; seen {shown(text)}")
    return _finite(float(text) if re.search(r"[.eE]", text) else int(text))


def _number_texts(texts: Sequence[str]) -> Column:
    _refuse_odd(texts)
    try:
        return _ints(list(map(int, texts)))
    except ValueError:
        return _finites(np.array(list(map(float, texts))))


def _number(value: object) -> float | int:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"must be a finite number; seen {shown(value)}")
    return _finite(value)


def _numbers(values: Sequence[Any]) -> Column:
    if not set(map(type, values)) <= {int, float}:
        raise ValueError
    try:
        return _ints(values)
    except ValueError:
        return _finites(np.array(list(map(float, values))))


def _finite(value: float | int) -> float | int:
    if not -_INT64 < value < _INT64:  # also false for NaN
        raise ValueError(f"must be a finite number below 2^63; seen {shown(value)}")
    return value


def _finites(values: Column) -> Column:
    if not (np.abs(values) < _INT64).all():
        raise ValueError
    return values


text_number = Parser(_number_texts, _number_text)
"""Finite numbers written as text."""

json_number = Parser(_numbers, _number)
"""Finite numbers that arrive as numbers."""


def _date_cell(text: object) -> int:
    if isinstance(text, datetime):
        return _epoch_ns(text)
    match = _DATE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"must be a date like 2023-11-16 18:15:46.68; seen {shown(text)}")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in (None, "Z", "UTC") else zone
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}")
    except ValueError as error:
        raise ValueError(f"is not a date: {error}; seen {shown(text)}") from None
    return _epoch_ns(moment) + (round(float(fraction) * 1e9) if fraction else 0)


def _epoch_ns(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)  # noqa: UP017
    gap = aware - datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017
    return _year_bound(((gap.days * 86400 + gap.seconds) * 10**6 + gap.microseconds) * 1000)


def _year_bound(nanoseconds: int) -> int:
    if not -_INT64 < nanoseconds < _INT64:
        raise ValueError("is a date outside 1678 to 2262")
    return nanoseconds


def _date_column(texts: Sequence[Any]) -> Column:
    return np.array(list(map(_date_cell, texts)), dtype=np.int64)


date = Parser(_date_column, _date_cell)
"""Dates with a time of day, with or without a zone (UTC then), as ns since 1970."""


def _hash_cell(value: object) -> list[int]:
    if not isinstance(value, list):
        raise ValueError(f"must be a list of block ids; seen {shown(value)}")
    for item in value:
        if type(item) is not int or not -_INT64 < item < _INT64:
            raise ValueError(f"must hold whole numbers below 2^63 only; seen {shown(item)}")
    return value


def _hash_column(values: Sequence[Any]) -> Column:
    """Return the counts of the rows, then all ids one after the other."""
    if not set(map(type, values)) <= {list}:
        raise ValueError
    counts = np.fromiter(map(len, values), np.int64, len(values))
    return np.concatenate((counts, _ints(list(chain.from_iterable(values)))))


hash_list = Parser(_hash_column, _hash_cell)
"""Lists of prefix block ids."""


def _label_cell(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"must be a whole number or a name; seen {shown(value)}")
    return value


def _label_column(values: Sequence[Any]) -> Column:
    if not set(map(type, values)) <= {int, str}:
        raise ValueError
    return np.array(values, dtype=object)


label = Parser(_label_column, _label_cell)
"""Names or numbers that only tell things apart (sessions)."""


def looks_like_date(value: object) -> bool:
    """Return whether a value of an arrival column is a date rather than a number."""
    return isinstance(value, datetime) or (
        isinstance(value, str) and _DATE.fullmatch(value) is not None
    )


def any_time(sample: object, per_s: float | None) -> tuple[float | None, Parser]:
    """Return unit and parser of an arrival column that holds values like ``sample``."""
    return (1e9, date) if looks_like_date(sample) else (per_s, json_number)
