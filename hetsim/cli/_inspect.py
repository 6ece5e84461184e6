"""``hetsim check`` and ``hetsim explain``: a scenario looked at without simulating."""

from __future__ import annotations

from typing import Any

from hetsim.cli._app import app
from hetsim.cli._options import Json, ScenarioFile, Seed, Sets, Workload

__all__ = ["check", "explain"]


@app.command()
def check(
    scenario: ScenarioFile,
    workload: Workload = None,
    sets: Sets = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Say if it can run, how KV crosses, and what to beware of."""
    from hetsim.cli._page import print_json
    from hetsim.inspect import check as look

    found = look(scenario, sets=sets or (), workload=workload, seed=seed)
    print_json(found) if json else _print_check(found)


def _print_check(found: dict[str, Any]) -> None:
    from hetsim.cli._page import Page

    page = Page()
    page.line(f"{found['name']}: can run; nothing was simulated", "bold")
    page.title("facts")
    page.pairs([(row["what"], row["value"]) for row in found["facts"]])
    for title in ("boundary", "placement", "assumptions", "risks"):
        page.items(title, found[title])
    page.show()


@app.command()
def explain(
    scenario: ScenarioFile,
    workload: Workload = None,
    sets: Sets = None,
    seed: Seed = None,
    json: Json = False,
) -> None:
    """Show FLOPs, bytes, time and bound, per operator and stage."""
    from hetsim.cli._page import print_json
    from hetsim.inspect import explain as look

    found = look(scenario, sets=sets or (), workload=workload, seed=seed)
    print_json(found) if json else _print_explain(found)


def _print_explain(found: dict[str, Any]) -> None:
    from hetsim.cli._page import Page

    page = Page()
    page.line(f"{found['name']}: one typical step of each pool, per device", "bold")
    sources: dict[str, None] = {}
    for step in found["steps"]:
        columns = ("operator", "count", "GFLOP", "bytes", "time", "share", "bound", "grade")
        page.table(step["title"], columns, [_operator(row) for row in step["operators"]])
        sources.update(dict.fromkeys(f"{r['grade']}: {r['source']}" for r in step["operators"]))
    page.items("sources", list(sources))
    page.show()


def _operator(row: dict[str, Any]) -> list[str]:
    from hetsim.units import format_bytes, format_seconds

    return [
        row["name"].replace("attention_", "attn_"),
        f"{row['count']:g}",
        f"{row['flops'] / 1e9:.4g}",
        format_bytes(row["bytes"]),
        format_seconds(row["time_s"]),
        f"{row['share']:.1%}",
        row["bound_by"],
        row["grade"],
    ]
