"""``hetsim check`` and ``hetsim explain``: a scenario looked at without simulating."""

from __future__ import annotations

from typing import Any

from hetsim.cli._app import app
from hetsim.cli._options import Json, ScenarioFile, Sets, Workload

__all__ = ["check", "explain"]


@app.command()
def check(
    scenario: ScenarioFile, workload: Workload = None, sets: Sets = None, json: Json = False
) -> None:
    """Say whether a scenario can run, how KV crosses, and what to beware of."""
    from hetsim.cli._render import print_json
    from hetsim.inspect import check as look

    found = look(scenario, sets=sets or (), workload=workload)
    if json:
        print_json(found)
    else:
        _print_check(found)


def _print_check(found: dict[str, Any]) -> None:
    from rich.console import Console

    from hetsim.cli._render import _print_lines, table

    console = Console(width=80, highlight=False, markup=False)
    console.print(f"{found['name']}: can run")
    rows = [[card["what"], card["value"]] for card in found["facts"]]
    console.print(table("facts", ("", ""), rows))
    for title in ("boundary", "placement", "assumptions", "risks"):
        _print_lines(console, title, found[title])


@app.command()
def explain(
    scenario: ScenarioFile, workload: Workload = None, sets: Sets = None, json: Json = False
) -> None:
    """Show FLOPs, bytes, time and what binds, per operator and stage."""
    from hetsim.cli._render import print_json
    from hetsim.inspect import explain as look

    found = look(scenario, sets=sets or (), workload=workload)
    if json:
        print_json(found)
    else:
        _print_explain(found)


def _print_explain(found: dict[str, Any]) -> None:
    from rich.console import Console

    from hetsim.cli._render import table
    from hetsim.units import format_bytes, format_seconds

    console = Console(width=80, highlight=False, markup=False)
    for step in found["steps"]:
        rows = [
            [
                row["name"],
                f"{row['count']:g}",
                f"{row['flops'] / 1e9:.4g}",
                format_bytes(row["bytes"]),
                format_seconds(row["time_s"]),
                row["bound_by"],
                row["grade"],
            ]
            for row in step["operators"]
        ]
        columns = ("operator", "count", "GFLOP", "bytes", "time", "bound", "grade")
        console.print(table(step["title"], columns, rows))
