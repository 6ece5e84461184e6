"""The answer of a sweep with several conditions: one design for all."""

from __future__ import annotations

from typing import Any

from hetsim.report._labels import metric_of, value_text
from hetsim.report._ranked import Ranked

__all__ = ["across_conditions"]

_FEW = 6


def across_conditions(
    ranked: Ranked,
) -> tuple[str, list[dict[str, Any]], list[tuple[str, str | list[str]]]] | None:
    """Return verdict, rows and answers for the design with the best worst case.

    None if no design was simulated in every condition.
    """
    robust, name = ranked.robust, metric_of(ranked.metric).name
    if robust.empty:
        return None
    top, number = robust.iloc[0], len(ranked.best)
    rows = [dict(row) for row in top["rows"].to_dict("records")]
    design = ranked.design(rows[0])
    if top["wins"] == number:
        verdict = f"Recommended in all {number} conditions, by {name}: {design}."
    else:
        verdict = (
            f"Recommended over all {number} conditions, by {name}: {design}. It wins "
            f"{top['wins']} of them and reaches at least {top['worst']:.1%} of the best in all."
        )
    points: list[tuple[str, str | list[str]]] = [
        ("What does it reach?", _each(ranked, rows, ranked.metric, "slo_attainment")),
        ("What does it cost?", _each(ranked, rows, "cost_usd_per_mtok", "usd_per_h", "power_w")),
        ("What binds?", _bind(ranked, rows)),
        ("Where does another win?", _others(ranked, top["rows"])),
        ("Runner-up, and when would it win?", _second(ranked, top)),
    ]
    return verdict, rows, points


def _each(ranked: Ranked, rows: list[dict[str, Any]], *keys: str) -> str:
    """Return the range of some metrics over the conditions."""
    parts = []
    for key in keys:
        known = [(row[key], row) for row in rows if key in row and row[key] == row[key]]
        if not known:
            continue
        low, high = min(known, key=lambda p: p[0]), max(known, key=lambda p: p[0])
        name = metric_of(key).name
        texts = value_text(key, low[0]), value_text(key, high[0])
        if texts[0] == texts[1]:
            parts.append(f"{name} {texts[0]}")
        else:
            ends = ranked.where(low[1]), ranked.where(high[1])
            parts.append(f"{name} {texts[0]} ({ends[0]}) to {texts[1]} ({ends[1]})")
    text = "; ".join(parts) or "not known"
    return f"{text[:1].upper()}{text[1:]}."


def _bind(ranked: Ranked, rows: list[dict[str, Any]]) -> str | list[str]:
    from hetsim.report._sweep_answer import binds

    said: dict[str, list[str]] = {}
    for row in rows:
        said.setdefault(binds(ranked, row).partition(" (")[0].rstrip("."), []).append(
            ranked.where(row)
        )
    if len(said) == 1:
        return f"{next(iter(said))}."
    return [f"{text}: {', '.join(where[:_FEW])}." for text, where in said.items()]


def _others(ranked: Ranked, rows: Any) -> str | list[str]:
    """Return the winners of the conditions that the recommended design does not win."""
    lost = rows[rows["rank"] > 1].sort_values("share", kind="stable")
    if lost.empty:
        return "Nowhere: it is the best of every condition."
    lines = []
    for row in lost.head(_FEW).to_dict("records"):
        best = ranked.best
        for key in ranked.keys:
            best = best[best[key] == row[key]]
        other = dict(best.iloc[0])
        value = value_text(ranked.metric, other[ranked.metric])
        lines.append(
            f"{ranked.condition(row)}: {ranked.design(other)} ({value}); the recommended design "
            f"reaches {row['share']:.1%} of it, rank {row['rank']}."
        )
    left = len(lost) - len(lines)
    return [*lines, f"and in {left} more conditions."] if left else lines


def _second(ranked: Ranked, top: Any) -> str:
    if len(ranked.robust) < 2:
        return "No other design was simulated in every condition."
    other = ranked.robust.iloc[1]
    design = ranked.design(dict(other["rows"].iloc[0]))
    text = f"{design}: at least {other['worst']:.1%} of the best in all conditions"
    both = other["rows"].merge(top["rows"], on=ranked.keys, suffixes=("", "_top"))
    ahead = both[both["share"] > both["share_top"]]
    where = ", ".join(ranked.where(row) for row in ahead.head(_FEW).to_dict("records"))
    when = f"It is ahead in {where}" if where else "It is ahead in no condition"
    ratio = (both["share"] / both["share_top"]).to_numpy(float)
    if "per_usd" in ranked.metric and len(ratio) and ratio.max() < 1.0:
        when += f", and would be in one if its price fell by {1.0 - ratio.max():.1%}"
    return f"{text} (the recommended: {top['worst']:.1%}). {when}."
