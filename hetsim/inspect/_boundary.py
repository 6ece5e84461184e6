"""The boundary card: how KV crosses, what that costs, and who notices if it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.inspect._subject import Subject
from hetsim.representation import Representation, Verdict, detect
from hetsim.runtimes import runtime_names
from hetsim.stages import default_engine, representations
from hetsim.transfer import TransferEngine, get_transfer_engine, handshake_s
from hetsim.units import format_bytes, format_seconds

__all__ = ["boundary_lines", "detections", "lease_budget", "sides", "transfer_engine"]

_WORDS = {
    "accept": "accepts",
    "convert": "converts",
    "silent": "does not notice, and decodes wrong bytes",
    "reject_request": "refuses each request",
    "reject_connect": "refuses to connect",
}


def sides(subject: Subject) -> tuple[tuple[Representation, ...], tuple[Representation, ...]]:
    """Return the KV descriptors of the producer and of the consumer, one per cache group."""
    first, last = (
        representations(subject.scenario, pool.name, subject.model, pool.runtime, pool)
        for pool in (subject.first, subject.last)
    )
    return first, last


def boundary_lines(subject: Subject) -> list[str]:
    """Return the boundary card; nothing for a co-located system."""
    boundary = subject.plan.boundary
    if boundary is None:
        return []
    producer, consumer = sides(subject)
    lines = [_side("producer", subject.first.name, group) for group in producer]
    lines += [_side("consumer", subject.last.name, group) for group in consumer]
    lines += [_verdict(item) for item in boundary.verdicts]
    lines += _detection_lines(subject, producer, consumer)
    lines += _conversion(subject)
    lines.append(_wire(subject))
    variant = boundary.plan.variant
    kept = "sound" if variant.sound else "not sound: some histories break an invariant"
    lines.append(f"ownership: {boundary.plan.kind}/{variant.name} ({kept})")
    lines.append(
        f"first token from: {boundary.first_token_from}; granularity {boundary.granularity}"
    )
    lines += lease_budget(subject)["lines"]
    return lines


def _side(role: str, pool: str, rep: Representation) -> str:
    degrees = f"tp {rep.tp}" + (f", pp {rep.pp}" if rep.pp > 1 else "")
    where = {"vram_rdma": "device memory, within reach of the NIC"}.get(
        rep.mem, "device memory, staged through the host"
    )
    scales = f", scales {rep.scale_gran} at {rep.scale_loc}" if rep.scale_gran != "none" else ""
    window = f", window {rep.window}" if rep.window else ""
    return (
        f"{role} ({pool}): {rep.group_kind} of {len(rep.group_layers)} layers, {rep.enc}{scales}, "
        f"{rep.order} {rep.kv_pack}, pages of {rep.page_tokens} tokens, {degrees}{window}, {where}"
    )


def _verdict(item: Verdict) -> str:
    text = f"verdict: {item.kind}"
    if item.relayout and item.kind != "relayout":
        text += " and relayout"
    if item.reasons:
        text += f" ({'; '.join(item.reasons)})"
    if item.kv_error is not None:
        text += (
            f"; relative error {item.kv_error.gaussian_ratio:.2%} on Gaussian and "
            f"{item.kv_error.outlier_ratio:.2%} on outlier-heavy tensors"
        )
    return text


def detections(
    producer: Sequence[Representation], consumer: Sequence[Representation]
) -> dict[str, Any]:
    """Return what every runtime preset with a known detection does when the pair meets."""
    from hetsim.errors import ScenarioError

    found = {}
    for name in runtime_names():
        try:
            found[name] = detect(producer, consumer, name)
        except ScenarioError:
            # A preset that never hands KV over has no detection.
            continue
    return found


def _detection_lines(
    subject: Subject, producer: Sequence[Representation], consumer: Sequence[Representation]
) -> list[str]:
    found = detections(producer, consumer)
    if not found:
        return []
    mine = [subject.first.runtime.name, subject.last.runtime.name]
    lines = []
    for name in dict.fromkeys(name for name in mine if name in found):
        item = found[name]
        why = [
            f"{f.mismatch.replace('_', ' ')}: {f.outcome.replace('_', ' ')}"
            + ("" if f.established else " (assumed)")
            for f in item.findings
        ]
        reason = f" ({'; '.join(why)})" if why else ""
        lines.append(f"the runtime {name} {_WORDS[item.outcome]}{reason}")
    by_outcome: dict[str, list[str]] = {}
    for name, item in found.items():
        if name not in mine:
            by_outcome.setdefault(item.outcome, []).append(name)
    for outcome, names in sorted(by_outcome.items()):
        lines.append(f"elsewhere, {_WORDS[outcome]}: {', '.join(names)}")
    return lines


def _conversion(subject: Subject) -> list[str]:
    boundary = subject.plan.boundary
    assert boundary is not None
    placed = {side for item in boundary.verdicts for side in item.convert_sides}
    plan = boundary.transfer.plan(1000)
    if not placed:
        return ["conversion: none"]
    times = (("producer", plan.producer_convert_s), ("consumer", plan.consumer_convert_s))
    parts = [f"{side}, {format_seconds(time)} per 1k tokens" for side, time in times if time]
    return [f"conversion at {' and '.join(parts) or ' and '.join(sorted(placed))}"]


def _wire(subject: Subject) -> str:
    boundary = subject.plan.boundary
    assert boundary is not None
    plan = boundary.transfer.plan(1000)
    staged = ", staged through hosts" if plan.staged else ""
    return (
        f"wire: {format_bytes(plan.bytes)} and {plan.descriptors:.0f} descriptors per 1k tokens"
        f"{staged}; {format_seconds(alone_s(plan))} alone on the wire"
    )


def alone_s(plan: Any) -> float:
    """Return the seconds of a hand-off that shares nothing with anybody."""
    beside = plan.post_s + plan.fixed_s + plan.producer_stage_s + plan.consumer_stage_s
    convert = plan.producer_convert_s + plan.consumer_convert_s
    seconds: float = plan.bytes / plan.rate_bytes_per_s + beside + convert
    return seconds


def transfer_engine(subject: Subject) -> TransferEngine:
    """Return the transfer engine: the stated one, or the usual one of the runtime."""
    stated = subject.scenario.boundary.transfer_engine if subject.scenario.boundary else None
    name = stated or default_engine(subject.first.runtime, subject.first)
    return get_transfer_engine(name, "boundary.transfer_engine")


def lease_budget(subject: Subject) -> dict[str, Any]:
    """Return first contact, transfer and what they leave of the lease for waiting on decode.

    A lease that nobody renews in time is lost KV: the request fails or is computed again.
    """
    boundary = subject.plan.boundary
    assert boundary is not None
    timers = boundary.plan.variant.timers
    contact = max(
        handshake_s(item.drivers, transfer_engine(subject), 2.0 * boundary.control_s)
        for item in boundary.verdicts
    )
    longest = min(subject.demand.longest_tokens, subject.plan.max_context)
    moved = alone_s(boundary.transfer.plan(longest))
    budget = {
        "lease_s": timers.lease_s,
        "handshake_s": contact,
        "transfer_s": moved,
        "left_s": None,
    }
    if timers.lease_s is None:
        text = "lease: none; KV is held until it is fetched or the request is cancelled"
        return {**budget, "left_s": None, "lines": [text]}
    left = timers.lease_s - contact - moved
    lines = [
        f"lease: {format_seconds(timers.lease_s)} - first contact {format_seconds(contact)} - "
        f"longest transfer {format_seconds(moved)} = {format_seconds(left)} for waiting on the "
        "decode side"
        if left > 0
        else f"lease: {format_seconds(timers.lease_s)} is shorter than first contact "
        f"({format_seconds(contact)}) and the longest transfer ({format_seconds(moved)})"
    ]
    if timers.beat_s is not None:
        lines.append(
            f"lease: renewed every {format_seconds(timers.beat_s)} once the decode side has seen "
            "the request"
        )
    return {**budget, "left_s": left, "lines": lines}
