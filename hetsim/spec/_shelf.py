"""Parts that a scenario brings along: looked at before the catalogue, while it is in use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

__all__ = ["Shelf", "on_shelf", "shelf", "shelved"]

Shelf = Mapping[str, Mapping[str, Any]]
"""By room (``accelerators``, ``runtimes``...) and by the word that a scenario uses."""

_NOW: ContextVar[Shelf | None] = ContextVar("shelf", default=None)


@contextmanager
def shelf(parts: Shelf | None) -> Iterator[None]:
    """Let look-ups inside find ``parts`` first; None: let them be as they are.

    >>> with shelf({"runtimes": {"mine": 7}}):
    ...     shelved("runtimes", "mine"), shelved("runtimes", "other"), shelved("hosts", "mine")
    (7, None, None)
    >>> shelved("runtimes", "mine") is None
    True
    """
    if parts is None:
        yield
        return
    token = _NOW.set(parts)
    try:
        yield
    finally:
        _NOW.reset(token)


def shelved(room: str, word: str) -> Any:
    """Return the part that ``word``, or its own name, stands for; None if nobody brought it."""
    parts = _NOW.get()
    if parts is None:
        return None
    here = parts.get(room) or {}
    if word in here:
        return here[word]
    return next((part for part in here.values() if getattr(part, "name", None) == word), None)


def on_shelf(room: str) -> Mapping[str, Any] | None:
    """Return all parts of a room; None where no scenario has brought anything."""
    parts = _NOW.get()
    return None if parts is None else parts.get(room) or {}
