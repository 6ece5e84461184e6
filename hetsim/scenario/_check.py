"""Rules between fields: every one is asked, so that all problems come at once.

A rule takes the :class:`Parts` of a scenario and yields problems. To add one, write it in the file
of its section and list it below.
"""

from __future__ import annotations

from pathlib import Path

from hetsim.errors import ScenarioError
from hetsim.scenario import (
    _rules_boundary,
    _rules_faults,
    _rules_pools,
    _rules_residency,
    _rules_rest,
    _rules_workload,
)
from hetsim.scenario._parts import Parts
from hetsim.scenario._places import Places
from hetsim.scenario._rules_workload import refuse_too_long
from hetsim.scenario._types import Scenario

__all__ = ["check_fits", "check_scenario"]

RULES = (
    *_rules_pools.RULES,
    *_rules_boundary.RULES,
    *_rules_workload.RULES,
    *_rules_faults.RULES,
    *_rules_residency.RULES,
    *_rules_rest.RULES,
)


def check_scenario(scenario: Scenario, base_dir: str | Path = ".") -> None:
    """Hold a scenario to every rule between its fields.

    Raises
    ------
    ScenarioError
        With every problem; paths only, see :func:`hetsim.scenario.locate` for lines.
    """
    parts = Parts(scenario, Path(base_dir))
    problems = [*parts.problems]
    for rule in RULES:
        problems += rule(parts)
    unique = dict.fromkeys(problems)
    if unique:
        raise ScenarioError(list(unique))


def check_fits(scenario: Scenario, base_dir: str | Path, places: Places, file: str) -> None:
    """Refuse a workload of which no request fits the model; the scenario passed the rules.

    Raises
    ------
    InfeasibleError
        With need, have and the terms.
    """
    refuse_too_long(Parts(scenario, Path(base_dir)), places, file)
