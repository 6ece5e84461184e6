"""The summary for people: tables that read well in 80 columns."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.run import headline, plain
from hetsim.units import format_seconds

__all__ = ["print_capacity", "print_json", "print_summary", "table"]

WIDTH = 80


def print_json(data: Any) -> None:
    """Print one JSON object; what is not a number becomes null."""
    print(json.dumps(plain(data), indent=2, ensure_ascii=False))


def _console() -> Any:
    from rich.console import Console

    # A pipe has no width of its own; 80 columns are what everybody can read.
    return Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False)


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Any:
    """Return a plain table, the first column left, the others right."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print a summary: the answer first, then latencies, stages, the path of a request."""
    from rich.text import Text

    console = _console()
    console.print(Text(f"{summary['name']}: {summary['bottleneck']}", style="bold"))
    for name, value in headline(summary)[:-2]:
        console.print(Text(f"  {name:<16} {value}"))
    counts = summary["requests"]
    others = {k: v for k, v in counts.items() if k not in ("arrived", "finished") and v}
    if others:
        reasons = ", ".join(f"{name} {count}" for name, count in summary["reasons"].items())
        words = ", ".join(f"{name} {count}" for name, count in others.items())
        console.print(Text(f"  not finished     {words} ({reasons})"))
    console.print(_latencies(summary))
    console.print(_stages(summary))
    console.print(_path(summary))
    _print_lines(console, "capacity", [f"{k}: {v}" for k, v in summary["capacity"].items()])
    _print_lines(console, "assumptions", summary["assumptions"])
    _print_lines(console, "notes", summary["notes"])
    if summary["ok_corrupt"] or summary["violations"]:
        broken = ", ".join(f"{name} {n}" for name, n in summary["violations"].items())
        console.print(Text(f"corrupt but ok: {summary['ok_corrupt']}; broken: {broken}"))


def _print_lines(console: Any, title: str, lines: Sequence[str]) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if lines:
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(Padding(Text(f"- {line}"), (0, 0, 0, 2)))


def _latencies(summary: Mapping[str, Any]) -> Any:
    names = (
        ("TTFT", "ttft_s"),
        ("TPOT", "tpot_s"),
        ("ITL", "itl_s"),
        ("first ITL", "first_itl_s"),
        ("E2E", "e2e_s"),
    )
    rows = [
        [title, *(format_seconds(summary[key][q]) for q in ("mean", "p50", "p90", "p99"))]
        for title, key in names
    ]
    return table("latency", ("", "mean", "p50", "p90", "p99"), rows)


def _stages(summary: Mapping[str, Any]) -> Any:
    rows = []
    for name, stage in summary["stages"].items():
        rows.append(
            [
                f"{name} ({stage['role']})",
                f"{stage['utilisation']:.0%}",
                f"{stage['mfu']:.1%}",
                f"{stage['mbu']:.1%}",
                f"{stage['kv_occupancy']:.0%}",
                f"{stage['kv_occupancy_max']:.0%}",
                f"{stage['mean_batch']:.1f}",
                max(stage["bound_by"], key=lambda w: stage["bound_by"][w], default="-"),
            ]
        )
    columns = ("pool", "busy", "MFU", "MBU", "KV", "KV max", "batch", "bound by")
    return table("stages", columns, rows)


def _path(summary: Mapping[str, Any]) -> Any:
    path = summary["critical_path_s"]
    total = sum(path.values()) or 1.0
    names = [name.removesuffix("_s") for name in path]
    times = [format_seconds(value) for value in path.values()]
    shares = [f"{value / total:.0%}" for value in path.values()]
    return table("where a request's time goes (mean)", ("", *names), [["", *times], ["", *shares]])


def print_capacity(found: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the result of ``--find-rate``."""
    if as_json:
        print_json(found)
        return
    console = _console()
    console.print(f"capacity: {found['rate_req_s']:.4g} req/s meets the SLO")
    console.print(
        f"  attainment {found['attainment']:.2%} there; {found['next_attainment']:.2%} at "
        f"{found['next_rate_req_s']:.4g} req/s; closed-form bound {found['bound_req_s']:.4g} req/s"
    )
    console.print(f"  cost at capacity: {_money(found['cost_usd_per_mtok'])}; {found['bottleneck']}")


def _money(value: float | None) -> str:
    return f"{value:.3g} USD/Mtok" if value is not None else "no price known"
