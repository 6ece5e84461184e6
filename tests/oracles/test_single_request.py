"""One request alone: TTFT and TPOT are the sum of operator times, and nothing else.

The operators are summed here one by one from ``StepModel.operators``; the run goes through the
engine, the hand-off and the tables. A step too many, a hidden overhead, a KV length off by one, or
a transfer that is not waited for would each show.
"""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.run import run_loaded
from hetsim.scenario import load_scenario
from hetsim.stages import build_plan

ISL, OSL = 700, 9
ONE = [
    "workload.requests=1",
    f"workload.input={{kind: fixed, tokens: {ISL}}}",
    f"workload.output={{kind: fixed, tokens: {OSL}}}",
]


def seconds(model: Any, chunks: Any, batch: int, context: float) -> float:
    rows = model.operators(chunks, batch, [context] * len(model.windows))
    return sum(row.time_s for row in rows)


def alone(name: str) -> tuple[Any, Any]:
    loaded = load_scenario(name, sets=ONE)
    plan = build_plan(loaded.scenario, loaded.base_dir)
    frame = run_loaded(loaded).requests
    assert list(frame.status) == ["finished"]
    return plan, frame.iloc[0]


def test_colocated():
    plan, row = alone("colocated_baseline")
    pool = plan.pools[0]
    prefill = seconds(pool.model, [(ISL, 0)], 0, 0.0)
    decode = [seconds(pool.model, (), 1, ISL + i) for i in range(1, OSL)]
    assert row.ttft_s == pytest.approx(pool.request_overhead_s + prefill, rel=1e-9)
    assert row.tpot_s == pytest.approx(sum(decode) / (OSL - 1), rel=1e-9)


def test_prefill_decode_with_the_first_token_from_decode():
    plan, row = alone("quickstart")
    first, second = plan.pools
    boundary = plan.boundary
    prefill = seconds(first.model, [(ISL, 0)], 0, 0.0)
    planned = boundary.transfer.plan(ISL - 1)
    path = plan.network.path("prefill/0", "decode/0")
    rate = min(planned.rate_bytes_per_s, plan.network.bottleneck_bytes_per_s(path))
    beside = planned.fixed_s + planned.post_s + path.latency_s
    transfer = planned.bytes / rate + beside
    # D computes the last prompt token again: its first step reads ISL tokens of context.
    decode = [seconds(second.model, (), 1, ISL + i) for i in range(OSL)]
    # Nobody decodes when it arrives: it waits some steps as long as its own.
    cadence = second.runtime.handoff_steps * seconds(second.model, (), 1, ISL)
    overhead = first.request_overhead_s + cadence
    ttft = overhead + prefill + boundary.control_s + transfer + decode[0]
    assert row.overhead_s == pytest.approx(overhead, rel=1e-9)
    assert row.queue_s == pytest.approx(0.0, abs=1e-12)
    assert row.ttft_s == pytest.approx(ttft, rel=1e-9)
    assert row.tpot_s == pytest.approx(sum(decode[1:]) / (OSL - 1), rel=1e-9)
    parts = ["overhead_s", "credit_s", "queue_s", "prefill_s", "hold_s"]
    parts += ["transfer_s", "convert_s", "admit_s", "decode_s"]
    assert sum(float(row[part]) for part in parts if row[part] == row[part]) == pytest.approx(
        row.e2e_s, rel=1e-9
    )


@pytest.mark.parametrize(
    ("name", "tokens"), [("llama70b_h100_tp2", 12_000), ("llama70b_h100_tp4", 200_000)]
)
def test_llama_70b_on_h100_keeps_the_kv_that_is_computed_by_hand(name: str, tokens: int):
    """70.6e9 parameters x 2 B / TP of weights; 2 x 80 layers x (8 / TP) heads x 128 x 2 B a token.

    An H100 has 81,559 MiB. The runtime takes 0.9 of it and keeps 2.15 GB for itself.
    """
    plan = build_plan(load_scenario(name).scenario)
    pool = plan.pools[0]
    tp = pool.devices
    weights = 70.55e9 * 2 / tp
    left = 81559 * 2**20 * 0.9 - weights - 2.15e9 - pool.capacity.activation_bytes
    blocks = left / (16 * 2 * 80 * (8 / tp) * 128 * 2)
    assert pool.blocks == pytest.approx(blocks, rel=0.10)
    assert 0.3 * tokens < pool.blocks * 16 < 3 * tokens
