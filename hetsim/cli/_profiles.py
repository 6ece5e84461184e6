"""``hetsim profiles`` and ``hetsim schema``."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

__all__ = ["profiles", "schema"]


@app.command()
def profiles(
    name: Annotated[Optional[str], typer.Argument(help="Show one profile.")] = None,  # noqa: UP045
    json: Json = False,
) -> None:
    """List devices, links, hosts, models and runtimes, or show one with its sources."""
    from hetsim.cli._render import print_json
    from hetsim.inspect import catalogue, profile_rows

    if name is None:
        found = catalogue()
        if json:
            print_json(found)
        else:
            _print_catalogue(found)
        return
    kind, rows = profile_rows(name)
    if json:
        print_json({"name": name, "kind": kind, "fields": rows})
    else:
        _print_rows(f"{kind} {name}", rows)


def _print_catalogue(found: dict[str, list[dict[str, Any]]]) -> None:
    from rich.console import Console

    from hetsim.cli._render import table

    console = Console(width=80, highlight=False, markup=False)
    for kind, rows in found.items():
        lines = [[row["name"], row["title"]] for row in rows]
        console.print(table(f"{kind} ({len(rows)})", ("name", "what"), lines))


def _print_rows(title: str, rows: list[dict[str, str]]) -> None:
    from rich.console import Console

    from hetsim.cli._render import table

    lines = [[row["field"], row["value"], row["source"]] for row in rows]
    console = Console(width=80, highlight=False, markup=False)
    console.print(table(title, ("field", "value", "source"), lines))


@app.command()
def schema(
    what: Annotated[str, typer.Argument(metavar="scenario|sweep", help="Which schema.")],
) -> None:
    """Print a JSON Schema for editors."""
    from hetsim.cli._render import print_json
    from hetsim.errors import Problem, ScenarioError
    from hetsim.scenario import scenario_schema

    if what != "scenario":
        raise ScenarioError(Problem(f"no schema {what!r}; allowed: 'scenario'", "schema"))
    print_json(scenario_schema())
