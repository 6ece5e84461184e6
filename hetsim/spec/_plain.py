"""Data written in Python to data as a file would hold it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

__all__ = ["plain_copy"]

_DEEPEST = 200


def plain_copy(data: Any, _depth: int = 0) -> Any:
    """Return dicts, lists, text and Python scalars of mappings, tuples, paths and numpy scalars.

    Nothing is shared: what stands in two places is two things, as in a file. What is deeper than
    any file may be (or holds itself) stays as it is there, for the checks to refuse.

    >>> same = {"x": (1, 2)}
    >>> made = plain_copy({"a": same, "b": same})
    >>> made, made["a"] is made["b"]
    ({'a': {'x': [1, 2]}, 'b': {'x': [1, 2]}}, False)
    """
    if _depth > _DEEPEST:
        return data
    if isinstance(data, Mapping):
        return {str(key): plain_copy(value, _depth + 1) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [plain_copy(value, _depth + 1) for value in data]
    if type(data).__module__ == "numpy" and getattr(data, "ndim", 1) == 0:
        return data.item()
    return os.fspath(data) if isinstance(data, os.PathLike) else data
