"""The answer of a sweep in words: which design, what it costs, how sure, what would overturn it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from hetsim.report._across import across_conditions
from hetsim.report._answer import GRADES, OUTSIDE, UNMEASURED, Answer
from hetsim.report._labels import metric_of, present, value_text
from hetsim.report._ranked import Ranked

if TYPE_CHECKING:
    from hetsim.sweep import SweepResult

__all__ = ["binds", "cost", "missed", "reach", "rows_text", "sweep_answer"]

_WINNERS = 6
_RIVAL = ("cost_usd_per_mtok", "usd_per_h", "ttft_s.p99", "tpot_s.p99", "power_w")
Row = Mapping[str, Any]
Points: TypeAlias = list[tuple[str, str | list[str]]]


def sweep_answer(ranked: Ranked, known: Mapping[str, Any] | None = None) -> Answer:
    """Return what a reader who stops after the first screen should take away.

    ``known`` holds what was found about decisions (see :mod:`hetsim.report._decisions`).
    """
    result, known = ranked.result, known or {}
    if ranked.best.empty:
        return _nothing(result)
    winners = [dict(row) for row in ranked.best.to_dict("records")]
    across = across_conditions(ranked) if len(winners) > 1 else None
    if across is not None:
        verdict, rows, points = across
    else:
        verdict, rows, points = _apart(ranked, winners)
    points += [
        ("How sure is this?", _sure(ranked, winners, known)),
        ("What was tried?", f"{_counts(result)}; seeds: {ranked.seeds}."),
    ]
    good, verdict = _judged(ranked, verdict, rows)
    return Answer(verdict, good, points, list(_unknown(ranked, rows, known)))


def _apart(ranked: Ranked, rows: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]], Points]:
    """Return the answer for one condition, or for each where no design was tried in all."""
    name = metric_of(ranked.metric).name
    verdict = f"Recommended by {name}: {ranked.design(rows[0])}."
    if len(rows) > 1:
        verdict = f"The best design differs by condition ({len(rows)} conditions), by {name}."
    first: tuple[str, str | list[str]] = ("What does it reach?", reach(ranked, rows[0]))
    points = [
        _winners(ranked, rows) if len(rows) > 1 else first,
        ("What does it cost?", _one_or_each(ranked, rows, cost)),
        ("What binds?", _one_or_each(ranked, rows, binds)),
        ("Runner-up, and when would it win?", _one_or_each(ranked, rows, _runner_up)),
    ]
    return verdict, rows, points


def _counts(result: SweepResult) -> str:
    return ", ".join(f"{count:,} {word}" for word, count in result.counts.items()) or "no points"


def rows_text(count: int, reason: str) -> str:
    """Return how many rows could not run, and why.

    >>> rows_text(1, "too large")
    '1 row: too large'
    """
    return f"{count:,} row{'s' if count != 1 else ''}: {reason}"


def _nothing(result: SweepResult) -> Answer:
    reasons = [rows_text(n, why) for why, n in result.summary()["reasons"].items()]
    points: Points = [("What happened?", f"{_counts(result)}.")]
    if reasons:
        points.append(("Why?", reasons))
    simulated = "simulated" in result.counts
    lack = "No simulated point has the response." if simulated else "No point was simulated."
    return Answer("No design can be recommended.", False, points, [lack])


def _judged(ranked: Ranked, verdict: str, rows: list[dict[str, Any]]) -> tuple[bool | None, str]:
    """Return the verdict with what speaks against it, and whether it is good."""
    if len(ranked.table) == len(ranked.best):
        return None, f"{verdict} Nothing else was simulated to compare it with."
    if late := missed(ranked, rows):
        where = [ranked.condition(row) for row in late if ranked.conditions]
        few = f" ({', '.join(where[:3])}{', ...' if len(where) > 3 else ''})" if where else ""
        return None, f"{verdict} Its SLO does not hold in every run of it{few}."
    if _grade(ranked.result, rows) in UNMEASURED:
        return True, f"{verdict} By estimate: not every device was measured."
    differ = len({ranked.design(row) for row in rows}) > 1
    return (None if differ else True), verdict


def missed(ranked: Ranked, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return those of some designs whose SLO does not hold with every seed."""
    points = ranked.result.points
    if "slo_met" not in points:
        return []
    late = set(points.loc[points["slo_met"].astype(object) == False, "point"])  # noqa: E712
    return [row for row in rows if row["point"] in late]


def _one_or_each(ranked: Ranked, rows: list[dict[str, Any]], say: Any) -> str | list[str]:
    """Return a sentence, or one per condition where they differ."""
    said: dict[str, list[str]] = {}
    for row in rows:
        said.setdefault(str(say(ranked, row)), []).append(ranked.where(row))
    if len(said) == 1:
        return next(iter(said))
    shown = [f"{', '.join(where[:_WINNERS])}: {text}" for text, where in said.items()][:_WINNERS]
    left = len(said) - len(shown)
    return (
        [*shown, f"and {left} more conditions, in the table of ranked designs"] if left else shown
    )


def _winners(ranked: Ranked, rows: list[dict[str, Any]]) -> tuple[str, str | list[str]]:
    def say(ranked: Ranked, row: Row) -> str:
        return f"{ranked.design(row)}; {reach(ranked, row)}"

    return "Which design wins where?", _one_or_each(ranked, rows, say)


def reach(ranked: Ranked, row: Row) -> str:
    """Return what a design attains."""
    metric = ranked.metric
    text = f"{metric_of(metric).name} {value_text(metric, row[metric])}"
    values = ranked.by_seed(int(row["point"]))
    if len(values) > 1:
        low, high = value_text(metric, min(values)), value_text(metric, max(values))
        text += f" ({low} to {high} over {len(values)} seeds)"
    attained = row.get("slo_attainment")
    if attained is not None and attained == attained:
        text += f"; {attained:.1%} of the requests meet the SLO"
    return f"{text}."


def cost(ranked: Ranked, row: Row) -> str:
    """Return what a design costs."""
    keys = ("cost_usd_per_mtok", "usd_per_h", "power_w")
    parts = [value_text(key, row[key]) for key in present(keys, row) if row[key] == row[key]]
    if not parts:
        return "Cost is not known."
    number = row.get("accelerators")
    on = f", on {number:.0f} accelerators" if number is not None and number == number else ""
    return f"{'; '.join(parts)}{on}."


def binds(ranked: Ranked, row: Row) -> str:
    """Return what holds a design up, with each of its seeds."""
    rows = ranked.result.points
    if "bottleneck" not in rows:
        return "Not recorded."
    words = rows.loc[rows["point"] == row["point"], "bottleneck"].dropna()
    # Seeds that differ in the numbers alone say the same.
    kinds = {str(word).partition(" (")[0]: str(word) for word in reversed(words.tolist())}
    text = "; ".join(reversed(kinds.values())) or "not recorded"
    return f"{text[:1].upper()}{text[1:]}."


def _runner_up(ranked: Ranked, row: Row) -> str:
    other = ranked.second(row)
    if other is None:
        return "No other design was simulated here."
    text = f"{ranked.design(other)}, worse by {1.0 - float(other['share']):.1%}."
    return f"{text} {_when(ranked, row, other)}"


def _when(ranked: Ranked, row: Row, other: Row) -> str:
    """Return what speaks for the runner-up: seeds, its price, what it is better in."""
    ways = []
    if "per_usd" in ranked.metric and 0.0 < other["share"] < 1.0:
        ways.append(f"its price fell by {1.0 - float(other['share']):.1%}, all else equal")
    for key in present(_RIVAL, row):
        mine, theirs = row[key], other[key]
        better = theirs > mine if metric_of(key).more_is_better else theirs < mine
        if better and key != ranked.metric and abs(theirs - mine) > 0.005 * abs(mine):
            name = metric_of(key).name
            ways.append(
                f"{name} decided ({value_text(key, theirs)} against {value_text(key, mine)})"
            )
    text = f"It would win if {', or if '.join(ways)}." if ways else "It is better in nothing seen."
    led = _led(ranked, int(other["point"]), int(row["point"]))
    return f"{text} It led in {led} of {ranked.seeds} seeds." if ranked.seeds > 1 else text


def _led(ranked: Ranked, point: int, against: int) -> int:
    pairs = zip(ranked.by_seed(point), ranked.by_seed(against), strict=True)
    return sum((a - b) * ranked.sense > 0.0 for a, b in pairs)


def _grade(result: SweepResult, rows: list[dict[str, Any]]) -> str | None:
    points = result.points
    mine = points.loc[points["point"].isin([r["point"] for r in rows]), "calibration_grade"]
    words = set(mine.dropna().astype(str))
    known = [grade for grade in GRADES if grade in words]
    return known[-1] if known else None


def _sure(ranked: Ranked, rows: list[dict[str, Any]], known: Mapping[str, Any]) -> list[str]:
    grade = _grade(ranked.result, rows)
    lines = ["No calibration grade is recorded."]
    if grade is not None:
        lines = [f"Worst calibration grade of what wins: {grade}, {GRADES[grade]}."]
    if ranked.seeds > 1:
        close = [row for row in rows if (other := ranked.second(row)) is not None
                 and _led(ranked, int(other["point"]), int(row["point"]))]  # fmt: skip
        lines.append(
            f"The winner leads with every seed in {len(rows) - len(close)} of {len(rows)} "
            f"condition{'s' if len(rows) != 1 else ''} ({ranked.seeds} seeds, the same requests "
            "for every design)."
        )
    return [*lines, *known.get("sure", [])]


def _unknown(ranked: Ranked, rows: list[dict[str, Any]], known: Mapping[str, Any]) -> Iterator[str]:
    result = ranked.result
    if ranked.seeds < 3:
        yield "Few seeds: small leads may be chance."
    lowest = min((float(r.get("slo_attainment", 1.0)) for r in rows), default=1.0)
    if lowest < 1.0:
        yield f"Not every request of the winners meets the SLO: {lowest:.1%} in the worst case."
    if _grade(result, rows) in UNMEASURED:
        yield "No measurement of at least one device went in: treat its step times as estimates."
    if any("precision" in str(axis) for axis in _axes(result)):
        yield "Precision varies, but the quality of answers is not judged here."
    if result.counts.get("screened"):
        yield (
            f"{result.counts['screened']:,} points were ruled out by a bound and not simulated: "
            "they cannot win, but may belong to a Pareto front."
        )
    yield from known.get("unknown", [])
    yield OUTSIDE


def _axes(result: SweepResult) -> list[Any]:
    stated = result.manifest.get("sweep")
    return list(stated.get("axes", [])) if isinstance(stated, dict) else []
