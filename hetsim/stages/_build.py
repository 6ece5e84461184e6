"""From a scenario to a :class:`SimulationPlan`, everything looked up and checked once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hetsim.costs import Calibration, load_calibration
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.runtimes import Runtime
from hetsim.scenario import (
    Scenario,
    accelerator_of,
    devices_per_node,
    model_of,
    pools_in_order,
    runtime_of,
)
from hetsim.stages._build_boundary import build_boundary
from hetsim.stages._build_pool import build_pool
from hetsim.stages._build_residency import REMOTE, build_residency, network_spec, with_drives
from hetsim.stages._plan import BoundaryPlan, PoolPlan, SimulationPlan
from hetsim.stages._step_bound import beats_may_be_late
from hetsim.topology import Device, Placement, Tenant, inside_nodes, place
from hetsim.workload import Workload, build_workload

__all__ = ["build_plan", "placement_of", "pool_order"]


def pool_order(scenario: Scenario) -> tuple[str, ...]:
    """Return the pools in the order in which a request passes them.

    Raises
    ------
    ScenarioError
        If they are neither one co-located pool nor a prefill and a decode pool.
    """
    names = pools_in_order(scenario)
    if names is not None:
        return names
    roles = {name: pool.role for name, pool in scenario.pools.items()}
    raise ScenarioError(
        Problem(
            "needs one pool with role both, or one with role prefill and one with role decode; "
            f"seen {', '.join(f'{n}: {r}' for n, r in roles.items()) or 'none'}",
            "pools",
        )
    )


def _device(accelerator: Accelerator) -> Device:
    scale_up = accelerator.scale_up
    return Device(
        kind=accelerator.name,
        host_bytes_per_s=accelerator.host_bytes_per_s,
        scale_up="none" if scale_up.topology == "unknown" else scale_up.topology,
        scale_up_bytes_per_s=scale_up.aggregate_bytes_per_s or 0.0,
        per_peer_bytes_per_s=scale_up.per_peer_bytes_per_s or 0.0,
        domain=max(1, scale_up.domain or 1),
        rdma=accelerator.rdma_to_device == "yes",
    )


def placement_of(scenario: Scenario, base_dir: str | Path = ".") -> Placement:
    """Return who stands on which node."""
    tenants = []
    for name in pool_order(scenario):
        pool = scenario.pools[name]
        accelerator = accelerator_of(pool.accelerator, base_dir)
        cut = pool.parallel
        tenants.append(
            Tenant(
                pool=name,
                instances=pool.instances,
                devices=cut.tp * cut.pp * cut.dp,
                devices_per_node=devices_per_node(pool, accelerator),
                device=_device(accelerator),
            )
        )
    residency = scenario.residency
    if residency is not None and residency.remote is not None:
        tenants.append(
            Tenant(
                pool=REMOTE,
                instances=1,
                devices=residency.remote.nodes,
                devices_per_node=1,
                device=Device(kind="memory server", rdma=False),
            )
        )
    share: Any = scenario.network.share if scenario.network is not None else "none"
    return place(tenants, share)


def _mean_tokens(workload: Workload) -> float:
    table = workload.table
    if table is None:
        turn = workload.loop.first(0) if workload.loop is not None else None
        return float(turn.isl + turn.osl) if turn is not None else 1.0
    return float(table.isl.mean() + table.osl.mean()) if len(table) else 1.0


def build_plan(
    scenario: Scenario,
    base_dir: str | Path = ".",
    *,
    stepwise: bool = False,
    check_laws: bool = False,
    calibrations: dict[str, Calibration] | None = None,
    workload: Workload | None = None,
    presets: Mapping[str, Runtime] | None = None,
) -> SimulationPlan:
    """Return the plan of ``scenario``; paths in it are relative to ``base_dir``.

    ``calibrations`` (by device) and ``presets`` (by name) take the place of those on disk.

    Raises
    ------
    ScenarioError
        If names are unknown or parts do not fit each other.
    InfeasibleError
        If the model does not fit the memory of a pool.
    """
    names = pool_order(scenario)
    model = model_of(scenario.model, base_dir)
    workload = workload or build_workload(scenario.workload, scenario.seed, base_dir)
    runtimes = {
        name: _runtime(scenario.pools[name].runtime, base_dir, presets or {}) for name in names
    }
    devices = {name: accelerator_of(scenario.pools[name].accelerator, base_dir) for name in names}
    mean = _mean_tokens(workload)
    pools = tuple(
        build_pool(
            name,
            scenario,
            devices[name],
            model,
            runtimes[name],
            _calibration(devices[name], calibrations),
            workload.hash_block_tokens,
            mean,
        )
        for name in names
    )
    network = _network(scenario, pools, base_dir)
    boundary, stated = None, scenario.boundary
    if len(pools) == 2:
        if scenario.boundary is None:
            raise ScenarioError(
                Problem("is missing; a prefill and a decode pool need one", "boundary")
            )
        boundary = build_boundary(scenario, model, (pools[0], pools[1]), runtimes)
    residency = None
    if scenario.residency is not None:
        placement = placement_of(scenario, base_dir)
        network = with_drives(network, placement, names[0], scenario.residency)
        residency = build_residency(scenario, model, pools, runtimes, network, placement)
    return SimulationPlan(
        pools=pools,
        boundary=boundary,
        network=network,
        residency=residency,
        workload=workload,
        max_context=model.max_context,
        faults=scenario.faults,
        horizon_s=scenario.horizon,
        seed=scenario.seed,
        recovery=scenario.recovery,
        placement=scenario.placement,
        deadlock=stated.deadlock if stated is not None else None,
        step_timers=_step_timers(scenario, boundary, pools[-1], model.max_context),
        by_room=stated is not None and stated.message_ids == "room",
        hold_above=stated.hold_above if stated is not None else None,
        network_spec=scenario.network,
        stepwise=stepwise,
        check_laws=check_laws,
    )


def _runtime(name: str, base_dir: str | Path, presets: Mapping[str, Runtime]) -> Runtime:
    found = runtime_of(name, base_dir)
    return presets.get(found.name, found)


def _step_timers(
    scenario: Scenario, built: BoundaryPlan | None, target: PoolPlan, max_context: int
) -> bool:
    """Return whether timers ride on step loops: as stated, else where one could come too late."""
    boundary = scenario.boundary
    if boundary is None or built is None:
        return False
    if boundary.step_timers is not None:
        return boundary.step_timers
    return bool(scenario.faults) or beats_may_be_late(built, target, max_context)


def _calibration(
    accelerator: Accelerator, calibrations: dict[str, Calibration] | None
) -> Calibration:
    if calibrations and accelerator.name in calibrations:
        return calibrations[accelerator.name]
    return load_calibration(accelerator)


def _network(scenario: Scenario, pools: tuple[PoolPlan, ...], base_dir: str | Path) -> Any:
    alone = len(pools) == 1 and scenario.residency is None
    if alone and getattr(pools[0].model, "network", None) is None:
        return None
    if len(pools) == 1 and scenario.network is None:
        return inside_nodes(placement_of(scenario, base_dir))
    if scenario.network is None:
        raise ScenarioError(
            Problem(
                "is missing; KV crosses between the pools, and no link is free: state one, such as"
                " {fabric: single_switch, nic: 400 Gbit/s, nics_per_node: 8}",
                "network",
            )
        )
    return network_spec(scenario).build(placement_of(scenario, base_dir))
