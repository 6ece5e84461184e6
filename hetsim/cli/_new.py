"""``hetsim new``: a commented starter scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._progress import note

__all__ = ["new"]


@app.command()
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="NAME.yaml is written; it must not exist.")
    ],
    pair: Annotated[
        str, typer.Option(metavar="P:D", help="Prefill and decode accelerators.")
    ] = "h100:h200",
    model: Annotated[
        str, typer.Option(metavar="MODEL", help="A built-in model, or a config.json.")
    ] = "llama-3.1-8b",
    trace: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="FILE", help="Replay this trace."),
    ] = None,
) -> None:
    """Write a commented starter scenario."""
    from hetsim.errors import Problem, ScenarioError
    from hetsim.scenario import starter

    text = starter(name, pair=pair, model=model, trace=trace)
    path = Path(name if name.endswith(".yaml") else f"{name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ScenarioError(Problem("exists; choose another name", "", str(path))) from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ScenarioError(Problem(f"cannot be written: {why}", "", str(path))) from None
    print(path)
    note(f"next: hetsim check {path}; hetsim run {path}")
