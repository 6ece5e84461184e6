"""Every number has a source: find it, or refuse the file with the place."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from hetsim.errors import Problem, nearest
from hetsim.hardware._types import Source
from hetsim.spec._yaml import Marks

__all__ = ["Reader"]

_DATE = re.compile(r"\d{4}(-\d{2}){0,2}")
_DEFAULT = "default"


class Reader:
    """One file that was read: its data, its lines, and what is wrong with its sources.

    Sources stand by place: ``peaks.bf16``, else ``peaks``, else ``default``. A key must be in the
    list of known keys; a user's own file, for which ``known`` is None, may cite anything.
    """

    def __init__(self, data: Any, marks: Marks, file: str, known: Collection[str] | None) -> None:
        self.data = data
        self.marks = marks
        self.file = file
        self.known = known
        self.problems: list[Problem] = []

    def problem(self, path: str, message: str) -> None:
        """Note a problem at a dotted path, with the line of the nearest value that has one."""
        parts = tuple(path.split(".")) if path else ()
        ends = (self.marks.get(parts[:end]) for end in range(len(parts), -1, -1))
        line = next((mark for mark in ends if mark is not None), None)
        self.problems.append(Problem(message, path, self.file, line))

    def holds(self, path: str) -> bool:
        """Say whether the file states a value at ``path``."""
        here = self.data
        for part in path.split("."):
            here = here.get(part) if isinstance(here, dict) else None
        return here is not None

    def sources_of(
        self, sources: Mapping[str, Source], numbers: Mapping[str, str]
    ) -> dict[str, Source]:
        """Return the source of every number that the file states, by field name.

        ``numbers`` maps places in the file to fields. A number without a source, a source that
        cites nothing, and a source of nothing each become a problem.
        """
        used = set()
        found: dict[str, Source] = {}
        for path, field in numbers.items():
            if not self.holds(path):
                continue
            place = _covering(path, sources)
            if place is None:
                self.problem(path, "has no source; add it below 'sources', or leave the number out")
                continue
            used.add(place)
            found[field] = sources[place]
        for place, source in sources.items():
            self._check(place, source, place in used)
        return found

    def _check(self, place: str, source: Source, used: bool) -> None:
        path = f"sources.{place}"
        if not used and place != _DEFAULT:
            self.problem(path, "is the source of no number in this file")
        if not _DATE.fullmatch(source.date):
            self.problem(
                path, f"date {source.date!r} is not a date; write for example '2026-11-23'"
            )
        if source.grade == "assumed" and not source.note:
            self.problem(path, "is assumed and gives no reason; say why in 'note'")
        if source.grade != "assumed" and not source.keys:
            self.problem(path, "cites nothing; name at least one key, or grade it 'assumed'")
        for key in source.keys:
            if self.known is not None and key not in self.known:
                self.problem(
                    path, f"key {key!r} is not in sources.yaml; {nearest(key, self.known)}"
                )


def _covering(path: str, sources: Mapping[str, Source]) -> str | None:
    parts = path.split(".")
    for end in range(len(parts), 0, -1):
        place = ".".join(parts[:end])
        if place in sources:
            return place
    return _DEFAULT if _DEFAULT in sources else None
