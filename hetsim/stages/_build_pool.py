"""From a pool of a scenario to a :class:`PoolPlan`: model, memory, scheduler, power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.costs import (
    Calibration,
    ConstantModel,
    GroupLinks,
    Layout,
    Overheads,
    Precision,
    build_step_model,
    checkpoint_precision,
)
from hetsim.errors import InfeasibleError, Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.kv import blocks_for, cache_unit, kv_capacity
from hetsim.model import Model
from hetsim.runtimes import Runtime
from hetsim.scenario import Pool, Scenario, devices_per_node
from hetsim.serving import RankRules
from hetsim.stages._plan import PoolPlan
from hetsim.topology import NicSpec, PoolPorts, default_efficiency
from hetsim.transfer import Converter

__all__ = ["build_pool", "line_rate", "nic_rate"]


def _links(scenario: Scenario, name: str, pool: Pool, accelerator: Accelerator) -> GroupLinks:
    node = devices_per_node(pool, accelerator)
    scale_up = accelerator.scale_up
    rate_known = scale_up.aggregate_bytes_per_s or 0.0
    joined = rate_known > 0 and scale_up.topology not in ("pcie", "none", "unknown")
    domain = max(node, scale_up.domain or 1) if joined else node
    network = scenario.network
    if not isinstance(network, NicSpec):
        return GroupLinks(devices_per_domain=domain)
    # The usual ceiling is that of KV transfers; one that is stated holds for everybody.
    own = network.pools.get(name) or PoolPorts()
    stated = own.efficiency or network.efficiency or 1.0
    return GroupLinks(
        devices_per_domain=domain,
        network_bytes_per_s=line_rate(network, name, node) * stated,
        network_latency_s=network.latency,
        fabric_bytes_per_s=nic_rate(network, name, node),
    )


def line_rate(network: NicSpec, pool: str, node: int) -> float:
    """Return the line rate of one accelerator of a pool, the NICs of its node shared evenly."""
    own = network.pools.get(pool) or PoolPorts()
    return (own.nic or network.nic) * (own.nics_per_node or network.nics_per_node) / node


def nic_rate(network: NicSpec, pool: str, node: int) -> float:
    """Return what of :func:`line_rate` is reached."""
    own = network.pools.get(pool) or PoolPorts()
    nics = own.nics_per_node or network.nics_per_node
    ceiling = own.efficiency or network.efficiency or default_efficiency(nics)
    return line_rate(network, pool, node) * ceiling


def _is_moe(model: Model) -> bool:
    return any(group.mlp.kind == "moe" for group in model.layers)


def _overheads(runtime: Runtime, moe: bool, overlap: bool | None) -> Overheads:
    return Overheads(
        host_step_s=runtime.host_step_s,
        host_per_sequence_s=runtime.host_per_sequence_s,
        kernel_scale_decode=runtime.kernel_scale_decode,
        kernel_scale_prefill=runtime.kernel_scale_prefill,
        floor_scale=runtime.floor_scale_moe if moe else runtime.floor_scale,
        two_batch_overlap=runtime.two_batch_overlap if overlap is None else overlap,
    )


def step_model(
    scenario: Scenario,
    name: str,
    accelerator: Accelerator,
    model: Model,
    runtime: Runtime,
    calibration: Calibration,
) -> Any:
    """Return the step times of a pool."""
    pool = scenario.pools[name]
    if pool.estimator.kind == "constant":
        return ConstantModel(pool.estimator.prefill, pool.estimator.decode_step)
    spec = pool.precision
    precision = checkpoint_precision(
        model.family,
        Precision(
            weights=spec.weights,
            compute=spec.compute,
            kv=spec.kv,
            activations=spec.activations,
            attention_weights=spec.attention_weights,
        ),
    )
    cut = pool.parallel
    return build_step_model(
        model,
        accelerator,
        Layout(tp=cut.tp, pp=cut.pp, ep=cut.ep, dp=cut.dp),
        precision,
        calibration,
        _overheads(runtime, _is_moe(model), pool.two_batch_overlap),
        _links(scenario, name, pool, accelerator),
    )


def _limits(pool: Pool, runtime: Runtime, memory_bytes: float) -> tuple[int, int]:
    limits = runtime.limits(memory_bytes, pool.accelerator)
    tokens = pool.max_batched_tokens or limits.max_batched_tokens
    return tokens, pool.max_seqs or limits.max_seqs


def build_pool(
    name: str,
    scenario: Scenario,
    accelerator: Accelerator,
    model: Model,
    runtime: Runtime,
    calibration: Calibration,
    hash_tokens: int | None,
    mean_tokens: float,
) -> PoolPlan:
    """Return the plan of pool ``name``.

    Raises
    ------
    InfeasibleError
        If the model does not fit: need, have, short by.
    """
    pool = scenario.pools[name]
    steps = step_model(scenario, name, accelerator, model, runtime, calibration)
    cut = pool.parallel
    block = pool.block_tokens or runtime.page_tokens
    memory = accelerator.capacity_bytes or accelerator.require("memory_bytes", "KV capacity")
    tokens, seqs = _limits(pool, runtime, memory)
    capacity, blocks, fixed = None, 0, 0
    if pool.estimator.kind == "constant":
        blocks = pool.estimator.blocks
    else:
        aside = transit_bytes(scenario, name, runtime)
        capacity = _capacity(name, pool, runtime, steps, memory, block, tokens, aside)
        fixed = _fixed_blocks(steps, capacity.block_bytes, mean_tokens)
        blocks = capacity.blocks
        if blocks <= fixed:
            raise InfeasibleError(
                f"pool {name}: not one sequence fits: its constant state takes {fixed} blocks, "
                f"there are {blocks}"
            )
    unit = None
    if pool.prefix_caching and hash_tokens:
        unit = cache_unit(hash_tokens, block)
        if unit is None:
            raise ScenarioError(
                Problem(
                    f"prefix blocks of {hash_tokens} tokens and KV blocks of {block} do not divide"
                    " each other; set prefix_caching: false or another block_tokens",
                    f"pools.{name}.prefix_caching",
                )
            )
    preempt = pool.preempt or ("swap" if runtime.on_preempt == "retract" else "recompute")
    swap_s = None
    if preempt == "swap" and capacity is not None:
        rate = accelerator.require("host_bytes_per_s", "preemption by swap")
        # A block is spread over the devices of the rank, which copy side by side.
        swap_s = capacity.block_bytes / (0.8 * rate)
    elif preempt == "swap":
        swap_s = 0.0
    dp_ranks = cut.dp
    rules = RankRules(
        block_tokens=block,
        max_seqs=max(1, seqs),
        max_tokens=tokens,
        chunked=runtime.chunked_prefill,
        reserve_output=runtime.capacity_policy == "guaranteed_no_evict",
        unit_stride=unit[0] if unit else 1,
        unit_tokens=unit[1] if unit else 0,
        unit_blocks=unit[2] if unit else 0,
        fixed_blocks=fixed,
        windows=tuple(steps.windows),
        margin_tokens=runtime.reserve_tokens_per_request if pool.role == "decode" else 0,
        watched=scenario.residency is not None and pool.role != "decode" and unit is not None,
    )
    moe = runtime.request_overhead_moe_ratio if _is_moe(model) else 1.0
    apart = pool.role != "both"
    return PoolPlan(
        name=name,
        role=pool.role,
        accelerator=accelerator,
        instances=pool.instances,
        devices=cut.tp * cut.pp * cut.dp,
        ranks=dp_ranks,
        model=steps,
        rules=rules,
        blocks=blocks,
        capacity=capacity,
        batcher=runtime.scheduler,
        router=pool.router,
        keeps=pool.role == "both",
        swap_s_per_block=swap_s,
        queue_limit=pool.queue_limit,
        queue_timeout_s=pool.queue_timeout,
        request_overhead_s=(
            runtime.handoff_overhead_s if apart else runtime.request_overhead_s * moe
        ),
        # A disaggregated request's fixed overhead was fitted with its waiting for admission in it.
        admission_steps=0.0 if apart else runtime.admission_steps,
        runtime=runtime,
        compute_format=pool.precision.compute,
        peak_flop_per_s=getattr(steps, "peak_flop_per_s", float("nan"))
        / (cut.tp * cut.pp * cut.dp),
        memory_bytes_per_s=accelerator.memory_bytes_per_s or float("nan"),
        grade=getattr(steps, "grade", "stated"),
        converters=_converters(calibration),
    )


def _converters(calibration: Calibration) -> dict[str, Converter]:
    """Return the KV conversions that were measured on the device itself, by formats."""
    return {
        pair: Converter(
            efficiency=made.e_m,
            launch_s=made.t0_s,
            grade=made.grade,
            rse=made.rse,
            sources={"efficiency": made.source},
        )
        for pair, made in calibration.own("convert").items()
    }


def transit_bytes(scenario: Scenario, name: str, runtime: Runtime) -> float:
    """Return what a transit store takes of the memory of each device of a pool."""
    boundary, pool = scenario.boundary, scenario.pools[name]
    if boundary is None or boundary.transit is None or pool.role != "prefill":
        return 0.0
    if runtime.staging in ("host", "shared_memory"):
        return 0.0
    cut = pool.parallel
    return boundary.transit / (cut.tp * cut.pp * cut.dp)


def _capacity(
    name: str,
    pool: Pool,
    runtime: Runtime,
    steps: Any,
    memory: float,
    block: int,
    tokens: int,
    aside_bytes: float,
) -> Any:
    utilisation = pool.memory_utilisation or runtime.memory_utilisation
    reserve = pool.reserve if pool.reserve is not None else runtime.reserve_bytes
    reserve += aside_bytes
    activations = steps.activation_bytes(tokens)
    weights = steps.weight_bytes_per_device
    if runtime.memory_rule == "of_free":
        # The ratio applies to what weights, activations and reserve leave.
        free = max(0.0, memory - weights - activations - reserve)
        reserve += (1.0 - utilisation) * free
        utilisation = 1.0
    elif runtime.memory_rule == "weights_and_kv":
        # Activations live in the rest of the device; only what exceeds it comes on top.
        activations = max(0.0, activations - (1.0 - utilisation) * memory)
    return kv_capacity(
        name=f"pool {name}",
        memory_bytes=memory,
        utilisation=utilisation,
        weight_bytes=weights,
        activation_bytes=activations,
        reserve_bytes=reserve,
        kv_bytes_per_token=_growing_bytes(steps),
        block_tokens=block,
    )


def _growing_bytes(steps: Any) -> float:
    """Return KV bytes per token of the layers whose context is not capped by a window.

    Where every layer is windowed, all of them count as growing.
    """
    pairs: Sequence[tuple[int | None, float]] = list(
        zip(steps.windows, steps.kv_bytes_by_window, strict=True)
    )
    free = sum(size for window, size in pairs if window is None)
    return free if free > 0 else sum(size for _, size in pairs)


def _fixed_blocks(steps: Any, block_bytes: float, mean_tokens: float) -> int:
    """Return the blocks that constant state and windowed layers of one sequence take.

    A windowed layer keeps at most its window, and no more than a sequence is long on average.
    """
    pairs = list(zip(steps.windows, steps.kv_bytes_by_window, strict=True))
    held = steps.state_bytes_per_sequence
    if any(window is None and size > 0 for window, size in pairs):
        held += sum(size * min(window, mean_tokens) for window, size in pairs if window is not None)
    return blocks_for(int(-(-held // 1)), int(block_bytes)) if held > 0 and block_bytes > 0 else 0
