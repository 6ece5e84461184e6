"""What the scenario asks that the real runtime cannot do: one function per topic."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.deploy._abilities import Abilities, Gap
from hetsim.deploy._choices import is_cpu
from hetsim.deploy._design import Design
from hetsim.errors import ScenarioError
from hetsim.representation import detect
from hetsim.runtimes import Runtime, get_runtime
from hetsim.scenario import Boundary
from hetsim.stages import representations

__all__ = ["gaps"]

_SIXTEEN = ("bf16", "fp16")
_MEETS = {
    "silent": "does not notice and decodes wrong bytes",
    "reject_request": "refuses each request",
    "reject_connect": "refuses to connect",
}


def gaps(design: Design, can: Abilities) -> list[Gap]:
    """Return everything that is asked and not done, the gravest topics first."""
    return [gap for topic in _TOPICS for gap in topic(design, can)]


def _devices(design: Design, can: Abilities) -> Iterator[Gap]:
    makers = []
    for name, pool, plan in design.pools:
        path, maker = f"pools.{name}.accelerator", plan.accelerator.vendor
        makers.append(maker)
        if pool.estimator.kind != "roofline":
            yield Gap(
                field=f"pools.{name}.estimator",
                asks=f"constant step times ({pool.estimator.kind})",
                does="no device has them; the scenario is a check against a formula",
            )
        unknown = f"{can.title} is not known to run on devices of {maker}"
        does = can.cpu if is_cpu(plan.accelerator) else can.makers.get(maker, unknown)
        pages, block = can.pages(plan.accelerator.name), plan.rules.block_tokens
        if block % pages:
            yield Gap(
                field=f"pools.{name}.block_tokens",
                asks=f"blocks of {block} tokens",
                does=f"on a CPU it takes multiples of {pages} only; the next is written",
            )
        if does:
            yield Gap(field=path, asks=f"{plan.accelerator.name} ({maker})", does=does)
    if len(set(makers)) > 1:
        yield Gap(
            field="pools",
            asks=f"KV from {makers[0]} to {makers[-1]}",
            does="no source documents a hand-off between these makers' devices; both builds must "
            "be one version, and the transfer library must reach both memories",
        )


def _engines(design: Design, can: Abilities) -> Iterator[Gap]:
    for name, pool, plan in design.pools:
        engine = plan.runtime.engine
        named = can.title.lower().replace("tensorrt-llm", "tensorrt_llm").split()
        if engine == "none" or engine in named:
            continue
        yield Gap(
            field=f"pools.{name}.runtime",
            asks=f"{pool.runtime} (the engine {engine})",
            does=f"{can.title} schedules, checks and counts memory in its own way; set the runtime "
            "to one of its presets and run again to predict it",
        )


def _protocol(design: Design, can: Abilities) -> Iterator[Gap]:
    boundary = design.plan.boundary
    if boundary is None:
        return
    plan = boundary.plan
    asked = f"{plan.kind}/{plan.variant.name}"
    if asked not in can.protocols:
        known = ", ".join(sorted(can.protocols)) or "none"
        yield Gap(
            field="boundary.ownership",
            asks=f"{asked} ({plan.variant.title})",
            does=f"{can.title} has no such variant (it has {known}); its own hand-off is written",
        )
    if boundary.granularity != can.granularity:
        yield Gap(
            field="boundary.granularity",
            asks=f"one {boundary.granularity} at a time",
            does=f"a {can.granularity} crosses at once",
        )
    stated = design.scenario.boundary
    for field in (
        "handles",
        "message_ids",
        "hold_above",
        "step_timers",
        "deadlock",
        "transit",
        "transfer_engine",
    ):
        value = getattr(stated, field)
        if value is not None:
            yield Gap(
                field=f"boundary.{field}",
                asks=f"{value!r}",
                does="a property of the simulation; the engine has no such setting",
            )


def _meeting(design: Design, can: Abilities) -> Iterator[Gap]:
    """Yield what the target does when the two representations meet."""
    boundary = design.plan.boundary
    if boundary is None:
        return
    preset = _preset(design, can)
    first, last = (
        representations(design.scenario, plan.name, design.model, preset, plan)
        for plan in (design.plan.pools[0], design.plan.pools[-1])
    )
    try:
        found = detect(first, last, preset.name)
    except ScenarioError:
        return
    for finding in found.findings:
        if finding.outcome in ("accept", "convert"):
            continue
        sure = "" if finding.established else " (assumed)"
        yield Gap(
            field="boundary",
            asks=f"{finding.mismatch.replace('_', ' ')}: differs between prefill and decode",
            does=f"{can.title} {_MEETS[finding.outcome]}{sure}",
        )
    yield from _conversion(design, can)


def _preset(design: Design, can: Abilities) -> Runtime:
    boundary = design.plan.boundary
    kind = boundary.plan.kind if boundary is not None else ""
    return get_runtime(can.preset.get(kind, next(iter(can.preset.values()))))


def _conversion(design: Design, can: Abilities) -> Iterator[Gap]:
    stated = design.scenario.boundary
    formats = [pool.precision.kv for _, pool, _ in design.pools]
    wire = stated.wire if stated is not None else None
    if len({*formats, wire or formats[0]}) > 1:
        yield Gap(
            field="boundary.wire",
            asks=f"KV of {formats[0]} crosses as {wire or formats[0]} and is kept as {formats[-1]}",
            does=f"{can.title} converts KV at neither side; make the formats equal",
        )


def _formats(design: Design, can: Abilities) -> Iterator[Gap]:
    for name, pool, plan in design.pools:
        path, precision = f"pools.{name}.precision", pool.precision
        if precision.kv not in can.kv:
            yield Gap(
                field=f"{path}.kv",
                asks=precision.kv,
                does=f"no such KV format (there are {', '.join(can.kv)}); none is written",
            )
        known = (*_SIXTEEN, *can.weights, design.model.weight_format)
        if precision.weights not in known:
            yield Gap(
                field=f"{path}.weights",
                asks=precision.weights,
                does="needs a checkpoint in that format: name it in site.env",
            )
        if precision.compute != precision.weights:
            yield Gap(
                field=f"{path}.compute",
                asks=f"{precision.compute} products of {precision.weights} weights",
                does="follows from checkpoint and kernels, and cannot be set apart",
            )
        if precision.attention_weights not in (None, precision.weights):
            yield Gap(
                field=f"{path}.attention_weights",
                asks=str(precision.attention_weights),
                does="is what the checkpoint holds",
            )
        if precision.kv == "fp8_e4m3" and plan.accelerator.family == "cdna3":
            yield Gap(
                field=f"{path}.kv",
                asks="fp8_e4m3",
                does="this device stores e4m3fnuz under the same name",
            )


def _scheduling(design: Design, can: Abilities) -> Iterator[Gap]:
    for name, pool, plan in design.pools:
        path, cut = f"pools.{name}", pool.parallel
        ranks = cut.tp * cut.dp
        moe = any(group.mlp.kind == "moe" for group in design.model.layers)
        if moe and 1 < cut.ep < ranks and not can.partial_ep:
            yield Gap(
                field=f"{path}.parallel.ep",
                asks=f"experts over {cut.ep} of {ranks} ranks",
                does=f"experts are spread over all {ranks} ranks, or none",
            )
        if plan.instances > 1 and pool.router not in can.routers:
            does = can.near.get(pool.router) or "no such policy; round robin is written"
            yield Gap(field=f"{path}.router", asks=pool.router, does=does)
        if pool.preempt == "swap" and not can.swap:
            yield Gap(
                field=f"{path}.preempt", asks="swap", does="a preempted prompt is computed again"
            )
        if pool.reserve is not None:
            yield Gap(
                field=f"{path}.reserve",
                asks=f"{pool.reserve:.4g} B",
                does="is measured by the engine at its start",
            )
        for field in ("queue_limit", "queue_timeout"):
            if getattr(pool, field) is not None and not getattr(can, field):
                yield Gap(
                    field=f"{path}.{field}",
                    asks=f"{getattr(pool, field):g}",
                    does="no such limit; set it at a gateway in front",
                )


def _failures(design: Design, can: Abilities) -> Iterator[Gap]:
    scenario, boundary = design.scenario, design.plan.boundary
    if boundary is not None:
        asked = boundary.plan.options.on_error
        if asked not in can.on_error:
            yield Gap(field="boundary.on_error", asks=asked, does=can.on_error_does)
        if boundary.plan.kind in can.preset:
            yield from _lease(scenario.boundary, can)
    if scenario.recovery is not None:
        does = can.recovery.get(scenario.recovery.policy)
        yield Gap(
            field="recovery",
            asks=f"{scenario.recovery.policy}, {scenario.recovery.attempts} times at most",
            does=does or "the request fails; retries are the client's or a gateway's",
        )
    if scenario.faults:
        kinds = sorted({fault.kind for fault in scenario.faults})
        yield Gap(
            field="faults",
            asks=", ".join(kinds),
            does="nothing is broken on purpose; inject them by hand to compare",
        )


def _lease(stated: Boundary | None, can: Abilities) -> Iterator[Gap]:
    lease = stated.lease if stated is not None else None
    if lease is None:
        return
    does = ""
    if "lease_s" not in can.timers:
        does = "KV is held until it is sent or the request fails; there is no lease"
    elif can.whole_seconds and lease != max(1, round(lease)):
        does = f"takes whole seconds: {max(1, round(lease))} s is written"
    if does:
        yield Gap(field="boundary.lease", asks=f"{lease:g} s", does=does)


def _elsewhere(design: Design, can: Abilities) -> Iterator[Gap]:
    placement, residency = design.scenario.placement, design.scenario.residency
    if placement is not None:
        for field in ("bypass_below", "decode_share", "decode_tokens", "relief_above"):
            value = getattr(placement, field)
            if value is not None:
                yield Gap(
                    field=f"placement.{field}",
                    asks=f"{value:g}",
                    does="every prompt is computed whole on the prefill side",
                )
    if residency is None:
        return
    for tier in ("dram", "ssd", "remote"):
        if getattr(residency, tier) is not None and tier not in can.tiers:
            yield Gap(
                field=f"residency.{tier}",
                asks="keep the KV of prompts there",
                does="is not written: the connector and its store must be chosen by hand",
            )


_TOPICS = (
    _meeting,
    _protocol,
    _formats,
    _devices,
    _engines,
    _scheduling,
    _failures,
    _elsewhere,
)
