"""The application, its errors and its exit codes."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from hetsim._version import __version__
from hetsim.errors import HetsimError, InfeasibleError, InvalidTransition, InvariantViolated

__all__ = ["app", "main"]

app = typer.Typer(
    name="hetsim",
    help="Simulate heterogeneous prefill-decode LLM inference.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"hetsim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Simulate heterogeneous prefill-decode LLM inference."""


def _code(error: HetsimError) -> int:
    if isinstance(error, (InvariantViolated, InvalidTransition)):
        return 4
    return 3 if isinstance(error, InfeasibleError) else 2


def _say(error: HetsimError) -> None:
    text = str(error)
    if isinstance(error, (InvariantViolated, InvalidTransition)):
        text += "\nThis is a defect of hetsim; please report it with the lines above."
    print(text, file=sys.stderr)


def main(args: list[str] | None = None) -> None:
    """Run the command line; the only place that exits the process."""
    sys.exit(invoke(args))


def invoke(args: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    import click

    command: Any = typer.main.get_command(app)
    try:
        code = command.main(args=args, prog_name="hetsim", standalone_mode=False)
        return int(code or 0)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.exceptions.Abort, KeyboardInterrupt):
        print("interrupted; nothing was written", file=sys.stderr)
        return 130
    except HetsimError as error:
        _say(error)
        return _code(error)
    except BrokenPipeError:
        # The reader of our output has gone (as `| head` does).
        sys.stderr.close()
        return 0
    except MemoryError:
        print("out of memory; use fewer requests or give --out", file=sys.stderr)
        return 3
