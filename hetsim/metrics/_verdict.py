"""The verdict of a run in one line: which stage holds requests up, and what binds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MISSED", "bottleneck", "pressure"]

Stages = Mapping[str, Mapping[str, Any]]

MISSED = 0.01
"""Part of the requests that misses an objective from which the objective decides the verdict."""
_WAITS = 0.15
"""Part of the end-to-end latency from which waiting is worth a verdict."""
_FULL = 0.95
"""KV occupancy from which blocks are what is waited for."""
_HEAVY = 0.7
"""Pressure from which a stage is near its limit."""


def pressure(stage: Mapping[str, Any], role: str) -> float:
    """Return how near a stage is to its limit while requests arrive, from 0 to about 1.

    A prefill pool is as pressed as it is busy. A decode pool runs steps whenever it has one
    request, and takes more into the same step: it is as pressed as its KV or its slots are full.
    A co-located pool is pressed by the larger of KV, slots, and the busy time that prompts take.
    """
    busy, held = float(stage["loaded_utilisation"]), _held(stage)
    if role == "prefill":
        return busy
    if role == "decode":
        return held
    return max(held, busy * float(stage["prefill_time_ratio"]))


def _held(stage: Mapping[str, Any]) -> float:
    return max(float(stage["loaded_kv_occupancy"]), _known(stage["loaded_slot_occupancy"]))


def _known(value: float) -> float:
    return value if value == value else 0.0


def bottleneck(
    path: Mapping[str, float],
    stages: Stages,
    roles: Mapping[str, str],
    missed: Mapping[str, float],
    first_token_from: str = "prefill",
) -> str:
    """Return one line: what is behind a missed objective, or waited for, or nearest to its limit.

    ``path`` is the mean critical path (of those that miss, if any do), ``missed`` the part of the
    finished requests that misses each objective. A stage answers for the waiting in front of it:
    the queue for prefill, credit and hold for decode's KV blocks, admission for decode's slots,
    the transfer for the link. Where the prefill side emits the first token, what follows the
    prefill delays the second one instead.
    """
    first, last = _ends(roles)
    total = sum(value for name, value in path.items() if name != "overhead_s")
    if not total > 0.0:
        return "nothing finished"
    waits = {
        "queue": path["queue_s"],
        "hold": path["credit_s"] + path["hold_s"],
        "transfer": path["transfer_s"] + path["convert_s"],
        "admit": path["admit_s"],
    }
    worst_of = max(missed, key=lambda name: missed[name], default="")
    if worst_of in ("ttft", "tpot") and missed[worst_of] > MISSED:
        early = first_token_from == "prefill"
        if worst_of == "ttft":
            waits["hold"] = path["credit_s"] if early else waits["hold"]
            names, work = ("queue", "hold") if early else tuple(waits), path["prefill_s"]
        else:
            waits["hold"] = path["hold_s"]
            names, work = ("hold", "transfer", "admit") if early else (), 0.5 * path["decode_s"]
        worst = max(names, key=lambda name: waits[name], default="")
        if worst and waits[worst] > work:
            return _VERDICTS[worst](path, stages, first, last)
        return _slow(worst_of, stages, first, last)
    worst = max(waits, key=lambda name: waits[name])
    if waits[worst] > _WAITS * total:
        return _VERDICTS[worst](path, stages, first, last)
    return _busiest(stages, roles)


def _ends(roles: Mapping[str, str]) -> tuple[str, str]:
    by_role = {role: name for name, role in roles.items()}
    first = by_role.get("prefill") or by_role.get("both") or next(iter(roles))
    return first, by_role.get("decode") or first


def _queue(path: Mapping[str, float], stages: Stages, first: str, last: str) -> str:
    stage = stages[first]
    full = stage["kv_occupancy_max"] > _FULL
    if first == last:
        if full:
            return f"decode-bound: KV capacity of pool {first}"
        if _known(stage["loaded_slot_occupancy"]) > _FULL:
            return f"decode-bound: batch slots of pool {first}"
        side = "prefill" if stage["prefill_time_ratio"] > 0.5 else "decode"
        return f"{side}-bound: {_limit(stage)} of pool {first}"
    if full and stage["utilisation"] < 0.9:
        # Prompts wait for blocks that finished prompts still hold: who does not fetch them?
        after = {
            "hold": path["credit_s"] + path["hold_s"],
            "transfer": path["transfer_s"] + path["convert_s"],
        }
        worst = max(after, key=lambda name: after[name])
        if after[worst] > path["prefill_s"]:
            return _VERDICTS[worst](path, stages, first, last)
        return f"prefill-bound: KV capacity of pool {first}"
    return f"prefill-bound: {_limit(stage)} of pool {first}"


def _hold(path: Mapping[str, float], stages: Stages, first: str, last: str) -> str:
    if stages[last]["kv_occupancy_max"] > 0.9:
        return f"decode-bound: KV capacity of pool {last}"
    return f"hand-off-bound: control latency between pools {first} and {last}"


def _transfer(path: Mapping[str, float], stages: Stages, first: str, last: str) -> str:
    if path["convert_s"] > path["transfer_s"]:
        return f"transfer-bound: KV conversion between pools {first} and {last}"
    return f"transfer-bound: network from pool {first} to pool {last}"


def _admit(path: Mapping[str, float], stages: Stages, first: str, last: str) -> str:
    stage = stages[last]
    if stage["kv_occupancy_max"] > _FULL:
        return f"decode-bound: KV capacity of pool {last}"
    if first == last and stage["prefill_time_ratio"] > 0.5:
        return f"prefill-bound: prompts delay the decodes of pool {last}"
    return f"decode-bound: batch slots of pool {last}"


_VERDICTS = {"queue": _queue, "hold": _hold, "transfer": _transfer, "admit": _admit}


def _slow(missed: str, stages: Stages, first: str, last: str) -> str:
    """Nobody waits, and yet an objective is missed: the stage itself is too slow."""
    if missed == "ttft":
        return (
            f"prefill-bound: {_limit(stages[first])} of pool {first} (TTFT missed without a queue)"
        )
    if first == last and stages[last]["prefill_time_ratio"] > 0.5:
        return f"prefill-bound: prompts delay the decodes of pool {last} (TPOT missed)"
    return f"decode-bound: {_limit(stages[last])} of pool {last} (TPOT missed)"


def _busiest(stages: Stages, roles: Mapping[str, str]) -> str:
    name = max(stages, key=lambda pool: pressure(stages[pool], roles[pool]))
    used = pressure(stages[name], roles[name])
    if used < _HEAVY:
        return f"no stage is under pressure (nearest to its limit: pool {name}, {used:.0%})"
    stage = stages[name]
    if roles[name] == "prefill" or used > _held(stage):
        return f"prefill-bound: {_limit(stage)} of pool {name}"
    return f"decode-bound: {_full(stage)} of pool {name}"


def _full(stage: Mapping[str, Any]) -> str:
    slots = _known(stage["loaded_slot_occupancy"])
    return "batch slots" if slots > stage["loaded_kv_occupancy"] else "KV capacity"


def _limit(stage: Mapping[str, Any]) -> str:
    shares = stage["bound_by"]
    if not shares:
        return "time"
    return {
        "compute": "compute",
        "memory": "memory bandwidth",
        "link": "collectives",
        "latency": "kernel latency",
        "host": "host time",
    }.get(max(shares, key=lambda word: shares[word]), "time")
