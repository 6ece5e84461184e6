"""From a file, or the name of a shipped scenario, to a checked :class:`Scenario`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.scenario._check import check_fits, check_scenario
from hetsim.scenario._find import find_scenario
from hetsim.scenario._places import Places, cover, locate, places_of
from hetsim.scenario._profiles import Profiles, read_profiles
from hetsim.scenario._sets import apply_set, parse_set, set_label
from hetsim.scenario._types import Scenario
from hetsim.spec import plain_copy, shelf

__all__ = [
    "Loaded",
    "load_data",
    "load_scenario",
    "split_format",
]

_MAX_DEPTH = 24
_LONGEST_KEY = 200

SetValue = str | tuple[str, Any]
"""``"KEY=VALUE"`` as on the command line, or a path and a value of plain data."""


class Loaded:
    """A checked scenario, where it came from, and where each of its values was written."""

    __slots__ = ("base_dir", "data", "file", "marks", "profiles", "scenario")

    def __init__(
        self,
        scenario: Scenario,
        base_dir: Path,
        file: str,
        data: dict[str, Any],
        marks: Places,
        profiles: Profiles | None = None,
    ) -> None:
        self.scenario = scenario
        self.base_dir = base_dir
        """Paths in the scenario are relative to this folder."""
        self.file = file
        self.data = data
        """The plain data after all changes, as it would stand in a file."""
        self.marks = marks
        self.profiles = profiles
        """What stands in for the catalogue, where the scenario brings it along."""

    def __repr__(self) -> str:
        return f"Loaded({self.scenario.name}, {self.file})"

    def _repr_html_(self) -> str:
        """Show the scenario as its YAML, in a notebook."""
        from html import escape

        from hetsim.spec._yaml import dump_yaml

        return f"<p>{escape(repr(self))}</p><pre>{escape(dump_yaml(self.data))}</pre>"

    @contextmanager
    def locating(self) -> Iterator[None]:
        """Give the problems of what runs inside their file and line.

        ``with loaded.locating(): plan = build_plan(loaded.scenario, loaded.base_dir)``
        """
        try:
            with self.in_use():
                yield
        except ScenarioError as error:
            raise ScenarioError(locate(error.problems, self.marks, self.file)) from None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Let look-ups inside find the profiles that the scenario brings along."""
        with shelf(self.profiles.shelf if self.profiles is not None else None):
            yield


def load_scenario(
    path_or_name: str | Path | Mapping[str, Any],
    *,
    sets: Iterable[SetValue] = (),
    workload_file: str | None = None,
    seed: int | None = None,
) -> Loaded:
    """Return the scenario in a file, or the shipped one of that name, changed and checked.

    A mapping is a scenario written in Python; the files that it names lie in the current folder.
    ``sets`` come first, then ``workload_file`` (``FILE`` or ``FILE:format``, relative to the
    current folder) in place of the whole ``workload`` section, then ``seed``.

    Raises
    ------
    ScenarioError
        With every problem: file and line (or ``--set``), path, what was seen, what is allowed.
    InfeasibleError
        If no request of the workload fits the model's context.

    >>> load_scenario("quickstart", sets=["seed=3"]).scenario.seed
    3
    """
    if isinstance(path_or_name, Mapping):
        own = plain_copy(path_or_name)
        return load_data(own, sets=sets, workload_file=workload_file, seed=seed)
    path = find_scenario(str(path_or_name))
    from hetsim.spec._yaml import read_yaml

    try:
        data, marks = read_yaml(path)
    except ValueError as error:  # lone surrogates in the name of a file
        raise ScenarioError(Problem(f"cannot be read: {error}", "", repr(str(path)))) from None
    file = str(path)
    if isinstance(data, Mapping) and "axes" in data and "pools" not in data:
        what = f"is a sweep, not a scenario; type: hetsim sweep {path_or_name}"
        raise ScenarioError(Problem(what, "", file))
    return load_data(
        data,
        base_dir=path.parent,
        file=file,
        marks=places_of(marks, file),
        sets=sets,
        workload_file=workload_file,
        seed=seed,
    )


def load_data(
    data: Any,
    *,
    base_dir: str | Path = ".",
    file: str = "",
    marks: Places | None = None,
    sets: Iterable[SetValue] = (),
    workload_file: str | None = None,
    seed: int | None = None,
) -> Loaded:
    """Return the scenario in plain data, as :func:`load_scenario` does; ``data`` stays as it is."""
    from hetsim.spec._check import build

    if not isinstance(data, dict):
        seen = "is empty" if data is None else f"holds {type(data).__name__} {data!r:.60}"
        message = f"{seen}; a scenario is a mapping of keys to values: see hetsim new"
        raise ScenarioError(Problem(message, "", file))
    data, places = deepcopy(data), dict(marks or {})
    strange = _strange(data, ())
    problems = strange or _change(data, places, sets, workload_file, seed)
    strange = strange or _strange(data, ())
    if strange:  # nothing else can be asked of such data
        raise ScenarioError(locate(dict.fromkeys([*problems, *strange]), places, file))
    folder, scenario, profiles = Path(base_dir), None, None
    own = dict(data)
    try:
        profiles = read_profiles(own)
    except ScenarioError as error:
        problems += error.problems
    with shelf(profiles.shelf if profiles is not None else None):
        try:
            scenario = build(Scenario, own)
            check_scenario(scenario, folder)
        except ScenarioError as error:
            problems += error.problems
        if problems or scenario is None:
            raise ScenarioError(locate(problems, places, file))
        check_fits(scenario, folder, places, file)
    return Loaded(scenario, folder, file, data, places, profiles)


# -- changes of the command line -------------------------------------------------------------


def _change(
    data: dict[str, Any],
    places: Places,
    sets: Iterable[SetValue],
    workload_file: str | None,
    seed: int | None,
) -> list[Problem]:
    """Apply the changes in place; return what could not be applied."""
    problems: list[Problem] = []
    for one in sets:
        label = set_label(one if isinstance(one, str) else f"{one[0]}={one[1]}")
        try:
            key, value = parse_set(one) if isinstance(one, str) else (one[0], deepcopy(one[1]))
            cover(places, apply_set(data, key, value), label)
        except ScenarioError as error:
            problems += [Problem(p.message, p.path, label) for p in error.problems]
    if workload_file is not None:
        problems += _replace_workload(data, places, workload_file)
    if seed is not None:
        data["seed"] = seed
        cover(places, ("seed",), f"--seed {seed}")
    return problems


def _replace_workload(data: dict[str, Any], places: Places, text: str) -> list[Problem]:
    label = f"--workload {text}"
    try:
        name, word = split_format(text)
    except ScenarioError as error:
        return [Problem(p.message, p.path, label) for p in error.problems]
    data["workload"] = {"kind": "trace", "path": os.path.abspath(name)}
    if word is not None:
        data["workload"]["format"] = word
    cover(places, ("workload",), label)
    return []


def split_format(text: str) -> tuple[str, str | None]:
    """Return the file and the trace format of ``FILE`` or ``FILE:FORMAT``.

    Raises
    ------
    ScenarioError
        If there is no such file or no such format.
    """
    from hetsim.workload import trace_formats

    if _exists(text):
        return text, None
    name, _, word = text.rpartition(":")
    if not _exists(name):
        raise ScenarioError(Problem(f"no such file {name or text!r}; give FILE or FILE:FORMAT"))
    if word not in trace_formats():
        raise ScenarioError(Problem(f"no trace format {word!r}; {nearest(word, trace_formats())}"))
    return name, word


def _exists(text: str) -> bool:
    if not text or "\0" in text:
        return False
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long, or not encodable
        return False


def _strange(data: Any, path: tuple[str | int, ...]) -> list[Problem]:
    """Return what no scenario can hold: text that is not Unicode, and nesting without end."""
    from hetsim.scenario._places import dotted

    if len(path) > _MAX_DEPTH:
        return [Problem(f"nested deeper than {_MAX_DEPTH} levels", dotted(path[:4]))]
    if isinstance(data, dict):
        strange = [
            Problem(f"cannot be a key: {key[:40]!r}...", dotted(path))
            for key in data
            if not _is_key(key)
        ]
        return strange + [
            found
            for key, value in data.items()
            if _is_key(key)
            for found in _strange(value, (*path, key))
        ]
    if isinstance(data, list):
        return [p for index, value in enumerate(data) for p in _strange(value, (*path, index))]
    if isinstance(data, str) and not _is_text(data):
        return [Problem(f"{data[:40]!r} holds half a character (a lone surrogate)", dotted(path))]
    return []


def _is_key(key: str) -> bool:
    return len(key) <= _LONGEST_KEY and _is_text(key)


def _is_text(value: Any) -> bool:
    try:
        str(value).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
