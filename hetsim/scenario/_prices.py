"""What an accelerator-hour costs in a scenario, and what to say where nobody knows."""

from __future__ import annotations

from pathlib import Path

from hetsim.errors import Problem, ScenarioError
from hetsim.scenario._parts import accelerator_of
from hetsim.scenario._types import Scenario

__all__ = ["missing_prices", "stated_price"]


def stated_price(scenario: Scenario, pool: str, base_dir: str | Path = ".") -> float | None:
    """Return the $/h of one accelerator of ``pool`` that the scenario states, by pool or by device.

    A device's name may be any that finds it: ``h100`` prices ``h100-sxm``.
    """
    if pool in scenario.prices:
        return scenario.prices[pool]
    device = accelerator_of(scenario.pools[pool].accelerator, base_dir).name
    for name, price in scenario.prices.items():
        if name in scenario.pools:
            continue
        try:
            if accelerator_of(name, base_dir).name == device:
                return price
        except ScenarioError:
            continue
    return None


def missing_prices(scenario: Scenario, base_dir: str | Path = ".") -> list[Problem]:
    """Return a problem for every pool whose price neither the scenario nor its profile states.

    Only where $ is asked for is this an error.
    """
    problems = []
    for name, pool in scenario.pools.items():
        device = accelerator_of(pool.accelerator, base_dir)
        if device.price is None and stated_price(scenario, name, base_dir) is None:
            problems.append(
                Problem(
                    f"no price is known for {device.name} (pool {name}); state one, such as "
                    f"prices: {{{device.name}: 2 USD/h}}",
                    "prices",
                )
            )
    return problems
