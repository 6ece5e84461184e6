"""The kinds of links: every module of this package whose name has no underscore."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

from hetsim.errors import Problem, ScenarioError, nearest

__all__ = ["get_link_kind", "link_kinds"]


def link_kinds() -> tuple[str, ...]:
    """Return the names of all kinds of links, sorted."""
    here = [str(Path(__file__).parent)]
    return tuple(sorted(m.name for m in iter_modules(here) if not m.name.startswith("_")))


def get_link_kind(name: str) -> ModuleType:
    """Return a kind: a module with ``open_link(setting)``.

    Raises
    ------
    ScenarioError
        If there is none of that name.
    """
    if name not in link_kinds():
        raise ScenarioError(Problem(f"no kind of link {name!r}; {nearest(name, link_kinds())}"))
    return import_module(f"hetsim.calibrate.links.{name}")
