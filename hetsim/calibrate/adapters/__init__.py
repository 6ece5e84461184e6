"""Readers of other people's kernel tables, one file per source, all yielding the same table.

Read ``aiconfigurator.py`` first. An adapter is a module with ``DEVICES`` (accelerator name to the
source's own name), ``SOURCE`` (title, version, licence) and ``read(accelerator, root)`` that yields
frames of one kind each, made by ``make_table``. A new source is a new module here; nothing else
changes.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from hetsim.errors import Problem, ScenarioError, nearest

__all__ = ["adapter_names", "get_adapter"]


def adapter_names() -> tuple[str, ...]:
    """Return the names of all adapters, sorted."""
    return tuple(sorted(m.name for m in iter_modules(__path__) if not m.name.startswith("_")))


def get_adapter(name: str) -> ModuleType:
    """Return the adapter called ``name``.

    Raises
    ------
    ScenarioError
        If there is none; the message lists those there are.
    """
    if name not in adapter_names():
        raise ScenarioError(Problem(f"no adapter {name!r}; {nearest(name, adapter_names())}"))
    return import_module(f"{__name__}.{name}")
