"""Facts about a scenario: model, pools, memory, and offered load against what each stage can do."""

from __future__ import annotations

from typing import Any

from hetsim.inspect._explain import overlap_words
from hetsim.inspect._residency import residency_rows
from hetsim.inspect._subject import Subject
from hetsim.model import active_parameters, parameters
from hetsim.stages import PoolPlan, placement_of
from hetsim.units import format_bytes, format_seconds

__all__ = ["Fact", "capacity_rows", "facts", "placement_rows"]

Fact = dict[str, str]


def _fact(what: str, value: str) -> Fact:
    return {"what": what, "value": value}


def facts(subject: Subject) -> list[Fact]:
    """Return what is so, as (what, value) for people."""
    rows = [_fact("model", _model(subject)), _fact("workload", _workload(subject))]
    for pool in subject.plan.pools:
        rows.append(_fact(f"pool {pool.name}", _pool(subject, pool)))
        rows.append(_fact(f"  KV of {pool.name}", _memory(pool)))
        if pool.capacity is not None:
            rows.append(_fact(f"  memory of {pool.name}", pool.capacity.line()))
        if getattr(pool.model, "overlapped", False):
            name = f"  two-batch overlap of {pool.name}"
            rows += [_fact(name, said) for said in overlap_words(subject, pool)]
    rows += [_fact(f"{row['stage']} stage", _stage(row)) for row in capacity_rows(subject)]
    rows += residency_rows(subject)
    slo = subject.scenario.slo
    words = [f"TTFT {format_seconds(slo.ttft)}", f"TPOT {format_seconds(slo.tpot)}"]
    if slo.e2e is not None:
        words.append(f"E2E {format_seconds(slo.e2e)}")
    rows.append(_fact("SLO", f"{', '.join(words)} for {slo.percentile:g} % of the requests"))
    return rows


def _model(subject: Subject) -> str:
    model = subject.model
    total, active = parameters(model), active_parameters(model)
    text = f"{model.name}, {total / 1e9:.4g} B parameters"
    if active < 0.8 * total:
        text += f" ({active / 1e9:.3g} B per token)"
    return f"{text}, {model.layer_count} layers, context {model.max_context}"


def _workload(subject: Subject) -> str:
    demand, workload = subject.demand, subject.plan.workload
    text = (
        f"{workload.kind}, {workload.requests} requests, mean {demand.input_tokens:.5g} in and "
        f"{demand.output_tokens:.4g} out"
    )
    if demand.computed_tokens < 0.99 * demand.input_tokens:
        reused = 1.0 - demand.computed_tokens / demand.input_tokens
        text += f", at best {reused:.0%} of the input from the prefix cache"
    if demand.rate_req_s is not None:
        return f"{text}, {demand.rate_req_s:.4g} req/s"
    loop = workload.loop
    return f"{text}, {loop.users} users" if loop is not None else f"{text}, all at once"


def _pool(subject: Subject, pool: PoolPlan) -> str:
    stated = subject.pool(pool.name)
    cut, precision = stated.parallel, stated.precision
    degrees = {"tp": cut.tp, "pp": cut.pp, "dp": cut.dp, "ep": cut.ep}
    layout = " ".join(f"{k}{v}" for k, v in degrees.items() if v > 1) or "tp1"
    devices = pool.instances * pool.devices
    return (
        f"{pool.role}, {pool.instances} x {layout} = {devices} {pool.accelerator.name}; weights "
        f"{precision.weights}, compute {pool.compute_format}, KV {precision.kv}; "
        f"{pool.runtime.name}, step times {pool.grade}"
    )


def _memory(pool: PoolPlan) -> str:
    tokens = (pool.blocks - pool.rules.fixed_blocks) * pool.rules.block_tokens * pool.ranks
    text = f"{tokens} tokens per instance"
    per_token = getattr(pool.model, "kv_bytes_per_token_per_device", None)
    if per_token is None:
        return text
    state = pool.model.state_bytes_per_sequence
    text = f"{format_bytes(per_token)} per token and device; {text}"
    return text + (f"; state {format_bytes(state)} per sequence" if state else "")


def capacity_rows(subject: Subject) -> list[dict[str, Any]]:
    """Return offered load and closed-form capacity of each stage: an upper bound, no queueing."""
    bounds, demand, rate = subject.bounds, subject.demand, subject.offered_req_s
    slo = format_seconds(subject.scenario.slo.tpot)
    limit = f"TPOT of {slo}" if bounds.decode_limit == "TPOT" else bounds.decode_limit
    rows = [
        ("prefill", bounds.prefill_req_s, demand.computed_tokens, "tok/s", "whole steps"),
        (
            "decode",
            bounds.decode_req_s,
            max(0.0, demand.output_tokens - 1.0),
            "tok/s",
            f"batch {bounds.decode_batch} per rank, limited by {limit}",
        ),
    ]
    if bounds.link_req_s is not None:
        wire = _wire_bytes(subject)
        rows.append(("link", bounds.link_req_s, wire, "B/s", bounds.link_name))
    return [
        {
            "stage": stage,
            "capacity_req_s": capacity,
            "capacity_per_s": capacity * amount,
            "offered_per_s": rate * amount if rate is not None else None,
            "unit": unit,
            "load_ratio": subject.load(capacity),
            "at": how,
        }
        for stage, capacity, amount, unit, how in rows
    ]


def _wire_bytes(subject: Subject) -> float:
    boundary = subject.plan.boundary
    assert boundary is not None
    size: float = boundary.transfer.plan(max(1, round(subject.demand.input_tokens))).bytes
    return size


def _stage(row: dict[str, Any]) -> str:
    def amount(value: float) -> str:
        if row["unit"] == "B/s":
            return f"{format_bytes(value)}/s"
        return f"{value:.4g} tok/s"

    text = f"{amount(row['capacity_per_s'])} = {row['capacity_req_s']:.4g} req/s ({row['at']})"
    if row["load_ratio"] is None:
        return text
    return f"{row['load_ratio']:.0%} of {text}; offered {amount(row['offered_per_s'])}"


def placement_rows(subject: Subject) -> list[str]:
    """Return who stands on which node, like nodes folded into one line."""
    if any(pool.accelerator is None for pool in subject.plan.pools):
        return []
    with subject.loaded.locating():
        placement = placement_of(subject.scenario)
    nodes: dict[int, list[str]] = {}
    for node, pool, instance, devices in placement.rows():
        nodes.setdefault(node, []).append(f"{pool}/{instance} on devices {devices}")
    lines = [f"node {node}: {', '.join(held)}" for node, held in sorted(nodes.items())]
    if len(lines) > 12:
        lines = [*lines[:10], f"... {len(lines) - 11} more ...", lines[-1]]
    return lines
