"""``hetsim trace``: what a workload trace contains."""

from __future__ import annotations

from typing import Annotated

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

__all__ = ["trace"]


@app.command()
def trace(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE[:FORMAT]",
            help="A trace; its format is recognised, or one of azure, burstgpt, burstgpt_arrivals, "
            "generic_csv, generic_jsonl, llmservingsim, lmcache_agent, mooncake, parquet, "
            "servegen, tracelab.",
        ),
    ],
    json: Json = False,
) -> None:
    """Print what a workload trace contains."""
    from hetsim.cli._page import Page, print_json
    from hetsim.scenario import split_format
    from hetsim.workload import read_trace, trace_summary

    path, form = split_format(file)
    found = trace_summary(read_trace(path, format=form))
    if json:
        print_json(found)
        return
    page = Page()
    page.line(path, "bold")
    rows = [(str(name), _text(value)) for name, value in found.items() if name != "notes"]
    page.pairs(rows)
    page.items("notes", [str(note) for note in found["notes"]])
    page.show()


def _text(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
