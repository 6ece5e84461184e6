"""Dollars and watts of a pool: devices, their share of the servers, and the NICs."""

from __future__ import annotations

from hetsim.hardware import get_accelerator
from hetsim.metrics import PoolPower
from hetsim.scenario import Scenario
from hetsim.stages import devices_per_node, host_of

__all__ = ["notes_on_power", "pool_power"]


def pool_power(scenario: Scenario, name: str) -> PoolPower:
    """Return what pool ``name`` costs an hour and draws, all instances together.

    A stated price (by pool, then by accelerator) goes before the profile's. Cloud prices pay for
    the server; where they do not, the server's own price is added per device. Power is that of
    the devices, and of their servers and NICs in proportion to the devices used.
    """
    pool = scenario.pools[name]
    accelerator = get_accelerator(pool.accelerator)
    cut = pool.parallel
    devices = pool.instances * cut.tp * cut.pp * cut.dp
    host = host_of(pool, accelerator)
    node = devices_per_node(pool, accelerator)
    price = scenario.prices.get(name, scenario.prices.get(pool.accelerator))
    if price is None and accelerator.price is not None:
        price = accelerator.price.usd_per_h
        if host is not None and not host.price_includes_host:
            price = price + host.price_usd_per_h / node if host.price_usd_per_h else None
    idle, full = accelerator.idle_w, accelerator.tdp_w
    if idle is None or full is None or host is None:
        return PoolPower(
            usd_per_h=price * devices if price is not None else None, idle_w=None, max_w=None
        )
    nics = (host.nics_per_node or 0) * host.nic_w
    return PoolPower(
        usd_per_h=price * devices if price is not None else None,
        idle_w=devices * (idle + (host.idle_w + nics) / node),
        max_w=devices * (full + (host.max_w + nics) / node),
    )


def notes_on_power(scenario: Scenario) -> list[str]:
    """Return what is missing for $ and J, by pool, with the remedy."""
    notes = []
    for name, pool in scenario.pools.items():
        power = pool_power(scenario, name)
        if power.usd_per_h is None:
            notes.append(
                f"no price is known for {pool.accelerator} (pool {name}): cost is not given; "
                f"state it: prices: {{{pool.accelerator}: 2.0 USD/h}}"
            )
        if power.idle_w is None:
            notes.append(
                f"no power figures are known for {pool.accelerator} or its server (pool {name}): "
                "energy is not given"
            )
    return notes
