"""``hetsim interactions``, ``breakeven``, ``rank`` and ``robustness``: reading a design space."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json
from hetsim.cli._progress import Progress, note

__all__ = ["breakeven", "interactions", "rank", "robustness"]

Target = Annotated[
    str, typer.Argument(metavar="DIR", help="A sweep directory; or a sweep file or shipped name.")
]
Text = Annotated[Optional[str], typer.Option()]  # noqa: UP045 - typer reads it at run time
Texts = Optional[list[str]]  # noqa: UP045
Processes = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(metavar="N", help="Processes, if the sweep must run; left out: one per core."),
]


@app.command(short_help="Say which decisions must be made jointly.")
def interactions(target: Target, workers: Processes = None, json: Json = False) -> None:
    """Say which decisions must be made jointly; runs the sweep first if need be."""
    from hetsim.cli._answers import print_interactions
    from hetsim.cli._page import print_json
    from hetsim.decisions import interactions as find

    found = find(_result(target, workers, "interactions"))
    print_json(found) if json else print_interactions(found)


@app.command(short_help="Rank the best designs, with what would overturn it.")
def rank(
    target: Target,
    top: Annotated[int, typer.Option(metavar="K", min=2, help="Designs per regime.")] = 3,
    samples: Annotated[int, typer.Option(metavar="N", min=2, help="Sampled calibrations.")] = 20,
    workers: Processes = None,
    json: Json = False,
) -> None:
    """Rank the best designs with their uncertainty, and say what would overturn it."""
    from hetsim.cli._answers import print_ranking
    from hetsim.cli._page import print_json
    from hetsim.decisions import ranking as find

    result = _result(target, workers, "rank")
    with Progress() as tell:
        found = find(result, top=top, samples=samples, progress=tell)
    print_json(found) if json else print_ranking(found)


@app.command(short_help="Compare designs over all regimes: regret, minimax.")
def robustness(target: Target, workers: Processes = None, json: Json = False) -> None:
    """Compare designs over all regimes: regret, minimax choice, where P:D must change."""
    from hetsim.cli._answers import print_robustness
    from hetsim.cli._page import print_json
    from hetsim.decisions import robustness as find

    found = find(_result(target, workers, "robustness"))
    print_json(found) if json else print_robustness(found)


@app.command(short_help="Find where one alternative stops beating another.")
def breakeven(
    target: Annotated[
        str, typer.Argument(metavar="BASE", help="A scenario, or a sweep directory (its base).")
    ],
    along: Annotated[
        str,
        typer.Option(metavar="PATH=LOW..HIGH", help="Axis, such as network.nic=25..400 Gbit/s."),
    ],
    a: Annotated[
        Texts, typer.Option("--a", metavar="KEY=VALUE", help="First alternative; may repeat.")
    ] = None,
    b: Annotated[
        Texts, typer.Option("--b", metavar="KEY=VALUE", help="Second alternative; may repeat.")
    ] = None,
    across: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="PATH=LOW..HIGH", help="A second axis: the frontier is a line."),
    ] = None,
    metric: Annotated[
        str, typer.Option(help="Per dollar at the sustainable rate, rate_req_s, or a summary's.")
    ] = "goodput_req_per_usd",
    seeds: Annotated[int, typer.Option(metavar="N", min=1, help="Seeds to average over.")] = 1,
    steps: Annotated[int, typer.Option(metavar="N", min=1, help="Halvings of a crossing.")] = 5,
    lines: Annotated[int, typer.Option(metavar="N", min=2, help="Places across.")] = 7,
    plot: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="FILE", help="Draw the map (PNG, SVG or PDF)."),
    ] = None,
    json: Json = False,
) -> None:
    """Find where one alternative stops beating another, simulated and in closed form."""
    from hetsim.cli._answers import print_breakeven
    from hetsim.cli._page import print_json
    from hetsim.decisions import (
        BREAKEVEN_KEY,
        Alternative,
        add_record,
        draw_breakeven,
        parse_span,
    )
    from hetsim.decisions import breakeven as find
    from hetsim.scenario import parse_set

    base, folder = _base(target)
    pair = [
        Alternative(_named(texts, "the base"), [parse_set(text) for text in texts or ()])
        for texts in (a, b)
    ]
    first = base.scenario.seed
    with Progress() as tell:
        found = find(
            base,
            pair[0],
            pair[1],
            parse_span(along),
            parse_span(across, "--across") if across is not None else None,
            metric=metric,
            seeds=range(first, first + seeds),
            lines=lines,
            steps=steps,
            progress=tell,
        )
    if folder is not None:
        path = add_record(folder, "breakeven", found, BREAKEVEN_KEY)
        note(f"written to {path}")
    print_json(found) if json else print_breakeven(found)
    if plot is not None:
        draw_breakeven(found, plot)
        note(f"drawn to {plot}")


def _named(texts: list[str] | None, nothing: str) -> str:
    return ", ".join(texts) if texts else nothing


def _result(target: str, workers: int | None, command: str) -> Any:
    """Return the sweep in a directory, or run the one that is named, which resumes by itself."""
    from hetsim.errors import ScenarioError
    from hetsim.run import folder_kind, wrong_folder
    from hetsim.sweep import load_sweep, load_sweep_result, sweep

    path = Path(target)
    if path.is_dir():
        if folder_kind(path) != "sweep":
            raise ScenarioError(wrong_folder(path, f"hetsim {command}", ("sweep",)))
        return load_sweep_result(target)
    loaded = load_sweep(target)
    folder = f"{Path(target).stem}.sweep"
    note(f"sweeping into {folder}")
    try:
        with Progress() as tell:
            shown = (lambda done, total, _: tell(done, total)) if tell is not None else None
            return sweep(loaded, out=folder, workers=workers, progress=shown)
    except KeyboardInterrupt:
        note(f"interrupted; finished points are kept in {folder}: the same command resumes")
        raise typer.Exit(130) from None


def _base(target: str) -> tuple[Any, Path | None]:
    """Return a scenario, and the sweep directory whose base it is, if it is one."""
    from hetsim.scenario import load_data, load_scenario, shipped_scenario

    path = Path(target)
    if not path.is_dir() or shipped_scenario(target) is not None:
        return load_scenario(target), None
    from hetsim.errors import ScenarioError
    from hetsim.run import folder_kind, wrong_folder
    from hetsim.sweep import load_sweep_result

    if folder_kind(path) != "sweep":
        raise ScenarioError(wrong_folder(path, "hetsim breakeven", ("sweep",)))

    result = load_sweep_result(target)
    data = result.manifest["base"]
    return load_data(data, base_dir=Path(target), file=str(target)), Path(target)
