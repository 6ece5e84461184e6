"""Written out, read again: the same scenario, the same run."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.scenario import (
    dump_scenario,
    load_data,
    load_scenario,
    plain_scenario,
    resolve,
    resolved_yaml,
)
from hetsim.spec._yaml import parse_yaml

POSITIVE = st.floats(1e-9, 1e15, allow_nan=False)
SECONDS = POSITIVE.map(lambda value: f"{value!r} s")
RATE = POSITIVE.map(lambda value: f"{value!r} req/s")
TOKENS = st.integers(1, 4000)
LENGTHS = st.one_of(
    st.builds(lambda n: {"kind": "fixed", "tokens": n}, TOKENS),
    st.builds(lambda n, m: {"kind": "uniform", "min": n, "max": n + m}, TOKENS, TOKENS),
    st.builds(
        lambda mean, cv: {"kind": "lognormal", "mean": mean, "cv": cv},
        st.floats(1.0, 4000.0),
        st.floats(0.01, 3.0),
    ),
    st.builds(
        lambda values: {"kind": "empirical", "values": values},
        st.lists(TOKENS, min_size=1, max_size=4),
    ),
)
ARRIVALS = st.one_of(
    st.fixed_dictionaries({"kind": st.just("poisson"), "rate": RATE}),
    st.fixed_dictionaries({"kind": st.just("gamma"), "rate": RATE, "cv": st.floats(0.01, 30)}),
    st.fixed_dictionaries({"kind": st.just("all_at_once")}),
    st.fixed_dictionaries(
        {"kind": st.just("closed_loop"), "users": st.integers(1, 99), "think": SECONDS}
    ),
)
WORKLOADS = st.builds(
    lambda arrivals, requests, isl, osl: {
        **arrivals, "requests": requests, "input": isl, "output": osl
    },
    ARRIVALS, st.integers(1, 10**6), LENGTHS, LENGTHS,
)  # fmt: skip
SETTINGS = st.fixed_dictionaries(
    {},
    optional={
        "router": st.sampled_from(["round_robin", "least_load", "kv_aware"]),
        "max_seqs": st.integers(1, 2**31 - 1),
        "block_tokens": st.integers(1, 512),
        "memory_utilisation": st.floats(0.01, 1.0),
        "reserve": st.floats(0, 1e15).map(lambda value: f"{value!r} B"),
        "preempt": st.sampled_from(["recompute", "swap"]),
        "prefix_caching": st.booleans(),
    },
)
REST = st.fixed_dictionaries(
    {},
    optional={
        "description": st.text(max_size=30),
        "horizon": SECONDS,
        "seed": st.integers(0, 2**63 - 1),
        "prices": st.dictionaries(
            st.sampled_from(["prefill", "h200", "a100"]), POSITIVE.map(lambda v: f"{v!r} USD/h")
        ),
        "faults": st.lists(
            st.fixed_dictionaries(
                {"kind": st.just("link_slow"), "at": st.just("0 s"), "factor": st.floats(0.01, 1)}
            ),
            max_size=2,
        ),
    },
)


@given(workload=WORKLOADS, first=SETTINGS, second=SETTINGS, rest=REST)
def test_a_dumped_scenario_is_read_back_equal(
    _pair_once: Any, workload: Any, first: Any, second: Any, rest: Any
) -> None:
    data = copy.deepcopy(_pair_once)
    data["workload"] = workload
    data["pools"]["prefill"].update(first)
    data["pools"]["decode"].update(second)
    data.update(rest)
    scenario = load_data(data).scenario
    text = dump_scenario(scenario)
    again = load_data(parse_yaml(text)[0]).scenario
    assert again == scenario
    assert dump_scenario(again) == text


def test_quantities_carry_their_unit_exactly(pair: Any) -> None:
    data = plain_scenario(load_data(pair, sets=["slo.ttft=123.456 ms"]).scenario)
    value, unit = data["slo"]["ttft"].split()
    assert unit == "second"
    assert float(value) == load_data(pair, sets=["slo.ttft=123.456 ms"]).scenario.slo.ttft


def test_every_default_is_written(pair: Any) -> None:
    data = resolve(load_data(pair).scenario)
    assert data["slo"]["percentile"] == 99.0
    assert data["pools"]["prefill"]["router"] == "least_load"
    assert data["seed"] == 0


def test_paths_become_absolute(tmp_path: Path, pair: Any) -> None:
    (tmp_path / "t.csv").write_text("arrival_s,input_tokens,output_tokens\n0,10,2\n")
    pair["workload"] = {"kind": "trace", "path": "t.csv"}
    loaded = load_data(pair, base_dir=tmp_path)
    text = resolved_yaml(loaded)
    elsewhere = load_data(parse_yaml(text)[0], base_dir="/")
    assert elsewhere.scenario.workload.path == str(tmp_path / "t.csv")


def run_rows(loaded: Any) -> Any:
    from hetsim.run import run_loaded

    return run_loaded(loaded).requests


@pytest.mark.slow
@pytest.mark.parametrize("name", ["homogeneous_pd", "colocated_baseline", "sglang_pair"])
def test_a_resolved_scenario_runs_the_same(name: str, written: Callable[[str], Path]) -> None:
    from hetsim.stages import build_plan

    loaded = load_scenario(name, sets=["workload.requests=60"])
    plan = build_plan(loaded.scenario, loaded.base_dir)
    text = resolved_yaml(loaded, plan)
    again = load_scenario(written(text))
    pool = next(iter(again.scenario.pools.values()))
    assert pool.max_seqs is not None
    assert pool.host == "hgx-h100"
    assert run_rows(again).equals(run_rows(loaded))
    plan = build_plan(again.scenario, again.base_dir)
    assert resolved_yaml(again, plan) == text
