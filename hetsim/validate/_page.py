"""The figures of a report as tables for people: Markdown, one table per grouping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetsim.validate._score import METRICS

__all__ = ["page_with", "publish", "section_text", "tables_text"]

_NAMES = {"tpot": "TPOT", "ttft": "TTFT", "throughput": "throughput"}


def publish(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


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


_TITLES = {
    "serving": "Serving, by group",
    "mlperf_llm": "MLPerf at the best layout found, by group",
    "phase_latency": "Isolated phases, by group",
    "kv_transfer": "KV transfers, by group",
    "pd_scale": "Large prefill-decode deployments, by group",
}


def section_text(found: Mapping[str, Any], kind: str) -> str:
    """Return a report on tables of one kind as a section of a page, reasons of failed rows last."""
    reasons: dict[str, int] = {}
    for row in found["failed"]:
        words = kind_of_reason(row["reason"])
        reasons[words] = reasons.get(words, 0) + 1
    lines = [
        f"## {_TITLES[kind]}",
        "",
        f"{found['rows']} rows, {found['simulated']} simulated. Relative errors in",
        "percent: median / 90th percentile of their size (bias: the median with its sign).",
        "",
        tables_text(found).replace("\n## ", "\n### ").replace("## ", "### ", 1).rstrip("\n"),
    ]
    if reasons:
        lines += ["", "Not simulated:", ""]
        ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
        lines += [f"- {count}: {words}" for words, count in ordered]
    return "\n".join(lines) + "\n"


def kind_of_reason(reason: str) -> str:
    """Return a reason without its numbers, so that equal ones are counted together.

    >>> kind_of_reason("needs 169.1 GB per device")
    'needs # GB per device'
    """
    return re.sub(r"\d[\d.,]*", "#", reason)[:110]


def page_with(page: str, kind: str, section: str) -> str:
    """Return a page with a section in the place of its last edition, else at the end.

    >>> page = page_with("# A", "pd_scale", "## B")
    >>> again = page_with(page, "pd_scale", "## C")
    >>> again.count("pd_scale: begin"), "## B" in again, "## C" in again
    (1, False, True)
    """
    begin = f"<!-- {kind}: begin (written by hetsim validate) -->"
    end = f"<!-- {kind}: end -->"
    made = f"{begin}\n\n{section}\n{end}"
    if begin in page and end in page:
        before, rest = page.split(begin, 1)
        return before + made + rest.split(end, 1)[1]
    return page.rstrip("\n") + "\n\n" + made + "\n"
