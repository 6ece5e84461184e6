"""Many scenarios from one: axes, designs, screening by bounds, parallel runs that resume.

Read ``_types.py`` first (a sweep as it is written), then ``_load.py`` and ``_sweep.py`` (what a run
of it does). ``_rounds.py`` decides what is simulated; its bounds come from ``_screen.py``, which
gathers from ``_tables.py`` what ``_stages.py`` says of one pool and its requests. ``_journal.py``
keeps finished points, ``_workers.py`` runs them. A new design is a class in ``_types.py`` and a
function in ``_designs.py``; a new objective with a bound is a column of ``_screen.Bounds``.
"""

import sys
from types import ModuleType

from hetsim.sweep._axes import Level, Levels
from hetsim.sweep._journal import OutOfSpace
from hetsim.sweep._load import LoadedSweep, load_sweep, sweep_data, sweep_names
from hetsim.sweep._metrics import known_metrics, metric_problem
from hetsim.sweep._objectives import front_rows, sense_of
from hetsim.sweep._points import content_hash, flatten
from hetsim.sweep._result import SweepResult, load_sweep_result
from hetsim.sweep._schema import sweep_schema
from hetsim.sweep._screen import Bounds, screen_arrays
from hetsim.sweep._search import search
from hetsim.sweep._sweep import sweep
from hetsim.sweep._tables import Tables
from hetsim.sweep._types import Axis, Replications, Response, SweepSpec

__all__ = [
    "Axis",
    "Bounds",
    "Level",
    "Levels",
    "LoadedSweep",
    "OutOfSpace",
    "Replications",
    "Response",
    "SweepResult",
    "SweepSpec",
    "Tables",
    "content_hash",
    "flatten",
    "front_rows",
    "known_metrics",
    "load_sweep",
    "load_sweep_result",
    "metric_problem",
    "screen_arrays",
    "search",
    "sense_of",
    "sweep",
    "sweep_data",
    "sweep_names",
    "sweep_schema",
]


class _Door(ModuleType):
    """``hetsim.sweep`` is this room and, as people type it, the function of the same name."""

    __call__ = staticmethod(sweep)


# Importing a room sets its name in the package, over the function that ``hetsim.sweep`` promises.
sys.modules[__name__].__class__ = _Door
