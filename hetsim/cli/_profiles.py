"""``hetsim profiles`` and ``hetsim schema``."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

__all__ = ["profiles", "schema"]


@app.command()
def profiles(
    name: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Argument(
            metavar="NAME",
            help="Show one profile: h100, or accelerators/h100-sxm.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List what scenarios may name, or show one with its sources.

    Accelerators, links, hosts, models, runtimes, formats, transfer engines, workload regimes.
    """
    from hetsim.cli._page import print_json
    from hetsim.inspect import catalogue, profile_rows

    if name is None:
        found = catalogue()
        print_json(found) if json else _print_catalogue(found)
        return
    kind, rows = profile_rows(name)
    if json:
        print_json({"name": name, "kind": kind, "fields": rows})
    else:
        _print_rows(f"{kind}/{name}", rows)


def _print_catalogue(found: dict[str, list[dict[str, Any]]]) -> None:
    from hetsim.cli._page import Page

    page = Page()
    page.line("hetsim profiles NAME shows one with the source of every number")
    for kind, rows in found.items():
        page.title(f"{kind.replace('_', ' ')} ({len(rows)})")
        page.pairs([(row["name"], row["title"]) for row in rows])
    page.show()


def _print_rows(title: str, rows: list[dict[str, str]]) -> None:
    from hetsim.cli._page import Page

    page = Page()
    page.line(title, "bold")
    cells = [[row["field"], row["value"], row["source"]] for row in rows if row["field"] != "doubt"]
    page.table("", ("field", "value", "source"), cells, left=3)
    doubts = [row["value"] for row in rows if row["field"] == "doubt"]
    page.items("in doubt, and what that means for your numbers", doubts)
    page.show()


@app.command()
def schema(
    what: Annotated[
        str, typer.Argument(metavar="scenario|sweep|claim", help="Which schema.")
    ] = "scenario",
) -> None:
    """Print a JSON Schema for editors."""
    from hetsim.cli._page import print_json
    from hetsim.decisions import claim_schema
    from hetsim.errors import Problem, ScenarioError, nearest
    from hetsim.scenario import scenario_schema
    from hetsim.sweep import sweep_schema

    schemas = {"scenario": scenario_schema, "sweep": sweep_schema, "claim": claim_schema}
    if what not in schemas:
        raise ScenarioError(Problem(f"no schema {what!r}; {nearest(what, schemas)}"))
    print_json(schemas[what]())
