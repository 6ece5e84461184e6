"""``@spec``: the one kind of dataclass that hetsim uses, and the registry of families."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform, overload

from hetsim.errors import ScenarioError, nearest

T = TypeVar("T")

_FAMILIES: dict[str, dict[str, Any]] = {}


# Read by pydantic when a spec is built from a file; a plain dict, so that nothing is imported here.
_PYDANTIC = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


def _freeze(cls: type[T]) -> type[T]:
    made: type[T] = dataclass(frozen=True, slots=True, kw_only=True)(cls)
    made.__pydantic_config__ = _PYDANTIC  # type: ignore[attr-defined]
    return made


@overload
def spec(cls: type[T], /) -> type[T]: ...
@overload
def spec(*, kind: str, family: str) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True, kw_only_default=True)
def spec(cls: type[T] | None = None, /, *, kind: str = "", family: str = "") -> Any:
    """Make a frozen, slotted, keyword-only dataclass; with a ``kind``, enter it in a family.

    The class is registered *after* it is made: with ``slots=True`` the dataclass machinery builds
    a new class, and a registry filled earlier would hold the discarded one.
    """
    if cls is not None:
        return _freeze(cls)

    def enter(inner: type[T]) -> type[T]:
        return register(family, kind)(_freeze(inner))

    return enter


def register(family: str, kind: str) -> Callable[[T], T]:
    """Enter a class, function or object in ``family`` under ``kind``; two of a name is an error."""

    def enter(part: T) -> T:
        members = _FAMILIES.setdefault(family, {})
        if kind in members:
            raise ValueError(f"{family} {kind!r} is registered twice")
        members[kind] = part
        return part

    return enter


def lookup(family: str, kind: str) -> Any:
    """Return the member of ``family`` called ``kind``.

    Raises
    ------
    ScenarioError
        If there is none; the message lists those there are.
    """
    members = _FAMILIES.get(family, {})
    if kind not in members:
        raise ScenarioError(f"no {family} called {kind!r}; {nearest(kind, members)}")
    return members[kind]


def kinds(family: str) -> tuple[str, ...]:
    """Return the names of the members of ``family``, sorted."""
    return tuple(sorted(_FAMILIES.get(family, {})))
