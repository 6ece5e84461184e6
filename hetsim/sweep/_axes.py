"""From an axis as written to its levels: a label, and what to set where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hetsim.errors import Problem, ScenarioError
from hetsim.scenario import Loaded, accelerator_of, apply_set, model_of, parse_key, runtime_of
from hetsim.sweep._types import Axis

__all__ = ["Level", "Levels", "axis_levels", "axis_problems", "clash_problems"]

_CONDITIONS = ("workload", "slo", "faults", "seed", "horizon")


class Level(NamedTuple):
    """One level of an axis."""

    label: str
    sets: tuple[tuple[str, Any], ...]


class Levels(NamedTuple):
    """One axis, ready to be combined with others."""

    name: str
    levels: tuple[Level, ...]
    condition: bool

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of the levels, in order."""
        return tuple(level.label for level in self.levels)

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that some level sets, in order of appearance."""
        return tuple(dict.fromkeys(path for level in self.levels for path, _ in level.sets))


def axis_levels(axis: Axis) -> Levels:
    """Return the levels of an axis without problems."""
    paths = axis.paths or ((axis.path,) if axis.path else ())
    found = []
    for number, value in enumerate(axis.levels):
        if paths:
            label = axis.labels[number] if axis.labels else text_of(value)
            found.append(Level(label, tuple((path, value) for path in paths)))
        else:
            found.append(Level(str(value["label"]), tuple(value["set"].items())))
    made = Levels(axis.name, tuple(found), False)
    return made._replace(condition=_is_condition(axis, made))


def _is_condition(axis: Axis, made: Levels) -> bool:
    if axis.role is not None:
        return axis.role == "condition"
    return all(str(parse_key(path)[0]) in _CONDITIONS for path in made.paths)


def text_of(value: Any) -> str:
    """Return how a level is called where it has no label.

    >>> text_of({"tp": 4, "pp": 2}), text_of("h100")
    ('tp=4,pp=2', 'h100')
    """
    if isinstance(value, Mapping):
        return ",".join(f"{key}={text_of(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return "+".join(text_of(item) for item in value)
    return str(value)


def axis_problems(axis: Axis, where: str, base: Loaded | None) -> Iterator[Problem]:
    """Yield what is wrong with an axis; ``where`` is its place in the file."""
    if not axis.levels:
        yield Problem(
            "has no level; give at least one, such as levels: [1, 2, 4]", f"{where}.levels"
        )
    if axis.path and axis.paths:
        yield Problem("state path or paths, not both", where)
    if axis.labels and len(axis.labels) != len(axis.levels):
        yield Problem(f"{len(axis.labels)} labels for {len(axis.levels)} levels", f"{where}.labels")
    shapes = [*_group_problems(axis, where)]
    yield from shapes
    if shapes or not axis.levels or (axis.path and axis.paths):
        return
    if axis.labels and len(axis.labels) != len(axis.levels):
        return
    made = axis_levels_safe(axis)
    repeated = sorted({label for label in made.labels if made.labels.count(label) > 1})
    if repeated:
        yield Problem(f"level {', '.join(map(repr, repeated))} stands twice", f"{where}.levels")
    if base is not None:
        for number, level in enumerate(made.levels):
            yield from _level_problems(level, axis, f"{where}.levels[{number}]", where, base)


def axis_levels_safe(axis: Axis) -> Levels:
    """Return the levels of an axis whose paths may be wrong."""
    try:
        return axis_levels(axis)
    except ScenarioError:
        return axis_levels(
            Axis(
                name=axis.name,
                path=axis.path,
                paths=axis.paths,
                levels=axis.levels,
                labels=axis.labels,
                role="decision",
            )
        )


def _group_problems(axis: Axis, where: str) -> Iterator[Problem]:
    if axis.path or axis.paths:
        return
    for number, level in enumerate(axis.levels):
        good = isinstance(level, Mapping) and set(level) == {"label", "set"}
        if not good or not isinstance(level["set"], Mapping) or not level["set"]:
            yield Problem(
                f"is {level!r:.60}; an axis without a path has levels such as "
                "{label: small, set: {pools.prefill.instances: 1}}; or give the axis a path",
                f"{where}.levels[{number}]",
            )


_LOOKUPS = {"accelerator": accelerator_of, "runtime": runtime_of, "model": model_of}


def _level_problems(
    level: Level, axis: Axis, place: str, where: str, base: Loaded
) -> Iterator[Problem]:
    """Yield what a level sets wrongly: a place that no scenario has, a value it cannot hold."""
    from copy import deepcopy

    from hetsim.scenario import Scenario
    from hetsim.spec._check import build

    data = deepcopy(base.data)
    for path, value in level.sets:
        try:
            apply_set(data, path, deepcopy(value))
            if parse_key(path)[0] in ("seed", "name"):
                raise ScenarioError(Problem("is not for an axis; seeds are replications.seeds"))
        except ScenarioError as error:
            # A path that stands once is wrong once, not once per level.
            at = where + (".path" if axis.path else ".paths") if axis.path or axis.paths else place
            yield from (Problem(f"{path}: {p.message}", at) for p in error.problems)
            return
    try:
        build(Scenario, data)
    except ScenarioError as error:
        yield from (Problem(f"{p.path}: {p.message}", place) for p in error.problems)
        return
    for path, value in level.sets:
        look = _LOOKUPS.get(path.rpartition(".")[2])
        if look is not None and isinstance(value, str):
            try:
                look(value, base.base_dir)
            except ScenarioError as error:
                yield from (Problem(f"{path}: {p.message}", place) for p in error.problems)


def clash_problems(axes: list[Levels]) -> Iterator[Problem]:
    """Yield names that stand twice, and paths that two axes set."""
    seen: dict[str, str] = {}
    owner: dict[tuple[str | int, ...], str] = {}
    for number, axis in enumerate(axes):
        if axis.name in seen:
            yield Problem(f"another axis is called {axis.name!r}", f"axes[{number}].name")
        seen[axis.name] = axis.name
        for path in axis.paths:
            parts = parse_key(path)
            for other, name in owner.items():
                shared = min(len(other), len(parts))
                if name != axis.name and other[:shared] == parts[:shared]:
                    yield Problem(
                        f"sets {path}, which axis {name!r} sets as well; one of them would have no "
                        "effect",
                        f"axes[{number}]",
                    )
            owner.setdefault(parts, axis.name)
