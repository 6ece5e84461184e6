"""Presets by name: read once, every problem located."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.runtimes._types import Runtime
from hetsim.spec import data_root, shelved


def _folder() -> Path:
    return data_root("hardware_profiles") / "runtimes"


@lru_cache(maxsize=1)
def runtime_names() -> tuple[str, ...]:
    """Return the names of the presets, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def get_runtime(name: str) -> Runtime:
    """Return the preset called ``name`` (case and ``-`` for ``_`` do not matter).

    Raises
    ------
    ScenarioError
        If there is none (the message lists those there are), or its file is wrong.

    >>> get_runtime("vllm_nixl_pull").page_tokens
    16
    """
    brought: Runtime | None = shelved("runtimes", name)
    return brought if brought is not None else _known_runtime(name)


@lru_cache(maxsize=128)
def _known_runtime(name: str) -> Runtime:
    folded = name.strip().lower().replace("-", "_")
    if folded not in runtime_names():
        raise ScenarioError(f"no runtime {name!r}; {nearest(folded, runtime_names())}")
    return load_runtime_file(_folder() / f"{folded}.yaml")


def load_runtime_file(path: Path) -> Runtime:
    """Return the preset in a user's own file.

    ``base: <preset>`` takes every key that the file does not state from that preset; ``timers``
    and ``sources`` are then stated whole and merged key by key respectively.

    Raises
    ------
    ScenarioError
        With every problem: file, line, path, what was seen, what is allowed.
    """
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    data, marks = read_yaml(path)
    if not isinstance(data, dict):
        raise ScenarioError(Problem("must be a mapping of keys to values", "", str(path)))
    merged = _with_base(data, str(path), marks.get(("base",)))
    try:
        return build(Runtime, merged, marks, str(path))
    except ScenarioError as error:
        raise ScenarioError([_placed(p, str(path), marks) for p in error.problems]) from None


def _with_base(data: dict[str, Any], file: str, line: int | None) -> dict[str, Any]:
    base = data.get("base")
    if base is None:
        return {key: value for key, value in data.items() if key != "base"}
    if base not in runtime_names():
        hint = nearest(str(base), runtime_names())
        raise ScenarioError(Problem(f"no runtime {base!r}; {hint}", "base", file, line))
    found = plain(get_runtime(str(base)))
    sources = {**found["sources"], **(data.get("sources") or {})}
    stated = {key: value for key, value in data.items() if key not in ("base", "sources")}
    # Names and doubts describe one preset; they are never inherited.
    for own in ("name", "title", "doubts"):
        found.pop(own)
    return {**found, **stated, "sources": sources}


def plain(value: Any) -> Any:
    """Return a spec as plain data, as it would stand in a file."""
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple):
        return [plain(inner) for inner in value]
    return value


def _placed(problem: Problem, file: str, marks: Mapping[Any, int]) -> Problem:
    if problem.file:
        return problem
    line = marks.get(tuple(problem.path.split("."))) or marks.get((problem.path.split(".")[0],))
    return Problem(problem.message, problem.path, file, line)


def describe(name: str) -> list[tuple[str, str, str]]:
    """Return (field, value, source) of every field of a preset, for people."""
    runtime = get_runtime(name)
    rows = []
    for field in fields(runtime):
        if field.name in ("sources", "name"):
            continue
        rows.append((field.name, _text(getattr(runtime, field.name)), runtime.source(field.name)))
    return rows


def _text(value: Any) -> str:
    if hasattr(value, "__dataclass_fields__"):
        parts = ((field.name, getattr(value, field.name)) for field in fields(value))
        return ", ".join(f"{name} {_text(inner)}" for name, inner in parts if inner is not None)
    if isinstance(value, tuple):
        return "; ".join(_text(inner) for inner in value)
    return "none" if value is None else str(value)
