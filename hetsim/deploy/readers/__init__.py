"""Readers of measured files: one file per format, found by what the content looks like.

A reader is a module with ``TITLE``, ``HOW`` (the command that writes such a file),
``recognise(content)`` and ``read(content)``, which returns every run of the file. A new format is
a new file here.
"""

from __future__ import annotations

import json
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from hetsim.deploy._observation import Content, Observation
from hetsim.errors import Problem, ScenarioError

__all__ = ["read_measured", "reader_names"]

MOST_BYTES = 256 * 2**20


class Reader(Protocol):
    """What a module of this folder offers."""

    TITLE: str
    HOW: str

    def recognise(self, content: Content) -> bool:
        """Return whether the content is of this format."""

    def read(self, content: Content) -> list[Observation]:
        """Return the runs of the file."""


def reader_names() -> tuple[str, ...]:
    """Return the names of all formats, sorted."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


def _readers() -> Iterator[tuple[str, Reader]]:
    for name in reader_names():
        module: Reader = import_module(f"{__name__}.{name}")
        yield name, module


def read_measured(path: str | Path) -> list[Observation]:
    """Return the runs that a measured file holds; its format is recognised by its content.

    Raises
    ------
    ScenarioError
        If it cannot be read, is of no known format, or holds what cannot be: with the place.
    """
    content = _content(Path(path))
    for _, reader in _readers():
        if reader.recognise(content):
            return reader.read(content)
    known = "; ".join(f"{reader.TITLE}: {reader.HOW}" for _, reader in _readers())
    raise ScenarioError(Problem(f"is of no known format. Known are {known}", "", content.file))


def _content(path: Path) -> Content:
    file = str(path)
    try:
        if path.is_file() and path.stat().st_size > MOST_BYTES:
            message = (
                f"is larger than {MOST_BYTES // 2**20} MiB; save it without per-request details"
            )
            raise ScenarioError(Problem(message, "", file))
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "is not UTF-8 text"
        raise ScenarioError(Problem(f"cannot be read: {why}", "", file)) from None
    if not text.strip():
        raise ScenarioError(Problem("is empty; measure again", "", file))
    return Content(file=file, text=text, values=_values(text, file))


def _values(text: str, file: str) -> tuple[Any, ...]:
    """Return the JSON values of a text: one, or one per line, or none if it is no JSON."""
    if text.lstrip()[0] not in "{[":
        return ()
    try:
        return (json.loads(text),)
    except json.JSONDecodeError as error:
        whole, line = error, error.lineno
    except RecursionError:
        raise ScenarioError(Problem("is nested too deeply", "", file)) from None
    lines = [(n, row) for n, row in enumerate(text.splitlines(), 1) if row.strip()]
    found: list[Any] = []
    for number, row in lines:
        try:
            found.append(json.loads(row))
        except json.JSONDecodeError as error:
            # JSON lines go wrong on a later line; a document on the line that json names.
            why, at = (error.msg, number) if found else (whole.msg, line)
            message = f"is no JSON: {why}; was it cut off? measure or copy it again"
            raise ScenarioError(Problem(message, "", file, at)) from None
    return tuple(found)
