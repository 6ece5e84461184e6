"""Rules of ``faults``, ``recovery`` and ``placement``: what strikes is there, and when is said."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.faults import CATALOGUE, Kind, fields_of
from hetsim.ownership import get_plan
from hetsim.representation import MISMATCHES
from hetsim.scenario._fault_types import Fault
from hetsim.scenario._parts import Parts
from hetsim.scenario._types import Scenario

__all__ = ["RULES", "fault_pool"]

_ROLES = {"P": ("prefill", "both"), "D": ("decode", "both")}
_CRASHES = ("prefill_crash", "decode_crash")
_OPTIONAL = (
    "nth", "count", "restart_after", "factor", "duration", "times", "period", "rails", "delay",
    "notice", "timer", "plane", "settle", "mismatch", "probability", "per_hour", "when",
)  # fmt: skip
_NOTICES = (
    "done", "addresses", "failed", "abort", "ack", "beat", "dispatch", "dead", "ready",
)  # fmt: skip
_TIMERS = (
    "lease",
    "beat",
    "transfer",
    "registration",
    "bootstrap",
    "waiting",
    "health",
    "drain",
    "resend",
    "discard",
    "release",
)
_STORES = ("copy_out", "pool_lease")
_POOLS = ("pool_crash", "pool_eviction", "zombie_put")
_FACTOR_BELOW_1 = ("link_slow", "memory_short", "transit_short")


def fault_pool(scenario: Scenario, fault: Fault) -> str | None:
    """Return the pool that a fault strikes: the stated one, or the one that does the stage."""
    if fault.pool is not None:
        return fault.pool if fault.pool in scenario.pools else None
    roles = _ROLES.get(CATALOGUE[fault.kind].side, ("prefill", "both"))
    return next((name for name, pool in scenario.pools.items() if pool.role in roles), None)


def _faults(parts: Parts) -> Iterator[Problem]:
    scenario = parts.scenario
    for index, fault in enumerate(scenario.faults):
        path, kind = f"faults[{index}]", CATALOGUE[fault.kind]
        name = fault_pool(scenario, fault)
        if fault.pool is not None and name is None:
            yield Problem(f"no such pool; {nearest(fault.pool, scenario.pools)}", f"{path}.pool")
        elif name is not None:
            yield from _struck(scenario, fault, name, path)
        if kind.apart and parts.order is not None and not parts.apart:
            yield Problem(
                f"a {fault.kind} strikes the hand-off, and one pool has none", f"{path}.kind"
            )
        if fault.kind in _POOLS and _protocol_of(parts)[0] not in (None, "pool_lease"):
            yield Problem("strikes a pool; state boundary.ownership: pool_lease", f"{path}.kind")
        if fault.kind == "transit_short" and _protocol_of(parts)[0] not in (None, *_STORES):
            yield Problem(
                "strikes the store between the pools; state boundary.ownership: copy_out or "
                "pool_lease",
                f"{path}.kind",
            )
        yield from _fields(fault, kind, path)
        yield from _trigger(parts, fault, kind, path)
        yield from _words(fault, path)
        if scenario.horizon is not None and fault.at is not None and fault.at >= scenario.horizon:
            yield Problem(
                f"{fault.at:g} s is not before the horizon of {scenario.horizon:g} s", f"{path}.at"
            )


def _struck(scenario: Scenario, fault: Fault, name: str, path: str) -> Iterator[Problem]:
    pool = scenario.pools[name]
    roles = _ROLES[CATALOGUE[fault.kind].side] if fault.kind in _CRASHES else None
    if roles is not None and pool.role not in roles:
        yield Problem(
            f"pool {name} has role {pool.role}; a {fault.kind} strikes a pool with role "
            f"{' or '.join(roles)}",
            f"{path}.pool",
        )
    if fault.instance >= pool.instances:
        yield Problem(
            f"is {fault.instance}; pool {name} has {pool.instances} instances, numbered from 0",
            f"{path}.instance",
        )


def _fields(fault: Fault, kind: Kind, path: str) -> Iterator[Problem]:
    known = fields_of(kind)
    for field in kind.needs:
        if getattr(fault, field) is None:
            example = _EXAMPLES.get(field, "")
            yield Problem(f"is missing; a {fault.kind} needs it{example}", f"{path}.{field}")
    for field in _OPTIONAL:
        if field not in known and getattr(fault, field) is not None:
            yield Problem(f"means nothing for a {fault.kind}; leave it out", f"{path}.{field}")
    if fault.kind in _FACTOR_BELOW_1 and fault.factor is not None and fault.factor > 1.0:
        yield Problem(f"is {fault.factor:g}; at most 1", f"{path}.factor")


_EXAMPLES = {
    "factor": ", such as 0.25",
    "duration": ", such as 5 s",
    "delay": ", such as 200 ms",
    "timer": ", such as lease",
    "mismatch": ", such as static_scales",
}


def _trigger(parts: Parts, fault: Fault, kind: Kind, path: str) -> Iterator[Problem]:
    """Yield faults that do not say when, or say it twice."""
    stated = [
        name for name in ("when", "per_hour", "probability") if getattr(fault, name) is not None
    ]
    if not stated and fault.at is None:
        ways = "at, when, per_hour" + (" or probability" if kind.is_thing else "")
        yield Problem(f"is missing; say when it strikes: {ways}", f"{path}.at")
    if len(stated) > 1 or ("when" in stated and fault.at is not None):
        yield Problem(
            "says when in more than one way; one of at, when, per_hour and probability is enough",
            f"{path}.{stated[-1]}",
        )
    if fault.nth is not None and fault.when is None:
        yield Problem("means nothing without when; leave it out", f"{path}.nth")
    if fault.when is not None:
        yield from _state(parts, fault.when, f"{path}.when")


def _state(parts: Parts, when: str, path: str) -> Iterator[Problem]:
    if parts.order is not None and not parts.apart:
        yield Problem("names a state of the hand-off, and one pool has none; use at", path)
        return
    kind, variant = _protocol_of(parts)
    if kind is None:
        return
    try:
        table = get_plan(kind, variant).table
    except ScenarioError:
        return
    known = [f"{part}:{state}" for part, states in table.states.items() for state in states]
    if when not in known:
        yield Problem(f"no state {when!r} in {kind}; {nearest(when, known)}", path)


def _protocol_of(parts: Parts) -> tuple[str | None, str]:
    boundary, order = parts.scenario.boundary, parts.order
    if boundary is None or order is None:
        return None, ""
    runtime = parts.runtimes[order[0]]
    own = runtime.protocol if runtime is not None else None
    kind = boundary.ownership or (own.kind if own is not None else None)
    same = own is not None and own.kind == kind
    return kind, boundary.variant or (own.variant if own is not None and same else "")


def _words(fault: Fault, path: str) -> Iterator[Problem]:
    for field, known in (
        ("notice", _NOTICES),
        ("timer", _TIMERS),
        ("mismatch", MISMATCHES),
    ):
        value = getattr(fault, field)
        if value is not None and value not in known:
            yield Problem(f"no {field} {value!r}; {nearest(value, known)}", f"{path}.{field}")


def _placement(parts: Parts) -> Iterator[Problem]:
    scenario = parts.scenario
    placement = scenario.placement
    if placement is not None and parts.order is not None and not parts.apart:
        yield Problem("has no effect: one pool computes every prompt; leave it out", "placement")
    if placement is None:
        return
    if placement.decode_share is not None and placement.decode_tokens is not None:
        yield Problem("state decode_share or decode_tokens, not both", "placement.decode_tokens")


def _recovery(parts: Parts) -> Iterator[Problem]:
    recovery = parts.scenario.recovery
    if recovery is None:
        return
    if recovery.policy == "reload" and parts.scenario.residency is None:
        yield Problem("reload takes tiers to load from; state residency", "recovery.policy")
    if parts.order is None or parts.apart:
        return
    if recovery.policy in ("recompute", "reprefill"):
        yield Problem(
            f"{recovery.policy} takes two pools; one pool has fail and retry", "recovery.policy"
        )


RULES = (_faults, _placement, _recovery)
