"""The kernel families: every module of this package whose name has no underscore."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from hetsim.errors import Problem, ScenarioError, nearest

__all__ = ["family_names", "get_family"]

_PACKAGE = "hetsim.calibrate.measure"


def family_names() -> tuple[str, ...]:
    """Return the names of all kernel families, sorted."""
    here = [str(Path(__file__).parent)]
    return tuple(sorted(m.name for m in iter_modules(here) if not m.name.startswith("_")))


def get_family(name: str) -> ModuleType:
    """Return a family: a module with ``points(quick)`` and ``build(point, bench)``.

    Raises
    ------
    ScenarioError
        If there is none of that name.
    """
    if name not in family_names():
        problem = f"no kernel family {name!r}; {nearest(name, family_names())}"
        raise ScenarioError(Problem(problem, "families"))
    return import_module(f"{_PACKAGE}.{name}")
