"""``hetsim calibrate``: efficiencies from measured kernels."""

from __future__ import annotations

import os
from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

__all__ = ["calibrate", "table_roots"]

calibrate = typer.Typer(
    help="Fit and show the efficiencies of devices.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(calibrate, name="calibrate")

Adapters = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it at run time
    typer.Argument(
        metavar="ADAPTER",
        help="Readers of tables: aiconfigurator (taken if none is named), aiter, apex, apex_comm, "
        "ascend, azure_nd, deepep, distserve, llmcompass, llmservingsim, mamf, phases, "
        "rocm_attention, vidur.",
    ),
]
Devices = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(metavar="NAME", help="Only this device; may repeat."),
]
Roots = Annotated[
    Optional[list[str]],  # noqa: UP045
    typer.Option(metavar="ADAPTER=FOLDER", help="Where an adapter's tables lie; may repeat."),
]


@calibrate.command("import", short_help="Fit public kernel tables, one file per device.")
def import_(
    date: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="Date of the files.")],
    adapters: Adapters = None,
    device: Devices = None,
    root: Roots = None,
    out: Annotated[str, typer.Option(metavar="DIR", help="Folder of calibrations.")] = (
        "calibration"
    ),
) -> None:
    """Fit public kernel tables and write one calibration file per device."""
    # Fits are small: threads of the linear algebra cost more than they save.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from pathlib import Path

    from hetsim.calibrate import import_tables
    from hetsim.cli._progress import note

    roots = table_roots(root or [])
    report = import_tables(
        adapters or ["aiconfigurator"],
        out=Path(out),
        date=date,
        accelerators=device or None,
        roots=roots,
    )
    for path in report.files:
        print(f"{path} {'changed' if path in report.changed else 'as before'}")
    note(f"{len(report.fits)} devices fitted; errors stand in {Path(out) / 'KERNELS.md'}")


def table_roots(pairs: list[str]) -> dict[str, Any]:
    """Return the folders of adapters from words such as ``vidur=/data/vidur``."""
    from pathlib import Path

    from hetsim.errors import Problem, ScenarioError

    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise ScenarioError(
            [Problem(f"{pair!r} is not ADAPTER=FOLDER", "--root") for pair in wrong]
        )
    return {name: Path(folder) for name, folder in (pair.split("=", 1) for pair in pairs)}


@calibrate.command("show")
def show(
    device: Annotated[
        str, typer.Argument(metavar="DEVICE", help="An accelerator; see hetsim profiles.")
    ],
    json: Json = False,
) -> None:
    """Show the parameters of a device, with grade, error and source."""
    from hetsim.cli._page import Page, print_json
    from hetsim.inspect import calibration_rows

    rows = calibration_rows(device)
    if json:
        print_json({"device": device, "operators": rows})
        return
    page = Page()
    columns = ("operator and format", "t0", "compute", "memory", "grade", "error")
    cells = [
        [
            f"{row['operator']} {row['format']}",
            f"{row['t0_s'] * 1e6:.3g} us",
            f"{row['e_c']:.2f}",
            f"{row['e_m']:.2f}",
            row["grade"],
            f"{row['rse']:.0%}",
        ]
        for row in rows
    ]
    page.table(f"{device}: fractions of nominal peaks", columns, cells)
    page.items("sources", sorted({row["source"] for row in rows if row["source"]}))
    page.show()
