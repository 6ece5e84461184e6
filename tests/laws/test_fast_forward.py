"""Fast-forward is exact: the same tables as a run that walks every decode step.

The sample is counted by what happens in it, so that it cannot pass by meeting nothing.
"""

from __future__ import annotations

import collections
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hetsim.run import run_loaded
from hetsim.scenario import loaded_from_data

SEEN: collections.Counter[str] = collections.Counter()
WANTED = (
    "join_inside_segment",
    "block_exhaustion",
    "preempt_recompute",
    "preempt_swap",
    "window_crossing",
    "chunked_prefill",
    "prefix_eviction",
    "layerwise_handoff",
)
EXAMPLES = 200
LEAST = 20


def pool(role: str, draw: Any, **more: Any) -> dict[str, Any]:
    runtime = {"both": "vllm", "prefill": "vllm_nixl_pull", "decode": "vllm_nixl_pull"}[role]
    return {
        "role": role,
        "accelerator": draw(st.sampled_from(["h100-sxm", "l40s", "h200-sxm"])),
        "instances": draw(st.integers(1, 2)),
        "parallel": {"tp": 1},
        "precision": {"weights": "bf16", "compute": "bf16", "kv": "bf16"},
        "runtime": runtime,
        "max_seqs": draw(st.sampled_from([4, 16, 64])),
        "max_batched_tokens": draw(st.sampled_from([256, 2048, 8192])),
        **more,
    }


@st.composite
def scenarios(draw: Any) -> dict[str, Any]:
    tight = draw(st.booleans())
    kind = draw(st.sampled_from(["both", "both", "pd", "pd_layer"]))
    preempt = draw(st.sampled_from(["recompute", "swap"]))
    hashed = draw(st.booleans())
    workload: dict[str, Any] = {
        "kind": "poisson",
        "rate": f"{draw(st.sampled_from([5, 50, 400]))} req/s",
        "requests": draw(st.integers(20, 60)),
        "input": {"kind": "lognormal", "mean": draw(st.sampled_from([60, 400])), "cv": 1.0},
        "output": {"kind": "lognormal", "mean": draw(st.sampled_from([20, 120])), "cv": 1.0},
    }
    if hashed:
        workload = {
            "kind": "sessions",
            "rate": workload["rate"],
            "sessions": draw(st.integers(5, 15)),
            "turns": {"kind": "fixed", "tokens": 3},
            "input": workload["input"],
            "output": workload["output"],
            "think": "1 s",
        }
    more: dict[str, Any] = {"preempt": preempt}
    if hashed:
        more["prefix_caching"] = True
    estimator = None
    if tight:
        estimator = {
            "kind": "constant",
            "prefill": "3 ms",
            "decode_step": "2 ms",
            "blocks": draw(st.integers(150, 400)),
        }
        more["estimator"] = estimator
    model = "mistral-7b" if draw(st.booleans()) and not tight else "llama-3.1-8b"
    data: dict[str, Any] = {
        "name": "random",
        "model": model,
        "workload": workload,
        "slo": {"ttft": "1 s", "tpot": "50 ms"},
        "seed": draw(st.integers(0, 1000)),
    }
    if kind == "both":
        data["pools"] = {"all": pool("both", draw, **more)}
    else:
        more.pop("prefix_caching", None)
        data["pools"] = {"p": pool("prefill", draw, **more), "d": pool("decode", draw, **more)}
        data["network"] = {"fabric": "single_switch", "nic": "100 Gbit/s", "nics_per_node": 2}
        data["boundary"] = {"granularity": "layer"} if kind == "pd_layer" else {}
        if kind == "pd_layer":
            data["boundary"]["ownership"] = "layerwise_push"
    return data


def tables(data: dict[str, Any], stepwise: bool) -> tuple[Any, dict[str, pd.DataFrame]]:
    result = run_loaded(loaded_from_data(data), stepwise=stepwise, check_laws=False)
    names = ("requests", "steps", "transfers", "ownership")
    return result, {name: result.table(name) for name in names}


def note(data: dict[str, Any], found: dict[str, pd.DataFrame]) -> None:
    steps, requests = found["steps"], found["requests"]
    pools = data["pools"].values()
    if (steps.joined > 0).any() and (steps.steps > 1).any():
        SEEN["join_inside_segment"] += 1
    preempted = int(requests.preemptions.sum())
    if preempted or (steps.blocks_used >= steps.blocks_total - 2).any():
        SEEN["block_exhaustion"] += 1
    if preempted:
        SEEN["preempt_" + next(iter(pools))["preempt"]] += 1
    if data["model"] == "mistral-7b":
        SEEN["window_crossing"] += 1
    if (requests.isl_tokens > min(p["max_batched_tokens"] for p in pools)).any():
        SEEN["chunked_prefill"] += 1
    if any(p.get("prefix_caching") for p in pools) and "estimator" in next(iter(pools)):
        SEEN["prefix_eviction"] += 1
    if data.get("boundary", {}).get("granularity") == "layer":
        SEEN["layerwise_handoff"] += 1


def same(a: pd.DataFrame, b: pd.DataFrame, name: str) -> None:
    assert len(a) == len(b), f"{name}: {len(a)} rows against {len(b)}"
    for column in a.columns:
        left, right = a[column].to_numpy(), b[column].to_numpy()
        if left.dtype.kind == "f":
            np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9, err_msg=f"{name}.{column}")
        else:
            assert (left == right).all(), f"{name}.{column}"


@pytest.mark.slow
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=scenarios())
def compare(data: dict[str, Any]) -> None:
    fast_result, fast = tables(data, stepwise=False)
    slow_result, slow = tables(data, stepwise=True)
    note(data, fast)
    for name in fast:
        same(fast[name], slow[name], name)
    assert fast_result.summary["requests"] == slow_result.summary["requests"]


@pytest.mark.slow
def test_fast_forward_equals_stepwise_and_meets_everything():
    compare()
    short = {name: SEEN[name] for name in WANTED if SEEN[name] < LEAST}
    assert not short, f"met too rarely: {short}; all: {dict(SEEN)}"
