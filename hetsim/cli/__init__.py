"""The command line: parse, call, print; the only room that exits the process.

Read ``_app.py`` first (errors and exit codes), then one file per group of commands; ``_page.py``
and ``_render.py`` are what people see. Results go to stdout, everything else to stderr. Heavy
imports stay inside the commands: ``hetsim --help`` is answered without them. A new command is a
function with ``@app.command()`` in its file, imported below in the order of the help.
"""

from hetsim.cli import (  # noqa: I001 - the order of the help
    _run,
    _sweep,
    _report,
    _inspect,
    _trace,
    _profiles,
    _validate,
    _calibrate,
    _new,
)
from hetsim.cli._app import app, invoke, main

__all__ = [
    "_calibrate",
    "_inspect",
    "_new",
    "_profiles",
    "_report",
    "_run",
    "_sweep",
    "_trace",
    "_validate",
    "app",
    "invoke",
    "main",
]
