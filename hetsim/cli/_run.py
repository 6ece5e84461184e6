"""``hetsim run``."""

from __future__ import annotations

from typing import Annotated, Any, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json, ScenarioFile, Seed, Sets, Workload
from hetsim.cli._progress import Progress, note

__all__ = ["run"]


@app.command()
def run(
    scenario: ScenarioFile,
    workload: Workload = None,
    out: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="DIR", help="Write a run directory; else nothing is written."),
    ] = None,
    sets: Sets = None,
    seed: Seed = None,
    json: Json = False,
    plot: Annotated[
        bool, typer.Option("--plot", help="Draw an overview into the run directory.")
    ] = False,
    trace: Annotated[
        bool, typer.Option("--trace", help="Add trace.json.gz, which ui.perfetto.dev opens.")
    ] = False,
    find_rate: Annotated[
        bool, typer.Option("--find-rate", help="Find the largest rate that meets the SLO.")
    ] = False,
    stepwise: Annotated[
        bool, typer.Option("--stepwise", help="Simulate every decode step (slow; the reference).")
    ] = False,
    check_laws: Annotated[
        bool, typer.Option("--check-laws", help="Check the laws after every event (slow).")
    ] = False,
    uncertainty: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="Run N sampled calibrations, and give intervals."),
    ] = 0,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run directory that exists.")
    ] = False,
) -> None:
    """Simulate a scenario and print what became of its requests."""
    from hetsim.cli._page import print_json
    from hetsim.cli._render import print_capacity, print_summary
    from hetsim.scenario import load_scenario

    extras: dict[str, Any] = {
        "--out": out,
        "--plot": plot,
        "--trace": trace,
        "--stepwise": stepwise,
        "--check-laws": check_laws,
    }
    _refuse_clashes(find_rate, uncertainty, extras)
    loaded = load_scenario(scenario, sets=sets or (), workload_file=workload, seed=seed)
    if find_rate:
        from hetsim.run import find_capacity

        found = find_capacity(loaded, progress=note)
        print_json(found) if json else print_capacity(found)
        return
    if uncertainty:
        from hetsim.run import with_uncertainty

        with Progress() as progress:
            sampled = with_uncertainty(loaded, uncertainty, progress).summary
        print_json(sampled) if json else print_summary(sampled)
        return
    from hetsim.run import run as simulate

    with Progress() as progress:
        result = simulate(
            loaded,
            out=out,
            stepwise=stepwise,
            check_laws=check_laws,
            overwrite=overwrite,
            plot=plot,
            also=_write_trace if trace else None,
            progress=progress,
        )
    print_json(result.summary) if json else print_summary(result.summary)
    note(f"done in {result.summary['wall_s']:.2f} s")
    if out is not None:
        note(f"written to {out}")


def _write_trace(result: Any) -> None:
    from hetsim.timeline import FILE, write_trace

    write_trace(result, result.folder / FILE)


def _refuse_clashes(find_rate: bool, uncertainty: int, extras: dict[str, Any]) -> None:
    from hetsim.errors import Problem, ScenarioError

    problems: list[Problem] = []
    if find_rate or uncertainty:
        other = "--find-rate" if find_rate else "--uncertainty"
        if find_rate and uncertainty:
            problems.append(Problem("does not go with --find-rate", "--uncertainty"))
        problems += [
            Problem(f"does not go with {other}, which writes nothing", name)
            for name, given in extras.items()
            if given
        ]
    elif extras["--out"] is None:
        problems = [
            Problem("needs a place to write to; add --out DIR", name)
            for name in ("--plot", "--trace")
            if extras[name]
        ]
    if problems:
        raise ScenarioError(problems)
