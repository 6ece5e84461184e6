"""Prices where dollars are asked for: a design without one would drop out and not be missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.scenario import Loaded, accelerator_of, parse_key
from hetsim.sweep._axes import Levels
from hetsim.sweep._types import SweepSpec

__all__ = ["price_problems"]

_DOLLARS = ("usd_per_h", "goodput_req_per_usd", "cost_usd_per_mtok")


def price_problems(
    spec: SweepSpec, base: Loaded, axes: Sequence[Levels], *, objectives: bool = False
) -> Iterator[Problem]:
    """Yield every accelerator without a price, if the sweep judges its points by dollars.

    It does by its response and, where a front is drawn (or ``objectives`` says that they are
    asked), by the objectives.
    """
    asked = {spec.response.metric}
    if objectives or spec.screen.keep == "front":
        asked |= set(spec.screen.objectives)
    words = [name for name in _DOLLARS if name in asked]
    if not words:
        return
    known = _stated(base, axes)
    for path, pool, name in _devices(base, axes):
        try:
            device = accelerator_of(name, base.base_dir)
        except ScenarioError:
            continue  # another check names it
        if device.price is None and not known & {pool, device.name}:
            yield Problem(
                f"no price is known for {device.name}, and {words[0]} is asked for; state one in "
                f"the base, such as prices: {{{device.name}: 2 USD/h}}, or judge by another metric",
                path,
            )


def _devices(base: Loaded, axes: Sequence[Levels]) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the pool and the name of every accelerator that a point may have."""
    varied: set[str] = set()
    found = []
    for number, axis in enumerate(axes):
        for at, level in enumerate(axis.levels):
            for key, value in level.sets:
                for pool, name in _named([str(part) for part in parse_key(key)], value):
                    found.append((f"axes[{number}].levels[{at}]", pool, name))
                    varied.add(pool)
    for pool, one in base.scenario.pools.items():
        if pool not in varied:
            yield "base", pool, one.accelerator
    yield from dict.fromkeys(found)


def _named(parts: list[str], value: Any) -> Iterator[tuple[str, str]]:
    """Yield pool and accelerator that one setting names."""
    if len(parts) == 3 and parts[0] == "pools" and parts[2] == "accelerator":
        yield parts[1], str(value)
    elif len(parts) == 2 and parts[0] == "pools" and isinstance(value, Mapping):
        if "accelerator" in value:
            yield parts[1], str(value["accelerator"])
    elif parts == ["pools"] and isinstance(value, Mapping):
        for pool, inner in value.items():
            yield from _named(["pools", str(pool)], inner)


def _stated(base: Loaded, axes: Sequence[Levels]) -> set[str]:
    """Return the pools and devices that the base or a level prices, devices by their own name."""
    names = list(map(str, base.scenario.prices))
    for axis in axes:
        for level in axis.levels:
            for key, value in level.sets:
                parts = [str(part) for part in parse_key(key)]
                if parts[0] == "prices":
                    names += parts[1:2] or (list(map(str, value)) if value else [])
    found = set(names)
    for name in names:
        if name not in base.scenario.pools:
            try:
                found.add(accelerator_of(name, base.base_dir).name)
            except ScenarioError:
                continue
    return found
