"""Break-even maps, rankings with their uncertainty and robustness, from the answers of a sweep.

An answer of an unknown shape is shown as a table of its fields.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hetsim.report._chart import Chart, Figure, Grid, Group, Line, Lines, Points, Table
from hetsim.report._labels import number_text

__all__ = ["breakeven_figures", "plain_figure", "ranking_figures", "robustness_figures", "said"]

_ROWS = 100
Answer = Mapping[str, Any]


def said(answer: Any, most: int = 6) -> list[str]:
    """Return the sentences of an answer, of its regimes or of a list of answers."""
    if isinstance(answer, list):
        return [line for one in answer for line in said(one)][:most]
    if not isinstance(answer, Mapping):
        return []
    own = [str(line) for line in answer.get("says", []) or []]
    regimes = answer.get("regimes")
    if isinstance(regimes, Mapping):
        parts = {name: said(one) for name, one in regimes.items()}
        own += [f"{name}: {'; '.join(lines)}" for name, lines in parts.items() if lines]
    return own[:most]


def _joined(lines: Iterable[str]) -> str:
    texts = [line if line.endswith((".", "!", "?")) else f"{line}." for line in lines]
    return " ".join(map(capital, texts))


def capital(text: str) -> str:
    """Return a sentence that begins with a capital, unless it begins with a path.

    >>> capital("a wins"), capital("network.nic 25: a wins")
    ('A wins', 'network.nic 25: a wins')
    """
    first = text.partition(" ")[0].rstrip(":,")
    return f"{text[:1].upper()}{text[1:]}" if first.isalpha() else text


def plain_figure(key: str, title: str, answer: Any) -> Figure:
    """Return the fields of an answer as a table."""
    items = answer if isinstance(answer, list) else [answer]
    rows = [(name, text) for one in items for name, text in _fields(one)][:_ROWS]
    says = _joined(said(answer)) or "As it was found."
    return Figure(key, title, says, None, Table(("field", "value"), rows, left=2))


def _fields(data: Any, path: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(data, Mapping) and data:
        for name, value in data.items():
            yield from _fields(value, f"{path}.{name}" if path else str(name))
    elif isinstance(data, list) and data and isinstance(data[0], Mapping):
        for number, value in enumerate(data):
            yield from _fields(value, f"{path}[{number}]")
    else:
        yield path or "value", _text(data)


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    if isinstance(value, int | float):
        return number_text(float(value))
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)


def breakeven_figures(answer: Any) -> list[Figure]:
    """Return one map for every pair of alternatives that was examined."""
    items = answer if isinstance(answer, list) else [answer]
    made = []
    for number, one in enumerate(items):
        key = f"breakeven{number or ''}"
        try:
            made.append(_breakeven(key, one))
        except (KeyError, TypeError, ValueError):
            made.append(plain_figure(key, "Break-even", one))
    return made


def _breakeven(key: str, one: Answer) -> Figure:
    along, across = one["along"], one["across"]
    title = f"Break-even: {one['first']} against {one['second']}"
    chart = _line(one) if across is None else _map(one)
    heads = (_axis(across) if across else "place", _axis(along), "in closed form", "below", "above")
    names = {"first": one["first"], "second": one["second"], "equal": "neither"}
    rows = [
        (
            _text(place["across"]), _text(place["crossings"]) or "none",
            _text(place["closed_form"]) or "none", names[place["low_end"]],
            names[place["high_end"]],
        )
        for place in one["frontier"]
    ]  # fmt: skip
    says = f"By {one['metric']}. {_joined(said(one, 4))}"
    return Figure(key, title, says, chart, Table(heads, rows, left=len(heads)))


def _axis(axis: Answer) -> str:
    return f"{axis['path']} ({axis['unit']})" if axis.get("unit") else str(axis["path"])


def _line(one: Answer) -> Chart | None:
    place = one["frontier"][0]
    looks = [look for look in place["looks"] if look["log_ratio"] is not None]
    if not looks:
        return None
    at = place["crossings"]
    x, y = (np.array([float(look[k]) for look in looks]) for k in ("at", "log_ratio"))
    label = f"log of {one['first']} / {one['second']}"
    limit = (float(at[0]), "break-even") if at else None
    return Lines(_axis(one["along"]), label, [Line("simulated", x, y)], limit=limit)


def _map(one: Answer) -> Chart | None:
    groups = []
    for field, word in (("crossings", "simulated"), ("closed_form", "closed form")):
        points = [(float(at), float(place["across"])) for place in one["frontier"]
                  for at in place[field] or ()]  # fmt: skip
        if points:
            x, y = np.array(points, dtype=float).T
            texts = [f"{word}: {number_text(a)}, {number_text(b)}" for a, b in points]
            groups.append(Group(word, x, y, texts, joined=True))
    return Points(_axis(one["along"]), _axis(one["across"]), groups) if groups else None


def ranking_figures(answer: Any) -> list[Figure]:
    """Return how surely the best design of every regime beats those behind it."""
    title = "Ranking with its uncertainty"
    try:
        return [_ranking(title, answer)]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return [plain_figure("uncertainty", title, answer)]


def _ranking(title: str, answer: Answer) -> Figure:
    regimes = dict(answer["regimes"])
    most = max(len(one["designs"]) for one in regimes.values())
    values = np.full((len(regimes), max(1, most - 1)), np.nan)
    rows = []
    for row, (name, one) in enumerate(regimes.items()):
        designs, beats = one["designs"], one["p_beats"]
        values[row, : len(designs) - 1] = beats[0][1:]
        rows += [
            (
                name, f"{place + 1}", ", ".join(map(str, design["levels"].values())),
                number_text(design["value"]), _text(design["interval"]),
                "-" if not place else f"{beats[0][place]:.2f}",
            )
            for place, design in enumerate(designs)
        ]  # fmt: skip
    text = [[f"{v:.2f}" if v == v else "" for v in line] for line in values]
    columns = [f"no. {place + 2}" for place in range(values.shape[1])]
    scale = "probability that the best design beats"
    chart = Grid("the best design against", "", columns, list(regimes), values, text, scale,
                 span=(0.5, 1.0))  # fmt: skip
    says = f"{_joined(said(answer))} From {answer['samples']} samples; covers {answer['covers']}."
    heads = ("regime", "rank", "design", str(answer["metric"]), "5% to 95%", "loses to best with p")
    return Figure("uncertainty", title, says, chart if most > 1 else None,
                  Table(heads, rows, left=3))  # fmt: skip


def robustness_figures(answer: Any) -> list[Figure]:
    """Return the regret of the designs in every regime, and where P:D must be cut anew."""
    title = "Regret of one design in every regime"
    try:
        return [_regret(title, answer), *_recut(answer)]
    except (KeyError, TypeError, ValueError, AttributeError):
        return [plain_figure("robustness", title, answer)]


def _regret(title: str, answer: Answer) -> Figure:
    regimes, table = [str(name) for name in answer["regimes"]], answer["table"]
    names = [", ".join(map(str, one["levels"].values())) for one in table]
    values = np.array([[one["regret"][name] for name in regimes] for one in table], dtype=float)
    text = [[f"{value:.0%}" for value in row] for row in values]
    chart = Grid("regime", "", regimes, names, values, text, "regret", share=True, span=(0.0, 1.0))
    rows = [
        (name, *(f"{one['regret'][r]:.1%} (rank {one['rank'][r]})" for r in regimes),
         f"{one['worst_regret']:.1%}", f"{one['mean_regret']:.1%}")
        for name, one in zip(names, table, strict=True)
    ]  # fmt: skip
    says = f"{_joined(said(answer, 3))} {answer['designs']} designs; shown are the most robust."
    heads = ("design", *regimes, "worst", "mean")
    return Figure("robustness", title, says, chart, Table(heads, rows))


def _recut(answer: Answer) -> list[Figure]:
    cuts = [(kind, one) for kind in ("minimax", "winners") for one in answer["recut"][kind]]
    if not cuts:
        return []
    rows = [
        (
            one["regime"], "most robust" if kind == "minimax" else "winner",
            f"{one['prefill_now']}:{one['decode_now']}",
            f"{one['prefill_best']}:{one['decode_best']}", str(one["says"]),
        )
        for kind, one in cuts
    ]  # fmt: skip
    says = "By rate matching in closed form, if each instance may change its role."
    heads = ("regime", "design", "P:D now", "P:D wanted", "what must change")
    return [Figure("recut", "Where P:D must be cut anew", says, None,
                   Table(heads, rows, left=len(heads)))]  # fmt: skip
