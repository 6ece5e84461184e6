"""``hetsim new``: a commented starter scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from hetsim.cli._app import app

__all__ = ["new"]


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Name of the scenario; NAME.yaml is written.")],
    pair: Annotated[str, typer.Option(metavar="P:D", help="Prefill and decode accelerators.")] = (
        "h100:h200"
    ),
    model: Annotated[str, typer.Option(help="A built-in model, or a config.json.")] = "llama-3.1-8b",
    trace: Annotated[Optional[str], typer.Option(help="Replay this trace.")] = None,  # noqa: UP045
) -> None:
    """Write a commented starter scenario."""
    from hetsim.errors import Problem, ScenarioError
    from hetsim.scenario import starter

    text = starter(name, pair=pair, model=model, trace=trace)
    path = Path(name if name.endswith(".yaml") else f"{name}.yaml")
    if path.exists():
        raise ScenarioError(Problem("exists; choose another name", "", str(path)))
    path.write_text(text, encoding="utf-8")
    print(f"{path} written; next: hetsim run {path}")
