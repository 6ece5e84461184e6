"""Break-even: where one alternative stops beating another, simulated and in closed form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hetsim.decisions._crossing import crossings
from hetsim.decisions._span import Span
from hetsim.decisions._worth import PER_USD, Sets, Worth, log_ratio
from hetsim.errors import Problem, ScenarioError
from hetsim.scenario import Loaded

__all__ = ["BREAKEVEN_KEY", "Alternative", "breakeven"]

BREAKEVEN_KEY = ("first", "second", "metric", "along.path", "across.path")
"""Fields in which an answer is the same question: a pair of alternatives, a metric, and axes."""

Progress = Callable[[int, int], None]
_LOOKS = 5
"""Places along the first axis that are looked at before anything is bisected."""
_LINES = 7
"""Places along the second axis."""
_STEPS = 5
_FINE, _FINE_STEPS = 33, 20


class Alternative(NamedTuple):
    """A name, and what it changes in the base scenario."""

    name: str
    sets: Sets


def breakeven(
    base: Loaded,
    first: Alternative,
    second: Alternative,
    along: Span,
    across: Span | None = None,
    *,
    metric: str = PER_USD,
    seeds: Sequence[int] = (),
    lines: int = _LINES,
    steps: int = _STEPS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Return the frontier on which two alternatives are worth the same.

    For each place ``across``, the places ``along`` where the logarithm of the ratio of their worth
    changes its sign. Both see the same requests at every place (equal seeds). Beside each stands
    the closed form (rate matching without queues) where the metric has one.

    Raises
    ------
    ScenarioError
        If an alternative or an axis is wrong, or the two change the same as an axis.
    """
    worth = Worth(base, metric, seeds)
    _check(worth, (first, second), [span for span in (along, across) if span is not None])
    places = across.places(lines) if across is not None else [0.0]
    found = []
    for number, place in enumerate(places):
        if progress is not None:
            progress(number, len(places))
        more = [across.setting(across.at(place))] if across is not None else []
        line = _line(worth, first, second, along, more)
        found.append(
            {
                "across": across.at(place) if across is not None else None,
                **_frontier(line, along, steps),
                "closed_form": _closed(worth, first, second, along, more),
            }
        )
    return {
        "first": first.name,
        "second": second.name,
        "metric": metric,
        "along": _axis(along),
        "across": _axis(across) if across is not None else None,
        "seeds": list(worth.seeds),
        "frontier": found,
        "simulated": worth.simulated,
        "says": _says(first.name, second.name, along, across, found),
    }


def _line(
    worth: Worth, first: Alternative, second: Alternative, along: Span, more: list[tuple[str, Any]]
) -> Callable[[float], float]:
    def line(place: float) -> float:
        sets = [*more, along.setting(along.at(place))]
        a, b = (worth.value([*other.sets, *sets]) for other in (first, second))
        return log_ratio(a, b)

    return line


def _frontier(line: Callable[[float], float], along: Span, steps: int) -> dict[str, Any]:
    places = along.places(_LOOKS)
    found, values = crossings(line, places, steps=steps, exact=True)
    return {
        "crossings": [along.at(place) for place in found],
        "low_end": _who(values[0]),
        "high_end": _who(values[-1]),
        "looks": [{"at": along.at(p), "log_ratio": v} for p, v in zip(places, values, strict=True)],
    }


def _who(value: float) -> str:
    return "first" if value > 0.0 else "second" if value < 0.0 else "equal"


def _closed(
    worth: Worth, first: Alternative, second: Alternative, along: Span, more: list[tuple[str, Any]]
) -> list[float] | None:
    if not worth.by_rate:
        return None

    def line(place: float) -> float:
        sets = [*more, along.setting(along.at(place))]
        a, b = (worth.closed([*other.sets, *sets]) or 0.0 for other in (first, second))
        return log_ratio(a, b)

    found, _ = crossings(line, along.places(_FINE // 4), steps=_FINE_STEPS // 2)
    return [along.at(place) for place in found]


def _axis(span: Span) -> dict[str, Any]:
    return {"path": span.path, "low": span.low, "high": span.high, "unit": span.unit}


def _check(worth: Worth, pair: Sequence[Alternative], spans: Sequence[Span]) -> None:
    """Refuse what would fail at every place, or mean nothing."""
    problems = []
    if pair[0].sets == pair[1].sets:
        problems.append(Problem("the alternatives are the same; give --a and --b", "--b"))
    paths = [span.path for span in spans]
    if len(set(paths)) < len(paths):
        problems.append(Problem(f"both axes are {paths[0]}", "--across"))
    for one in pair:
        problems += [
            Problem(f"{one.name} sets {path}, which an axis varies", path)
            for path, _ in one.sets
            if path in paths
        ]
    if problems:
        raise ScenarioError(problems)
    for one in pair:
        for place in (0.0, 1.0):
            worth.resolve([*one.sets, *(s.setting(s.at(place)) for s in spans)], worth.seeds[0])


def _says(
    first: str, second: str, along: Span, across: Span | None, found: list[dict[str, Any]]
) -> list[str]:
    """Return the frontier in words."""
    lines = []
    names = {"first": first, "second": second, "equal": "neither"}
    for one in found:
        where = f"{across.path} {across.text(one['across'])}: " if across is not None else ""
        if not one["crossings"]:
            text = f"{names[one['low_end']]} wins everywhere"
            if one["low_end"] == "equal":
                text = "no crossing is seen"
        else:
            at = ", ".join(along.text(value) for value in one["crossings"])
            low, high = names[one["low_end"]], names[one["high_end"]]
            text = f"{low} wins below {at}, {high} above"
        lines.append(f"{where}{text}")
    return lines
