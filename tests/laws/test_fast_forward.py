"""Fast-forward is exact: the same tables as a run that walks every decode step.

Hypothesis draws from flavours of scenario, each bent towards one thing that ends a segment. What
happened is read from the tables and the machines of the run, never from the scenario, so that the
sample cannot pass by meeting nothing.
"""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.metrics import TABLES, Recorder
from hetsim.run import run_info
from hetsim.scenario import load_data
from hetsim.stages import build_plan, simulate

ROUNDS = 25
LEAST = 20
CONSTANT = {"kind": "constant", "prefill": "3 ms", "decode_step": "2 ms"}

WINDOWED = (("gpt-oss-20b", 60, 120), ("gemma-3-4b", 900, 300))
"""Models with sliding windows (128 and 1024 tokens), and lengths that end beyond them."""

Draw = np.random.Generator
Flavour = Callable[[Draw], dict[str, Any]]


def lengths(mean: float) -> dict[str, Any]:
    return {"kind": "lognormal", "mean": float(mean), "cv": 1.0}


def arrivals(draw: Draw, isl: float, osl: float, rates=(5, 50, 400)) -> dict[str, Any]:
    return {
        "kind": "poisson",
        "rate": f"{draw.choice(rates)} req/s",
        "requests": int(draw.integers(20, 50)),
        "input": lengths(isl),
        "output": lengths(osl),
    }


def pool(draw: Draw, role: str, **more: Any) -> dict[str, Any]:
    return {
        "role": role,
        "accelerator": str(draw.choice(["h100-sxm", "h200-sxm"])),
        "instances": int(draw.integers(1, 3)),
        "parallel": {"tp": 1},
        "precision": {"weights": "bf16", "compute": "bf16", "kv": "bf16"},
        "runtime": "vllm" if role == "both" else "vllm_nixl_pull",
        "max_seqs": int(draw.choice([4, 16, 64])),
        "max_batched_tokens": int(draw.choice([256, 2048])),
        **more,
    }


def alone(draw: Draw, workload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"workload": workload, "pools": {"all": pool(draw, "both", **more)}}


def pair(
    draw: Draw,
    workload: dict[str, Any],
    p: dict[str, Any] | None = None,
    d: dict[str, Any] | None = None,
    nic: str = "100 Gbit/s",
) -> dict[str, Any]:
    return {
        "workload": workload,
        "pools": {"p": pool(draw, "prefill", **(p or {})), "d": pool(draw, "decode", **(d or {}))},
        "network": {"fabric": "single_switch", "nic": nic, "nics_per_node": 2},
        "boundary": {},
    }


def tight(draw: Draw, low: int = 60, high: int = 110) -> dict[str, Any]:
    return {**CONSTANT, "blocks": int(draw.integers(low, high))}


def colocated(draw: Draw) -> dict[str, Any]:
    return alone(draw, arrivals(draw, 400, 80), max_batched_tokens=256)


def preempted_by_recompute(draw: Draw) -> dict[str, Any]:
    load = arrivals(draw, 100, 200, (50, 400))
    return alone(draw, load, estimator=tight(draw), preempt="recompute", max_seqs=64, instances=1)


def preempted_by_swap(draw: Draw) -> dict[str, Any]:
    load = arrivals(draw, 100, 200, (50, 400))
    return alone(draw, load, estimator=tight(draw), preempt="swap", max_seqs=64, instances=1)


def windowed(draw: Draw) -> dict[str, Any]:
    model, isl, osl = WINDOWED[int(draw.integers(len(WINDOWED)))]
    return {"model": model, **alone(draw, arrivals(draw, isl, osl), max_batched_tokens=2048)}


def prefix_cached(draw: Draw) -> dict[str, Any]:
    load = {
        "kind": "sessions",
        "rate": f"{draw.choice([5, 20])} req/s",
        "requests": int(draw.integers(40, 60)),
        "turns": 4,
        "gap": "1 s",
        "input": lengths(150),
        "output": lengths(40),
        "block_tokens": 16,
    }
    more = {"estimator": tight(draw, 150, 220), "prefix_caching": True, "instances": 1}
    return alone(draw, load, **more)


def attention_dp(draw: Draw) -> dict[str, Any]:
    load = arrivals(draw, 300, 80, (50, 400))
    cut = {"tp": 1, "dp": 2, "ep": 2}
    return {"model": "qwen3-30b-a3b", **alone(draw, load, parallel=cut, instances=1)}


def handed_off(draw: Draw) -> dict[str, Any]:
    return pair(draw, arrivals(draw, 400, 80), p={"max_batched_tokens": 256})


def layerwise(draw: Draw) -> dict[str, Any]:
    both = {"runtime": "ascend_layerwise"}
    made = pair(draw, arrivals(draw, 400, 80), p=both, d=both)
    return {**made, "boundary": {"granularity": "layer", "ownership": "layerwise_push"}}


def slowed_link(draw: Draw) -> dict[str, Any]:
    made = pair(draw, arrivals(draw, 3000, 60, (20, 50)), p={"instances": 1}, nic="10 Gbit/s")
    at = {"at": "0.5 s", "duration": "0.5 s", "factor": float(draw.choice([0.1, 0.5]))}
    return {**made, "faults": [{"kind": "link_slow", "pool": "p", **at}]}


def crashed_prefill(draw: Draw) -> dict[str, Any]:
    made = pair(draw, arrivals(draw, 6000, 60, (50, 400)), p={"instances": 1})
    return {**made, "faults": [{"kind": "prefill_crash", "at": "0.5 s", "restart_after": "0.2 s"}]}


def crashed_decode(draw: Draw) -> dict[str, Any]:
    made = pair(draw, arrivals(draw, 300, 150, (50, 400)))
    return {**made, "faults": [{"kind": "decode_crash", "at": "0.4 s", "restart_after": "0.2 s"}]}


def preempted_after_handoff(draw: Draw) -> dict[str, Any]:
    d = {"estimator": tight(draw), "max_seqs": 64, "instances": 1}
    d["preempt"] = str(draw.choice(["swap", "recompute"]))
    return pair(draw, arrivals(draw, 100, 200, (50, 400)), d=d)


def windowed_after_handoff(draw: Draw) -> dict[str, Any]:
    model, isl, osl = WINDOWED[int(draw.integers(len(WINDOWED)))]
    return {"model": model, **pair(draw, arrivals(draw, isl, osl))}


def crossing(draw: Draw, workload: dict[str, Any], cut: dict[str, int]) -> dict[str, Any]:
    """Decode instances on two nodes each, whose collectives share NICs with KV; a link breaks."""
    d = {"accelerator": "l40s", "parallel": cut, "devices_per_node": 2, "max_seqs": 16}
    nic = str(draw.choice(["10 Gbit/s", "40 Gbit/s"]))
    made = pair(draw, workload, p={"max_batched_tokens": 2048}, d=d, nic=nic)
    at = {"pool": "d", "at": "0.6 s"}
    slow = {"kind": "link_slow", "duration": "0.3 s", "factor": float(draw.choice([0.2, 0.6]))}
    down = {"kind": "link_flap", "duration": "0.05 s", "times": 2}
    return {**made, "faults": [{**at, **(slow if draw.integers(3) else down)}]}


def crossing_tp(draw: Draw) -> dict[str, Any]:
    return crossing(draw, arrivals(draw, 400, 80, (20, 60)), {"tp": 4})


def crossing_pp(draw: Draw) -> dict[str, Any]:
    return crossing(draw, arrivals(draw, 400, 80, (20, 60)), {"tp": 2, "pp": 2})


def crossing_ep(draw: Draw) -> dict[str, Any]:
    load = arrivals(draw, 300, 60, (20, 60))
    return {"model": "qwen3-30b-a3b", **crossing(draw, load, {"tp": 1, "dp": 4, "ep": 4})}


def crossing_spine(draw: Draw) -> dict[str, Any]:
    """Co-located instances that share the few uplinks of a leaf: collectives meet each other."""
    more = {"accelerator": "l40s", "parallel": {"tp": 8}, "devices_per_node": 2, "instances": 3}
    made = alone(draw, arrivals(draw, 400, 80, (20, 60)), **more)
    spine = {"fabric": "two_tier", "nic": "40 Gbit/s", "nics_per_node": 2}
    return {**made, "network": {**spine, "oversubscription": 4.0, "nodes_per_leaf": 3}}


FLAVOURS: tuple[Flavour, ...] = (
    colocated,
    preempted_by_recompute,
    preempted_by_swap,
    windowed,
    prefix_cached,
    attention_dp,
    handed_off,
    layerwise,
    slowed_link,
    crashed_prefill,
    crashed_decode,
    preempted_after_handoff,
    windowed_after_handoff,
    crossing_tp,
    crossing_pp,
    crossing_ep,
    crossing_spine,
)


CROSSING = ("crossing_tp", "crossing_pp", "crossing_ep", "crossing_spine")
"""Flavours in which the rate of collectives must have cut segments."""


def scenario(flavour: Flavour, number: int) -> dict[str, Any]:
    made = flavour(np.random.default_rng(number))
    slo = {"ttft": "1 s", "tpot": "50 ms"}
    return {"name": "random", "model": "llama-3.1-8b", "slo": slo, "seed": number, **made}


def played(data: dict[str, Any], stepwise: bool) -> tuple[Any, Any, dict[str, pd.DataFrame]]:
    loaded = load_data(data)
    plan = build_plan(loaded.scenario, loaded.base_dir, stepwise=stepwise)
    recorder = Recorder()
    world = simulate(plan, recorder, run_info(plan))
    return plan, world, {name: recorder.table(name).to_pandas() for name in TABLES}


def happened(plan: Any, world: Any, found: dict[str, pd.DataFrame]) -> set[str]:
    """Return what the run met, from what it left."""
    steps, requests, transfers = found["steps"], found["requests"], found["transfers"]
    last = plan.pools[-1]
    preempted = int(requests.preemptions.sum()) > 0
    swaps = last.swap_s_per_block is not None
    decodes = requests[requests.output_tokens > 1]
    ends = decodes.isl_tokens + decodes.output_tokens
    edges = [window for window in last.rules.windows if window is not None]
    computed = requests[requests.prefill_end_s.notna()]
    ranks = [rank for stage in world.pools for one in stage.instances for rank in one.ranks]
    rode = (steps.joined > 0) & (steps.batch_size > steps.joined) & (steps.stall_s < 1e-9)
    reasons = set(requests.reason[requests.status == "failed"])
    layer = plan.boundary is not None and plan.boundary.granularity == "layer"
    met = {
        "join_inside_segment": bool(rode.any()),
        "block_exhaustion": preempted,
        "preempt_recompute": preempted and not swaps,
        "preempt_swap": preempted and swaps,
        "window_crossing": any(((decodes.isl_tokens < w) & (ends > w)).any() for w in edges),
        "chunked_prefill": bool(
            (computed.isl_tokens - computed.cached_tokens > plan.pools[0].rules.max_tokens).any()
        ),
        "prefix_eviction": sum(rank.pool.evicted_units for rank in ranks) > 0,
        "layerwise_handoff": layer and len(transfers) > 0,
        "link_rate_change": _hit_by_slow_link(plan, transfers),
        "prefill_crash": "prefill_crash" in reasons,
        "decode_crash": "decode_crash" in reasons,
        "collective_rate_change": _cuts(world) > 0,
        "collective_under_dp": last.ranks > 1 and _cuts(world) > 0,
        "attention_dp": last.ranks > 1 and bool((steps.steps > 1).any()),
    }
    return {name for name, yes in met.items() if yes}


WANTED = (
    "join_inside_segment",
    "block_exhaustion",
    "preempt_recompute",
    "preempt_swap",
    "window_crossing",
    "chunked_prefill",
    "prefix_eviction",
    "layerwise_handoff",
    "link_rate_change",
    "prefill_crash",
    "decode_crash",
    "attention_dp",
    "collective_rate_change",
)


def _cuts(world: Any) -> int:
    """Return how many segments ended for a new rate of the network and nothing else."""
    return sum(getattr(one, "cuts", 0) for stage in world.pools for one in stage.instances)


def _hit_by_slow_link(plan: Any, transfers: pd.DataFrame) -> bool:
    """Whether bytes of the instance were on their way when its link changed its rate."""
    for fault in plan.faults:
        if fault.kind == "link_slow":
            mine = transfers[transfers.source_instance == fault.instance]
            ends = mine.start_s + mine.duration_s
            for at in (fault.at, fault.at + fault.duration):
                if ((mine.start_s < at) & (ends > at)).any():
                    return True
    return False


def same(a: pd.DataFrame, b: pd.DataFrame, name: str) -> None:
    assert len(a) == len(b), f"{name}: {len(a)} rows against {len(b)}"
    for column in a.columns:
        left, right = a[column].to_numpy(), b[column].to_numpy()
        if left.dtype.kind == "f":
            np.testing.assert_allclose(
                left, right, rtol=1e-9, atol=1e-9, err_msg=f"{name}.{column}"
            )
        else:
            assert (left == right).all(), f"{name}.{column}"


class Meetings:
    """Compares runs, and counts what they met."""

    def __init__(self) -> None:
        self.met: collections.Counter[str] = collections.Counter()
        self.scenarios = 0
        self.longest = 0
        self.cuts: collections.Counter[str] = collections.Counter()

    def compare(self, flavour: Flavour, number: int) -> None:
        data = scenario(flavour, number)
        plan, world, fast = played(data, stepwise=False)
        _, slow_world, slow = played(data, stepwise=True)
        for name, table in fast.items():
            same(table, slow[name], f"{flavour.__name__} {number}: {name}")
        assert world.ended == slow_world.ended
        assert world.reasons == slow_world.reasons
        assert _cuts(world) == _cuts(slow_world)
        self.cuts[flavour.__name__] += _cuts(world)
        self.met.update(happened(plan, world, fast))
        self.scenarios += 1
        self.longest = max(self.longest, int(fast["steps"].steps.max()))


@pytest.mark.slow
def test_fast_forward_equals_stepwise_and_meets_everything():
    """Hypothesis draws the scenarios of every flavour; a failure is shrunk to a small seed."""
    meetings = Meetings()
    for flavour in FLAVOURS:
        compare = functools.partial(meetings.compare, flavour)

        @settings(max_examples=ROUNDS, derandomize=True, database=None, deadline=None)
        @given(number=st.integers(0, 2**32 - 1), compare=st.just(compare))
        def compared(number: int, compare: Callable[[int], None]) -> None:
            compare(number)

        compared()
    assert meetings.scenarios >= 200
    assert meetings.longest > 50, "no segment was long: nothing was fast-forwarded"
    met = meetings.met
    short = {name: met[name] for name in WANTED if met[name] < LEAST}
    assert not short, f"met too rarely: {short}; all: {dict(met)}"
    rare = {name: meetings.cuts[name] for name in CROSSING if meetings.cuts[name] < LEAST}
    assert not rare, f"too few segments cut by a rate of the network: {rare}"
