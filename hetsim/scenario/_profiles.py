"""What a run takes from the catalogue, embedded in its scenario: read, written, looked up.

A resolved scenario ends with a section ``profiles`` that holds the accelerators, servers, model,
runtimes, calibrations and transfer engines of the run as data. While such a scenario is checked or
run, they stand in for the catalogue, whatever has become of that since.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, field, fields, replace
from pathlib import Path
from typing import Any

from hetsim.costs import Calibration, load_calibration
from hetsim.errors import ScenarioError
from hetsim.hardware import Accelerator, Host, get_accelerator
from hetsim.model import Model
from hetsim.runtimes import Runtime
from hetsim.scenario._parts import accelerator_of, host_of, model_of, runtime_of
from hetsim.scenario._types import Scenario
from hetsim.spec import Shelf, spec
from hetsim.transfer import TransferTable, get_transfer_engine, get_transfer_table
from hetsim.workload import regime_workload

__all__ = [
    "PROFILES_MARK",
    "Profiles",
    "collect_profiles",
    "differing",
    "dump_profiles",
    "read_profiles",
    "without_profiles",
]

PROFILES_MARK = (
    "# What the run took from the catalogue; a run of this file uses it as it stands here."
)
"""The line before the embedded section, which is the last one of its file."""


@spec
class Profiles:
    """Parts of the catalogue, by the word that the scenario uses."""

    accelerators: Mapping[str, Accelerator] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    runtimes: Mapping[str, Runtime] = field(default_factory=dict)
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    transfer: Mapping[str, TransferTable] = field(default_factory=dict)
    regimes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shelf(self) -> Shelf:
        """What look-ups see."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


@spec
class _Section:
    profiles: Profiles


def read_profiles(data: dict[str, Any]) -> Profiles | None:
    """Take the section ``profiles`` out of the plain data of a scenario, if there is one.

    Raises
    ------
    ScenarioError
        With every problem, its path beginning with ``profiles``.
    """
    from hetsim.spec._check import build

    if "profiles" not in data:
        return None
    return build(_Section, {"profiles": data.pop("profiles")}).profiles


def collect_profiles(
    scenario: Scenario, words: Mapping[str, Any], base_dir: str | Path = "."
) -> Profiles:
    """Return what ``scenario`` takes from the catalogue; ``words`` is its resolved plain data."""
    accelerators: dict[str, Accelerator] = {}
    runtimes: dict[str, Runtime] = {}
    hosts: dict[str, Host] = {}
    calibrations: dict[str, Calibration] = {}
    for name, pool in scenario.pools.items():
        device = accelerator_of(pool.accelerator, base_dir)
        accelerators[words["pools"][name]["accelerator"]] = device
        runtimes[pool.runtime] = runtime_of(pool.runtime, base_dir)
        calibrations[device.name] = load_calibration(device)
        host = host_of(pool, device)
        if host is not None:
            hosts[pool.host or host.name] = host
    for word in scenario.prices:
        named = _device_called(word, base_dir) if word not in scenario.pools else None
        if named is not None and named.name in calibrations:
            accelerators[word] = named
    for calibration in calibrations.values():
        for lender in _lenders(calibration):
            if all(known.name != lender.name for known in accelerators.values()):
                accelerators[lender.name] = lender
    regime = getattr(scenario.workload, "name", "") if _is_regime(scenario) else ""
    return Profiles(
        accelerators=accelerators,
        hosts=hosts,
        models={words["model"]: model_of(scenario.model, base_dir)},
        runtimes=runtimes,
        calibrations=calibrations,
        transfer=_transfer(scenario),
        regimes={regime: regime_workload(regime)} if regime else {},
    )


def _device_called(word: str, base_dir: str | Path) -> Accelerator | None:
    try:
        return accelerator_of(word, base_dir)
    except ScenarioError:
        return None


def _transfer(scenario: Scenario) -> dict[str, TransferTable]:
    """Return the table of transfer engines, a user's own among them, where anything is moved."""
    boundary, table = scenario.boundary, get_transfer_table()
    if boundary is None and scenario.residency is None:
        return {}
    own = boundary.transfer_engine if boundary is not None else None
    if own is not None and own not in table.engines:
        table = replace(table, engines={**table.engines, own: get_transfer_engine(own)})
    return {"table": table}


def _is_regime(scenario: Scenario) -> bool:
    return getattr(scenario.workload, "kind", "") == "regime"


def _lenders(calibration: Calibration) -> Iterator[Accelerator]:
    """Yield the relatives whose collectives are scaled by the rates of their own links."""
    for layer in calibration.layers:
        if layer.best == "transferred" and layer.collectives:
            try:
                yield get_accelerator(layer.name)
            except ScenarioError:
                continue


def differing(given: Profiles, used: Profiles) -> list[str]:
    """Return a note for what is embedded and not used, and for what is used and not embedded."""
    notes = []
    for one in fields(Profiles):
        have, need = getattr(given, one.name), getattr(used, one.name)
        for word in have:
            if word not in need:
                notes.append(f"profiles.{one.name}: {word} is embedded and not used")
        for word in need:
            if word not in have:
                notes.append(
                    f"profiles.{one.name}: {word} is not embedded; it came from the catalogue"
                )
    return notes


# -- text ------------------------------------------------------------------------------------


def dump_profiles(profiles: Profiles) -> str:
    """Return the section as YAML; values that a part has by default are left out."""
    lines = ["", PROFILES_MARK, "profiles:"]
    lines += _lines({key: part for key, part in _plain(profiles).items() if part}, 1)
    return "\n".join(lines) + "\n"


def without_profiles(text: str) -> str:
    """Return the text of a scenario without its embedded section, for people to read."""
    head, mark, _ = text.partition(f"\n{PROFILES_MARK}\n")
    return head if mark else text


def _plain(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {
            one.name: _plain(found)
            for one in fields(value)
            if (found := getattr(value, one.name)) != _default(one)
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value


def _default(one: Any) -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default


def _lines(data: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield block style down to the last mappings, which are one line each."""
    for key, value in data.items():
        head = f"{'  ' * depth}{_key(key)}:"
        if not _deep(value):
            yield f"{head} {_flow(value)}"
            continue
        yield head
        if isinstance(value, dict):
            yield from _lines(value, depth + 1)
        else:
            for item in value:
                yield from _item(item, depth + 1)


def _item(item: Any, depth: int) -> Iterator[str]:
    if not (
        isinstance(item, dict)
        and any(_deep(value) or isinstance(value, dict) for value in item.values())
    ):
        yield f"{'  ' * depth}- {_flow(item)}"
        return
    inner = list(_lines(item, depth + 1))
    yield f"{'  ' * depth}- {inner[0].lstrip()}"
    yield from inner[1:]


def _deep(value: Any) -> bool:
    """Return whether something is too much for one line: mappings inside of it."""
    if isinstance(value, dict):
        return any(isinstance(x, dict) or _deep(x) for x in value.values())
    return isinstance(value, list) and any(isinstance(x, dict) for x in value)


def _key(word: str) -> str:
    plain = re.fullmatch(r"[a-z][a-z0-9_.-]*", word)
    return word if plain and word not in _RESERVED else json.dumps(word, ensure_ascii=False)


_RESERVED = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(k)}: {_flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(v) for v in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return {"inf": ".inf", "-inf": "-.inf"}.get(repr(value), ".nan")
    return json.dumps(value, ensure_ascii=False)
