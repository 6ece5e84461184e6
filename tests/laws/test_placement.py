"""Who computes a prompt: the prefill pool, the decode pool, or both a part of it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import hetsim
from hetsim.policies import Split, bypasses, relieves

BASE = ("workload.requests=150",)


def run(*sets: str, name: str = "quickstart") -> hetsim.Result:
    return hetsim.run(name, sets=[*BASE, *sets], check_laws=True)


def test_a_share_and_a_count_leave_a_token_to_the_prefill_side():
    assert [Split(0.5, None).tokens(n) for n in (1, 2, 11)] == [0, 1, 5]
    assert [Split(None, 16).tokens(n) for n in (1, 16, 100)] == [0, 15, 16]


def test_a_pool_is_relieved_only_where_every_queue_is_long():
    queues = [SimpleNamespace(queued_tokens=n) for n in (5000, 900)]
    assert not relieves(queues, 1000) and relieves(queues, 800) and relieves([], 1)
    assert not bypasses(512, 512)


@pytest.mark.slow
def test_short_prompts_never_cross_and_long_ones_do():
    result = run("placement={bypass_below: 600}")
    rows = result.requests.set_index("request_id")
    assert (rows.status == "finished").all()
    short = rows.isl_tokens < 600
    crossed = rows.index.isin(result.transfers.request_id)
    assert (crossed == ~short.to_numpy()).all() and 20 < short.sum() < 130
    assert result.summary["placement"]["bypassed"] == short.sum()
    assert (rows[short].prefill_instance == 0).all()
    steps = result.steps
    on_decode = steps[steps.pool == "decode"].prefill_tokens.sum()
    assert on_decode == rows[short].isl_tokens.sum()


@pytest.mark.slow
def test_bypassing_everything_leaves_the_prefill_pool_and_the_link_alone():
    result = run("placement={bypass_below: 1000000}")
    assert (result.requests.status == "finished").all()
    assert len(result.transfers) == 0 and not (result.steps.pool == "prefill").any()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", "sglang_pair", "ascend910b_to_h20"])
def test_a_split_prompt_is_computed_once_in_two_parts(name: str):
    whole, parts = run(name=name), run("placement={decode_share: 0.3}", name=name)
    assert (parts.requests.status == "finished").all()
    tokens = {
        pool: int(parts.steps[parts.steps.pool == pool].prefill_tokens.sum())
        for pool in ("prefill", "decode")
    }
    isl = whole.requests.isl_tokens
    left = sum(Split(0.3, None).tokens(int(n)) for n in isl)
    assert tokens["decode"] == left
    assert tokens["prefill"] == isl.sum() - left
    assert parts.transfers.bytes.sum() < 0.75 * whole.transfers.bytes.sum()
    # D emits the first token of every split prompt, and every token once.
    ordered = [r.requests.set_index("request_id").sort_index() for r in (parts, whole)]
    assert (ordered[0].output_tokens == ordered[1].output_tokens).all()
    late = parts.requests.set_index("request_id").first_token_s
    landed = parts.transfers.groupby("request_id").apply(
        lambda rows: (rows.start_s + rows.duration_s).max(), include_groups=False
    )
    assert (late.loc[landed.index] > landed).all()


@pytest.mark.slow
def test_a_split_by_tokens_is_the_same_as_by_share_where_lengths_are_equal():
    fixed = "workload.input={kind: fixed, tokens: 1000}"
    share = run(fixed, "placement={decode_share: 0.25}").requests
    count = run(fixed, "placement={decode_tokens: 250}").requests
    np.testing.assert_array_equal(share.last_token_s.to_numpy(), count.last_token_s.to_numpy())


@pytest.mark.slow
def test_relief_takes_the_queue_off_a_prefill_pool_that_drowns():
    heavy = ("workload.rate=60 req/s", "workload.input={kind: fixed, tokens: 2000}")
    alone, helped = run(*heavy), run(*heavy, "placement={relief_above: 8000}")
    assert helped.summary["placement"]["relieved"] > 10
    waits = [r.summary["critical_path_s"]["queue_s"] for r in (alone, helped)]
    assert waits[1] < 0.7 * waits[0]
    assert helped.summary["requests"]["finished"] == 150


@pytest.mark.slow
def test_parts_of_the_path_add_up_where_prompts_stay_or_are_split():
    for placement in ("bypass_below: 600", "decode_share: 0.3"):
        rows = run(f"placement={{{placement}}}").requests
        names = ["overhead_s", "credit_s", "queue_s", "prefill_s", "hold_s", "transfer_s",
                 "convert_s", "admit_s", "decode_s"]  # fmt: skip
        parts = rows[names].fillna(0.0)
        assert (parts >= -1e-12).all().all(), placement
        np.testing.assert_allclose(parts.sum(axis=1), rows.e2e_s, rtol=1e-9)


@pytest.mark.slow
def test_a_crash_of_decode_takes_what_it_computes_and_retries_bring_it_back():
    sets = ("placement={bypass_below: 600}", "faults=[{kind: decode_crash, at: 2 s, restart_after: "
            "1 s}]", "recovery={policy: retry, attempts: 3, delay: 1 s}")  # fmt: skip
    found = run(*sets).summary
    assert found["requests"]["finished"] == 150
    assert found["faults"][0]["recovered"] > 20


# -- SGLang's margin -----------------------------------------------------------------------------


@pytest.mark.slow
def test_sglang_keeps_a_margin_for_each_request_inside():
    """Decode is short of KV: with 512 tokens kept per request, fewer are inside at a time."""
    tight = "{kind: constant, prefill: 5 ms, decode_step: 20 ms, blocks: 40000}"
    sets = (f"pools.decode.estimator={tight}", "pools.decode.instances=1")
    kept = run(*sets, name="sglang_pair")
    assert (kept.requests.status == "finished").all()
    steps = kept.steps[kept.steps.pool == "decode"]
    assert steps.preemptions.sum() == 0 if "preemptions" in steps else True
    # At most 40,000 / 512 requests fit beside an empty pool; each holds its own KV as well.
    assert steps.batch_size.max() <= 40_000 // 512
    assert not any("margin" in line for line in kept.summary["assumptions"])
