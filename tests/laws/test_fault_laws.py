"""Laws of faults: none is none, retrying never loses, everybody touched is counted, once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hetsim
from hetsim.cli._render import print_summary
from hetsim.errors import ScenarioError
from hetsim.metrics import Recorder
from hetsim.run import run_info
from hetsim.scenario import load_scenario
from hetsim.stages import build_plan, simulate

pytestmark = pytest.mark.slow

BASE = ("workload.requests=120",)
CRASH = "{kind: decode_crash, at: 3 s, restart_after: 1 s}"
STATIC = "{kind: constant, prefill: 5 ms, decode_step: 20 ms, blocks: 3000}"


def run(*sets: str, name: str = "quickstart", laws: bool = True) -> hetsim.Result:
    return hetsim.run(name, sets=[*BASE, *sets], check_laws=laws)


def same(a: Any, b: Any) -> None:
    assert len(a) == len(b)
    for column in a.columns:
        left, right = a[column].to_numpy(), b[column].to_numpy()
        if left.dtype.kind == "f":
            np.testing.assert_array_equal(left, right)
        else:
            assert (left == right).all(), column


@pytest.mark.parametrize(
    "fault",
    [
        "{kind: transfer_fail, probability: 0}",
        "{kind: decode_crash, per_hour: 0}",
        "{kind: notice_late, probability: 0, delay: 1 s}",
        "{kind: client_abort, probability: 0}",
        "{kind: decode_crash, when: 'Ds:quarantine'}",
    ],
)
def test_a_fault_that_never_strikes_changes_nothing(fault: str):
    calm, armed = run(), run(f"faults=[{fault}]")
    for name in ("requests", "steps", "transfers", "gaps"):
        same(calm.table(name), armed.table(name))
    (row,) = armed.summary["faults"]
    assert row["strokes"] == row["touched"] == row["wasted_gpu_s"] == 0


@pytest.mark.parametrize("name", ["quickstart", "sglang_pair"])
def test_recovery_placement_and_deadlock_watch_change_nothing_where_nothing_is_wrong(name: str):
    calm = run(name=name)
    watched = run(
        "recovery={policy: retry}", "boundary.deadlock=break", "placement={bypass_below: 1}",
        name=name,
    )  # fmt: skip
    for table in ("requests", "steps", "transfers", "gaps"):
        same(calm.table(table), watched.table(table))
    assert watched.summary["deadlocks"] == []


@pytest.mark.parametrize("policy", ["retry", "recompute", "reprefill"])
@pytest.mark.parametrize(
    "fault",
    [
        CRASH,
        "{kind: prefill_crash, at: 3 s, restart_after: 1 s}",
        "{kind: transfer_fail, probability: 0.2}",
        "{kind: router_crash, at: 2 s, duration: 500 ms}",
    ],
)
def test_trying_again_never_finishes_fewer(policy: str, fault: str):
    failing = run(f"faults=[{fault}]").summary
    trying = run(
        f"faults=[{fault}]", f"recovery={{policy: {policy}, attempts: 5, delay: 2 s}}"
    ).summary
    assert trying["requests"]["finished"] > failing["requests"]["finished"]
    assert trying["requests"]["finished"] == 120
    (row,) = trying["faults"]
    assert row["recovered"] > 0 and row["failed"] == 0
    assert trying["recovery"]["attempts"] >= row["recovered"]


def test_an_attempt_that_fails_again_is_given_up_after_the_stated_number():
    found = run(
        "faults=[{kind: decode_crash, at: 3 s}]", "recovery={policy: retry, attempts: 2}"
    ).summary
    assert found["requests"]["failed"] == found["faults"][0]["failed"] > 0
    assert found["recovery"]["attempts"] == 2 * found["requests"]["failed"]


def _handed_over_at(calm: hetsim.Result, at_s: float) -> Any:
    """The requests whose KV was on its way to a decode instance, or there, at a time."""
    begun = calm.transfers.set_index("request_id").start_s
    rows = calm.requests.set_index("request_id").assign(begun_s=begun)
    return rows[(rows.begun_s <= at_s) & (rows.last_token_s > at_s)]


def test_the_blast_radius_of_a_crash_is_who_was_there():
    """Counted by hand from the calm run: handed over or decoding at 3 s."""
    there = _handed_over_at(run(), 3.0)
    found = run("faults=[{kind: decode_crash, at: 3 s, restart_after: 1 us}]").summary
    assert found["faults"][0]["touched"] == len(there) > 20


def test_the_blast_radius_of_an_abort_is_one_and_others_are_not_slower():
    """One may miss a prefill step that it caught before, as its arrival meets others there."""
    calm = run()
    steps = calm.steps
    longest_s = float(steps[steps.prefill_tokens > 0].duration_s.max())
    before = calm.requests.set_index("request_id")
    later = []
    for nth in (5, 20, 40, 60, 80):
        result = run(f"faults=[{{kind: client_abort, when: 'Ds:decoding', nth: {nth}}}]")
        (row,) = result.summary["faults"]
        assert row["touched"] == row["failed"] == 1
        rows = result.requests.set_index("request_id")
        others = rows[rows.status == "finished"]
        assert len(others) == 119
        alike = before.loc[others.index]
        assert (others.tpot_s - alike.tpot_s).mean() < 0.0
        later.append(others.last_token_s - alike.last_token_s)
    assert max(one.max() for one in later) < longest_s
    everybody = np.concatenate(later)
    assert (everybody < 0.01).mean() > 0.99
    assert everybody.mean() < -1e-3


def test_half_the_instances_die_and_half_the_requests_are_touched():
    sets = ("pools.decode.instances=2", "pools.decode.router=round_robin")
    found = run(*sets, "faults=[{kind: decode_crash, at: 3 s, instance: 1}]")
    there = _handed_over_at(run(*sets), 3.0)
    (row,) = found.summary["faults"]
    assert row["touched"] == int((there.decode_instance == 1).sum())
    assert abs(row["touched"] - len(there) / 2) <= 1


@pytest.mark.parametrize(
    "fault",
    [
        "{kind: transfer_fail, probability: 0.3}",
        "{kind: transfer_hang, at: 1 s, count: 3}",
        "{kind: decode_crash, when: 'Ds:reading', nth: 10, restart_after: 1 s}",
        "{kind: client_abort, when: 'Ds:reading', nth: 10}",
    ],
)
def test_bytes_are_landed_in_flight_or_lost_to_a_named_fault(fault: str):
    loaded = load_scenario(
        "quickstart", sets=[*BASE, f"faults=[{fault}]", "boundary.variant=sound"]
    )
    plan = build_plan(loaded.scenario, loaded.base_dir, check_laws=True)
    world = simulate(plan, Recorder(), run_info(plan))
    fabric = world.fabric
    assert fabric is not None and not fabric.flows
    named = sum(record.lost_bytes for record in world.faults.records)
    assert fabric.lost_bytes == pytest.approx(named, abs=1e-3)
    assert fabric.sent_bytes == pytest.approx(fabric.landed_bytes + fabric.lost_bytes)
    for pool in world.pools:
        for instance in pool.instances:
            for rank in instance.ranks:
                assert rank.pool.quarantined == 0 and rank.pool.owned == 0, fault


def test_equal_runs_are_equal_in_another_process():
    sets = [*BASE, "faults=[{kind: transfer_fail, probability: 0.2}, {kind: preemption, per_hour: "
            "2000}, {kind: decode_crash, per_hour: 900, restart_after: 500 ms}]",
            "recovery={policy: retry, attempts: 3, delay: 300 ms}"]  # fmt: skip
    code = (
        "import hetsim, json, sys; r = hetsim.run('quickstart', sets=json.loads(sys.argv[1]));"
        "d = json.loads(r.to_json()); d.pop('wall_s'); print(json.dumps(d))"
    )
    texts = []
    for seed in ("0", "77"):
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(sets)],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed},
        )  # fmt: skip
        texts.append(done.stdout)
    assert texts[0] == texts[1]
    assert json.loads(texts[0])["faults"][0]["touched"] > 0


def test_steps_one_by_one_meet_the_same_faults():
    sets = [*BASE, f"faults=[{CRASH}, {{kind: client_abort, at: 2 s, count: 9}}, "
            "{kind: step_stall, at: 2500 ms, duration: 300 ms}]"]  # fmt: skip
    fast = hetsim.run("quickstart", sets=sets)
    slow = hetsim.run("quickstart", sets=sets, stepwise=True)
    assert (fast.requests.status == slow.requests.status).all()
    np.testing.assert_allclose(
        fast.requests.last_token_s.to_numpy(), slow.requests.last_token_s.to_numpy(), rtol=1e-9
    )
    assert [f["touched"] for f in fast.summary["faults"]] == [
        f["touched"] for f in slow.summary["faults"]
    ]


# -- timers that ride on a step loop -------------------------------------------------------------

STALL = (
    "workload.requests=300",
    f"pools.decode.estimator={STATIC}",
    "faults=[{kind: step_stall, at: 3 s, duration: 40 s}]",
)


def test_a_stalled_step_loop_lets_a_renewed_lease_expire():
    """D's beats ride on its steps: it reads what P has given to others, and answers 200."""
    found = hetsim.run("quickstart", sets=[*STALL]).summary
    assert found["ok_corrupt"] > 20
    assert found["violations"]["I16"] == found["faults"][0]["ok_corrupt"]


def test_the_shipped_pair_of_stalled_beats():
    faulty = hetsim.run("boundary/stalled_beats_faulty").summary
    sound = hetsim.run("boundary/stalled_beats_sound").summary
    assert faulty["ok_corrupt"] > 20 and faulty["violations"]["I16"] == faulty["ok_corrupt"]
    assert sound["ok_corrupt"] == 0 and not sound["violations"]


def test_beats_with_a_clock_of_their_own_keep_the_lease():
    found = hetsim.run("quickstart", sets=[*STALL, "boundary.step_timers=false"]).summary
    assert found["ok_corrupt"] == 0 and not found["violations"]
    sound = hetsim.run("quickstart", sets=[*STALL, "boundary.variant=sound"]).summary
    assert sound["ok_corrupt"] == 0 and not sound["violations"]


def test_a_partition_of_control_does_the_same_as_a_stall():
    sets = [*STALL[:2], "faults=[{kind: partition, at: 3 s, duration: 40 s, plane: control}]"]
    beats = hetsim.run("quickstart", sets=[*sets, "boundary.lease=3 s"]).summary
    assert beats["ok_corrupt"] > 20


def test_an_expiry_that_a_stalled_producer_holds_back_is_counted():
    sets = [*BASE, "boundary.variant=legacy", "boundary.lease=2 s",
            "faults=[{kind: notice_lost, notice: done, probability: 1.0}, "
            "{kind: step_stall, pool: prefill, at: 2 s, duration: 10 s}]"]  # fmt: skip
    found = hetsim.run("quickstart", sets=sets, check_laws=True).summary
    assert found["violations"]["I15"] > 0


# -- deadlock ------------------------------------------------------------------------------------


def test_the_faulty_pair_deadlocks_and_the_sound_one_does_not():
    faulty = hetsim.run("boundary/deadlock_faulty", check_laws=True).summary
    sound = hetsim.run("boundary/deadlock_sound", check_laws=True).summary
    assert faulty["violations"]["I12"] == len(faulty["deadlocks"]) > 0
    first = faulty["deadlocks"][0]
    assert first["cycle"][0] == first["cycle"][-1]
    assert {"prefill/0", "decode/0"} & set(first["cycle"])
    assert f"request {first['victim']}" in first["cycle"]
    assert sound["deadlocks"] == [] and not sound["violations"]
    assert sound["requests"]["finished"] > faulty["requests"]["finished"]


def test_a_deadlock_is_broken_by_giving_the_victim_up():
    sets = ["boundary.deadlock=break", "boundary.variant=sound"]
    found = hetsim.run("boundary/deadlock_faulty", sets=sets, check_laws=True).summary
    assert all(row["broken"] for row in found["deadlocks"])
    assert found["reasons"]["deadlock"] == len(found["deadlocks"])
    assert found["requests"]["unfinished"] == 0


# -- one pool ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        "{kind: decode_crash, at: 1 s, restart_after: 500 ms}",
        "{kind: step_stall, at: 1 s, duration: 500 ms}",
        "{kind: client_abort, at: 1 s, count: 10}",
        "{kind: memory_short, at: 1 s, factor: 0.99, duration: 2 s}",
        "{kind: preemption, per_hour: 3600}",
        "{kind: router_crash, at: 1 s, duration: 200 ms}",
        "{kind: duplicate_request, at: 1 s, count: 5}",
    ],
)
def test_one_pool_meets_faults_too(fault: str):
    sets = [*BASE, f"faults=[{fault}]", "recovery={policy: retry, attempts: 2, delay: 1 s}"]
    found = hetsim.run("colocated_baseline", sets=sets, check_laws=True).summary
    counts = found["requests"]
    lost = 10 if "abort" in fault else 0
    more = 5 if "duplicate" in fault else 0
    assert counts["finished"] == 120 - lost + more and counts["failed"] == lost
    assert found["faults"][0]["strokes"] > 0


# -- what is left of it --------------------------------------------------------------------------


def test_a_run_directory_has_a_table_of_faults_and_the_summary_the_same_rows(tmp_path: Path):
    faults = f"faults=[{CRASH}, {{kind: notice_lost, notice: done, probability: 0.2}}]"
    result = hetsim.run("quickstart", sets=[*BASE, faults], out=tmp_path / "run")
    table = pd.read_parquet(tmp_path / "run" / "faults.parquet")
    assert list(table.kind) == ["decode_crash", "notice_lost"]
    kept = json.loads((tmp_path / "run" / "summary.json").read_text())["faults"]
    for row, said in zip(table.to_dict("records"), kept, strict=True):
        assert {name: row[name] for name in said if said[name] is not None} == {
            name: value for name, value in said.items() if value is not None
        }
    print_summary(result.summary)


def test_a_preempted_request_is_preempted_in_the_table_of_ownership_too():
    result = run("faults=[{kind: preemption, per_hour: 7200}]")
    moves = result.ownership[result.ownership.block_set == "Ds"]
    taken = moves[moves.state_to == "preempted"]
    back = moves[moves.state_from == "preempted"]
    assert len(taken) == len(back) == result.requests.preemptions.sum() > 0
    assert (back.state_to == "decoding").all()


def test_a_retraction_and_its_return_are_there_as_well():
    sets = ("pools.decode.memory_utilisation=0.3", "faults=[{kind: preemption, per_hour: 7200}]")
    result = run(*sets, name="sglang_pair")
    moves = result.ownership[result.ownership.block_set == "Ds"]
    assert (moves.state_to == "retracted").sum() == (moves.state_from == "retracted").sum() > 0


def test_what_is_left_to_load_from_tiers_is_loaded():
    sets = ("faults=[{kind: transfer_fail, probability: 0.3}]", "pools.prefill.prefix_caching=true",
            "residency={dram: {capacity: 64 GB, share: instance}, fetch: always}",
            "recovery={policy: reload, attempts: 5}")  # fmt: skip
    assert run(*sets).summary["requests"]["finished"] == 120


def test_reloading_without_tiers_is_refused():
    with pytest.raises(ScenarioError, match="residency"):
        run("recovery={policy: reload}")
