"""The application, its errors and its exit codes."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Any, NoReturn

import typer

from hetsim._version import __version__
from hetsim.errors import HetsimError, InfeasibleError, InvalidTransition, InvariantViolated

__all__ = ["app", "invoke", "main"]

app = typer.Typer(
    name="hetsim",
    help="Simulate heterogeneous prefill-decode LLM inference.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog=(
        "Exit codes: 0 done, 2 the input is wrong, 3 it cannot run, 4 a defect of hetsim, "
        "130 interrupted."
    ),
)

DONE, WRONG, CANNOT_RUN, DEFECT, INTERRUPTED = 0, 2, 3, 4, 130

# Newer releases of typer carry a copy of click, older ones import it: the base class of all
# usage errors is found through one that both export.
_UsageError: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")


def _version(value: bool) -> None:
    if value:
        print(f"hetsim {__version__}")
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
        return DEFECT
    return CANNOT_RUN if isinstance(error, InfeasibleError) else WRONG


def _say(error: HetsimError) -> None:
    text = str(error)
    if _code(error) == DEFECT:
        text += "\nThis is a defect of hetsim; please report it with the lines above."
    print(text, file=sys.stderr)


def _terminated(*_: object) -> NoReturn:
    # As an exception, so that what was half written is removed on the way out.
    raise SystemExit(128 + signal.SIGTERM)


def main(args: list[str] | None = None) -> NoReturn:
    """Run the command line; the only place that exits the process."""
    signal.signal(signal.SIGTERM, _terminated)
    sys.exit(invoke(args))


def invoke(args: list[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Errors are one message on stderr. A defect that is none of our own errors keeps its traceback.
    """
    try:
        return _run(args)
    except BrokenPipeError:
        # The reader of our output has gone (as `| head` does); what is left has no place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except KeyboardInterrupt:
        print("interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
    except HetsimError as error:
        _say(error)
        return _code(error)
    except MemoryError:
        print("out of memory; use fewer requests, or write to disk with --out", file=sys.stderr)
        return CANNOT_RUN
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(f"{place}{error.strerror or error}", file=sys.stderr)
        return WRONG


def _complete(command: Any) -> int:
    """Answer a shell that completes a line; ``hetsim --install-completion`` makes it ask."""
    from typer.completion import completion_init  # type: ignore[attr-defined]

    completion_init()
    command.main(prog_name="hetsim")
    return DONE


def _run(args: list[str] | None) -> int:
    command: Any = typer.main.get_command(app)
    if "_HETSIM_COMPLETE" in os.environ and args is None:
        return _complete(command)
    try:
        # Not ``command.main``: it turns interrupts and closed pipes into exit codes of its own.
        with command.make_context(
            "hetsim", sys.argv[1:] if args is None else list(args)
        ) as context:
            command.invoke(context)
        sys.stdout.flush()
        return DONE
    except typer.Exit as stop:
        sys.stdout.flush()
        return int(stop.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _UsageError as error:
        error.show(file=sys.stderr)
        return int(error.exit_code)
