"""Answers beside the sweep they were read from: ``DIR/decisions/NAME.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["add_record", "write_answer"]


def write_answer(folder: Path, name: str, answer: Mapping[str, Any]) -> Path:
    """Write an answer, whole or not at all, and return its path."""
    return _write(folder, name, answer)


def add_record(folder: Path, name: str, answer: Mapping[str, Any], key: Sequence[str]) -> Path:
    """Add an answer to the list in its file, in place of the one of equal ``key`` fields.

    A field may be a path, such as ``along.path``. A file that holds one answer becomes a list of
    two; one that cannot be read is written anew.
    """
    path = folder / "decisions" / f"{name}.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = []
    records = known if isinstance(known, list) else [known]
    mine = [_field(answer, part) for part in key]
    kept = [
        one
        for one in records
        if isinstance(one, Mapping) and [_field(one, part) for part in key] != mine
    ]
    return _write(folder, name, [*kept, answer])


def _field(answer: Mapping[str, Any], path: str) -> Any:
    found: Any = answer
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _write(folder: Path, name: str, answer: Mapping[str, Any] | list[Any]) -> Path:
    from hetsim.run import plain

    place = folder / "decisions"
    place.mkdir(exist_ok=True)
    path, part = place / f"{name}.json", place / f".{name}.json.partial"
    data = [plain(one) for one in answer] if isinstance(answer, list) else plain(answer)
    text = json.dumps(data, indent=2, ensure_ascii=False)
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)
    return path
