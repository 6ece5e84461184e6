"""The figures of a report as tables for people: Markdown, one table per grouping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.validate._score import METRICS

__all__ = ["tables_text"]

_NAMES = {"tpot": "TPOT", "ttft": "TTFT", "throughput": "throughput"}


def tables_text(found: Mapping[str, Any]) -> str:
    """Return the groups of a report (as :meth:`Report.to_dict` gives it) as Markdown.

    Errors are |predicted / measured - 1| in percent: median / 90th percentile (bias).
    """
    lines: list[str] = []
    last = ""
    for group in found["groups"]:
        if group["by"] != last:
            last = group["by"]
            lines += ["", f"## {last.replace('_', ' ').capitalize()}", "", *_head()]
        lines.append(_line(group))
    return "\n".join(lines).lstrip("\n") + "\n"


def _head() -> list[str]:
    columns = ["group", "rows", "in fit", "coverage %"]
    for name in METRICS:
        columns += ["n", _NAMES[name]]
    return [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]


def _line(group: Mapping[str, Any]) -> str:
    cover = group["coverage"]
    cells = [group["group"], str(group["rows"]), str(group["in_fit"])]
    cells.append("-" if cover is None else f"{100 * cover:.0f}")
    for name in METRICS:
        metric = group["metrics"][name]
        cells.append(str(metric["n"]))
        cells.append(_errors(metric) if metric["n"] else "-")
    return f"| {' | '.join(cells)} |"


def _errors(metric: Mapping[str, Any]) -> str:
    return "{median_ape:.1f} / {p90_ape:.0f} ({bias:+.0f})".format(**metric)
