"""From a file to a checked sweep, every problem named at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hetsim.errors import HetsimError, InfeasibleError, Problem, ScenarioError, nearest
from hetsim.scenario import (
    Loaded,
    Places,
    accelerator_of,
    load_data,
    load_scenario,
    locate,
    no_such_file,
    parse_key,
    places_of,
    scenario_names,
    shipped_scenario,
)
from hetsim.spec import data_root, plain_copy
from hetsim.sweep._asked_prices import price_problems
from hetsim.sweep._axes import Levels, axis_levels, axis_problems, clash_problems
from hetsim.sweep._designs import Points, design_points, design_problems
from hetsim.sweep._metrics import metric_problems
from hetsim.sweep._objectives import objective_problems
from hetsim.sweep._types import Axis, SweepSpec

__all__ = ["LoadedSweep", "load_sweep", "pool_names", "sweep_data", "sweep_names"]


class LoadedSweep:
    """A checked sweep: its axes, and its points as numbers of levels."""

    def __init__(
        self, spec: SweepSpec, base: Loaded, axes: tuple[Levels, ...], points: Points, data: Any
    ) -> None:
        self.spec = spec
        self.base = base
        self.axes = axes
        self.points = points
        """``[points, axes]`` numbers of levels."""
        self.data = data
        """The sweep as it stands in the file."""
        replications = spec.replications
        self.seeds = replications.seeds if replications else (base.scenario.seed,)

    def __repr__(self) -> str:
        return f"LoadedSweep({self.spec.name}, {len(self.points)} points, {len(self.seeds)} seeds)"

    def sets(self, point: Any) -> list[tuple[str, Any]]:
        """Return what the levels of a point set."""
        return [
            pair
            for axis, level in zip(self.axes, point, strict=True)
            for pair in axis.levels[int(level)].sets
        ]

    def labels(self, point: Any) -> dict[str, str]:
        """Return the labels of a point's levels, by axis."""
        return {
            axis.name: axis.levels[int(level)].label
            for axis, level in zip(self.axes, point, strict=True)
        }

    def resolve(self, point: Any, seed: int) -> Loaded:
        """Return the scenario of a point, checked.

        Raises
        ------
        ScenarioError, InfeasibleError
            As :func:`hetsim.load`.
        """
        base = self.base
        return load_data(
            base.data,
            base_dir=base.base_dir,
            file=base.file,
            marks=base.marks,
            sets=self.sets(point),
            seed=seed,
        )


def sweep_names() -> tuple[str, ...]:
    """Return the names of the sweeps that come with hetsim, sorted."""
    return tuple(sorted(path.stem for path in (data_root("scenarios") / "sweeps").glob("*.yaml")))


def _find(text: str) -> Path:
    path, stem = Path(text), Path(text).name.removesuffix(".yaml")
    if path.exists():
        return path
    if path.name == text and stem in sweep_names():
        return data_root("scenarios") / "sweeps" / f"{stem}.yaml"
    if stem in scenario_names():
        word = f"no such sweep; the shipped {stem} is a scenario: hetsim run {stem}"
        raise ScenarioError(Problem(word, "", text))
    steps = ("hetsim sweep first_sweep   (a shipped one; its file is an example to copy)",)
    raise ScenarioError(no_such_file(text, sweep_names(), "sweep", steps))


def load_sweep(
    path_or_name: str | Path | Mapping[str, Any], *, enumerate_points: bool = True
) -> LoadedSweep:
    """Return the sweep in a file, the shipped one of that name, or one written in Python.

    Without ``enumerate_points`` the design is left aside and there are no points: a search
    proposes its own, from however many combinations.

    Raises
    ------
    ScenarioError
        With every problem: of the sweep, of its base scenario, of the two together.
    """
    from hetsim.spec._yaml import read_yaml

    if isinstance(path_or_name, Mapping):
        return sweep_data(plain_copy(path_or_name), enumerate_points=enumerate_points)
    path = _find(str(path_or_name))
    data, marks = read_yaml(path)
    if isinstance(data, Mapping) and "pools" in data and "axes" not in data:
        what = f"is a scenario, not a sweep; type: hetsim run {path_or_name}"
        raise ScenarioError(Problem(what, "", str(path)))
    return sweep_data(
        data,
        base_dir=path.parent,
        file=str(path),
        marks=marks,
        enumerate_points=enumerate_points,
    )


def sweep_data(
    data: Any,
    *,
    base_dir: str | Path = ".",
    file: str = "",
    marks: Any = None,
    enumerate_points: bool = True,
) -> LoadedSweep:
    """Return the sweep in plain data, as :func:`load_sweep` does."""
    if not isinstance(data, dict):
        raise ScenarioError(Problem("is not a sweep: a mapping with base and axes", "", file))
    reader = _Reader(data, Path(base_dir), file, marks or {})
    found = reader.read(enumerate_points)
    if reader.problems or found is None:
        raise ScenarioError(list(dict.fromkeys(locate(reader.problems, reader.places, file))))
    return found


class _Reader:
    """Collects every problem of a sweep before it gives up."""

    def __init__(self, data: dict[str, Any], base_dir: Path, file: str, marks: Any) -> None:
        self.data = data
        self.base_dir = base_dir
        self.file = file
        self.marks = marks
        self.places: Places = places_of(marks, file)
        self.problems: list[Problem] = []

    def read(self, enumerate_points: bool) -> LoadedSweep | None:
        """Return the sweep, or None with problems noted."""
        spec = self._spec()
        base = self._base()
        raw = self.data.get("axes")
        axes = self._axes(raw if isinstance(raw, list) else [], base)
        if spec is None or axes is None:
            return None
        self.problems += [*self._judged_by(spec, axes, base), *clash_problems(axes)]
        labels = {axis.name: axis.labels for axis in axes}
        shape = [len(axis.levels) for axis in axes]
        if enumerate_points:
            self.problems += design_problems(spec.design, shape, labels)
        if base is None or self.problems:
            return None
        decisions = [number for number, axis in enumerate(axes) if not axis.condition]
        points = np.zeros((0, len(axes)), dtype=np.int32)
        if enumerate_points:
            points = design_points(spec.design, shape, labels, decisions)
        return LoadedSweep(spec, base, tuple(axes), points, self.data)

    def _judged_by(self, spec: SweepSpec, axes: list[Levels], base: Loaded | None) -> list[Problem]:
        """Return what is wrong with the sweep as a whole; a metric that nobody computes is one."""
        unknown: list[Problem] = []
        if base is not None:
            unknown = [*metric_problems(spec, self.data, pool_names(base, axes))]
            unknown += price_problems(spec, base, axes)
        named = {problem.path for problem in unknown}
        return [*unknown, *(found for found in _spec_problems(spec) if found.path not in named)]

    def _spec(self) -> SweepSpec | None:
        from hetsim.spec._check import build

        try:
            return build(SweepSpec, self.data, self.marks, self.file)
        except ScenarioError as error:
            self.problems += error.problems
            return None

    def _axes(self, raw: list[Any], base: Loaded | None) -> list[Levels] | None:
        """Return the levels of every axis that can be read."""
        from hetsim.spec._check import build

        before, found = len(self.problems), []
        for number, one in enumerate(raw):
            try:
                axis = build(Axis, one)
            except ScenarioError:
                continue  # the sweep as a whole names it
            problems = [*axis_problems(axis, f"axes[{number}]", base)]
            self.problems += problems
            if not problems:
                found.append(axis_levels(axis))
        return found if len(self.problems) == before and len(found) == len(raw) else None

    def _base(self) -> Loaded | None:
        """Return the base scenario, which must be able to run as it is."""
        base = self.data.get("base")
        try:
            if isinstance(base, str):
                loaded = load_scenario(self._base_path(base))
            elif isinstance(base, dict):
                inner = {
                    path[1:]: line for path, line in self.marks.items() if path[:1] == ("base",)
                }
                loaded = load_data(
                    base,
                    base_dir=self.base_dir,
                    file=self.file,
                    marks=places_of(inner, self.file),
                )
            else:
                return None
            if loaded.profiles is not None:
                what = (
                    "a sweep looks up what its levels name in the catalogue; take this section out"
                )
                raise ScenarioError(locate([Problem(what, "profiles")], loaded.marks, loaded.file))
            _try_plan(loaded)
        except ScenarioError as error:
            self.problems += error.problems
            return None
        except InfeasibleError as error:
            text = "; ".join(str(error).splitlines())
            self.problems.append(Problem(f"the base scenario cannot run: {text}", "base"))
            return None
        return loaded

    def _base_path(self, name: str) -> str:
        beside = self.base_dir / name
        if beside.exists():
            return str(beside)
        if shipped_scenario(name) is None:
            raise ScenarioError(
                Problem(f"no such scenario: {nearest(name, scenario_names())}", "base")
            )
        return name


def pool_names(base: Loaded, axes: Iterable[Levels]) -> list[str]:
    """Return the names of the pools that a point may have."""
    found = list(base.scenario.pools)
    for axis in axes:
        for level in axis.levels:
            for path, value in level.sets:
                parts = [str(part) for part in parse_key(path)]
                if parts == ["pools"] and isinstance(value, Mapping):
                    found += map(str, value)
                elif parts[0] == "pools" and len(parts) > 1:
                    found.append(parts[1])
    return list(dict.fromkeys(found))


def _try_plan(loaded: Loaded) -> None:
    from hetsim.stages import build_plan

    with loaded.locating():
        build_plan(loaded.scenario, loaded.base_dir)


def _spec_problems(spec: SweepSpec) -> Iterator[Problem]:
    if not spec.axes:
        yield Problem("has no axis; a sweep varies something", "axes")
    seeds = spec.replications.seeds if spec.replications else (0,)
    if not seeds:
        yield Problem("has no seed; give at least one", "replications.seeds")
    if len(set(seeds)) != len(seeds):
        yield Problem("a seed stands twice; it would give the same run", "replications.seeds")
    yield from objective_problems(spec)
    yield from _constraint_problems(spec)


def _constraint_problems(spec: SweepSpec) -> Iterator[Problem]:
    limits = spec.constraints
    low, high = limits.accelerators_at_least, limits.accelerators_at_most
    if low is not None and high is not None and low > high:
        yield Problem(
            f"accelerators_at_least {low} contradicts accelerators_at_most {high}", "constraints"
        )
    seen: dict[str, str] = {}
    for name, count in limits.supply.items():
        where = f"constraints.supply.{name}"
        try:
            device = accelerator_of(name).name
        except HetsimError as error:
            problems = error.problems if isinstance(error, ScenarioError) else ()
            yield from (Problem(p.message, where) for p in problems)
            continue
        if device in seen:
            yield Problem(f"{count} contradicts {seen[device]}: both are {device}", where)
        seen[device] = f"{name}: {count}"
