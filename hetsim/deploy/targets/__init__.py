"""Targets of ``hetsim export``: one file per runtime, found by its name.

A target is a module with ``TITLE``, ``abilities(design)`` (what it can be told) and
``files(design)`` (name to text). A new one is a new file here; the contract test then holds it to
the same promises as the others.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Protocol

from hetsim.deploy._abilities import Abilities
from hetsim.deploy._design import Design
from hetsim.errors import Problem, ScenarioError, nearest

__all__ = ["Target", "get_target", "target_names"]


class Target(Protocol):
    """What a module of this folder offers."""

    def abilities(self, design: Design) -> Abilities:
        """Return what the runtime can be told."""

    def files(self, design: Design) -> dict[str, str]:
        """Return the files by name: scripts, configuration, site.env."""

    def notes(self, design: Design) -> list[str]:
        """Return what must be known or installed beside, as lines."""


def target_names() -> tuple[str, ...]:
    """Return the names of all targets, sorted."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


def get_target(name: str) -> Target:
    """Return a target by name.

    Raises
    ------
    ScenarioError
        If there is none of that name.
    """
    if name not in target_names():
        raise ScenarioError(Problem(f"no target {name!r}; {nearest(name, target_names())}", "--to"))
    module: Target = import_module(f"{__name__}.{name}")
    return module
