"""Whether a tensor-parallel degree can cut a model."""

from __future__ import annotations

from hetsim.errors import Problem, ScenarioError
from hetsim.model._types import Model
from hetsim.model.attention import attention_of

__all__ = ["tp_problems"]


def tp_problems(model: Model, tp: int) -> tuple[Problem, ...]:
    """Return what stands against cutting the heads of ``model`` over ``tp`` ranks; none = fine.

    Heads must divide evenly; KV heads may instead be replicated on ranks beyond their number.
    """
    found: dict[str, Problem] = {}
    for group in model.layers:
        try:
            attention_of(group.attention).gemms(model.hidden, tp)
        except ScenarioError as error:
            for problem in error.problems:
                found[problem.message] = problem
    return tuple(found.values())
