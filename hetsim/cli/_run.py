"""``hetsim run``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json, ScenarioFile, Seed, Sets, Workload

__all__ = ["run"]


@app.command()
def run(
    scenario: ScenarioFile,
    workload: Workload = None,
    out: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="DIR", help="Write a run directory; without it nothing is written."),
    ] = None,
    sets: Sets = None,
    seed: Seed = None,
    json: Json = False,
    plot: Annotated[bool, typer.Option("--plot", help="Draw an overview (needs --out).")] = False,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Find the largest rate that meets the SLO.")
    ] = False,
    stepwise: Annotated[
        bool, typer.Option("--stepwise", help="Simulate every decode step (slow; the reference).")
    ] = False,
    check_laws: Annotated[
        bool, typer.Option("--check-laws", help="Check the laws after every event (slow).")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run directory that exists.")
    ] = False,
) -> None:
    """Simulate a scenario and print what became of its requests."""
    from hetsim.cli._render import print_capacity, print_summary
    from hetsim.errors import Problem, ScenarioError
    from hetsim.scenario import load_scenario

    if plot and out is None:
        raise ScenarioError(Problem("needs a place to draw to; add --out DIR", "--plot"))
    loaded = load_scenario(scenario, sets=sets or (), workload_file=workload, seed=seed)
    if find_rate:
        from hetsim.run import find_capacity

        print_capacity(find_capacity(loaded, progress=_note), as_json=json)
        return
    from hetsim.run import run as simulate

    with _Progress() as progress:
        result = simulate(
            loaded,
            out=out,
            stepwise=stepwise,
            check_laws=check_laws,
            overwrite=overwrite,
            progress=progress,
        )
    if plot:
        from hetsim.run import draw_overview

        draw_overview(result)
    if json:
        print(result.to_json())
    else:
        print_summary(result.summary)
    print(f"done in {result.summary['wall_s']:.2f} s", file=sys.stderr)
    if out is not None:
        print(f"written to {out}", file=sys.stderr)


def _note(text: str) -> None:
    print(text, file=sys.stderr)


class _Progress:
    """A bar with the time left, on a terminal only."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Callable[[int, int], None] | None:
        if not sys.stderr.isatty():
            return None
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(stderr=True), transient=True)
        self._bar.start()
        return self._tell

    def _tell(self, done: int, total: int) -> None:
        if self._task is None:
            self._task = self._bar.add_task("simulating", total=total)
        self._bar.update(self._task, completed=done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
