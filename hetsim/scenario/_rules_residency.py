"""Rules of ``residency`` and ``boundary.transit``: tiers that exist, reach and are reached."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.errors import Problem, nearest
from hetsim.hardware import Accelerator
from hetsim.residency import TIERS
from hetsim.scenario._parts import Parts, devices_per_node, host_of
from hetsim.scenario._types import Pool
from hetsim.units import format_bytes

__all__ = ["RULES"]

_REMOTE = "residency.remote: {capacity: 2 TB, nodes: 2, nics_per_node: 2}"


def _kind(parts: Parts) -> str | None:
    """Return the protocol of the boundary: stated, or the runtime's."""
    boundary = parts.scenario.boundary
    if boundary is None or parts.order is None or len(parts.order) < 2:
        return None
    if boundary.ownership is not None:
        return boundary.ownership
    runtime = parts.runtimes[parts.order[0]]
    return runtime.protocol.kind if runtime is not None and runtime.protocol is not None else None


def _tiers(parts: Parts) -> Iterator[Problem]:
    stated = parts.scenario.residency
    if stated is None or parts.order is None:
        return
    held = [name for name in TIERS if getattr(stated, name) is not None]
    if not held:
        yield Problem(f"states no tier; there are {', '.join(TIERS)}", "residency")
    first = parts.order[0]
    caches = parts.scenario.pools[first].prefix_caching
    needs = [name for name in held if name != "remote" or _kind(parts) != "pool_lease"]
    if needs and not caches:
        yield Problem(
            f"has no effect: tiers keep what the prefix cache of {first} computed; set "
            f"pools.{first}.prefix_caching: true",
            f"residency.{needs[0]}",
        )
    if stated.remote is not None and parts.scenario.network is None:
        yield Problem(
            "is missing; no link is free, and residency.remote is reached by it", "network"
        )
    if stated.remote is not None and "remote" in parts.scenario.pools:
        yield Problem("names the pool of residency.remote; choose another name", "pools.remote")


def _writers(parts: Parts) -> Iterator[Problem]:
    stated = parts.scenario.residency
    if stated is None:
        return
    for name in stated.writers:
        if name not in parts.scenario.pools:
            known = nearest(name, parts.scenario.pools)
            yield Problem(f"no pool {name!r}; {known}", "residency.writers")
    if stated.writers and stated.remote is None:
        yield Problem("has no effect without residency.remote; leave it out", "residency.writers")


def _host_memory(parts: Parts) -> Iterator[Problem]:
    """Yield pinned memory beyond what the servers have, and servers that nothing leads into."""
    stated = parts.scenario.residency
    if stated is None or parts.order is None or not (stated.dram or stated.ssd):
        return
    name = parts.order[0]
    pool, device = parts.scenario.pools[name], parts.accelerators[name]
    if device is None:
        return
    yield from _host_link(parts, name, device, "residency")
    host = host_of(pool, device)
    if stated.dram is None or host is None:
        return
    asked = stated.dram.capacity * (
        _instances_per_node(pool, device) if stated.dram.share == "instance" else 1
    )
    if asked > host.memory_bytes:
        yield Problem(
            f"{format_bytes(asked)} of pinned memory on a server; {host.name} has "
            f"{format_bytes(host.memory_bytes)}",
            "residency.dram.capacity",
        )


def _instances_per_node(pool: Pool, device: Accelerator) -> int:
    cut = pool.parallel
    return max(1, min(pool.instances, devices_per_node(pool, device) // (cut.tp * cut.pp * cut.dp)))


def _host_link(parts: Parts, name: str, device: Accelerator, path: str) -> Iterator[Problem]:
    network = parts.scenario.network
    own = network.pools.get(name) if network is not None else None
    stated = (own.pcie if own else None) or (network.pcie if network is not None else None)
    if stated is None and device.host_bytes_per_s is None:
        yield Problem(
            f"no source gives the host link of {device.name}; state network.pcie",
            path,
        )


def _boundary(parts: Parts) -> Iterator[Problem]:
    """Yield protocols over a pool or a transit store without one, and one without them."""
    boundary, kind = parts.scenario.boundary, _kind(parts)
    if boundary is None:
        return
    residency = parts.scenario.residency
    if kind == "pool_lease" and (residency is None or residency.remote is None):
        yield Problem(
            f"pool_lease hands KV over through a pool, and no pool is endless; state {_REMOTE}",
            "residency",
        )
    if kind == "copy_out" and not boundary.transit:
        yield Problem(
            "is missing; copy_out copies KV into a transit store, and no store is endless: state "
            "its room per prefill instance, such as 4 GB",
            "boundary.transit",
        )
    if kind not in (None, "copy_out") and boundary.transit is not None:
        yield Problem(f"has no effect with {kind}; leave it out", "boundary.transit")


RULES = (_tiers, _writers, _host_memory, _boundary)
