from __future__ import annotations

from typing import Any

import pytest

from hetsim.metrics import PATH
from hetsim.metrics._verdict import bottleneck, pressure

NONE = {"ttft": 0.0, "tpot": 0.0}


def stage(**changes: Any) -> dict[str, Any]:
    figures = {
        "utilisation": 0.5, "kv_occupancy_max": 0.5, "prefill_time_ratio": 1.0,
        "bound_by": {"compute": 0.9, "memory": 0.1}, "loaded_utilisation": 0.5,
        "loaded_kv_occupancy": 0.3, "loaded_slot_occupancy": 0.1,
    }  # fmt: skip
    return {**figures, **changes}


def verdict(
    path: dict[str, float],
    *,
    p: dict[str, Any] | None = None,
    d: dict[str, Any] | None = None,
    missed: dict[str, float] = NONE,
    first: str = "decode",
) -> str:
    decode = stage(prefill_time_ratio=0.0, bound_by={"memory": 1.0}, **(d or {}))
    stages = {"front": stage(**(p or {})), "back": decode}
    whole = {**dict.fromkeys(PATH, 0.0), **path}
    return bottleneck(whole, stages, {"front": "prefill", "back": "decode"}, missed, first)


def alone(path: dict[str, float], missed: dict[str, float] = NONE, **figures: Any) -> str:
    whole = {**dict.fromkeys(PATH, 0.0), **path}
    return bottleneck(whole, {"pool": stage(**figures)}, {"pool": "both"}, missed)


FULL = {"kv_occupancy_max": 1.0}
CASES = [
    # Who waits, and whose fault it is.
    ({"queue_s": 5.0, "decode_s": 5.0}, {}, "prefill-bound: compute of pool front"),
    ({"hold_s": 5.0, "decode_s": 5.0}, {"d": FULL}, "decode-bound: KV capacity of pool back"),
    ({"credit_s": 5.0, "decode_s": 5.0}, {"d": FULL}, "decode-bound: KV capacity of pool back"),
    ({"hold_s": 5.0, "decode_s": 5.0}, {}, "hand-off-bound: control latency"),
    ({"transfer_s": 5.0, "decode_s": 5.0}, {}, "transfer-bound: network from pool front"),
    ({"convert_s": 5.0, "decode_s": 5.0}, {}, "transfer-bound: KV conversion"),
    ({"admit_s": 5.0, "decode_s": 5.0}, {}, "decode-bound: batch slots of pool back"),
    ({"admit_s": 5.0, "decode_s": 5.0}, {"d": FULL}, "decode-bound: KV capacity of pool back"),
    # Prompts wait for blocks of prompts that nobody fetches: the fault lies behind.
    (
        {"queue_s": 9.0, "prefill_s": 1.0, "hold_s": 4.0},
        {"p": FULL, "d": FULL},
        "decode-bound: KV capacity of pool back",
    ),
    (
        {"queue_s": 9.0, "prefill_s": 1.0, "transfer_s": 4.0},
        {"p": FULL},
        "transfer-bound: network",
    ),
    ({"queue_s": 9.0, "prefill_s": 1.0}, {"p": FULL}, "prefill-bound: KV capacity of pool front"),
    # Nobody waits, and an objective is missed.
    (
        {"prefill_s": 5.0, "decode_s": 5.0},
        {"missed": {"ttft": 0.5, "tpot": 0.0}},
        "prefill-bound: compute of pool front (TTFT missed without a queue)",
    ),
    (
        {"prefill_s": 5.0, "decode_s": 5.0},
        {"missed": {"ttft": 0.0, "tpot": 0.5}},
        "decode-bound: memory bandwidth of pool back (TPOT missed)",
    ),
    # A long answer hides the queue that misses the TTFT.
    (
        {"queue_s": 2.0, "prefill_s": 0.1, "decode_s": 60.0},
        {"missed": {"ttft": 0.5, "tpot": 0.0}},
        "prefill-bound: compute of pool front",
    ),
    # With the first token from prefill, what follows it cannot miss the TTFT but the TPOT.
    (
        {"hold_s": 9.0, "prefill_s": 1.0, "decode_s": 5.0},
        {"missed": {"ttft": 0.5, "tpot": 0.0}, "first": "prefill"},
        "prefill-bound: compute of pool front (TTFT missed without a queue)",
    ),
    (
        {"hold_s": 9.0, "prefill_s": 1.0, "decode_s": 5.0},
        {"missed": {"ttft": 0.0, "tpot": 0.5}, "first": "prefill", "d": FULL},
        "decode-bound: KV capacity of pool back",
    ),
    # Nothing is wrong: who is nearest to the limit?
    ({"decode_s": 5.0}, {}, "no stage is under pressure (nearest to its limit: pool front, 50%)"),
    (
        {"decode_s": 5.0},
        {"p": {"loaded_utilisation": 0.9}},
        "prefill-bound: compute of pool front",
    ),
    (
        {"decode_s": 5.0},
        {"d": {"loaded_kv_occupancy": 0.8}},
        "decode-bound: KV capacity of pool back",
    ),
    (
        {"decode_s": 5.0},
        {"d": {"loaded_slot_occupancy": 0.8}},
        "decode-bound: batch slots of pool back",
    ),
    # A decode pool that is always busy with small batches is not under pressure.
    (
        {"decode_s": 5.0},
        {"d": {"loaded_utilisation": 1.0, "utilisation": 1.0}},
        "no stage is under pressure",
    ),
    # The fixed overhead of a request is nobody's queue.
    ({"overhead_s": 9.0, "decode_s": 1.0}, {}, "no stage is under pressure"),
    ({}, {}, "nothing finished"),
]


@pytest.mark.parametrize(("path", "words", "wanted"), CASES)
def test_the_right_stage_is_blamed(path: Any, words: Any, wanted: str) -> None:
    assert verdict(path, **words).startswith(wanted)


def test_a_co_located_pool_names_what_fills_it() -> None:
    wait = {"queue_s": 5.0, "decode_s": 5.0}
    assert alone(wait, **FULL) == "decode-bound: KV capacity of pool pool"
    assert alone(wait, loaded_slot_occupancy=0.99) == "decode-bound: batch slots of pool pool"
    assert alone(wait, prefill_time_ratio=0.9) == "prefill-bound: compute of pool pool"
    assert alone(wait, prefill_time_ratio=0.1) == "decode-bound: compute of pool pool"
    late = {"ttft": 0.0, "tpot": 0.3}
    assert "prompts delay the decodes" in alone({"decode_s": 5.0}, late, prefill_time_ratio=0.9)


def test_pressure_is_of_what_runs_out() -> None:
    busy = stage(loaded_utilisation=1.0, prefill_time_ratio=0.25)
    assert pressure(busy, "prefill") == 1.0
    assert pressure(busy, "decode") == 0.3
    assert pressure(busy, "both") == 0.3
    assert pressure(stage(loaded_slot_occupancy=float("nan")), "decode") == 0.3
