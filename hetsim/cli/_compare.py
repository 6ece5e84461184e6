"""``hetsim compare``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json
from hetsim.cli._progress import note

if TYPE_CHECKING:
    from hetsim.report import Comparison

__all__ = ["compare"]


@app.command()
def compare(
    folders: Annotated[
        list[str], typer.Argument(metavar="DIR", help="Directories that run has written.")
    ],
    out: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="FILE", help="Write the comparison there as well, as HTML."),
    ] = None,
    json: Json = False,
) -> None:
    """Show what differs between runs, and where it comes from."""
    from hetsim.cli._page import print_json
    from hetsim.report import compare as make
    from hetsim.report import compare_report

    found = make(folders)
    if out is not None:
        compare_report(found, Path(out))
    if json:
        print_json(found.data())
    else:
        _print(found)
    if out is not None:
        note(f"written to {out}")


def _print(found: Comparison) -> None:
    from hetsim.cli._page import Page
    from hetsim.report import change_text
    from hetsim.units import format_seconds

    page, letters = Page(), found.letters
    for name, folder in zip(found.names(), found.folders, strict=True):
        page.line(f"{name} ({folder})", "bold")
    fields = [
        [row["path"], *("-" if value is None else str(value) for value in row["values"])]
        for row in found.scenario
    ]
    if fields:
        page.table("differs in the scenario", ("", *letters), fields, left=1 + len(letters))
    else:
        page.items("differs in the scenario", ["nothing"])
    numbers = [row for row in found.result if row["name"] != "bottleneck"]
    rows = [
        [row["name"], *(f"{text}{change_text(change)}" for text, change in
                        zip(row["texts"], row["change"], strict=True))]
        for row in numbers
    ]  # fmt: skip
    page.table(f"result (change against {letters[0]})", ("", *letters), rows)
    words = next(row["texts"] for row in found.result if row["name"] == "bottleneck")
    page.items("bottleneck", [f"{x}: {word}" for x, word in zip(letters, words, strict=True)])
    path = [[row["part"], *map(format_seconds, row["mean_s"])] for row in found.path]
    if path:
        page.table("where a request's time goes (mean)", ("", *letters), path)
    page.items("where it comes from", found.sentences())
    page.items("mind", found.doubts())
    page.show()
