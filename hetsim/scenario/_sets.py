"""``--set KEY=VALUE``: change plain data at a dotted path that a scenario can have."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.scenario._places import dotted
from hetsim.scenario._types import Scenario

__all__ = ["Path", "apply_set", "parse_key", "parse_set"]

Path = tuple[str | int, ...]

_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def parse_key(key: str) -> Path:
    """Return the parts of a dotted path.

    >>> parse_key("faults[0].at")
    ('faults', 0, 'at')
    """
    parts: list[str | int] = []
    end = 0
    while end < len(key):
        found = _PART.match(key, end)
        if found is None:
            break
        parts.append(found[1] if found[1] is not None else int(found[2]))
        end = found.end()
    if not parts or end < len(key) or key.startswith("."):
        raise ScenarioError(
            Problem(f"{key!r} is not a path; write for example pools.prefill.parallel.tp")
        )
    return tuple(parts)


def parse_set(text: str) -> tuple[str, Any]:
    """Return the key and the value of ``KEY=VALUE``; the value is read as YAML.

    Raises
    ------
    ScenarioError
        If there is no ``=``, or the value is not YAML.

    >>> parse_set("workload.rate=4 req/s")
    ('workload.rate', '4 req/s')
    """
    from hetsim.spec._yaml import parse_yaml

    key, sign, value = text.partition("=")
    if not sign:
        raise ScenarioError(Problem("write KEY=VALUE, such as workload.rate='4 req/s'"))
    return key.strip(), parse_yaml(value, set_label(text))[0]


def set_label(text: str) -> str:
    """Return how messages name a ``--set``."""
    return f"--set {text if len(text) <= 80 else text[:77] + '...'}"


def apply_set(data: Any, key: str, value: Any) -> Path:
    """Put ``value`` at ``key`` of ``data`` (plain data, changed in place); return the path.

    Sections that are absent are made where a scenario can have them; lists grow by one at most.

    Raises
    ------
    ScenarioError
        If a scenario has no such place; the message names the near keys.
    """
    path = parse_key(key)
    if not isinstance(data, dict):
        raise ScenarioError(Problem("the scenario is not a mapping; nothing can be set", key))
    here: Any = data
    hints: list[Any] = [Scenario]
    for position, part in enumerate(path):
        last = position == len(path) - 1
        part = _known(hints, here, path, position, last=last)
        hints = [inner for hint in hints for inner in _below(hint, part, here)]
        if last:
            _put(here, part, value)
        else:
            here = _enter(here, part, hints)
    return path


def _enter(here: Any, part: str | int, hints: list[Any]) -> Any:
    """Return what lies at ``part``, made if it is absent: a list where ``hints`` say so."""
    empty: Any = [] if any(get_origin(hint) is tuple for hint in hints) else {}
    if isinstance(here, list):
        assert isinstance(part, int)
        if part == len(here):
            here.append(empty)
        return here[part]
    if here.get(part) is None:
        here[part] = empty
    return here[part]


def _put(here: Any, part: str | int, value: Any) -> None:
    if isinstance(here, list) and part == len(here):
        here.append(value)
    else:
        here[part] = value


def _known(hints: list[Any], here: Any, path: Path, position: int, *, last: bool) -> str | int:
    """Return the part at ``position``, if there can be such a thing."""
    part, where = path[position], dotted(path[: position + 1])
    holder = dotted(path[:position]) or "the scenario"
    if isinstance(here, list):
        return _index(part, here, where, holder)
    if not isinstance(here, dict):
        raise ScenarioError(Problem(f"{holder} is {here!r}, which holds no keys", where))
    allowed, free = _keys(hints, here, last=last)
    if isinstance(part, int) or (part not in allowed and not free):
        raise ScenarioError(Problem(f"unknown key; {nearest(str(part), allowed)}", where))
    return part


def _index(part: str | int, here: list[Any], where: str, holder: str) -> int:
    if isinstance(part, str) and part.isdecimal():
        part = int(part)
    if not isinstance(part, int) or part > len(here):
        raise ScenarioError(
            Problem(f"{holder} is a list of {len(here)}; index it with 0 to {len(here)}", where)
        )
    return part


def _keys(hints: list[Any], here: dict[str, Any], *, last: bool) -> tuple[list[str], bool]:
    """Return the keys that may stand here, and whether any other may as well."""
    allowed: dict[str, None] = {}
    free = False
    for hint in hints:
        if is_dataclass(hint):
            allowed.update(dict.fromkeys(field.name for field in fields(hint)))
        elif get_origin(hint) is not None and issubclass(get_origin(hint), Mapping):
            allowed.update(dict.fromkeys(here))
            free = free or last or _all_optional(get_args(hint)[1])
    return sorted(allowed), free


def _all_optional(hint: Any) -> bool:
    """Say whether an empty section would do, so that a new name makes sense."""
    return is_dataclass(hint) and all(
        field.default is not MISSING or field.default_factory is not MISSING
        for field in fields(hint)
    )


def _below(hint: Any, part: str | int, here: Any) -> list[Any]:
    """Return what may stand at ``part`` of a ``hint``: dataclasses, mappings and sequences."""
    if isinstance(hint, type) and is_dataclass(hint):
        found = _hints(hint).get(str(part))
        return _narrow(_kinds(found), here.get(part) if isinstance(here, dict) else None)
    args = get_args(hint)
    if not args:
        return []
    return _kinds(args[1] if isinstance(here, dict) and len(args) > 1 else args[0])


def _kinds(hint: Any) -> list[Any]:
    """Return the dataclasses, mappings and sequences of a possibly nested union."""
    if hint is None or hint is type(None) or get_origin(hint) is Literal:
        return []
    if is_dataclass(hint):
        return [hint]
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, (Mapping, tuple)):
        return [hint]
    return [kind for inner in get_args(hint) for kind in _kinds(inner)]


def _narrow(kinds: list[Any], value: Any) -> list[Any]:
    """Keep the union members whose tag is the one in ``value``, if there is one."""
    if not isinstance(value, dict):
        return kinds
    kept = [kind for kind in kinds if not is_dataclass(kind) or _tag_fits(kind, value)]
    return kept or kinds


def _tag_fits(kind: Any, value: dict[str, Any]) -> bool:
    for name, hint in _hints(kind).items():
        if get_origin(hint) is Literal and len(get_args(hint)) == 1 and name in value:
            return bool(value[name] == get_args(hint)[0])
    return True


@lru_cache(maxsize=256)
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
