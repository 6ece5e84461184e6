"""The ground floor: ``@spec`` dataclasses, families of parts, strict YAML, located errors.

Read ``_decorator.py`` first (what a spec is), then ``_check.py`` (how YAML becomes one).
pydantic and PyYAML are imported only below this door, and only when something is read.
A new family needs no code here: ``@spec(kind=..., family=...)`` or ``register`` opens it.
"""

from hetsim.spec._data import data_root
from hetsim.spec._decorator import kinds, lookup, register, spec
from hetsim.spec._html import html_table
from hetsim.spec._plain import plain_copy
from hetsim.spec._shelf import Shelf, on_shelf, shelf, shelved

__all__ = [
    "Shelf",
    "data_root",
    "html_table",
    "kinds",
    "lookup",
    "on_shelf",
    "plain_copy",
    "register",
    "shelf",
    "shelved",
    "spec",
]
