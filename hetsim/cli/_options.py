"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

Sets = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it at run time
    typer.Option("--set", metavar="KEY=VALUE", help="Change one field of the scenario; may repeat."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Seed = Annotated[Optional[int], typer.Option(help="Seed in place of the scenario's.")]  # noqa: UP045
Workload = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(metavar="FILE[:FORMAT]", help="Replay a trace in place of the scenario's workload."),
]
ScenarioFile = Annotated[str, typer.Argument(metavar="SCENARIO", help="A file, or a shipped name.")]
