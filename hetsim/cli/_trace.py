"""``hetsim trace``: what a workload trace contains."""

from __future__ import annotations

from typing import Annotated

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

__all__ = ["trace"]


@app.command()
def trace(
    file: Annotated[str, typer.Argument(metavar="FILE[:FORMAT]", help="A trace file or folder.")],
    json: Json = False,
) -> None:
    """Print what a workload trace contains."""
    from hetsim.cli._render import print_json, table
    from hetsim.scenario import split_format
    from hetsim.workload import read_trace, trace_summary

    path, form = split_format(file)
    found = trace_summary(read_trace(path, format=form))
    if json:
        print_json(found)
        return
    from rich.console import Console

    rows = [[str(name), _text(value)] for name, value in found.items()]
    Console(width=80, highlight=False, markup=False).print(table(path, ("", "value"), rows))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return "; ".join(str(item) for item in value) or "-"
    return str(value)
