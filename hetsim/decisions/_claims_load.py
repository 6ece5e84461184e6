"""From a claim file to a checked experiment, every problem named at its line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hetsim.decisions._claims_cells import ClaimTable
from hetsim.decisions._claims_measure import chosen
from hetsim.decisions._claims_types import ClaimSpec, Comparison, Joint, Limit, Observation
from hetsim.decisions._quality import composed_error
from hetsim.decisions._worth import usd_per_h
from hetsim.errors import HetsimError, InfeasibleError, Problem, ScenarioError, nearest
from hetsim.scenario import Loaded, locate, places_of
from hetsim.spec import data_root
from hetsim.sweep import LoadedSweep, sweep_data

__all__ = ["LoadedClaim", "claim_data", "claim_names", "claim_schema", "load_claim"]

_OWN = ("claim", "why", "design", "budget", "quality", "tests", "published")
"""Keys of a claim that no sweep has."""


@dataclass(frozen=True, slots=True)
class LoadedClaim:
    """A checked claim: its statement and rule, and the sweep that measures it."""

    spec: ClaimSpec
    sweep: LoadedSweep
    alternatives: Mapping[str, tuple[int, ...]]
    """Levels of the axes that are decisions, by the label of the alternative."""
    errors: tuple[float, ...]
    """Composed error of each alternative; empty where quality is not bounded."""
    file: str


def claim_folder(published: bool = False) -> Path:
    """Return where the claims lie that come with hetsim."""
    folder = data_root("scenarios") / "claims"
    return folder / "published" if published else folder


def claim_names(published: bool = False) -> tuple[str, ...]:
    """Return the names of the claims that come with hetsim, sorted."""
    return tuple(sorted(path.stem for path in claim_folder(published).glob("*.yaml")))


def claim_schema() -> dict[str, Any]:
    """Return the JSON Schema of a claim.

    >>> sorted(claim_schema()["required"])
    ['axes', 'base', 'budget', 'claim', 'name', 'replications', 'response', 'tests']
    """
    from hetsim.spec._schema import described_schema

    return described_schema(ClaimSpec, {})


def load_claim(path_or_name: str | Path) -> LoadedClaim:
    """Return the claim in a file, or the one of that name that comes with hetsim.

    Raises
    ------
    ScenarioError
        With every problem of the claim, its axes and its base.
    """
    from hetsim.spec._yaml import read_yaml

    path = _find(str(path_or_name))
    data, marks = read_yaml(path)
    return claim_data(data, base_dir=path.parent, file=str(path), marks=marks)


def _find(text: str) -> Path:
    path = Path(text)
    if path.suffix or path.exists():
        return path
    for published in (False, True):
        if text in claim_names(published):
            return claim_folder(published) / f"{text}.yaml"
    known = [*claim_names(), *claim_names(published=True)]
    raise ScenarioError(Problem(f"no claim {text!r}; {nearest(text, known)}", "NAME"))


def claim_data(
    data: Any, *, base_dir: str | Path = ".", file: str = "", marks: Any = None
) -> LoadedClaim:
    """Return the claim in plain data, as :func:`load_claim` does."""
    from hetsim.spec._check import build

    if not isinstance(data, dict):
        raise ScenarioError(Problem("is not a claim: a mapping with claim, base, axes", "", file))
    problems: list[Problem] = []
    spec = sweep = None
    try:
        spec = build(ClaimSpec, data, marks or {}, file)
    except ScenarioError as error:
        problems += error.problems
    try:
        part = {key: value for key, value in data.items() if key not in _OWN}
        part |= {"screen": {"keep": "all"}}
        sweep = sweep_data(part, base_dir=base_dir, file=file, marks=marks)
    except ScenarioError as error:
        seen = {(one.path, one.line) for one in problems}
        problems += [one for one in error.problems if (one.path, one.line) not in seen]
    if spec is None or sweep is None or problems:
        raise ScenarioError(problems)
    return _joined(spec, sweep, file, marks)


def _joined(spec: ClaimSpec, sweep: LoadedSweep, file: str, marks: Any) -> LoadedClaim:
    found = _alternatives(sweep)
    problems = [*_test_problems(spec, sweep, tuple(found)), *_seed_problems(spec)]
    errors: list[float] = []
    for name, levels in found.items():
        try:
            loaded = _plain_design(sweep, levels)
            errors += [composed_error(loaded.scenario)] if spec.quality is not None else []
        except InfeasibleError:
            errors += [float("inf")]
        except ScenarioError as error:
            problems += [Problem(f"{name}: {p.path}: {p.message}", "axes") for p in error.problems]
    problems += [] if problems else _budget_problems(spec, sweep, found)
    if problems:
        raise ScenarioError(locate(dict.fromkeys(problems), places_of(marks or {}, file), file))
    return LoadedClaim(spec, sweep, found, tuple(errors), file)


def _alternatives(sweep: LoadedSweep) -> dict[str, tuple[int, ...]]:
    decisions = [axis for axis in sweep.axes if not axis.condition]
    combos = product(*(range(len(axis.levels)) for axis in decisions))
    return {
        ", ".join(a.labels[n] for a, n in zip(decisions, combo, strict=True)): combo
        for combo in combos
    }


def _plain_design(sweep: LoadedSweep, levels: tuple[int, ...]) -> Loaded:
    """Return the scenario of an alternative under the first level of every condition."""
    left = list(levels)
    point = [0 if axis.condition else left.pop(0) for axis in sweep.axes]
    return sweep.resolve(point, sweep.seeds[0])


# -- rules between fields ------------------------------------------------------------------


def _seed_problems(spec: ClaimSpec) -> Iterator[Problem]:
    if len(spec.replications.seeds) < 2:
        yield Problem("one seed has no spread; give at least two", "replications.seeds")
    if not spec.tests:
        yield Problem("has no test; a claim needs a rule for its verdict", "tests")
    if spec.budget.rule == "per_usd" and not spec.response.metric.endswith("per_usd"):
        yield Problem(
            f"per_usd needs a response per dollar, not {spec.response.metric}", "budget.rule"
        )


def _test_problems(
    spec: ClaimSpec, sweep: LoadedSweep, alternatives: tuple[str, ...]
) -> Iterator[Problem]:
    table = ClaimTable(alternatives, (), {}, {})
    conditions = {axis.name: axis.labels for axis in sweep.axes if axis.condition}
    for number, test in enumerate(spec.tests):
        place = f"tests[{number}]"
        for path, names in _patterns(test, place):
            for name in names:
                if not chosen([name], table):
                    text = f"no alternative is called {name!r}; {nearest(name, alternatives)}"
                    yield Problem(text, path)
        for path, where in _wheres(test, place):
            yield from _where_problems(where, conditions, path)
        if isinstance(test, Comparison):
            yield from _along_problems(test, conditions, place)
        if isinstance(test, Joint) and sum(not axis.condition for axis in sweep.axes) < 2:
            yield Problem("needs at least two axes that are decisions", place)


def _patterns(test: Any, place: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    if isinstance(test, Comparison):
        yield f"{place}.first", test.first
        yield f"{place}.second", test.second
    elif isinstance(test, Limit):
        yield f"{place}.alternatives", test.alternatives
    elif isinstance(test, Observation):
        for number, clause in enumerate(test.clauses):
            yield f"{place}.clauses[{number}].alternatives", clause.alternatives


def _wheres(test: Any, place: str) -> Iterator[tuple[str, Mapping[str, tuple[str, ...]]]]:
    if isinstance(test, (Comparison, Limit)):
        yield f"{place}.where", test.where
    elif isinstance(test, Observation):
        for number, clause in enumerate(test.clauses):
            yield f"{place}.clauses[{number}].where", clause.where


def _where_problems(
    where: Mapping[str, tuple[str, ...]], conditions: Mapping[str, tuple[str, ...]], path: str
) -> Iterator[Problem]:
    for name, levels in where.items():
        if name not in conditions:
            yield Problem(f"no condition {name!r}; {nearest(name, conditions)}", f"{path}.{name}")
            continue
        for level in levels:
            if level not in conditions[name]:
                text = f"no level {level!r}; {nearest(level, conditions[name])}"
                yield Problem(text, f"{path}.{name}")


def _along_problems(
    test: Comparison, conditions: Mapping[str, tuple[str, ...]], place: str
) -> Iterator[Problem]:
    follows = test.expect in ("rising", "falling")
    if follows and test.along not in conditions:
        text = f"{test.expect} follows a condition; {nearest(str(test.along), conditions)}"
        yield Problem(text, f"{place}.along")
    if not follows and test.along is not None:
        yield Problem(f"has no use for {test.expect!r}", f"{place}.along")


def _budget_problems(
    spec: ClaimSpec, sweep: LoadedSweep, found: Mapping[str, tuple[int, ...]]
) -> Iterator[Problem]:
    """Yield alternatives that the rule of equal budgets does not allow."""
    if spec.budget.rule not in ("equal_cost", "same_hardware"):
        return
    measure = usd_per_h if spec.budget.rule == "equal_cost" else _devices
    seen: dict[str, Any] = {}
    for name, levels in found.items():
        try:
            seen[name] = measure(_plain_design(sweep, levels))
        except HetsimError as error:
            problems = error.problems if isinstance(error, ScenarioError) else ()
            yield from (Problem(f"{name}: {p.message}", "budget") for p in problems)
    if spec.budget.rule == "same_hardware" and len(set(seen.values())) > 1:
        told = "; ".join(f"{name}: {what}" for name, what in seen.items())
        yield Problem(f"the devices differ: {told}", "budget.rule")
    if spec.budget.rule == "equal_cost" and seen:
        mean = sum(seen.values()) / len(seen)
        for name, cost in seen.items():
            if abs(cost / mean - 1.0) > spec.budget.within:
                text = f"{name} costs {cost:.2f} USD/h, {cost / mean - 1.0:+.1%} of the mean"
                yield Problem(f"{text}; allowed: {spec.budget.within:.0%}", "budget.within")


def _devices(loaded: Loaded) -> str:
    """Return how many of each accelerator a scenario has."""
    counts: dict[str, int] = {}
    for pool in loaded.scenario.pools.values():
        cut = pool.parallel
        counts[pool.accelerator] = (
            counts.get(pool.accelerator, 0) + pool.instances * cut.tp * cut.pp * cut.dp
        )
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
