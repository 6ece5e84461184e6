"""The page of a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetsim.report._answer import Answer
from hetsim.report._chart import Bars, Figure, Line, Lines, Table, time_scale
from hetsim.report._compare import Comparison, signed
from hetsim.report._page import section
from hetsim.units import format_seconds

__all__ = ["change_text", "compare_page"]

_FEW = 6


def compare_page(found: Comparison) -> dict[str, Any]:
    """Return what the template shows."""
    return {
        "kind": "compare",
        "name": " / ".join(str(r.summary["name"]) for r in found.results[:4]),
        "subtitle": "; ".join(found.names()),
        "answer": _answer(found),
        "first": _path_figure(found),
        "explore": None,
        "explore_figures": [],
        "live": None,
        "headline": [],
        "sections": [
            section("result", "Result", [_ratio_figure(found), _bottlenecks(found)]),
            section("where", "Where it comes from", [_delta_figure(found)]),
            section("scenario", "What differs in the scenario", [_scenario_figure(found)]),
            section("latency", "Latency", _latency_figures(found)),
        ],
        "assumptions": [],
        "notes": _notes(found),
        "capacity": [],
        "counts": _counts(found),
        "grades": None,
        "manifest": [
            (f"{letter}.{key}", str(value))
            for letter, result in zip(found.letters, found.results, strict=True)
            for key, value in result.manifest.items()
        ],
        "yaml": found.results[0].scenario_yaml,
        "commands": [f"hetsim compare {' '.join(found.folders)} --out COMPARISON.html"],
    }


def _notes(found: Comparison) -> list[str]:
    """Return assumptions and notes that not all runs share."""
    lines: dict[str, list[str]] = {}
    for letter, result in zip(found.letters, found.results, strict=True):
        for line in [*result.summary["assumptions"], *result.summary["notes"]]:
            lines.setdefault(str(line), []).append(letter)
    return [f"{', '.join(who)}: {line}" for line, who in lines.items()]


def _answer(found: Comparison) -> Answer:
    met = [x for x, r in zip(found.letters, found.results, strict=True) if r.summary["slo_met"]]
    word = "meets" if len(met) == 1 else "meet"
    verdict = f"{', '.join(met) or 'None'} of {len(found.letters)} runs {word} the SLO."
    cheap = _least(found, "cost_usd_per_mtok")
    if cheap:
        verdict += f" {cheap[0]} costs least per output token ({cheap[1]})."
    fields = [f"{row['path']}: {_arrow(row['values'])}" for row in found.scenario]
    points: list[tuple[str, str | list[str]]] = [
        ("What differs in the scenario?", _some(fields, "nothing: the scenarios are equal")),
        ("What differs in the result?", _some(_changes(found), "nothing")),
        ("Where does it come from?", found.sentences()),
    ]
    return Answer(verdict, None, points, found.doubts())


def _some(lines: list[str], empty: str) -> str | list[str]:
    left = len(lines) - _FEW
    more = [f"and {left} more, in the tables below"] if left > 0 else []
    return [*lines[:_FEW], *more] if lines else f"{empty[:1].upper()}{empty[1:]}."


def _arrow(values: list[Any]) -> str:
    texts = ["-" if value is None else str(value) for value in values]
    return " / ".join(text if len(text) <= 60 else f"{text[:59]}…" for text in texts)


def _least(found: Comparison, key: str) -> tuple[str, str] | None:
    values = [result.summary[key] for result in found.results]
    if any(value is None for value in values) or len(set(values)) == 1:
        return None
    at = min(range(len(values)), key=lambda i: values[i])
    return found.letters[at], f"{values[at]:.3g} USD/Mtok"


def _changes(found: Comparison) -> list[str]:
    """Return the metrics that differ by more than a percent, as stated first."""
    lines = []
    for row in found.result:
        known = [change for change in row["change"][1:] if change is not None]
        if any(abs(change) > 0.01 for change in known):
            texts = [f"{text}{change_text(change)}" for text, change in
                     zip(row["texts"], row["change"], strict=True)]  # fmt: skip
            lines.append(f"{row['name']}: {' / '.join(texts)}")
    return lines


def change_text(change: float | None) -> str:
    """Return a change in brackets; nothing where there is none.

    >>> change_text(0.1), change_text(0.0), change_text(9.0)
    (' (+10%)', '', ' (x 10)')
    """
    if not change or abs(change) < 5e-4:
        return ""
    if change > 2.0:
        return f" (x {1.0 + change:.3g})"
    return f" ({change:+.0%})" if abs(change) >= 0.0995 else f" ({change:+.1%})"


def _path_figure(found: Comparison) -> Figure:
    title, heads = "Where a request's time goes", ("part", *found.names())
    if not found.path:
        says = "No request finished in at least one run."
        return Figure("paths", title, says, None, Table(heads, []))
    totals = [sum(row["mean_s"][i] for row in found.path) for i in range(len(found.letters))]
    factor, unit = time_scale(max(totals))
    chart = Bars(
        f"mean time from arrival to last token ({unit})", found.names(),
        {row["part"]: [value * factor for value in row["mean_s"]] for row in found.path},
    )  # fmt: skip
    rows = [(row["part"], *map(format_seconds, row["mean_s"])) for row in found.path]
    rows.append(("sum", *map(format_seconds, totals)))
    says = "The critical path of an average finished request, a bar for each run."
    return Figure("paths", title, says, chart, Table(heads, rows))


def _ratio_figure(found: Comparison) -> Figure:
    names = found.names()
    rows = [
        (row["name"], *(f"{text}{change_text(change)}" for text, change in
                        zip(row["texts"], row["change"], strict=True)))
        for row in found.result if row["name"] != "bottleneck"
    ]  # fmt: skip
    shown = [row for row in found.result if all(c is not None for c in row["change"][1:])]
    shown = [row for row in shown if any(abs(c) > 1e-3 for c in row["change"][1:])]
    chart = Bars(
        f"change against {names[0]}",
        [row["name"] for row in shown],
        {names[i]: [min(row["change"][i], 3.0) for row in shown] for i in range(1, len(names))},
        share=True,
        grouped=True,
    )
    says = f"Every figure of the result; in brackets, the change against {names[0]}."
    if any(change > 3.0 for row in shown for change in row["change"][1:]):
        says += " Bars end at +300%; the table holds the whole."
    return Figure("result", "Result", says, chart if shown else None,
                  Table(("", *names), rows))  # fmt: skip


def _bottlenecks(found: Comparison) -> Figure:
    words = next(row["texts"] for row in found.result if row["name"] == "bottleneck")
    rows = list(zip(found.names(), words, strict=True))
    says = "The stage that is nearest to its limit, or beyond it."
    return Figure("bottlenecks", "What binds", says, None, Table(("run", "bound by"), rows, left=2))


def _delta_figure(found: Comparison) -> Figure:
    names, title = found.names(), "Difference along the critical path"
    heads = ("part", *names[1:])
    if not found.path:
        return Figure("delta", title, "No request finished in at least one run.", None,
                      Table(heads, []))  # fmt: skip
    deltas = {
        names[i]: [row["mean_s"][i] - row["mean_s"][0] for row in found.path]
        for i in range(1, len(names))
    }
    factor, unit = time_scale(max(abs(v) for values in deltas.values() for v in values) or 1.0)
    parts = [row["part"] for row in found.path]
    chart = Bars(
        f"mean seconds against {names[0]} ({unit})".replace("mean seconds", "mean time"),
        parts,
        {name: [value * factor for value in values] for name, values in deltas.items()},
        grouped=True,
    )
    rows = [
        (part, *(signed(values[i])
                 for values in deltas.values()))
        for i, part in enumerate(parts)
    ]  # fmt: skip
    return Figure("delta", title, " ".join(found.sentences()), chart, Table(heads, rows))


def _scenario_figure(found: Comparison) -> Figure:
    rows = [
        (row["path"], *("-" if value is None else str(value) for value in row["values"]))
        for row in found.scenario
    ]
    says = (
        f"{len(rows)} field{'s' if len(rows) != 1 else ''} of the resolved scenarios differ; names "
        "and descriptions aside. A dash means that a scenario has no such field."
    )
    heads = ("field", *found.names())
    return Figure("fields", "Fields that differ", says, None, Table(heads, rows, left=len(heads)))


def _latency_figures(found: Comparison) -> list[Figure]:
    from hetsim.run import overview_tables

    tables = [overview_tables(result)["cdf"] for result in found.results]
    names, made = found.names(), []
    for number, key in enumerate(("ttft_s", "tpot_s", "e2e_s")):
        some = [table[number] for table in tables]
        values = [one.value_s for one in some if len(one.value_s)]
        title = f"{some[0].name} of finished requests"
        if not values:
            continue
        end = 1.1 * max(float(np.quantile(v, 0.99)) for v in values)
        factor, unit = time_scale(end)
        slos = {one.slo_s for one in some}
        slo = next(iter(slos)) if len(slos) == 1 else None
        lines = [Line(name, one.value_s * factor, one.share)
                 for name, one in zip(names, some, strict=True) if len(one.value_s)]  # fmt: skip
        chart = Lines(
            f"{some[0].name} ({unit})", "share of requests", lines,
            limit=(slo * factor, f"SLO {format_seconds(slo)}") if slo and slo <= end else None,
            share=True, stairs=True, x_end=end * factor,
        )  # fmt: skip
        rows = [
            (name, *(format_seconds(result.summary[key][q]) for q in ("p50", "p90", "p99")))
            for name, result in zip(names, found.results, strict=True)
            if result.summary[key]["p50"] is not None
        ]
        says = "The share of finished requests at or below each value."
        made.append(Figure(key[:4], title, says, chart, Table(("run", "p50", "p90", "p99"), rows)))
    return made


def _counts(found: Comparison) -> Table:
    words = dict.fromkeys(word for r in found.results for word in r.summary["requests"])
    rows = [
        (word.replace("_", " "), *(f"{r.summary['requests'].get(word, 0)}" for r in found.results))
        for word in words
    ]
    return Table(("requests", *found.names()), rows)
