"""What ``hetsim interactions`` and its like left in ``DIR/decisions``, as figures.

The files are read as they come: what has an unknown shape is shown as a table, and what is absent
says how it is made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hetsim.report._chart import Edge, Figure, Graph, Grid, Table
from hetsim.report._records import (
    breakeven_figures,
    ranking_figures,
    robustness_figures,
    said,
)

__all__ = ["decision_figures", "found_decisions", "known_decisions"]

FILES = {
    "interactions": "which decisions must be made together",
    "breakeven": "where two alternatives swap",
    "ranking": "how sure the ranking is, and what overturns it",
    "robustness": "which design is right in every regime",
}
_REGIMES = 6
_WORDS = {"binding": "binding: decide together", "undecided": "undecided"}


def found_decisions(folder: Path | None) -> dict[str, Any]:
    """Return the files of ``folder/decisions`` by name; one that is no JSON says so."""
    found: dict[str, Any] = {}
    for name in FILES:
        path = folder / "decisions" / f"{name}.json" if folder is not None else None
        if path is None or not path.is_file():
            continue
        try:
            found[name] = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            found[name] = [{"problem": f"{path.name} cannot be read: {error}"}]
    return found


def known_decisions(found: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what the first screen says of them: what is sure, and what is not known."""
    sure: list[str] = []
    unknown: list[str] = []
    groups: dict[str, list[str]] = {}
    regimes = _regimes(found)
    for name, regime in regimes.items():
        joint = [group for group in regime.get("components", []) if len(group) > 1]
        text = "; ".join(_listed(group) for group in joint)
        groups.setdefault(text, []).append(name)
    for text, names in groups.items():
        line = f"{text} must be decided together" if text else "decisions can be made one at a time"
        where = f"In {_listed(names[:_REGIMES])}: {line}." if len(regimes) > 1 else f"{line}."
        sure.append(f"{where[:1].upper()}{where[1:]}")
    sure += [f"{line[:1].upper()}{line[1:]}." for line in said(found.get("ranking"), 4)]
    sure += [f"{line[:1].upper()}{line[1:]}." for line in said(found.get("robustness"), 1)]
    for name, what in FILES.items():
        if name not in found:
            unknown.append(f"{what[:1].upper()}{what[1:]}: not analysed ({_command(name)}).")
    return {"sure": sure, "unknown": unknown}


def _command(name: str) -> str:
    return {
        "ranking": "hetsim rank DIR",
        "breakeven": "hetsim breakeven DIR --along PATH=LOW..HIGH --a KEY=VALUE",
    }.get(name, f"hetsim {name} DIR")


def _regimes(found: Mapping[str, Any]) -> dict[str, Any]:
    data = found.get("interactions")
    regimes = data.get("regimes") if isinstance(data, Mapping) else None
    return dict(regimes) if isinstance(regimes, Mapping) else {}


def decision_figures(found: Mapping[str, Any]) -> dict[str, list[Figure]]:
    """Return the figures of every answer, by its name."""
    made = {"interactions": _interactions(found)}
    for name, (title, figures) in _FIGURES.items():
        made[name] = figures(found[name]) if name in found else [_absent(name, title)]
    return made


_FIGURES: Mapping[str, tuple[str, Callable[[Any], list[Figure]]]] = {
    "breakeven": ("Break-even", breakeven_figures),
    "ranking": ("Ranking with its uncertainty", ranking_figures),
    "robustness": ("Robustness over regimes", robustness_figures),
}


def _absent(name: str, title: str) -> Figure:
    says = (
        f"Not analysed yet. To find {FILES[name]}: {_command(name)}, then make this report again."
    )
    return Figure(name, title, says, None, Table(("",), []))


def _interactions(found: Mapping[str, Any]) -> list[Figure]:
    regimes = _regimes(found)
    if not regimes:
        return [_absent("interactions", "Interactions of decisions")]
    several = len(regimes) > 1
    made = [_overview(regimes)] if several else [_heat(*next(iter(regimes.items())))]
    made += [_graph(number, *item) for number, item in enumerate(list(regimes.items())[:_REGIMES])]
    notes = found["interactions"].get("notes", [])
    return [made[0]._replace(says=" ".join([made[0].says, *map(str, notes)])), *made[1:]]


def _pairs(regime: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(pair) for pair in regime.get("pairs", [])]


def _overview(regimes: Mapping[str, Any]) -> Figure:
    """Return the regret of every pair in every regime."""
    names = list(dict.fromkeys(_pair(p) for one in regimes.values() for p in _pairs(one)))
    known = {regime: {_pair(p): p for p in _pairs(one)} for regime, one in regimes.items()}
    values = np.array([[_regret(known[r].get(n)) for r in regimes] for n in names], dtype=float)
    text = [[_cell(known[r].get(n)) for r in regimes] for n in names]
    chart = _regrets("regime", [*regimes], names, values, text)
    rows = [(name, *(_words(known[r].get(name)) for r in regimes)) for name in names]
    says = (
        "What is lost if two decisions are made one at a time, not together, in each regime. "
        "! = binding (surely above 2%), ? = undecided, neither = independent."
    )
    return Figure("joint", "Which decisions are joint, by regime", says, chart if names else None,
                  Table(("pair", *regimes), rows))  # fmt: skip


def _regrets(
    label: str, columns: list[str], rows: list[str], values: Any, text: list[list[str]]
) -> Grid:
    """Return the heat map; its darkest shade is never less than five percent."""
    known = values[np.isfinite(values)]
    high = max(0.05, float(known.max())) if known.size else 0.05
    scale = "regret of deciding apart"
    return Grid(label, "", columns, rows, values, text, scale, share=True, span=(0.0, high))


def _pair(pair: Mapping[str, Any]) -> str:
    return f"{pair['a']} x {pair['b']}"


def _regret(pair: Mapping[str, Any] | None) -> float:
    value = pair.get("regret") if pair else None
    return float("nan") if value is None else float(value)


def _cell(pair: Mapping[str, Any] | None) -> str:
    if pair is None or pair.get("regret") is None:
        return ""
    mark = {"binding": " !", "undecided": " ?"}.get(str(pair.get("verdict")), "")
    return f"{_regret(pair):.1%}{mark}"


def _words(pair: Mapping[str, Any] | None) -> str:
    return f"{_cell(pair).rstrip(' !?')} ({pair.get('verdict')})" if pair else "-"


def _nodes(regime: Mapping[str, Any]) -> list[str]:
    pairs = _pairs(regime)
    named = [str(p[end]) for p in pairs for end in ("a", "b")]
    joined = [str(name) for group in regime.get("components", []) for name in group]
    return list(dict.fromkeys([*joined, *named]))


def _heat(name: str, regime: Mapping[str, Any]) -> Figure:
    """Return the regrets of one regime, decision against decision."""
    nodes, known = _nodes(regime), {}
    for pair in _pairs(regime):
        known[str(pair["a"]), str(pair["b"])] = known[str(pair["b"]), str(pair["a"])] = pair
    values = np.full((len(nodes), len(nodes)), np.nan)
    text = [["" for _ in nodes] for _ in nodes]
    for i, a in enumerate(nodes):
        for j, b in enumerate(nodes):
            if i != j and (a, b) in known:
                values[i, j] = _regret(known[a, b])
                text[i][j] = _cell(known[a, b])
    chart = _regrets("", nodes, nodes, values, text)
    says = f"Regret of deciding a pair apart in {name}: ! = binding, ? = undecided."
    return Figure("heat", "Interactions", says, chart, _pair_table(regime))


def _pair_table(regime: Mapping[str, Any]) -> Table:
    rows = [
        (
            _pair(pair), str(pair.get("verdict", "-")), _percent(pair.get("regret")),
            _interval(pair.get("regret_ci")), _percent(pair.get("share")),
        )
        for pair in sorted(_pairs(regime), key=lambda p: -np.nan_to_num(_regret(p)))
    ]  # fmt: skip
    return Table(("pair", "verdict", "regret", "interval", "share of variance"), rows, left=2)


def _listed(names: Sequence[Any]) -> str:
    """Return names as a list in words.

    >>> _listed(["a", "b", "c"])
    'a, b and c'
    """
    words = [str(name) for name in names]
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _graph(number: int, name: str, regime: Mapping[str, Any]) -> Figure:
    nodes = _nodes(regime)
    edges = [
        Edge(str(p["a"]), str(p["b"]), _WORDS[str(p["verdict"])],
             f"{_pair(p)}: {p['verdict']}, regret {_percent(p.get('regret'))}")
        for kind in _WORDS for p in _pairs(regime) if p.get("verdict") == kind
    ]  # fmt: skip
    groups = [group for group in regime.get("components", []) if len(group) > 1]
    together = "; ".join(_listed(group) for group in groups)
    open_pairs = regime.get("undecided", 0)
    says = (
        f"{together} must be decided together; the others one at a time."
        if together
        else "Every decision can be made alone, as far as is known."
    )
    says += f" {open_pairs} pair{'s are' if open_pairs != 1 else ' is'} undecided."
    if regime.get("infeasible_ratio"):
        says += f" {regime['infeasible_ratio']:.0%} of the designs cannot run."
    chart = Graph(nodes, edges, tuple(_WORDS.values())) if nodes else None
    return Figure(f"graph{number}", f"Decision graph: {name}", says, chart, _pair_table(regime))


def _percent(value: Any) -> str:
    return f"{value:.1%}" if isinstance(value, int | float) and value == value else "-"


def _interval(ends: Any) -> str:
    if not isinstance(ends, Sequence) or isinstance(ends, str) or len(ends) != 2:
        return "-"
    return f"{_percent(ends[0])} to {_percent(ends[1])}"
