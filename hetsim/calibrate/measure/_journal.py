"""What was measured so far, a line per visit, so that an interrupted measurement goes on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim.calibrate.measure._types import Point, Reading
from hetsim.errors import Problem, ScenarioError

__all__ = ["Journal", "Visit"]

Visit = dict[str, Any]
"""``round, visit, point, inner, readings, at_s, mhz``."""


class Journal:
    """A file of lines that only grows; the first says what the measurement is.

    A last line that an interruption cut in two is dropped.
    """

    def __init__(self, path: Path, head: Mapping[str, Any], points: Sequence[Point]) -> None:
        self.path = path
        self.head = dict(head)
        self.points = tuple(points)
        self.visits: list[Visit] = []

    @classmethod
    def find(cls, path: Path, options: Mapping[str, Any]) -> Journal | None:
        """Return the unfinished measurement in ``path``, if there is one.

        Raises
        ------
        ScenarioError
            If it was begun with other options.
        """
        lines = _lines(path)
        if not lines:
            return None
        head = lines[0]
        if head.get("options") != json.loads(json.dumps(options)):
            problem = (
                "an unfinished measurement with other options lies here; "
                "finish it with the same options, or begin anew with --fresh"
            )
            raise ScenarioError(Problem(problem, str(path.name)))
        made = cls(path, head, [_point(fields) for fields in head["points"]])
        made.visits = lines[1:]
        # Written again, so that a torn last line is gone before anything follows it.
        _replace(path, [head, *made.visits])
        return made

    def begin(self) -> None:
        """Write the first line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.head["points"] = [_fields(at) for at in self.points]
        _replace(self.path, [self.head])

    def add(self, visit: Visit) -> None:
        """Keep a visit."""
        self.visits.append(visit)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(visit, separators=(",", ":")) + "\n")

    def done(self) -> set[tuple[int, int]]:
        """Return ``(round, visit)`` of what is there."""
        return {(visit["round"], visit["visit"]) for visit in self.visits}

    def close(self) -> None:
        """Remove the file: the measurement is published."""
        self.path.unlink(missing_ok=True)


def _lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        try:
            entry = json.loads(line) if line else None
        except ValueError:
            break  # cut off while it was written
        if entry is not None:
            found.append(entry)
    return found


def _replace(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    text = "".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in entries)
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _fields(at: Point) -> list[Any]:
    shape = [list(pair) for pair in at.shape]
    head = [at.family, at.kind, at.format, at.provider, at.op]
    return [*head, shape, at.flops, at.bytes, at.on_host]


def _point(fields: list[Any]) -> Point:
    family, kind, fmt, provider, op, shape, flops, moved, on_host = fields
    return Point(
        family=family,
        kind=kind,
        format=fmt,
        provider=provider,
        op=op,
        shape=tuple((name, float(value)) for name, value in shape),
        flops=flops,
        bytes=moved,
        on_host=on_host,
    )


def readings_of(visit: Visit) -> list[Reading]:
    """Return the readings of a visit."""
    return [Reading(*values) for values in visit["readings"]]
