"""The SimPy processes that know LLM serving: source, pools, hand-off.

Read ``_simulate.py`` first (what is connected to what), then ``_pool.py`` (alarms and instances),
``_handoff.py`` (instructions of an ownership machine carried out), ``_source.py``, ``_world.py``.
Nothing here computes a time or decides: it waits, asks, reports.
"""

from hetsim.stages._build import build_plan, placement_of, pool_order
from hetsim.stages._build_boundary import default_engine, representations
from hetsim.stages._plan import BoundaryPlan, PoolPlan, SimulationPlan
from hetsim.stages._simulate import simulate
from hetsim.stages._world import REASONS, World

__all__ = [
    "REASONS",
    "BoundaryPlan",
    "PoolPlan",
    "SimulationPlan",
    "World",
    "build_plan",
    "default_engine",
    "placement_of",
    "pool_order",
    "representations",
    "simulate",
]
