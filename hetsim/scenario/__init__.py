"""YAML to typed, checked scenarios.

Read ``_types.py`` first: every field of a scenario. ``_load.py`` reads a file, applies ``--set`` and
``--workload``, and names every problem at its line; ``_resolve.py`` writes the whole back out.
"""

from hetsim.scenario._types import (
    Boundary,
    ConstantCosts,
    Fault,
    Limits,
    Parallel,
    Pool,
    PrecisionSpec,
    RooflineCosts,
    Scenario,
    Slo,
)

__all__ = [
    "Boundary",
    "ConstantCosts",
    "Fault",
    "Limits",
    "Parallel",
    "Pool",
    "PrecisionSpec",
    "RooflineCosts",
    "Scenario",
    "Slo",
]
