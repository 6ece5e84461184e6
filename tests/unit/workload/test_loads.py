"""Workload kinds: from a scenario's mapping to requests, with the identities that they promise."""

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.spec import kinds
from hetsim.workload import (
    build_workload,
    prefix_reuse,
    regime_names,
    regime_workload,
    trace_summary,
    workload_spec,
)

INPUT = {"kind": "lognormal", "mean": 1000, "cv": 0.8}
OUTPUT = {"kind": "uniform", "min": 10, "max": 200}
BACKWARDS = {"start": "3 s", "end": "1 s"}
LENGTHS = {"input": INPUT, "output": OUTPUT}
POISSON = {"kind": "poisson", "rate": "12 req/s", "requests": 500, **LENGTHS}
SESSIONS = {
    "kind": "sessions", "rate": "5 req/s", "requests": 500, "turns": 4, "gap": "10 s",
    "shared_prefix": 130, "block_tokens": 64, **LENGTHS,
}  # fmt: skip
LOADS = {
    "poisson": POISSON,
    "gamma": {**POISSON, "kind": "gamma", "cv": 2},
    "mmpp": {**POISSON, "kind": "mmpp", "burst_ratio": 5, "quiet": "9 s", "busy": "1 s"},
    "uniform": {**POISSON, "kind": "uniform"},
    "all_at_once": {"kind": "all_at_once", "requests": 500, **LENGTHS},
    "mlperf_server": {**POISSON, "kind": "mlperf_server"},
    "mlperf_offline": {"kind": "mlperf_offline", "requests": 500, **LENGTHS},
    "vllm_bench": {**POISSON, "kind": "vllm_bench", "burstiness": 0.5},
    "sessions": SESSIONS,
    "regime": {"kind": "regime", "name": "agentic", "rate": "5 req/s", "requests": 500},
}
LOOPS = {
    "closed_loop": {"kind": "closed_loop", "users": 8, "requests": 100, "think": "2 s", **LENGTHS},
    "genai_perf": {"kind": "genai_perf", "concurrency": 8, "requests": 100, **LENGTHS},
    "inferencex": {"kind": "inferencex", "concurrency": 8, "input": 1024, "output": 512},
}


def made(load, seed=7, **changes):
    return build_workload(workload_spec({**load, **changes}), seed)


def test_every_kind_is_tried():
    assert {*LOADS, *LOOPS, "trace"} == set(kinds("workload"))


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
def test_a_longer_table_begins_with_the_shorter(load):
    short, long = made(load).table, made(load, requests=1000).table
    assert (len(short), len(long)) == (500, 1000)
    for name in ("isl", "osl"):
        assert (getattr(short, name) == getattr(long, name)[:500]).all(), name
    if load["kind"] == "vllm_bench":  # its arrivals are stretched, all by one factor
        factor = short.arrival_s[-1] / long.arrival_s[499]
        assert np.allclose(short.arrival_s, factor * long.arrival_s[:500], rtol=1e-12)
    else:
        assert (short.arrival_s == long.arrival_s[:500]).all()
    assert [short.hashes(i) for i in range(500)] == [long.hashes(i) for i in range(500)]


@pytest.mark.parametrize(
    "kind", ["poisson", "gamma", "mmpp", "uniform", "mlperf_server", "vllm_bench"]
)
def test_another_rate_keeps_every_length(kind):
    slow, fast = made(LOADS[kind]).table, made(LOADS[kind], rate="24 req/s").table
    assert (slow.isl == fast.isl).all()
    assert (slow.osl == fast.osl).all()
    assert fast.arrival_s[-1] < slow.arrival_s[-1]


def test_another_mean_keeps_the_arrivals_and_the_order_of_lengths():
    a = made(POISSON).table
    b = made(POISSON, input={**INPUT, "mean": 2000}).table
    assert (a.arrival_s == b.arrival_s).all()
    assert (np.argsort(a.isl, kind="stable") == np.argsort(b.isl, kind="stable")).mean() > 0.9
    assert (a.osl == b.osl).all()


def test_another_seed_changes_all():
    a, b = made(POISSON).table, made(POISSON, seed=8).table
    assert (a.isl == b.isl).mean() < 0.05
    assert not (a.arrival_s == b.arrival_s).any()


def test_input_and_output_are_independent():
    table = made(POISSON, requests=5000).table
    assert abs(np.corrcoef(table.isl, table.osl)[0, 1]) < 0.05


def test_warmup_is_passed_on():
    load = made(POISSON, warmup="3 s")
    assert load.measured_from_s == 3.0
    assert len(load.table) == 500


@pytest.mark.parametrize("load", LOOPS.values(), ids=LOOPS)
def test_a_turn_depends_on_user_and_number_only(load):
    one, other = made(load).loop, made(load).loop
    keys = [(user, turn) for user in range(8) for turn in range(40)]
    forward = {key: one.next(*key) for key in keys}
    assert forward == {key: other.next(*key) for key in reversed(keys)}
    assert len({turn.isl for turn in forward.values()}) > 50
    assert made(load, seed=8).loop.next(0, 0) != one.next(0, 0)


def test_loops_know_how_many_requests_there_are():
    assert made(LOOPS["inferencex"]).requests == 80
    assert made(LOOPS["closed_loop"]).requests == 100
    assert made(LOOPS["closed_loop"], requests=3).loop.users == 3


def test_more_users_leave_the_others_alone():
    few, many = made(LOOPS["closed_loop"]).loop, made(LOOPS["closed_loop"], users=80).loop
    assert [few.next(5, turn) for turn in range(20)] == [many.next(5, turn) for turn in range(20)]


def test_think_times_have_their_mean_and_nobody_thinks_first():
    loop = made(LOOPS["closed_loop"]).loop
    thinks = [loop.next(user, turn).think_s for user in range(8) for turn in range(1, 400)]
    assert np.mean(thinks) == pytest.approx(2.0, rel=0.06)
    assert np.std(thinks) == pytest.approx(2.0, rel=0.1)
    assert loop.first(0).think_s == 0.0
    assert loop.first(0)[1:] == loop.next(0, 0)[1:]
    fixed = made(LOOPS["closed_loop"], think_law="fixed").loop
    assert {fixed.next(0, turn).think_s for turn in range(9)} == {2.0}


def test_inferencex_lengths_fill_eighty_to_a_hundred_percent():
    loop = made(LOOPS["inferencex"]).loop
    turns = [loop.next(user, turn) for user in range(8) for turn in range(300)]
    assert min(turn.isl for turn in turns) in range(819, 822)
    assert max(turn.isl for turn in turns) in range(1022, 1025)
    assert np.mean([turn.osl for turn in turns]) == pytest.approx(0.9 * 512, rel=0.01)


def test_vllm_bench_has_three_shapes():
    everything = {**LOADS["vllm_bench"], "burstiness": 1}
    poisson, drawn = made(everything).table.arrival_s, made(POISSON).table.arrival_s
    gaps = np.diff(poisson, prepend=0.0) / np.diff(drawn, prepend=0.0)
    assert np.allclose(gaps, gaps[0], rtol=1e-9)
    everything.pop("rate")
    assert made(everything).table.arrival_s.max() == 0.0
    assert made(everything, max_concurrency=16).loop.users == 16
    with pytest.raises(ScenarioError, match="state one of them"):
        workload_spec({**everything, "rate": "2 req/s", "max_concurrency": 16})


@pytest.mark.parametrize("burstiness", [1, 0.5, 4])
@pytest.mark.parametrize("requests", [1, 7, 500])
def test_vllm_bench_sends_its_last_request_when_the_rate_says(burstiness, requests):
    load = {**LOADS["vllm_bench"], "burstiness": burstiness, "requests": requests}
    for rate in (2.0, 12.0):
        for seed in (1, 2, 3):
            times = made(load, seed=seed, rate=f"{rate} req/s").table.arrival_s
            assert times[-1] == pytest.approx(requests / rate, rel=1e-12)
            assert (np.diff(times) >= 0).all()
    # The workload that a client did not make is left as it was drawn.
    assert made(POISSON, requests=500).table.arrival_s[-1] != pytest.approx(500 / 12, rel=1e-3)


def test_conversation_turns_hold_their_history():
    talk = {"turns": 3, "shared_prefix": 130, "block_tokens": 64}
    fixed = {"kind": "fixed", "tokens": 100}
    loop = made(LOOPS["closed_loop"], conversation=talk, input=fixed, output=fixed).loop
    turns = [loop.next(1, turn) for turn in range(6)]
    assert [turn.isl for turn in turns] == [230, 430, 630, 230, 430, 630]
    assert [len(turn.hashes) for turn in turns] == [3, 6, 9, 3, 6, 9]
    for before, after in ((0, 1), (1, 2), (3, 4)):
        assert turns[after].hashes[: len(turns[before].hashes)] == turns[before].hashes
    # Only the two full blocks of the shared prefix are common to conversations and users.
    assert set(turns[2].hashes) & set(turns[5].hashes) == {0, 1}
    assert set(turns[2].hashes) & set(loop.next(2, 2).hashes) == {0, 1}
    assert loop.hash_block_tokens == 64


def test_sessions_reuse_exactly_what_was_said_before():
    table = made(SESSIONS).table
    reuse = prefix_reuse(table)
    seen: dict[int, int] = {}
    common = 128 * np.ones(len(table), int)
    common[0] = 0
    for row, (session, isl) in enumerate(
        zip(table.session.tolist(), table.isl.tolist(), strict=True)
    ):
        due = max(common[row], seen.get(session, 0) // 64 * 64)
        assert reuse[row] == due
        seen[session] = isl
    assert len(seen) < 400


def test_sessions_have_their_rate_turns_and_gap():
    load = {
        **SESSIONS,
        "requests": 20_000,
        "turns_law": "fixed",
        "output": {"kind": "fixed", "tokens": 1},
    }
    table = made(load).table
    for half in (table.arrival_s[:10_000], table.arrival_s[10_000:]):
        assert 10_000 / (half[-1] - half[0]) == pytest.approx(5.0, rel=0.06)
    counts = np.bincount(table.session)
    assert counts.max() == 4
    gaps = np.concatenate([np.diff(table.arrival_s[table.session == s]) for s in range(200, 700)])
    assert gaps.mean() == pytest.approx(10.0, rel=0.08)


@pytest.mark.parametrize("name", regime_names())
def test_regimes_run_and_state_their_sources(name):
    data = regime_workload(name)
    assert set(data) == {"title", "workload", "sources"}
    assert {"lengths", "arrivals"} <= set(data["sources"])
    load = made({"kind": "regime", "name": name, "rate": "8 req/s", "requests": 4000})
    assert load.requests == 4000
    assert trace_summary(load.table)["rate_per_s"] == pytest.approx(8, rel=0.25)


def test_regimes_differ_as_their_names_say():
    def stats(name):
        return trace_summary(made({**LOADS["regime"], "name": name, "requests": 4000}).table)

    every = {name: stats(name) for name in regime_names()}
    ratio = {n: s["input_tokens_mean"] / s["output_tokens_mean"] for n, s in every.items()}
    assert ratio["decode_heavy"] < 1 < ratio["balanced"] < ratio["prefill_heavy"]
    assert every["bursty"]["interarrival_cv"] > 2.5 > every["balanced"]["interarrival_cv"]
    assert every["bursty"]["input_tokens_mean"] == every["balanced"]["input_tokens_mean"]
    assert every["long_context"]["input_tokens_p99"] > 50_000
    assert every["agentic"]["prefix_reuse_percent"] > 80


@pytest.mark.parametrize(
    ("load", "message"),
    [
        ({"kind": "poisson", "rate": "1 req/s"}, "requests: is missing"),
        ({**POISSON, "requests": 0}, "requests"),
        ({**POISSON, "inputs": INPUT}, "did you mean 'input'"),
        ({**SESSIONS, "turns": 0.5}, "turns must be at least 1"),
        ({**SESSIONS, "turns": 2.5, "turns_law": "fixed"}, "whole number"),
        ({**SESSIONS, "shared_prefix": -1}, "0 or more"),
        ({**LOOPS["closed_loop"], "users": 0}, "users"),
        ({**LOOPS["closed_loop"], "think": 2}, "needs a unit"),
        ({**LOOPS["inferencex"], "output": 0}, "output"),
        ({"kind": "trace"}, "path: is missing"),
        ({"kind": "trace", "path": "x", "window": BACKWARDS}, "come after start"),
        ({"kind": "trace", "path": "x", "rate_scale": 0}, "rate_scale"),
        ({"kind": "trace", "path": "x", "limit": 0}, "limit"),
    ],
)  # fmt: skip
def test_wrong_workloads_are_told(load, message):
    with pytest.raises(ScenarioError, match=message):
        workload_spec(load)


def test_unknown_regime_and_negative_seed():
    with pytest.raises(ScenarioError, match="did you mean 'bursty'"):
        made({**LOADS["regime"], "name": "burst"})
    with pytest.raises(ScenarioError, match="seed"):
        made(POISSON, seed=-1)
