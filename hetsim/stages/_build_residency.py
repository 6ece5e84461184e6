"""From ``residency`` and ``boundary.transit`` of a scenario to their plans: pages, paths, costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import floor
from typing import Any

from hetsim.errors import InfeasibleError
from hetsim.hardware import get_link
from hetsim.model import Model
from hetsim.representation import BoundaryPolicy, verdict
from hetsim.residency import TIERS, Form, Residency
from hetsim.runtimes import Runtime
from hetsim.scenario import Scenario
from hetsim.stages._build_boundary import (
    converter_of,
    default_engine,
    endpoint_of,
    representations,
    usual_staging,
)
from hetsim.stages._plan import PoolPlan
from hetsim.stages._residency_plan import ResidencyPlan, TierPlan
from hetsim.topology import Network, Path, Placed, Placement, PoolPorts
from hetsim.transfer import build_planner, get_transfer_engine
from hetsim.units import format_bytes

__all__ = ["REMOTE", "build_residency", "mover_of", "network_spec", "with_drives"]

REMOTE = "remote"
"""The name that the pool's memory servers have in placement and network."""

_SSD_LATENCY_LINK = "nvme-gen4"
"""The link profile that gives the latency of a drive (its source is there)."""


def network_spec(scenario: Scenario) -> Any:
    """Return the network of a scenario, the ports of the remote pool's nodes stated."""
    network, residency = scenario.network, scenario.residency
    if network is None or residency is None or residency.remote is None:
        return network
    tier = residency.remote
    ports = PoolPorts(nic=tier.nic, nics_per_node=tier.nics_per_node)
    return replace(network, pools={**network.pools, REMOTE: ports})


def _mine(placement: Placement, pool: str) -> list[Placed]:
    return [placed for placed in placement.instances if placed.pool == pool]


def _drive(node: int, way: str) -> str:
    return f"n{node}.ssd.{way}"


def with_drives(network: Network, placement: Placement, pool: str, residency: Residency) -> Network:
    """Return the network with the drives of every node on which the pool stands."""
    ssd = residency.ssd
    if ssd is None:
        return network
    nodes = sorted({slot.node for placed in _mine(placement, pool) for slot in placed.slots})
    return network.with_links(
        [
            (_drive(node, way), rate, "ssd")
            for node in nodes
            for way, rate in (("read", ssd.read_rate), ("write", ssd.write_rate))
        ]
    )


class _Paths:
    """Paths between the devices of each instance and each tier."""

    def __init__(self, network: Network, placement: Placement, pool: str, residency: Residency):
        self.network = network
        self.placed = _mine(placement, pool)
        self.on_host = residency.dram is not None
        self.drive_s = get_link(_SSD_LATENCY_LINK).latency_s or 0.0

    def all(self, tier: str, way: str) -> tuple[Path, ...]:
        """Return the paths of every instance; ``way``: read, write or spill."""
        return tuple(getattr(self, f"_{tier}_{way}")(placed) for placed in self.placed)

    def _dram_read(self, placed: Placed) -> Path:
        return self.network.path(f"{placed.name}/host", placed.name)

    def _dram_write(self, placed: Placed) -> Path:
        return self.network.path(placed.name, f"{placed.name}/host")

    _dram_spill = _dram_write

    def _drives(self, placed: Placed, way: str) -> list[tuple[int, float]]:
        devices = sum(slot.devices for slot in placed.slots)
        return [
            (self.network.link(_drive(slot.node, way)).id, slot.devices / devices)
            for slot in placed.slots
        ]

    def _ssd_read(self, placed: Placed) -> Path:
        return self._dram_read(placed).through(self._drives(placed, "read"), self.drive_s)

    def _ssd_write(self, placed: Placed) -> Path:
        if self.on_host:
            return self._ssd_spill(placed)
        return self._dram_write(placed).through(self._drives(placed, "write"), self.drive_s)

    def _ssd_spill(self, placed: Placed) -> Path:
        devices = sum(slot.devices for slot in placed.slots)
        host = [
            (self.network.link(f"n{slot.node}.host").id, slot.devices / devices)
            for slot in placed.slots
        ]
        return Path((), 0.0).through([*host, *self._drives(placed, "write")], self.drive_s)

    def _remote_read(self, placed: Placed) -> Path:
        return self.network.path(f"{REMOTE}/0/host", placed.name)

    def _remote_write(self, placed: Placed) -> Path:
        return self.network.path(placed.name, f"{REMOTE}/0/host")

    def _remote_spill(self, placed: Placed) -> Path:
        return self.network.path(f"{placed.name}/host", f"{REMOTE}/0/host")


def mover_of(
    scenario: Scenario, runtime: Runtime, plan: PoolPlan, groups: Sequence[Any], layers: int
) -> Any:
    """Return the planner of a copy that changes nothing: bytes, descriptors, posting, line."""
    boundary = scenario.boundary
    stated = boundary.transfer_engine if boundary is not None else None
    policy = BoundaryPolicy(force_scatter=runtime.engine.lower() == "sglang")
    end = endpoint_of(scenario, plan.name, scenario.pools[plan.name], plan)
    return build_planner(
        [drivers for group in groups if (drivers := verdict(group, group, policy).drivers)],
        get_transfer_engine(stated or default_engine(runtime, plan), "boundary.transfer_engine"),
        end,
        end,
        producer_converter=converter_of(plan),
        consumer_converter=converter_of(plan),
        layers=layers,
        staging=usual_staging(runtime),
    )


def build_residency(
    scenario: Scenario,
    model: Model,
    pools: tuple[PoolPlan, ...],
    runtimes: dict[str, Runtime],
    network: Network,
    placement: Placement,
) -> ResidencyPlan | None:
    """Return the plan of the tiers, or None where the scenario states none.

    Raises
    ------
    InfeasibleError
        If a tier does not hold one unit of the prefix cache.
    """
    residency, first = scenario.residency, pools[0]
    if residency is None:
        return None
    forms = tuple(
        Form(
            pool=plan.name,
            groups=representations(scenario, plan.name, model, runtimes[plan.name], plan),
        )
        for plan in pools
    )
    mover = mover_of(scenario, runtimes[first.name], first, forms[0].groups, model.layer_count)
    rules = first.rules
    unit_tokens = rules.unit_tokens or rules.block_tokens
    unit_pages = rules.unit_blocks or 1
    page_bytes = mover.plan(unit_tokens).bytes / unit_pages
    paths = _Paths(network, placement, first.name, residency)
    latency_s = scenario.network.latency if scenario.network is not None else 0.0
    tiers = tuple(
        _tier(name, residency, paths, page_bytes, unit_pages, latency_s)
        for name in TIERS
        if getattr(residency, name) is not None
    )
    seconds, launch_s = _conversion(forms, first)
    writers = residency.writers or (first.name,)
    last = pools[-1]
    drops = last is not first and last.name in writers
    ssd = residency.ssd
    return ResidencyPlan(
        pool=first.name,
        tiers=tiers,
        fetch=residency.fetch,
        key=residency.key,
        forms=forms,
        writers=writers,
        unit_tokens=unit_tokens,
        unit_pages=unit_pages,
        page_bytes=page_bytes,
        mover=mover,
        convert_s_per_byte=seconds,
        convert_launch_s=launch_s,
        drop_paths=tuple(
            network.path(placed.name, f"{REMOTE}/0/host") for placed in _mine(placement, last.name)
        )
        if drops
        else (),
        ssd_capacity_bytes=ssd.capacity if ssd is not None else None,
        rated_dwpd=ssd.rated_dwpd if ssd is not None else None,
    )


def _conversion(forms: Sequence[Form], reader: PoolPlan) -> tuple[float, float]:
    """Return seconds per byte and per pass in which the reader converts another form's KV.

    One pass reads it and writes it: two bytes of memory traffic for each that is stored.
    """
    converter = converter_of(reader)
    rate = reader.memory_bytes_per_s * reader.devices * converter.efficiency
    return 2.0 / rate, converter.launch_s


def _tier(
    name: str,
    residency: Residency,
    paths: _Paths,
    page_bytes: float,
    unit_pages: int,
    latency_s: float,
) -> TierPlan:
    stated: Any = getattr(residency, name)
    part = stated.fill if name == "remote" else 1.0
    pages = floor(stated.capacity * part / page_bytes)
    if pages < unit_pages:
        raise InfeasibleError(
            f"residency.{name}: not one unit of the prefix cache fits",
            (
                ("one unit", format_bytes(unit_pages * page_bytes)),
                ("capacity", format_bytes(stated.capacity * part)),
            ),
        )
    share = "cluster" if name == "remote" else stated.share
    return TierPlan(
        name=name,  # type: ignore[arg-type]
        pages=pages,
        eviction=stated.eviction,
        write=stated.write,
        holders=_holders(paths.placed, share),
        private=name == "dram" and share == "instance",
        reads=paths.all(name, "read"),
        writes=paths.all(name, "write"),
        spills=paths.all(name, "spill"),
        # A lookup asks the master before the read, and is checked after it.
        lookup_s=4.0 * latency_s if name == "remote" else 0.0,
        lease_s=stated.lease if name == "remote" else None,
    )


def _holders(placed: Sequence[Placed], share: str) -> tuple[int, ...]:
    """Return the holder of each instance: itself, its (first) node, or the one of all."""
    if share == "cluster":
        return (0,) * len(placed)
    if share == "instance":
        return tuple(range(len(placed)))
    nodes = [one.slots[0].node for one in placed]
    order = {node: number for number, node in enumerate(dict.fromkeys(nodes))}
    return tuple(order[node] for node in nodes)
