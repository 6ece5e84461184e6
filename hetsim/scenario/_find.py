"""From what a user typed to a file: near names where there is none, and what to type next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from hetsim.errors import Problem, ScenarioError
from hetsim.spec import data_root

__all__ = ["find_scenario", "no_such_file", "scenario_names", "shipped_scenario"]

_MAX_BYTES = 4 * 2**20
_LISTED = 8
_FIRST = ("quickstart", "hetero_nvidia", "colocated_baseline", "sglang_pair", "long_context")
"""Shipped scenarios to begin with, where no name is near."""


def scenario_names() -> tuple[str, ...]:
    """Return the names of the scenarios that come with hetsim, sorted.

    Those of the folder ``boundary`` are called ``boundary/NAME``.
    """
    root = data_root("scenarios")
    found = [path.stem for path in root.glob("*.yaml")]
    found += [f"boundary/{path.stem}" for path in root.glob("boundary/*.yaml")]
    return tuple(sorted(found))


def shipped_scenario(name: str) -> Path | None:
    """Return the file of the shipped scenario called ``name``, or None."""
    stem = name.removesuffix(".yaml")
    return data_root("scenarios") / f"{stem}.yaml" if stem in scenario_names() else None


def find_scenario(text: str) -> Path:
    """Return the file that ``text`` names: a path, or a shipped scenario.

    Raises
    ------
    ScenarioError
        If there is none; near names and the next thing to type are in the message.
    """
    path = Path(text)
    if "\0" in text or not text:
        raise ScenarioError(Problem(f"{text!r} is not a path; give a YAML file or a shipped name"))
    shipped = shipped_scenario(text)
    try:
        exists = path.exists() and not (path.is_dir() and shipped)
        if exists and path.is_file() and path.stat().st_size > _MAX_BYTES:
            raise ScenarioError(Problem("is larger than 4 MiB; is it a scenario?", "", text))
    except (OSError, ValueError):  # names too long, or not encodable
        exists = False
    if exists and path.is_dir():
        raise ScenarioError(_folder(path))
    if exists:
        return path
    if shipped is not None:
        return shipped
    raise ScenarioError(_unknown(text))


def _folder(path: Path) -> Problem:
    """Return what to say of a folder: the scenario of the run that lies in it, or its files."""
    whole, inside = path / "scenario.resolved.yaml", _beside(path / "any")
    text = "is a folder; give a YAML file"
    if whole.is_file():
        text += f", such as that of the run in it: hetsim run {whole}"
    elif inside:
        text += f", such as {path / inside[0]}"
    return Problem(text, "", str(path))


def _unknown(text: str) -> Problem:
    """Return what to say of a scenario that is not there."""
    names = scenario_names()
    sweeps = sorted(path.stem for path in (data_root("scenarios") / "sweeps").glob("*.yaml"))
    stem = Path(text).stem
    if stem in sweeps:
        return Problem(
            f"no such file; the shipped {stem} is a sweep: hetsim sweep {stem}", "", text
        )
    named = stem if stem.isidentifier() else "my_scenario"
    steps = (
        f"hetsim new {named}   (writes {named}.yaml, a commented scenario that runs)",
        "hetsim run quickstart   (runs a shipped one)",
    )
    return no_such_file(text, names, "scenario", steps, first=_FIRST)


def no_such_file(
    text: str, shipped: Iterable[str], what: str, steps: Sequence[str], *, first: Sequence[str] = ()
) -> Problem:
    """Return a problem that names what is near, and the next thing to type.

    ``first`` are the shipped names to show where none is near.
    """
    path, names = Path(text), sorted(shipped)
    beside = _beside(path)
    short = {name.rpartition("/")[2]: name for name in reversed(names)}
    stem = path.stem
    here = [str(path.parent / name) for name in get_close_matches(path.name, beside, 3, 0.6)]
    near = [short[name] for name in get_close_matches(stem, sorted(short), 3, 0.6)]
    near += [n for n in names if len(stem) > 3 and (stem in n or n in stem) and n not in near][:3]
    lines = [f"no such file, and no shipped {what} of that name"]
    if here or near:
        words = [*map(repr, here), *(f"{name!r} (shipped)" for name in near)]
        lines[0] += f"; did you mean {' or '.join(words)}?"
    elif beside:
        more = f" and {len(beside) - _LISTED} more" if len(beside) > _LISTED else ""
        lines.append(f"YAML files in {path.parent}: {', '.join(beside[:_LISTED])}{more}")
    if not near:
        shown = [name for name in first if name in names] or names[:_LISTED]
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        lines.append(f"shipped: {', '.join(shown)}{more}")
    if here or near:
        steps = [f"hetsim {what if what != 'scenario' else 'run'} {(here or near)[0]}", steps[0]]
    lines += [f"next: {steps[0]}", *(f"      {step}" for step in steps[1:])]
    return Problem("\n  ".join(lines), "", text.encode("utf-8", "replace").decode())


def _beside(path: Path) -> list[str]:
    try:
        return sorted(found.name for found in path.parent.glob("*.y*ml"))
    except (OSError, ValueError):
        return []
