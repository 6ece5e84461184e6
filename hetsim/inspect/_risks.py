"""Risks: what may go wrong in a scenario, each with its number and, where known, a remedy."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.inspect._boundary import detections, lease_budget, sides
from hetsim.inspect._facts import capacity_rows
from hetsim.inspect._residency import residency_risks
from hetsim.inspect._subject import Subject
from hetsim.ownership import PROTOCOL_INVARIANTS
from hetsim.run import decode_step_s, notes_on_power, prefill_s
from hetsim.stages import beats_may_be_late
from hetsim.units import format_seconds

__all__ = ["risks"]

_NEAR = 0.9
_FEW = 8


def risks(subject: Subject) -> list[str]:
    """Return the risks, the gravest topics first."""
    return [line for topic in _TOPICS for line in topic(subject)]


def _overload(subject: Subject) -> Iterator[str]:
    for row in capacity_rows(subject):
        load = row["load_ratio"]
        if load is None or load < _NEAR:
            continue
        word = "beyond" if load > 1.0 else "near"
        effect = "the queue grows without end" if load > 1.0 else "queues are long"
        yield (
            f"{row['stage']}: {load:.0%} of its capacity is asked for, {word} the limit "
            f"({row['capacity_req_s']:.4g} req/s): {effect}"
        )


def _objectives(subject: Subject) -> Iterator[str]:
    slo, demand = subject.scenario.slo, subject.demand
    alone = prefill_s(subject.first, demand.computed_tokens) + subject.first.request_overhead_s
    if alone > slo.ttft:
        yield (
            f"TTFT: a mean prompt takes {format_seconds(alone)} alone, the objective is "
            f"{format_seconds(slo.ttft)}: no rate meets it"
        )
    step = decode_step_s(subject.last, 1, demand.context_tokens)
    if step > slo.tpot:
        yield (
            f"TPOT: one request alone takes {format_seconds(step)} per token, the objective is "
            f"{format_seconds(slo.tpot)}: no batch meets it"
        )


def _sizes(subject: Subject) -> Iterator[str]:
    longest, context = subject.demand.longest_tokens, subject.plan.max_context
    if longest > context:
        yield (
            f"the longest request has {longest} tokens, the model's context is {context}: such "
            "requests are rejected"
        )
    for pool in subject.plan.pools:
        room = (pool.blocks - pool.rules.fixed_blocks) * pool.rules.block_tokens
        if longest > room:
            yield (
                f"pool {pool.name}: the longest request has {longest} tokens, its KV holds {room}: "
                "such requests are rejected"
            )
        mean = subject.demand.input_tokens + subject.demand.output_tokens
        if room < _FEW * mean:
            yield (
                f"pool {pool.name}: its KV holds only {room / mean:.1f} requests of mean length; "
                "use more devices per instance, or a narrower KV or weight format"
            )


def _representation(subject: Subject) -> Iterator[str]:
    boundary = subject.plan.boundary
    if boundary is None:
        return
    found = detections(*sides(subject))
    mine = (subject.first.runtime.name, subject.last.runtime.name)
    for name in dict.fromkeys(mine):
        outcome = found[name].outcome if name in found else "accept"
        if outcome == "silent":
            yield f"{name} does not notice that the caches differ: wrong answers without an error"
        elif outcome.startswith("reject"):
            yield (
                f"{name} as it is refuses this pair; the run assumes that the conversion of the "
                "boundary is built"
            )
    for item in boundary.verdicts:
        if item.requant == "lossy" and item.kv_error is not None:
            yield (
                f"the KV is requantised with loss ({item.kv_error.outlier_ratio:.1%} error on "
                "outlier-heavy tensors): measure the answers"
            )


def _ownership(subject: Subject) -> Iterator[str]:
    boundary = subject.plan.boundary
    if boundary is None:
        return
    variant = boundary.plan.variant
    broken = [name for name in PROTOCOL_INVARIANTS if name not in variant.guarantees]
    if broken:
        yield (
            f"{boundary.plan.kind}/{variant.name} does not guarantee {', '.join(broken)}; a run "
            "counts what is broken under violations"
        )
    left = lease_budget(subject)["left_s"]
    if left is None:
        return
    if left <= 0.0:
        yield "the lease ends before the KV can be fetched: lengthen boundary.lease"
    load = subject.load(subject.bounds.decode_req_s)
    if left > 0.0 and load is not None and load > 1.0:
        yield (
            f"decode is overloaded: waiting for its blocks passes the lease after about "
            f"{format_seconds(left / (load - 1.0))} of such load"
        )


def _admission(subject: Subject) -> Iterator[str]:
    """Yield what the router and the messages of a hand-off leave open, with who has met it."""
    plan, stated = subject.plan, subject.scenario.boundary
    if plan.boundary is None or stated is None:
        return
    load = subject.load(subject.bounds.decode_req_s)
    if load is not None and load > 1.0 and stated.hold_above is None:
        yield (
            "the router lets prompts in whatever waits on decode, for no runtime sends it a credit "
            "(sglang issue 30033); boundary.hold_above holds them back"
        )
    if stated.message_ids == "room":
        yield (
            "messages name a request by its client's id alone: two deliveries of one id are "
            "confused (sglang issue 40125)"
        )
    if stated.step_timers is not False and beats_may_be_late(
        plan.boundary, plan.pools[-1], plan.max_context
    ):
        yield (
            "heartbeats wait for decode's steps, the longest of which may outlast the lease "
            "(vLLM sends them from its scheduler step)"
        )


def _placement(subject: Subject) -> Iterator[str]:
    from hetsim.scenario import devices_per_node

    for pool in subject.plan.pools:
        stated = subject.pool(pool.name)
        node = devices_per_node(stated, pool.accelerator)
        group = stated.parallel.tp * stated.parallel.dp
        domain = max(node, pool.accelerator.scale_up.domain or 1)
        if group > domain:
            yield (
                f"pool {pool.name}: its collectives join {group} devices over domains of {domain}: "
                "they cross the network in every step"
            )


def _evidence(subject: Subject) -> Iterator[str]:
    for pool in subject.plan.pools:
        if pool.grade == "datasheet":
            yield (
                f"pool {pool.name}: step times of {pool.accelerator.name} rest, at least in "
                "part, on datasheet values; take rankings, not numbers"
            )
        if pool.accelerator.confidence == "low":
            yield f"pool {pool.name}: the profile of {pool.accelerator.name} has low confidence"
    yield from notes_on_power(subject.scenario, subject.loaded.base_dir)


_TOPICS = (
    _overload,
    _objectives,
    _sizes,
    _representation,
    _ownership,
    _admission,
    residency_risks,
    _placement,
    _evidence,
)
