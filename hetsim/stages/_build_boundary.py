"""From a scenario's boundary to a :class:`BoundaryPlan`: representation, transfer, ownership."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.model import Model
from hetsim.ownership import Timers, get_protocol
from hetsim.representation import BoundaryPolicy, LayoutWords, encoding_of, represent, verdict
from hetsim.runtimes import Runtime
from hetsim.scenario import Boundary, Pool, Scenario, devices_per_node
from hetsim.stages._build_pool import nic_rate
from hetsim.stages._plan import BoundaryPlan, PoolPlan
from hetsim.topology import NicSpec
from hetsim.transfer import Endpoint, Staging, build_planner, get_converter, get_transfer_engine

__all__ = ["build_boundary", "default_engine", "representations", "verdicts"]

STAGING_PIECE_BYTES = 8 * 2.0**20
"""Bytes of one piece of a staging pipeline. Source: Mooncake issue 859, 8 MB for 910B to H20."""

MEAN_BLOCK_RUN = 8.0
"""Mean run of consecutive block ids that a runtime finds to merge, where it merges them.

*Source:* vLLM issue 53825: 4,563 descriptors of a 16k prompt became about 70 in a fresh pool (65);
an aged pool has shorter runs, for which no figure was found; 8 is assumed.
"""


def default_engine(runtime: Runtime, source: PoolPlan) -> str:
    """Return the transfer engine that a runtime usually has."""
    if source.accelerator.family == "ascend":
        return "ascend_adxl"
    words = runtime.name
    if "mooncake" in words:
        return "mooncake_rdma_vllm"
    if "sglang" in words:
        return "mooncake_rdma_sglang"
    return "nixl_ucx_rdma"


def representations(
    scenario: Scenario, name: str, model: Model, runtime: Runtime, plan: PoolPlan
) -> tuple[Any, ...]:
    """Return the KV descriptors of a pool, one per cache group."""
    pool = scenario.pools[name]
    words = LayoutWords(
        page_tokens=plan.rules.block_tokens,
        order=runtime.order,  # type: ignore[arg-type]
        kv_pack=runtime.kv_pack,  # type: ignore[arg-type]
        tile=runtime.tile,  # type: ignore[arg-type]
        mem="vram_rdma" if _reaches_device(runtime, plan) else "vram_no_rdma",
    )
    return represent(
        model,
        pool.precision.kv,
        words,
        tp=pool.parallel.tp,
        pp=pool.parallel.pp,
        native_formats=plan.accelerator.native_formats,
    )


def _reaches_device(runtime: Runtime, plan: PoolPlan) -> bool:
    return runtime.staging != "host" and plan.accelerator.rdma_to_device == "yes"


def verdicts(
    scenario: Scenario,
    producer: tuple[Any, ...],
    consumer: tuple[Any, ...],
    native: Any,
    runtime: Runtime,
) -> list[Any]:
    """Return the verdict of every cache group of a pair.

    Raises
    ------
    ScenarioError
        If a group is incompatible, or formats differ and no side was named to convert.
    """
    boundary = scenario.boundary
    assert boundary is not None
    policy = BoundaryPolicy(force_scatter=runtime.engine.lower() == "sglang")
    if boundary.wire is not None:
        policy = replace(policy, wire_enc=encoding_of(boundary.wire, native, "boundary.wire").name)
    if boundary.convert_at is not None:
        policy = replace(policy, convert_at=boundary.convert_at)
    if len(producer) != len(consumer):
        raise ScenarioError(Problem("the pools hold different KV groups", "boundary"))
    found = [verdict(p, c, policy) for p, c in zip(producer, consumer, strict=True)]
    for item in found:
        if item.kind == "incompatible":
            raise ScenarioError(
                Problem(
                    f"the decode pool cannot use the KV of the prefill pool: "
                    f"{'; '.join(item.reasons)}",
                    "boundary",
                )
            )
        if item.requant != "none" and boundary.convert_at is None:
            raise ScenarioError(
                Problem(
                    "KV formats differ between the pools "
                    f"({'; '.join(item.reasons)}); say who converts: convert_at: producer or "
                    "consumer",
                    "boundary.convert_at",
                )
            )
    return found


def _endpoint(scenario: Scenario, name: str, pool: Pool, plan: PoolPlan) -> Endpoint:
    accelerator = plan.accelerator
    node = devices_per_node(pool, accelerator)
    network = scenario.network
    nics = plan.devices
    # Fabrics without NICs (a direct link) limit through the fabric alone.
    rate = accelerator.require("memory_bytes_per_s", "KV transfer")
    if isinstance(network, NicSpec):
        own = network.pools.get(name)
        per_node = (own.nics_per_node if own else None) or network.nics_per_node
        nics = max(1, per_node * plan.devices // node)
        rate = nic_rate(network, name, node) * plan.devices / nics
    return Endpoint(
        ranks=max(1, plan.devices),
        memory_bytes_per_s=accelerator.require("memory_bytes_per_s", "KV conversion"),
        nics=nics,
        nic_bytes_per_s=rate,
        striped=False,
        host_bytes_per_s=_host_rate(network, name, accelerator),
    )


def _host_rate(network: Any, pool: str, accelerator: Accelerator) -> float | None:
    """Return what one device copies to or from its host: stated for the pool, for all, or known."""
    own = network.pools.get(pool) if network is not None else None
    stated = (own.pcie if own else None) or (network.pcie if network is not None else None)
    rate = stated or accelerator.host_bytes_per_s
    return rate * network.pcie_efficiency if rate and network is not None else rate


def _converter(plan: PoolPlan) -> Any:
    on_host = plan.accelerator.family in ("zen", "xeon")
    return get_converter("host_scalar" if on_host else "device_kernel")


def _protocol(boundary: Boundary, giver: Runtime) -> tuple[str, str, Timers | None]:
    """Return kind, variant and timers: the runtime's own, unless the scenario states others.

    Another variant brings its own timers; a stated lease replaces theirs.
    """
    own = giver.protocol
    kind = boundary.ownership or (own.kind if own is not None else "")
    same = own is not None and kind == own.kind
    variant = boundary.variant or (own.variant if own is not None and same else "")
    if boundary.lease is None:
        return kind, variant, None
    if own is not None and same and variant == own.variant:
        return kind, variant, replace(giver.timers, lease_s=boundary.lease)
    stated = get_protocol(kind).variant(variant)
    return kind, stated.name, replace(stated.timers, lease_s=boundary.lease)


def build_boundary(
    scenario: Scenario, model: Model, pools: tuple[PoolPlan, PoolPlan], runtimes: dict[str, Runtime]
) -> BoundaryPlan:
    """Return the hand-off plan of a prefill and a decode pool."""
    boundary = scenario.boundary
    assert boundary is not None
    source, target = pools
    giver, taker = runtimes[source.name], runtimes[target.name]
    producer = representations(scenario, source.name, model, giver, source)
    consumer = representations(scenario, target.name, model, taker, target)
    found = verdicts(scenario, producer, consumer, source.accelerator.native_formats, giver)
    granularity = boundary.granularity or giver.granularity
    engine = get_transfer_engine(
        boundary.transfer_engine or default_engine(giver, source), "boundary.transfer_engine"
    )
    staging = None
    if not (_reaches_device(giver, source) and _reaches_device(taker, target)):
        staging = Staging(pipelined=giver.staging != "host", piece_bytes=STAGING_PIECE_BYTES)
    chunk = min(giver.prefill_chunk_tokens, source.rules.max_tokens)
    mean_block_run = MEAN_BLOCK_RUN if giver.coalesce else 1.0
    planner = build_planner(
        [item.drivers for item in found],
        engine,
        _endpoint(scenario, source.name, scenario.pools[source.name], source),
        _endpoint(scenario, target.name, scenario.pools[target.name], target),
        producer_converter=_converter(source),
        consumer_converter=_converter(target),
        granularity=granularity,
        chunk_tokens=chunk,
        layers=model.layer_count,
        mean_block_run=mean_block_run,
        staging=staging,
    )
    if boundary.on_error is not None:
        giver = replace(giver, on_error=boundary.on_error)
    kind, variant, timers = _protocol(boundary, giver)
    plan = giver.plan(
        kind=kind,
        variant=variant,
        timers=timers,
        convert=any("consumer" in item.drivers.convert_sides for item in found),
    )
    if "X" in plan.facts.block_sets:
        raise ScenarioError(
            Problem(
                f"{plan.kind} moves KV through a pool or a transit store, which a run does not "
                "model yet; state another protocol: boundary.ownership: pull_lease",
                "boundary.ownership",
            )
        )
    control = boundary.control_latency
    if control is None:
        control = scenario.network.latency if scenario.network is not None else 0.0
    return BoundaryPlan(
        plan=plan,
        transfer=planner,
        verdicts=tuple(found),
        first_token_from=giver.first_token_from,
        granularity=granularity,
        chunk_tokens=chunk,
        layers=model.layer_count,
        control_s=control,
        mean_block_run=mean_block_run,
    )
