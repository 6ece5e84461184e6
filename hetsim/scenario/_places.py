"""Where every value of a scenario was written: a line of a file, or a ``--set`` of the command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from hetsim.errors import Problem

__all__ = ["Place", "Places", "cover", "dotted", "locate", "places_of"]


class Place(NamedTuple):
    """A file and a line of it; the line is None for a word of the command line."""

    file: str
    line: int | None


Places = dict[str, Place]
"""By dotted path, as problems name it: ``pools.prefill.parallel.tp``, ``faults[0].at``."""


def dotted(path: Iterable[str | int]) -> str:
    """Return a path as people write it.

    >>> dotted(("faults", 0, "at"))
    'faults[0].at'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def places_of(marks: Mapping[tuple[str | int, ...], int], file: str) -> Places:
    """Return the places that the lines of a file make."""
    return {dotted(path): Place(file, line) for path, line in marks.items()}


def cover(places: Places, path: tuple[str | int, ...], file: str) -> None:
    """Note that what stands at ``path``, and all below it, now comes from ``file``."""
    head = dotted(path)
    for old in [
        known for known in places if known == head or known.startswith((f"{head}.", f"{head}["))
    ]:
        del places[old]
    places[head] = Place(file, None)


def _upwards(path: str) -> Iterator[str]:
    """Yield ``path`` and the paths that hold it, the nearest first.

    >>> list(_upwards("faults[0].at"))
    ['faults[0].at', 'faults[0]', 'faults', '']
    """
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""


def locate(problems: Iterable[Problem], places: Places, file: str) -> tuple[Problem, ...]:
    """Return the problems with the file and line of what each is about.

    A path that stands nowhere (a missing key) is at the nearest thing around it. A problem that
    names another file already (a trace, a profile) stays as it is.

    >>> places = {"": Place("pd.yaml", 1), "slo": Place("pd.yaml", 9)}
    >>> print(locate([Problem("is missing", "slo.ttft")], places, "pd.yaml")[0])
    pd.yaml:9: slo.ttft: is missing
    """
    return tuple(
        problem if problem.file else _placed(problem, places, file) for problem in problems
    )


def _placed(problem: Problem, places: Places, file: str) -> Problem:
    for path in _upwards(problem.path):
        if path in places:
            place = places[path]
            return Problem(problem.message, problem.path, place.file, place.line)
    return Problem(problem.message, problem.path, file, None)
