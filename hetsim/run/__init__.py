"""Scenario -> plan -> simulation -> result, and the run directory.

Read ``_run.py`` first, then ``_result.py`` (what a caller gets) and ``_directory.py`` (written whole
or not at all). ``_economics.py`` gives dollars and watts, ``_assumptions.py`` what must be known to
believe a result, ``_limits.py`` refuses runs that would not end.
"""

from hetsim.run._economics import notes_on_power, pool_power
from hetsim.run._limits import check_limits, estimate
from hetsim.run._result import Result, headline, load_result, plain
from hetsim.run._run import run, run_info, run_loaded, summarise_run

__all__ = [
    "Result",
    "check_limits",
    "estimate",
    "headline",
    "load_result",
    "notes_on_power",
    "plain",
    "pool_power",
    "run",
    "run_info",
    "run_loaded",
    "summarise_run",
]
