"""``hetsim report``."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._progress import note

__all__ = ["report"]


@app.command()
def report(
    folder: Annotated[
        str, typer.Argument(metavar="DIR", help="A directory that run or sweep has written.")
    ],
    figures: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="DIR", help="Draw the figures there as well, as SVG, PNG and PDF."),
    ] = None,
) -> None:
    """Write DIR/report.html, one file that works offline."""
    from hetsim.report import report as write

    path = write(folder, figures)
    print(path)
    if figures is not None:
        note(f"figures written to {figures}")
