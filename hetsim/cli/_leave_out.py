"""``hetsim calibrate leave-out``: how far transferred calibrations are off."""

from __future__ import annotations

import os
from typing import Annotated, Optional

import typer

from hetsim.cli._calibrate import Adapters, Devices, Roots, calibrate, table_roots

__all__ = ["leave_out"]


@calibrate.command("leave-out", short_help="Predict measured devices from relatives alone.")
def leave_out(
    adapters: Adapters = None,
    device: Devices = None,
    root: Roots = None,
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
    text = leave_out_page(found, _made_by(adapters or [], device or [], root or [], out))
    print(text)
    if out is not None:
        from hetsim.calibrate import publish

        publish(Path(out), text)


def _made_by(adapters: list[str], devices: list[str], roots: list[str], out: str | None) -> str:
    """Return the command as one would type it, folders left out, and the day."""
    from datetime import date
    from pathlib import Path

    words = ["hetsim calibrate leave-out", *adapters]
    words += [f"--device {name}" for name in devices]
    words += [f"--root {root.split('=', 1)[0]}=DIR" for root in roots]
    if out is not None:
        words.append(f"--out {Path(out).name}")
    return f"{' '.join(words)}` on `{date.today().isoformat()}"
