"""Copies of hetsim broken on purpose are caught: what the laws and oracles are worth.

Each mutant patches one place; the check beside it is the one that the suite relies on for that
defect, and it must pass unpatched and fail patched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hetsim.engine import Fabric
from hetsim.errors import InvariantViolated
from hetsim.run import run_loaded
from hetsim.scenario import load_scenario
from hetsim.serving import Instance, Segment
from hetsim.stages import build_plan

CROWDED = ["workload.requests=150", "workload.rate=400 req/s", "network.nic=10 Gbit/s"]
TIGHT = [
    "workload.requests=60",
    "workload.rate=200 req/s",
    "pools.decode.estimator={kind: constant, prefill: 5 ms, decode_step: 5 ms, blocks: 400}",
]


def loaded(*sets: str) -> Any:
    return load_scenario("quickstart", sets=sets)


def kv_blocks_are_those_computed_by_hand() -> None:
    """Llama-3.1-8B in bf16: 2 x 32 layers x 8 KV heads x 128 x 2 B = 131,072 B a token."""
    scenario = loaded()
    pool = build_plan(scenario.scenario, scenario.base_dir).pools[0]
    capacity = pool.capacity
    left = capacity.memory_bytes * capacity.utilisation - capacity.weight_bytes
    left -= capacity.activation_bytes + capacity.reserve_bytes
    assert abs(pool.blocks - left / (131072 * 16)) <= 1.0


def no_link_carries_more_than_it_can() -> None:
    """L9: bytes over a link take at least bytes / capacity, all transfers together."""
    result = run_loaded(loaded(*CROWDED))
    moved = result.transfers
    rate = 10e9 / 8  # one device of eight owns one of eight NICs of 10 Gbit/s
    span = (moved.start_s + moved.duration_s).max() - moved.start_s.min()
    assert moved.bytes.sum() / span <= rate


def blocks_add_up_after_every_event() -> None:
    """L2, with the laws checked after every event, where blocks are scarce."""
    run_loaded(loaded(*TIGHT), check_laws=True)


def reserved_kv_never_exceeds_the_pool() -> None:
    """The prompts of requests between hand-off and end fit the blocks that there are.

    Those that were preempted are left out: they give their blocks back in between.
    """
    frame = run_loaded(loaded(*TIGHT)).requests
    frame = frame[(frame.status == "finished") & (frame.preemptions == 0)]
    arrive = frame.decode_start_s - frame.admit_s
    events = [(t, b) for t, b in zip(arrive, frame.isl_tokens // 16, strict=True)]
    events += [(t, -b) for t, b in zip(frame.last_token_s, frame.isl_tokens // 16, strict=True)]
    held = peak = 0
    for _, blocks in sorted(events):
        held += blocks
        peak = max(peak, held)
    assert peak <= 400


def fast_forward_is_stepwise() -> None:
    """Both ways to walk the steps end every request at the same time."""
    case = loaded("workload.requests=40", "workload.rate=100 req/s")
    fast = run_loaded(case).requests.last_token_s.to_numpy()
    slow = run_loaded(case, stepwise=True).requests.last_token_s.to_numpy()
    assert abs(fast - slow).max() < 1e-9


def halve_kv_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    from hetsim.stages import _build_pool

    whole = _build_pool._growing_bytes
    monkeypatch.setattr(_build_pool, "_growing_bytes", lambda steps: 0.5 * whole(steps))


def no_contention(monkeypatch: pytest.MonkeyPatch) -> None:
    start = Fabric.start

    def alone(self: Fabric, path: Any, nbytes: float, on_done: Any, *rest: Any, **more: Any) -> Any:
        flow = start(self, path, nbytes, on_done, *rest, **more)
        for link, _ in flow.route:
            link.users.clear()
            link.demand = 0.0
        return flow

    monkeypatch.setattr(Fabric, "start", alone)


def skip_reservation(monkeypatch: pytest.MonkeyPatch) -> None:
    def always(self: Instance, seq: Any, tokens: int, now: float) -> bool:
        seq.dst_blocks, seq.dst_rank = 0, self.rank
        self.load += 1
        return True

    monkeypatch.setattr(Instance, "reserve", always)


def one_step_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    done_by = Segment.done_by
    monkeypatch.setattr(Segment, "done_by", lambda self, now: done_by(self, now) + 1)


CASES = [
    (halve_kv_bytes, kv_blocks_are_those_computed_by_hand),
    (no_contention, no_link_carries_more_than_it_can),
    (skip_reservation, reserved_kv_never_exceeds_the_pool),
    (one_step_too_many, fast_forward_is_stepwise),
]


@pytest.mark.slow
@pytest.mark.parametrize(("mutant", "check"), CASES, ids=lambda part: part.__name__)
def test_a_broken_copy_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None],
    check: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
):
    check()
    mutant(monkeypatch)
    with pytest.raises((AssertionError, InvariantViolated, KeyError)):
        check()


@pytest.mark.slow
def test_laws_hold_after_every_event_where_blocks_are_scarce():
    blocks_add_up_after_every_event()
