"""``hetsim export`` and ``hetsim observe``: to a deployment, and back from its measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from hetsim.cli._app import app
from hetsim.cli._options import Json
from hetsim.cli._progress import Progress, note

if TYPE_CHECKING:
    from hetsim.deploy import Comparison, Export

__all__ = ["export", "observe"]


def _targets(incomplete: str) -> list[str]:
    from hetsim.deploy import target_names

    return [name for name in target_names() if name.startswith(incomplete)]


def _shipped(incomplete: str) -> list[str]:
    from hetsim.scenario import scenario_names

    return [name for name in scenario_names() if name.startswith(incomplete)]


Design = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO|DIR",
        help="A scenario, or a directory that run has written.",
        autocompletion=_shipped,
    ),
]


@app.command(short_help="Write a runtime's start commands for a design.")
def export(
    scenario: Design,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="TARGET",
            help="The runtime: vllm, sglang or dynamo.",
            autocompletion=_targets,
        ),
    ],
    out: Annotated[
        Optional[str],  # noqa: UP045 - typer reads it at run time
        typer.Option(metavar="DIR", help="Write the files there; left out: show what they are."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a directory that export has written.")
    ] = False,
    json: Json = False,
) -> None:
    """Write start commands of a design for a runtime, and what it cannot do."""
    from hetsim.cli._page import print_json
    from hetsim.deploy import export as make

    made = make(scenario, to, out, overwrite)
    if json:
        print_json(made.data())
    else:
        _print_export(made, out)
    if out is not None:
        note(f"next: read {Path(out) / 'README.md'}, edit {Path(out) / 'site.env'}")


def _print_export(made: Export, out: str | None) -> None:
    from hetsim.cli._page import Page

    page = Page()
    page.line(f"{made.title}: {len(made.files)} files" + (f" in {out}" if out else ""), "bold")
    if out is None:
        page.pairs([("-", name) for name in sorted(made.files)])
        page.line("nothing was written; give a folder with --out")
    page.items(
        "what it cannot do",
        [f"{gap.field}: asks {gap.asks}; {gap.does}" for gap in made.gaps]
        or ["nothing that the scenario asks"],
    )
    page.show()


@app.command(short_help="Compare a measurement with its prediction.")
def observe(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A result of vLLM, SGLang, AIPerf or GuideLLM, or /metrics."
        ),
    ],
    scenario: Annotated[
        str,
        typer.Option(
            "--scenario",
            metavar="SCENARIO|DIR",
            help="What predicts it: a scenario, or a directory that run has written.",
            autocompletion=_shipped,
        ),
    ],
    json: Json = False,
) -> None:
    """Compare a measurement with its prediction; say what is likely wrong."""
    from hetsim.cli._page import print_json
    from hetsim.deploy import observe as look

    with Progress() as tell:
        found = look(file, scenario, tell)
    if json:
        print_json(found.data())
    else:
        _print_observed(found)


def _print_observed(found: Comparison) -> None:
    from hetsim.cli._page import Page

    page, seen = Page(), found.observation
    page.line(f"{found.scenario} against {seen.format}: {seen.label}", "bold")
    rows = [
        [
            row.name if row.judged else f"{row.name} *",
            _amount(row.name, row.predicted),
            _amount(row.name, row.observed),
            f"{row.ratio:.2f}" if row.ratio is not None else "-",
        ]
        for row in found.rows
    ]
    page.table("", ("", "predicted", "observed", "ratio"), rows)
    if not all(row.judged for row in found.rows):
        page.line("* shown, not judged")
    page.line("")
    page.line(found.says, "bold")
    if found.next_step:
        page.line(found.next_step)
    page.items("mind", found.doubts)
    page.show()


def _amount(name: str, value: float | None) -> str:
    from hetsim.units import format_seconds

    if value is None:
        return "-"
    if name.split(".")[0].endswith("_s"):
        return format_seconds(value)
    unit = {"throughput.req_s": " req/s", "throughput.output_tok_s": " tok/s"}.get(name, "")
    return f"{value:.4g}{unit}"
