"""Dollars and watts of a pool: devices, their share of the servers, and the NICs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from hetsim.hardware import Accelerator, Host
from hetsim.metrics import PoolPower
from hetsim.scenario import (
    Scenario,
    accelerator_of,
    devices_per_node,
    host_of,
    missing_prices,
    stated_price,
)

__all__ = ["notes_on_power", "pool_power", "power_of"]


def pool_power(scenario: Scenario, name: str, base_dir: str | Path = ".") -> PoolPower:
    """Return what pool ``name`` costs an hour and draws, all instances together.

    A stated price (by pool, then by accelerator) goes before the profile's. Cloud prices pay for
    the server; where they do not, the server's own price is added per device. Power is that of
    the devices, and of their servers and NICs in proportion to the devices used.
    """
    pool = scenario.pools[name]
    accelerator = accelerator_of(pool.accelerator, base_dir)
    cut = pool.parallel
    devices: int = int(pool.instances) * cut.tp * cut.pp * cut.dp
    host = host_of(pool, accelerator)
    node = devices_per_node(pool, accelerator)
    price = stated_price(scenario, name, base_dir)
    if price is None:
        price = _profile_price(accelerator, host, node)
    idle, full = accelerator.idle_w, accelerator.tdp_w
    usd_per_h = price * devices if price is not None else None
    if idle is None or full is None or host is None:
        return PoolPower(usd_per_h=usd_per_h, idle_w=None, max_w=None)
    nics = (host.nics_per_node or 0) * host.nic_w
    return PoolPower(
        usd_per_h=usd_per_h,
        idle_w=devices * (idle + (host.idle_w + nics) / node),
        max_w=devices * (full + (host.max_w + nics) / node),
    )


def _profile_price(accelerator: Accelerator, host: Host | None, node: int) -> float | None:
    """Return the profile's price of one accelerator-hour, its share of the server included."""
    if accelerator.price is None:
        return None
    price = accelerator.price.usd_per_h
    if host is None or host.price_includes_host:
        return price
    return price + host.price_usd_per_h / node if host.price_usd_per_h is not None else None


def power_of(scenario: Scenario, base_dir: str | Path = ".") -> Mapping[str, PoolPower]:
    """Return price and power of every pool."""
    return {name: pool_power(scenario, name, base_dir) for name in scenario.pools}


def notes_on_power(scenario: Scenario, base_dir: str | Path = ".") -> list[str]:
    """Return what is missing for $ and J, by pool, with the remedy."""
    notes = [f"cost is not given: {p.message}" for p in missing_prices(scenario, base_dir)]
    for name, power in power_of(scenario, base_dir).items():
        device = accelerator_of(scenario.pools[name].accelerator, base_dir).name
        if power.usd_per_h is None and not any(f"(pool {name})" in note for note in notes):
            notes.append(
                f"cost is not given: no price is known for the server of {device} (pool {name}); "
                f"state one with the server in it, such as prices: {{{name}: 2 USD/h}}"
            )
        if power.idle_w is None:
            notes.append(
                f"energy is not given: no power figures are known for {device} or its server "
                f"(pool {name}); host: names another server"
            )
    return notes
