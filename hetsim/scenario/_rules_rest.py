"""Rules of ``faults`` and ``prices``: they name pools, instances and devices that are there."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.scenario._parts import Parts, accelerator_of
from hetsim.scenario._types import Fault, Scenario

__all__ = ["RULES", "fault_pool"]

_ROLES = {"prefill_crash": ("prefill", "both"), "decode_crash": ("decode", "both")}


def fault_pool(scenario: Scenario, fault: Fault) -> str | None:
    """Return the pool that a fault strikes: the stated one, or the one that does the stage."""
    if fault.pool is not None:
        return fault.pool if fault.pool in scenario.pools else None
    roles = _ROLES.get(fault.kind, ("prefill", "both"))
    return next((name for name, pool in scenario.pools.items() if pool.role in roles), None)


def _faults(parts: Parts) -> Iterator[Problem]:
    scenario = parts.scenario
    for index, fault in enumerate(scenario.faults):
        path = f"faults[{index}]"
        name = fault_pool(scenario, fault)
        if fault.pool is not None and name is None:
            yield Problem(f"no such pool; {nearest(fault.pool, scenario.pools)}", f"{path}.pool")
        elif name is not None:
            yield from _struck(scenario, fault, name, path)
        yield from _fields(fault, path)
        if scenario.horizon is not None and fault.at >= scenario.horizon:
            yield Problem(
                f"{fault.at:g} s is not before the horizon of {scenario.horizon:g} s", f"{path}.at"
            )


def _struck(scenario: Scenario, fault: Fault, name: str, path: str) -> Iterator[Problem]:
    pool = scenario.pools[name]
    roles = _ROLES.get(fault.kind)
    if roles is not None and pool.role not in roles:
        yield Problem(
            f"pool {name} has role {pool.role}; a {fault.kind} strikes a pool with role "
            f"{' or '.join(roles)}",
            f"{path}.pool",
        )
    if fault.instance >= pool.instances:
        yield Problem(
            f"is {fault.instance}; pool {name} has {pool.instances} instances, numbered from 0",
            f"{path}.instance",
        )


def _fields(fault: Fault, path: str) -> Iterator[Problem]:
    slow = fault.kind == "link_slow"
    if slow and fault.factor is None:
        yield Problem(
            "is missing; say what is left of the port's rate, such as 0.25", f"{path}.factor"
        )
    strange = ("restart_after",) if slow else ("factor", "duration")
    for field in strange:
        if getattr(fault, field) is not None:
            yield Problem(f"means nothing for a {fault.kind}; leave it out", f"{path}.{field}")


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


RULES = (_faults, _prices)
