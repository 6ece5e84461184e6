"""``check``: can it run, how KV crosses, what to beware of. Nothing is simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hetsim.inspect._boundary import boundary_lines, lease_budget
from hetsim.inspect._facts import capacity_rows, facts, placement_rows
from hetsim.inspect._residency import tier_rows
from hetsim.inspect._risks import risks
from hetsim.inspect._subject import Subject
from hetsim.run import assumptions, check_limits, estimate, worst_pool_grade
from hetsim.scenario import Loaded

__all__ = ["check"]


def check(
    scenario: str | Path | Mapping[str, Any] | Loaded,
    sets: Sequence[str] = (),
    workload: str | None = None,
    seed: int | None = None,
) -> dict[str, Any]:
    """Return what is known of a scenario before it runs.

    ``facts``, ``boundary``, ``placement``, ``assumptions`` and ``risks`` are lines for people;
    ``stages`` (offered load against capacity), ``lease`` and ``estimate`` hold the numbers.

    Raises
    ------
    ScenarioError
        If the input is wrong; every problem is named.
    InfeasibleError
        If it cannot run: need, have, short by.
    """
    subject = Subject(scenario, sets, workload, seed)
    with subject.loaded.in_use():
        return _checked(subject)


def _checked(subject: Subject) -> dict[str, Any]:
    check_limits(subject.scenario, subject.plan)
    lease = lease_budget(subject) if subject.plan.boundary is not None else None
    return {
        "name": subject.scenario.name,
        "feasible": True,
        "facts": facts(subject),
        "boundary": boundary_lines(subject),
        "placement": placement_rows(subject),
        "assumptions": assumptions(subject.scenario, subject.plan),
        "risks": risks(subject),
        "stages": capacity_rows(subject),
        "tiers": tier_rows(subject),
        "verdicts": _verdicts(subject),
        "lease": {k: v for k, v in lease.items() if k != "lines"} if lease else None,
        "estimate": estimate(subject.plan),
        "calibration_grade": worst_pool_grade(subject.plan),
    }


def _verdicts(subject: Subject) -> list[str]:
    boundary = subject.plan.boundary
    return [item.kind for item in boundary.verdicts] if boundary is not None else []
