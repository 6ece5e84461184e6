"""What the hand-off of some points may do to their bounds: lose requests, shrink or spare bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from hetsim.errors import HetsimError
from hetsim.precision import get_format
from hetsim.runtimes import Runtime
from hetsim.scenario import Scenario, runtime_of
from hetsim.sweep._sides import Side

__all__ = ["Handoff", "handoff_of"]

_STORES = ("pool_lease",)
"""Protocols whose bytes may not cross from prefill to decode: a store may hold them already."""
_CALM = ("lease_s", "beat_s", "extend_s")
"""Timers of a lease; while it is renewed, none of them ends it."""


class Handoff(NamedTuple):
    """What is known of a boundary, with the pool in front of it."""

    always_ends: bool
    """Nothing but a pool's queue can keep a request from finishing."""
    wire_ratio: float
    """Bytes on the wire per byte of the producer's KV."""
    crosses: bool
    """All KV must pass the NICs of both sides."""


_UNKNOWN = Handoff(always_ends=False, wire_ratio=0.0, crosses=False)


def handoff_of(scenario: Scenario | None, first: Side, apart: bool, base_dir: Path) -> Handoff:
    """Return what the boundary of a scenario does behind the pool ``first``."""
    if scenario is None:
        return _UNKNOWN
    calm = scenario.horizon is None and not scenario.faults and scenario.placement is None
    boundary = scenario.boundary
    if not apart:
        return Handoff(always_ends=calm, wire_ratio=1.0, crosses=False)
    if boundary is None or not first.runtime:
        return _UNKNOWN
    try:
        runtime = runtime_of(first.runtime, base_dir)
        kind = boundary.ownership or (runtime.protocol.kind if runtime.protocol else None)
        return Handoff(
            # A store between the pools may be too small for a request.
            always_ends=calm
            and boundary.transit is None
            and kind not in _STORES
            and not _may_fail(runtime, boundary),
            wire_ratio=_wire_ratio(boundary.wire, first.kv_format),
            crosses=kind is not None and kind not in _STORES and scenario.placement is None,
        )
    except HetsimError:
        return _UNKNOWN


def _may_fail(giver: Runtime, boundary: Any) -> bool:
    """Say whether a hand-off can fail by a timer alone, nothing being broken."""
    if (boundary.on_error or giver.on_error) == "recompute":
        return False
    plan = giver.plan(kind=boundary.ownership or "", variant=boundary.variant or "")
    timers: Any = plan.variant.timers
    lease = None if timers.beat_s is not None else (boundary.lease or timers.lease_s)
    others = [getattr(timers, n) for n in timers.__dataclass_fields__ if n not in _CALM]
    return any(timer is not None for timer in (lease, *others))


def _wire_ratio(wire: str | None, own: str) -> float:
    if wire is None:
        return 1.0
    return get_format(wire).bytes_per_element / get_format(own).bytes_per_element
