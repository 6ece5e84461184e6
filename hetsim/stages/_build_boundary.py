"""From a scenario's boundary to a :class:`BoundaryPlan`: representation, transfer, ownership."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.model import Model
from hetsim.ownership import Timers, get_protocol
from hetsim.representation import BoundaryPolicy, LayoutWords, encoding_of, represent, verdict
from hetsim.runtimes import Runtime
from hetsim.scenario import Boundary, Pool, Scenario, devices_per_node
from hetsim.stages._build_pool import line_rate
from hetsim.stages._plan import BoundaryPlan, PoolPlan
from hetsim.stages._residency_plan import TransitPlan
from hetsim.topology import NicSpec
from hetsim.transfer import Endpoint, Staging, build_planner, get_converter, get_transfer_engine

__all__ = [
    "build_boundary",
    "converter_of",
    "default_engine",
    "endpoint_of",
    "representations",
    "transit_place",
    "usual_staging",
    "verdicts",
]

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


def endpoint_of(scenario: Scenario, name: str, pool: Pool, plan: PoolPlan) -> Endpoint:
    """Return one side of a transfer: its memory, its NICs, its host link.

    NICs at their line rate: what of it a transfer engine reaches is the engine's own figure, and
    what the network lets through is the fabric's. The lower of the two counts, not their product.
    """
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
        rate = line_rate(network, name, node) * plan.devices / nics
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


def usual_staging(runtime: Runtime) -> Staging:
    """Return how a runtime copies through the host where the network does not reach a device."""
    return Staging(pipelined=runtime.staging != "host", piece_bytes=STAGING_PIECE_BYTES)


def transit_place(runtime: Runtime) -> Literal["device", "host"]:
    """Return where a runtime keeps the copies of ``copy_out``."""
    return "host" if runtime.staging in ("host", "shared_memory") else "device"


def converter_of(plan: PoolPlan, pair: str = "") -> Any:
    """Return what converts or copies KV in the memory of a pool's devices.

    ``pair`` is ``<from>_to_<to>``: where that was measured on the device, the measurement counts.
    """
    measured = plan.converters.get(pair)
    if measured is not None:
        return measured
    on_host = plan.accelerator.family in ("zen", "xeon")
    return get_converter("host_scalar" if on_host else "device_kernel")


def _conversions(scenario: Scenario, source: str, target: str) -> tuple[str, str]:
    """Return what the producer and the consumer convert, as ``<from>_to_<to>``."""
    boundary = scenario.boundary
    given, taken = (scenario.pools[name].precision.kv for name in (source, target))
    wire = boundary.wire if boundary is not None else None
    if wire is None:
        at_consumer = boundary is not None and boundary.convert_at == "consumer"
        wire = given if at_consumer else taken
    return f"{given}_to_{wire}", f"{wire}_to_{taken}"


def _protocol(boundary: Boundary, giver: Runtime) -> tuple[str, str, Timers | None]:
    """Return kind, variant and timers: the runtime's own, unless the scenario states others.

    Another variant brings its own timers; a stated lease replaces theirs, and scales its renewal.
    """
    own = giver.protocol
    kind = boundary.ownership or (own.kind if own is not None else "")
    same = own is not None and kind == own.kind
    variant = boundary.variant or (own.variant if own is not None and same else "")
    if boundary.lease is None:
        return kind, variant, None
    # What a pool grants is the lease of a lookup.
    name = "read_lease_s" if kind == "pool_lease" else "lease_s"
    if own is not None and same and variant == own.variant:
        return kind, variant, _with_lease(giver.timers, name, boundary.lease)
    stated = get_protocol(kind).variant(variant)
    return kind, stated.name, _with_lease(stated.timers, name, boundary.lease)


def _with_lease(timers: Timers, name: str, lease_s: float) -> Timers:
    """Return timers with another lease; what renews it keeps its part of it.

    *Source:* vLLM 0.33.0, NIXL connector: beats every lease / 6, extension of 2 lease / 3.
    """
    own_s = getattr(timers, name)
    changed = {name: lease_s}
    if name == "lease_s" and own_s is not None:
        for other in ("beat_s", "extend_s"):
            stated_s = getattr(timers, other)
            if stated_s is not None:
                changed[other] = stated_s * lease_s / own_s
    return replace(timers, **changed)


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
        staging = usual_staging(giver)
    pairs = _conversions(scenario, source.name, target.name)
    chunk = min(giver.prefill_chunk_tokens, source.rules.max_tokens)
    mean_block_run = MEAN_BLOCK_RUN if giver.coalesce else 1.0
    planner = build_planner(
        [item.drivers for item in found],
        engine,
        endpoint_of(scenario, source.name, scenario.pools[source.name], source),
        endpoint_of(scenario, target.name, scenario.pools[target.name], target),
        producer_converter=converter_of(source, pairs[0]),
        consumer_converter=converter_of(target, pairs[1]),
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
        handles=boundary.handles or 1,
        convert=any("consumer" in item.drivers.convert_sides for item in found),
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
        transit=_transit(scenario, source, giver, planner, control)
        if "X" in plan.facts.block_sets
        else None,
    )


def _transit(
    scenario: Scenario, source: PoolPlan, giver: Runtime, planner: Any, control_s: float
) -> TransitPlan:
    """Return the store between P and D: the copies of each instance, or the pool over the network.

    Raises
    ------
    ScenarioError
        If the scenario states no room for it.
    """
    boundary, residency = scenario.boundary, scenario.residency
    assert boundary is not None
    page_bytes = planner.plan(source.rules.block_tokens).bytes
    pooled = boundary.transit is None
    if pooled and (residency is None or residency.remote is None):
        raise ScenarioError(
            Problem(
                "is missing; this protocol needs room between the pools: boundary.transit for "
                "copy_out, residency.remote for pool_lease",
                "boundary.transit",
            )
        )
    converter = converter_of(source)
    rate = source.memory_bytes_per_s * source.devices * converter.efficiency
    return TransitPlan(
        place="remote" if pooled else transit_place(giver),
        pages=0 if boundary.transit is None else int(boundary.transit // page_bytes),
        page_bytes=page_bytes,
        copy_s_per_byte=2.0 / rate,
        copy_launch_s=converter.launch_s,
        # PutStart and PutEnd, or a lookup and its check: two round trips.
        rpc_s=4.0 * control_s if pooled else 0.0,
    )
