"""``hetsim validate``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

if TYPE_CHECKING:
    from hetsim.validate import Report

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
    constants: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="DIR",
            help="Write the constants fitted to all pairs into DIR/hardware_profiles/runtimes and "
            "DIR/calibration/engines.yaml (needs --cross-fit pair).",
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
    from hetsim.validate import validate as check

    files = {
        "discrepancy": discrepancy,
        "constants": constants,
        "page": page,
        "plot": plot,
        "out": out,
    }
    _refuse_early(files, crossed=bool(cross_fit), sampled=uncertainty > 0)
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
    for path in _written(report, {name: Path(path) for name, path in files.items() if path}):
        print(f"wrote {path}", file=sys.stderr)


def _refuse_early(files: dict[str, str | None], *, crossed: bool, sampled: bool) -> None:
    """Refuse what cannot be written before minutes are spent on it."""
    from hetsim.errors import Problem, ScenarioError
    from hetsim.validate import check_drawable, check_root

    if files["plot"] is not None:
        check_drawable(Path(files["plot"]))
    if files["discrepancy"] is not None and not (crossed and sampled):
        raise ScenarioError(Problem("needs --cross-fit pair and --uncertainty N", "--discrepancy"))
    if files["constants"] is not None:
        if not crossed:
            raise ScenarioError(Problem("needs --cross-fit pair", "--constants"))
        check_root(Path(files["constants"]))


def _written(report: Report, files: dict[str, Path]) -> Iterator[Path]:
    """Write what was asked for, and name each file."""
    from datetime import date

    from hetsim.validate import draw_scatter

    today = date.today().isoformat()
    if "page" in files:
        report.write_section(files["page"])
        yield files["page"]
    if "discrepancy" in files:
        report.write_discrepancy(files["discrepancy"], today)
        yield files["discrepancy"]
    if "constants" in files:
        yield from report.write_constants(files["constants"], today)
    if "plot" in files:
        yield draw_scatter(report, files["plot"])
    if "out" in files:
        yield from report.write(files["out"])


def _note(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{done} of {total} rows", end="" if done < total else "\n", file=sys.stderr)
