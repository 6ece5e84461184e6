"""What a run counts of leases that ran out and of requests that were turned away."""

from __future__ import annotations

from typing import Any

from hetsim.metrics import Recorder
from hetsim.stages import World

__all__ = ["lapse_story"]

_LEASE = "timer:lease"
_TURNED_AWAY = ("queue_full", "queue_timeout", "refused")


def lapse_story(world: World, recorder: Recorder) -> dict[str, Any]:
    """Return, of the requests that arrived, which part lost a lease, and which was turned away.

    A lease is lost where its timer rings: the KV is given back before whoever it was for has it.
    """
    arrived = max(1, world.arrived)
    away = sum(world.reasons.get(name, 0) for name in _TURNED_AWAY)
    return {
        "lease_expired_ratio": _expired(world.info.moves, recorder) / arrived,
        "turned_away_ratio": away / arrived,
    }


def _expired(moves: Any, recorder: Recorder) -> int:
    """Return how many requests lost a lease; a run in which no timer rang is not looked through."""
    if not any(move[-1] == _LEASE for move in moves):
        return 0
    import pyarrow.compute as pc

    table = recorder.table("ownership", ["request_id", "cause"])
    mine = table.filter(pc.equal(pc.cast(table["cause"], "string"), _LEASE))
    return len(pc.unique(mine["request_id"]))
