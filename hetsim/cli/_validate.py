"""``hetsim validate``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

__all__ = ["validate"]


@app.command()
def validate(
    tables: Annotated[
        list[str], typer.Argument(metavar="TABLE.csv", help="Tables of measured results.")
    ],
    out: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="DIR", help="Write the report and every row; else only print."),
    ] = None,
    json: Json = False,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Processes.")] = 2,
    cross_fit: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="pair",
            help="Refit the engines' constants without each scored device and model.",
        ),
    ] = None,
    transferred: Annotated[
        bool,
        typer.Option(
            "--transferred", help="Predict each device from its relatives, as if never measured."
        ),
    ] = False,
    uncertainty: Annotated[
        int, typer.Option(min=0, metavar="N", help="Sample N times; say how much lies inside.")
    ] = 0,
    discrepancy: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="FILE.yaml",
            help="Write what the model leaves out (needs --cross-fit pair --uncertainty N).",
        ),
    ] = None,
    page: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE.md", help="Put the groups into their section of a page."),
    ] = None,
    plot: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE", help="Draw predicted against measured (.png, .svg, .pdf)."),
    ] = None,
    every: Annotated[
        int, typer.Option(metavar="N", min=1, help="Only each n-th row, for a quick look.")
    ] = 1,
) -> None:
    """Simulate measured results, and say how far off they are."""
    from datetime import date

    from hetsim.errors import Problem, ScenarioError
    from hetsim.validate import check_drawable, draw_scatter
    from hetsim.validate import validate as check

    if plot is not None:
        check_drawable(Path(plot))
    if discrepancy is not None and not (cross_fit and uncertainty):
        raise ScenarioError(Problem("needs --cross-fit pair and --uncertainty N", "--discrepancy"))
    report = check(
        tables,
        workers=workers,
        every=every,
        fit_by=cross_fit or "",
        transferred=transferred,
        draws=uncertainty,
        progress=_note,
    )
    print(report.to_json() if json else report.to_text())
    if page is not None:
        report.write_section(Path(page))
        print(f"wrote {page}", file=sys.stderr)
    if discrepancy is not None:
        report.write_discrepancy(Path(discrepancy), date.today().isoformat())
        print(f"wrote {discrepancy}", file=sys.stderr)
    if plot is not None:
        print(f"wrote {draw_scatter(report, Path(plot))}", file=sys.stderr)
    if out is not None:
        for path in report.write(Path(out)):
            print(f"wrote {path}", file=sys.stderr)


def _note(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total} rows", end="" if done < total else "\n", file=sys.stderr)
