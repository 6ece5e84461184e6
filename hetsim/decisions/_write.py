"""Answers beside the sweep they were read from: ``DIR/decisions/NAME.json``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["write_answer"]


def write_answer(folder: Path, name: str, answer: Mapping[str, Any]) -> Path:
    """Write an answer, whole or not at all, and return its path."""
    from hetsim.run import plain

    place = folder / "decisions"
    place.mkdir(exist_ok=True)
    path, part = place / f"{name}.json", place / f".{name}.json.partial"
    text = json.dumps(plain(answer), indent=2, ensure_ascii=False)
    part.write_text(text + "\n", encoding="utf-8")
    os.replace(part, path)
    return path
