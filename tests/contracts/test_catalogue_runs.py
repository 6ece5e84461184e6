"""Every accelerator with every model runs with finite times, or says by how much it does not fit.

The co-located scenario and the prefill-decode one are generated; the slow test takes a fixed sample
of pairs, the nightly one all of them.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest

from hetsim.errors import InfeasibleError, ScenarioError
from hetsim.hardware import accelerator_names, get_accelerator
from hetsim.model import get_model, model_names, tp_problems
from hetsim.run import run_loaded
from hetsim.scenario import load_data

PAIRS = list(product(accelerator_names(), model_names()))
SAMPLE = PAIRS[:: max(1, len(PAIRS) // 80)]


def formats(name: str) -> str:
    native = get_accelerator(name).native_formats
    return next((f for f in ("bf16", "fp16", "fp32") if f in native), "bf16")


def pool(role: str, accelerator: str, tp: int) -> dict[str, Any]:
    form = formats(accelerator)
    return {
        "role": role,
        "accelerator": accelerator,
        "instances": 1,
        "parallel": {"tp": tp},
        "precision": {"weights": form, "compute": form, "kv": form},
        "runtime": "vllm" if role == "both" else "vllm_nixl_pull",
        "devices_per_node": 16,
    }


def scenario(accelerator: str, model: str, tp: int, apart: bool) -> dict[str, Any]:
    data: dict[str, Any] = {
        "name": "pair",
        "model": model,
        "workload": {
            "kind": "all_at_once",
            "requests": 2,
            "input": {"kind": "fixed", "tokens": 200},
            "output": {"kind": "fixed", "tokens": 5},
        },
        "slo": {"ttft": "10 s", "tpot": "1 s"},
    }
    if not apart:
        return {**data, "pools": {"all": pool("both", accelerator, tp)}}
    data["pools"] = {r: pool(r, accelerator, tp) for r in ("prefill", "decode")}
    data["network"] = {
        "fabric": "single_switch",
        "nic": "100 Gbit/s",
        "nics_per_node": 2,
        "pcie": "32 GB/s",
    }
    data["boundary"] = {}
    return data


def known(accelerator: str) -> bool:
    """Whether the profile has what step times need; those without say so when asked."""
    device = get_accelerator(accelerator)
    wide = any(device.peak(roof) for roof in ("bf16", "fp16", "fp32"))
    return bool(device.memory_bytes_per_s and device.memory_bytes and wide)


def try_pair(accelerator: str, model: str, apart: bool) -> str:
    """Run the smallest tensor parallelism that fits; return what came of it."""
    degrees = [tp for tp in (1, 2, 4, 8, 16) if not tp_problems(get_model(model), tp)]
    for tp in degrees:
        try:
            result = run_loaded(load_data(scenario(accelerator, model, tp, apart)))
        except InfeasibleError as error:
            assert "short by" in str(error) or "not one sequence fits" in str(error), str(error)
            continue
        except ScenarioError as error:
            # One device runs alone; no source says how several of them are joined.
            assert tp > 1 and "no known source" in str(error), str(error)
            return "cannot be joined"
        frame = result.requests
        if (frame.reason == "larger_than_pool").all():
            continue  # the weights leave room for less KV than one request
        assert (frame.status == "finished").all()
        assert all(math.isfinite(t) and t > 0 for t in frame.ttft_s)
        assert all(math.isfinite(t) and t > 0 for t in frame.tpot_s)
        return "ran"
    return "does not fit"


def check(accelerator: str, model: str) -> str:
    if not known(accelerator):
        with pytest.raises(ScenarioError, match="source"):
            run_loaded(load_data(scenario(accelerator, model, 1, False)))
        return "unknown"
    outcomes = {try_pair(accelerator, model, apart) for apart in (False, True)}
    assert len(outcomes) == 1, f"{accelerator} {model}: {outcomes}"
    return outcomes.pop()


@pytest.mark.slow
def test_a_sample_of_pairs_runs_or_says_why_not():
    outcomes = [check(*pair) for pair in SAMPLE]
    assert outcomes.count("ran") > 0.5 * len(outcomes)


@pytest.mark.nightly
@pytest.mark.parametrize("accelerator", accelerator_names())
def test_every_pair_runs_or_says_why_not(accelerator: str):
    for model in model_names():
        check(accelerator, model)
