"""``hetsim claims``: guidance as experiments."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json
from hetsim.cli._progress import note

__all__ = ["claims"]


@app.command(short_help="Test pieces of design guidance as experiments.")
def claims(
    names: Annotated[
        Optional[list[str]],  # noqa: UP045 - typer reads it at run time
        typer.Argument(metavar="NAME", help="Claim files or shipped names; left out: all."),
    ] = None,
    out: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DIR", help="Keep points (a rerun resumes), claims.json, claims.md."),
    ] = None,
    published: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="TABLE.csv", help="Published heterogeneous claims, by their table."),
    ] = None,
    report: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE.md", help="With --published: write the table as Markdown."),
    ] = None,
    joint: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="DIR", help="A finished sweep that says which axes interact."),
    ] = None,
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(metavar="N", help="Processes; left out: one per core."),
    ] = None,
    json: Json = False,
) -> None:
    """Test each piece of design guidance: supported, refuted, or on what it depends."""
    from hetsim.cli._claims_page import print_claims, print_published
    from hetsim.cli._page import print_json
    from hetsim.decisions import run_claims, run_published, write_published

    try:
        if published is None:
            found = run_claims(
                names or (), out=out, workers=workers, joint=joint, progress=_teller()
            )
        else:
            found = run_published(published, out=out, workers=workers, progress=_teller())
    except KeyboardInterrupt:
        kept = f"; finished points are kept in {out}: the same command resumes" if out else ""
        note(f"interrupted{kept}")
        raise typer.Exit(130) from None
    if published is not None and report is not None:
        write_published(report, found)
        note(f"written to {report}")
    if json:
        print_json(found)
        return
    print_published(found) if published is not None else print_claims(found)


def _teller() -> Any:
    if not sys.stderr.isatty():
        return None

    def tell(name: str, done: int, total: int) -> None:
        end = "\n" if done >= total else ""
        print(f"\r{name}: {done} of {total} points", end=end, file=sys.stderr, flush=True)

    return tell
