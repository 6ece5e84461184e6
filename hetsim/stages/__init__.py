"""The SimPy processes that know LLM serving: source, pools, hand-off.

Read ``_simulate.py`` first (what is connected to what), then ``_pool.py`` (alarms and instances),
``_handoff.py`` (instructions of an ownership machine carried out), ``_source.py``, ``_world.py``.
``_tiers.py`` keeps prompts below HBM, ``_transit.py`` is the store between two pools.
Nothing here computes a time or decides: it waits, asks, reports.
"""

from hetsim.stages._build import build_plan, placement_of, pool_order
from hetsim.stages._build_boundary import default_engine, representations
from hetsim.stages._kinds import TRANSFER_KINDS
from hetsim.stages._plan import BoundaryPlan, PoolPlan, SimulationPlan
from hetsim.stages._residency_plan import ResidencyPlan, TierPlan, TransitPlan, copy_cost
from hetsim.stages._simulate import simulate
from hetsim.stages._step_bound import beats_may_be_late, longest_step_s
from hetsim.stages._world import REASONS, USUAL_REASONS, World

__all__ = [
    "REASONS",
    "TRANSFER_KINDS",
    "USUAL_REASONS",
    "BoundaryPlan",
    "PoolPlan",
    "ResidencyPlan",
    "SimulationPlan",
    "TierPlan",
    "TransitPlan",
    "World",
    "beats_may_be_late",
    "build_plan",
    "copy_cost",
    "default_engine",
    "longest_step_s",
    "placement_of",
    "pool_order",
    "representations",
    "simulate",
]
