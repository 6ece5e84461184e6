"""``hetsim calibrate leave-out``: how far transferred calibrations are off."""

from __future__ import annotations

import os
from typing import Annotated, Optional

import typer

from hetsim.cli._calibrate import calibrate, table_roots

__all__ = ["leave_out"]


@calibrate.command("leave-out")
def leave_out(
    adapters: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it at run time
        typer.Argument(metavar="[ADAPTER]...", help="Readers of tables; else all installed."),
    ] = None,
    device: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="NAME", help="Only this device; may repeat."),
    ] = None,
    root: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(metavar="ADAPTER=FOLDER", help="Where an adapter's tables lie; may repeat."),
    ] = None,
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE.md", help="Write the table there too."),
    ] = None,
) -> None:
    """Predict each measured device from its relatives, as if it had never been measured."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from pathlib import Path

    from hetsim.calibrate import leave_out_page, leave_out_tables

    found = leave_out_tables(
        adapters or ["aiconfigurator"], accelerators=device or None, roots=table_roots(root or [])
    )
    text = leave_out_page(found)
    print(text)
    if out is not None:
        from hetsim.calibrate import publish

        publish(Path(out), text)
