"""The command line: parse, call, print; the only room that exits the process.

Read ``_app.py`` first (errors and exit codes), then one file per group of commands; ``_page.py``
and ``_render.py`` are what people see. Results go to stdout, everything else to stderr. Heavy
imports stay inside the commands: ``hetsim --help`` is answered without them. A new command is a
function with ``@app.command()`` in its file, imported below in the order of the help.
"""

from hetsim.cli import (  # noqa: I001 - the order of the help
    _run,
    _sweep,
    _decisions,
    _claims,
    _report,
    _compare,
    _inspect,
    _trace,
    _profiles,
    _validate,
    _calibrate,
    _leave_out,
    _measure,
    _links,
    _loop,
    _deploy,
    _new,
)
from hetsim.cli._app import app, invoke, main

__all__ = [
    "_calibrate",
    "_claims",
    "_compare",
    "_decisions",
    "_deploy",
    "_inspect",
    "_leave_out",
    "_links",
    "_loop",
    "_measure",
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
