"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

__all__ = ["Json", "ScenarioFile", "Seed", "Sets", "Workload"]

Sets = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it at run time
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one field, such as workload.rate='4 req/s'; may repeat.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Seed = Annotated[
    Optional[int],  # noqa: UP045
    typer.Option(metavar="N", help="Seed in place of the scenario's."),
]
Workload = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        metavar="FILE[:FORMAT]",
        help="Replay a trace in place of the whole workload section (formats: see hetsim trace "
        "--help).",
    ),
]


def _shipped(incomplete: str) -> list[str]:
    """Return the shipped scenarios that begin with what is typed; files are the shell's part."""
    from hetsim.spec import data_root

    names = sorted(path.stem for path in data_root("scenarios").glob("*.yaml"))
    return [name for name in names if name.startswith(incomplete)]


ScenarioFile = Annotated[
    str,
    typer.Argument(
        metavar="SCENARIO",
        help="A YAML file, or the name of a shipped scenario.",
        autocompletion=_shipped,
    ),
]
