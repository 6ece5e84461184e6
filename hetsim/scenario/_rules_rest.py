"""Rules of ``prices``: they name pools and devices that are there."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.scenario._parts import Parts, accelerator_of

__all__ = ["RULES"]


def _prices(parts: Parts) -> Iterator[Problem]:
    known = {device.name for device in parts.accelerators.values() if device is not None}
    for name in parts.scenario.prices:
        if name in parts.scenario.pools:
            continue
        try:
            accelerator_of(name, parts.base_dir)
        except ScenarioError:
            near = nearest(name, sorted(known | set(parts.scenario.pools)))
            yield Problem(f"neither an accelerator nor a pool; {near}", f"prices.{name}")


RULES = (_prices,)
