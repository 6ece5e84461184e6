"""Scenario -> plan -> simulation -> result, and the run directory.

Read ``_run.py`` first, then ``_result.py`` (what a caller gets) and ``_directory.py`` (written
whole or not at all). ``_economics.py`` gives dollars and watts, ``_assumptions.py`` what must be
known to believe a result, ``_limits.py`` refuses runs that would not end, ``_capacity.py`` finds
the largest rate under the SLO (``_bound.py``: closed form; ``_sustained.py``: fast, for sweeps),
``_overview.py`` draws. ``_uncertainty.py`` samples parameters, and adds what the model leaves out
(``_discrepancy.py``, ``_moved.py``).
"""

import sys
from types import ModuleType

from hetsim.run._assumptions import assumptions, worst_pool_grade
from hetsim.run._bound import (
    Demand,
    StageBounds,
    decode_step_s,
    demand_of,
    prefill_s,
    stage_bounds,
)
from hetsim.run._capacity import find_capacity
from hetsim.run._discrepancy import (
    Discrepancy,
    Mixture,
    Scale,
    load_discrepancy,
    no_discrepancy,
    situation_of,
)
from hetsim.run._economics import notes_on_power, pool_power, power_of
from hetsim.run._folders import folder_kind, wrong_folder
from hetsim.run._limits import check_fits, check_limits, estimate
from hetsim.run._moved import arrivals_given, moved_figures
from hetsim.run._overview import draw_overview, overview_tables
from hetsim.run._result import Result, headline, load_result, plain
from hetsim.run._run import run, run_info, run_loaded, summarise_run
from hetsim.run._sustained import sustainable_rate
from hetsim.run._uncertainty import with_uncertainty

__all__ = [
    "Demand",
    "Discrepancy",
    "Mixture",
    "Result",
    "Scale",
    "StageBounds",
    "arrivals_given",
    "assumptions",
    "check_fits",
    "check_limits",
    "decode_step_s",
    "demand_of",
    "draw_overview",
    "estimate",
    "find_capacity",
    "folder_kind",
    "headline",
    "load_discrepancy",
    "load_result",
    "moved_figures",
    "no_discrepancy",
    "notes_on_power",
    "overview_tables",
    "plain",
    "pool_power",
    "power_of",
    "prefill_s",
    "run",
    "run_info",
    "run_loaded",
    "situation_of",
    "stage_bounds",
    "summarise_run",
    "sustainable_rate",
    "with_uncertainty",
    "worst_pool_grade",
    "wrong_folder",
]


class _Door(ModuleType):
    """``hetsim.run`` is this room and, as people type it, the function of the same name."""

    __call__ = staticmethod(run)


# Importing a room sets its name in the package, over the function that ``hetsim.run`` promises.
sys.modules[__name__].__class__ = _Door
