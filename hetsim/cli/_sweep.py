"""``hetsim sweep`` and ``hetsim search``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json

__all__ = ["search", "sweep"]

SweepFile = Annotated[str, typer.Argument(metavar="SWEEP", help="A file, or a shipped name.")]
Text = Optional[str]  # noqa: UP045 - typer reads it at run time
Processes = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(metavar="N", help="Processes; left out: one per core."),
]


@app.command()
def sweep(
    file: SweepFile,
    out: Annotated[
        Text, typer.Option(metavar="DIR", help="Directory of results; left out: NAME.sweep here.")
    ] = None,
    workers: Processes = None,
    cluster: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="ADDRESS", help="Dask, tcp://host:8786, or Ray, ray://host:10001."),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep DIR/report.html up to date meanwhile.")
    ] = False,
    json: Json = False,
) -> None:
    """Screen and simulate a design space; resumes by itself."""
    from hetsim.cli._page import print_json
    from hetsim.sweep import sweep as run

    folder = out or f"{Path(file).stem}.sweep"
    live = _live(folder) if watch else None
    with live or nullcontext(), _Bar("sweeping") as bar:
        try:
            result = run(
                file, out=folder, workers=workers, cluster=cluster, progress=bar, watch=live
            )
        except KeyboardInterrupt:
            _stopped(folder)
    if live is not None:
        live.finish(result)
    if json:
        print_json(result.summary())
    else:
        _print_sweep(result)
    now = result.manifest["simulated_now"]
    print(f"{now} runs simulated in {result.manifest['wall_s']:.1f} s", file=sys.stderr)
    print(f"written to {folder}", file=sys.stderr)


def _live(folder: str) -> Any:
    from hetsim.report import Watch

    print(f"open {Path(folder) / 'report.html'} to follow", file=sys.stderr)
    return Watch(folder)


def _stopped(folder: str) -> None:
    text = f"interrupted; finished points are kept in {folder}: the same command resumes"
    print(text, file=sys.stderr)
    raise typer.Exit(130) from None


def _print_sweep(result: Any) -> None:
    """Print who won, what became of the points, and what the screen was worth."""
    from hetsim.cli._page import Page

    page, found = Page(), result.summary()
    metric, best, seeds = found["response"], found["best"], len(found["seeds"])
    counts = ", ".join(f"{count} {word}" for word, count in found["counts"].items())
    page.line(f"{found['name']}: {found['points']} points, {seeds} seeds: {counts}", "bold")
    if best:
        names = list(best[0]["levels"])
        rows = [[*one["levels"].values(), f"{one[metric]:.4g}"] for one in best]
        title = "best of each condition" if result.conditions else "best"
        page.table(title, (*names, metric), rows, left=len(names))
    page.items("screen", _screen_lines(found["screen"]))
    reasons = list(found["reasons"].items())[:5]
    page.items("not simulated", [f"{count} rows: {reason}" for reason, count in reasons])
    page.show()


def _screen_lines(worth: Mapping[str, Any]) -> list[str]:
    lines = [f"{worth['screened_ratio']:.0%} of the points screened"]
    whole, full = worth["bound_over_simulated"], worth["bound_over_simulated_saturating"]
    if whole is not None:
        text = f"bound / simulated goodput, median: {whole:.3g}"
        if full is not None:
            text += f"; {full:.3g} under saturating load ({worth['saturating_rows']} rows)"
        lines.append(text)
    return lines


@app.command()
def search(
    file: SweepFile,
    trials: Annotated[int, typer.Option(metavar="N", help="Points to try in all.")] = 200,
    out: Annotated[
        Text, typer.Option(metavar="DIR", help="Directory of results; left out: NAME.search here.")
    ] = None,
    workers: Processes = None,
    json: Json = False,
) -> None:
    """Search a space too large to enumerate; resumes by itself."""
    from hetsim.cli._page import print_json
    from hetsim.sweep import search as run

    folder = out or f"{Path(file).stem}.search"
    with _Bar("searching") as bar:
        try:
            found = run(file, out=folder, trials=trials, workers=workers, progress=bar)
        except KeyboardInterrupt:
            _stopped(folder)
    if json:
        print_json(found)
    else:
        _print_front(found)
    print(f"written to {folder}", file=sys.stderr)


def _print_front(found: Mapping[str, Any]) -> None:
    from hetsim.cli._page import Page

    page, front = Page(), found["front"]
    page.line(
        f"{found['name']}: {found['simulated']} points simulated, {found['screened']} screened, "
        f"{found['failed']} could not run",
        "bold",
    )
    if front:
        names, metrics = list(front[0]["levels"]), list(found["objectives"])
        rows = [
            [*point["levels"].values(), *(f"{point['values'][name]:.4g}" for name in metrics)]
            for point in front
        ]
        page.table("front", (*names, *metrics), rows, left=len(names))
    page.show()


class _Bar:
    """A bar with the time left and the best so far, on a terminal only."""

    def __init__(self, word: str) -> None:
        self.word = word
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Any:
        if not sys.stderr.isatty():
            return None
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
        from rich.progress import TimeRemainingColumn as Left

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            Left(),
            TextColumn("{task.fields[best]}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._bar.start()
        self._task = self._bar.add_task(self.word, total=None, best="")
        return self._tell

    def _tell(self, done: int, total: int, best: str) -> None:
        self._bar.update(self._task, completed=done, total=total, best=best and f"best: {best}")

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
