"""Collectives that leave the node compete with KV: closed forms, conservation, monotone rates.

The decode instance is Llama-3.1-8B in bf16 at TP 4 on two nodes of two L40S with two NICs of
100 Gbit/s that reach all of it, so a device has 12.5 GB/s and its collectives 10 of them. Per
sequence and step an all-reduce over 4 ranks sends ``2 (1/2) / 2`` of its tensor from each device,
twice a layer: ``32 x 2 x 4096 x 2 B / 2 = 262,144 B``; the gather of the logits half of that share:
``128,256 x 2 B / 4 = 64,128 B``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hetsim.costs import NetworkUse
from hetsim.engine import SharedFabric
from hetsim.metrics import TABLES, Recorder
from hetsim.run import run, run_info
from hetsim.scenario import load_data
from hetsim.stages import build_plan, simulate

SENT_BYTES = 262_144 + 64_128
NIC = 12.5e9
LINKS = {"nics_per_node": 2, "efficiency": 1.0, "pcie": "12.5 GB/s", "pcie_efficiency": 1.0}


def pool(role: str, instances: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "role": role,
        "accelerator": "l40s",
        "instances": instances,
        "devices_per_node": 2,
        "precision": {"weights": "bf16", "compute": "bf16", "kv": "bf16"},
        "runtime": "vllm" if role == "both" else "vllm_nixl_pull",
        **more,
    }


def scenario(requests: int = 1, isl: int = 500, osl: int = 400, **more: Any) -> dict[str, Any]:
    load = {"kind": "poisson", "rate": "20 req/s", "requests": requests}
    sizes = {"input": {"kind": "fixed", "tokens": isl}, "output": {"kind": "fixed", "tokens": osl}}
    return {
        "name": "crossing",
        "model": "llama-3.1-8b",
        "workload": {**load, **sizes},
        "pools": {
            "p": pool("prefill", parallel={"tp": 2}),
            "d": pool("decode", parallel={"tp": 4}),
        },
        "network": {"fabric": "single_switch", "nic": "100 Gbit/s", **LINKS},
        "boundary": {},
        "slo": {"ttft": "1 s", "tpot": "50 ms"},
        "seed": 3,
        **more,
    }


def played(data: dict[str, Any], **how: Any) -> tuple[Any, Any, dict[str, pd.DataFrame]]:
    loaded = load_data(data)
    plan = build_plan(loaded.scenario, loaded.base_dir, **how)
    recorder = Recorder()
    world = simulate(plan, recorder, run_info(plan))
    return plan, world, {name: recorder.table(name).to_pandas() for name in TABLES}


def decode_s(plan: Any, context: int, batch: int = 1) -> float:
    """Return a decode step on links that nobody else uses."""
    point = plan.pools[-1].model.decode(batch)
    return float(point.const_s + point.slopes_s[0] * context * batch)


def slower_s(plan: Any, share: float, nic: float = NIC) -> float:
    """Return what a step takes longer at ``share`` of the rate: by hand, t = bytes / rate."""
    scale = plan.pools[-1].runtime.kernel_scale_decode
    return float(scale * SENT_BYTES / (0.8 * nic) * (1.0 / share - 1.0))


def test_what_a_step_sends_is_what_the_hand_says():
    plan, _, _ = played(scenario())
    use = plan.pools[-1].model.network
    assert use.sent_bytes(1, 1) == pytest.approx(SENT_BYTES, rel=1e-12)
    assert use.sent_bytes(7, 3) == pytest.approx(7 * 262_144 + 3 * 64_128, rel=1e-12)
    assert plan.pools[0].model.network is None


def test_a_slow_link_slows_decode_steps_as_the_closed_form_says():
    """Half the rate doubles bytes / rate, from the first boundary after the fault to its end."""
    fault = {"kind": "link_slow", "pool": "d", "at": "2 s", "duration": "2 s", "factor": 0.5}
    plan, world, found = played(scenario(osl=600, faults=[fault]))
    rows = found["steps"]
    rows = rows[rows.pool == "d"]
    context = 500 + 1 + np.concatenate([[0], np.cumsum(rows.steps)[:-1]])
    begins = rows.start_s.to_numpy()
    slow = (begins >= 2.0) & (begins < 4.0)
    assert slow.sum() == 1 and world.pools[1].instances[0].cuts == 2
    (record,) = world.faults.records
    assert len(record.touched) == 1, "the request that decodes there is among those it reached"
    for row, tokens, late in zip(rows.itertuples(), context, slow, strict=True):
        by_hand = decode_s(plan, int(tokens) - 1) + (slower_s(plan, 0.5) if late else 0.0)
        assert row.first_step_s == pytest.approx(by_hand, rel=1e-9)
    # Not a step in flight, but the next one.
    cut = begins[slow][0]
    assert 2.0 < cut < 2.0 + decode_s(plan, 1100)


def overlapping() -> dict[str, Any]:
    """The KV of two long prompts comes in while two others decode; P's links are faster."""
    data = scenario()
    data["pools"]["p"]["instances"] = 2
    data["network"]["pools"] = {
        "p": {"nic": "400 Gbit/s", "pcie": "50 GB/s"},
        "d": {"nic": "40 Gbit/s", "pcie": "5 GB/s"},
    }
    sizes = {
        "input": {"kind": "fixed", "tokens": 20_000},
        "output": {"kind": "fixed", "tokens": 900},
    }
    return {**data, "workload": {"kind": "all_at_once", "requests": 4, **sizes}}


def met(found: dict[str, pd.DataFrame]) -> tuple[Any, Any, pd.DataFrame]:
    """Return the later transfers, the first decode segment that began in them, and all before."""
    first, second = found["transfers"].iloc[2], found["transfers"].iloc[3]
    assert (first.start_s, first.duration_s) == (second.start_s, second.duration_s)
    moved = first
    rows = found["steps"][found["steps"].pool == "d"]
    before = rows[rows.start_s <= moved.start_s]
    return moved, rows.iloc[len(before)], before


def collectives_and_kv_slow_each_other() -> None:
    """D takes in 2 x 10 GB/s. While collectives run, they and two flows of KV (each of which could
    have 15) get a third each: collectives run at a third of their rate. Over many steps KV has what
    they leave of 20 GB/s: they ask for 4 devices x 2 sequences x bytes / (0.8 step)."""
    plan, _, found = played(overlapping())
    moved, hit, before = met(found)
    context = 20_000 + int(before.steps.sum())
    step_s = decode_s(plan, context, 2) + 2 * slower_s(plan, 1 / 3, nic=5e9)
    assert hit.batch_size == 2
    assert hit.first_step_s == pytest.approx(step_s, rel=1e-9)
    planned = plan.boundary.transfer.plan(19_999)
    assert 10e9 < planned.rate_bytes_per_s <= 20e9
    # Until the first boundary in it, collectives ask for what they did in the segment before.
    early_s = hit.start_s - moved.start_s
    at_first = 20e9 - 8 * SENT_BYTES / (0.8 * before.iloc[-1].first_step_s)
    later = 20e9 - 8 * SENT_BYTES / (0.8 * step_s)
    beside_s = plan.network.path("p/0", "d/0").latency_s + planned.post_s + planned.fixed_s
    by_hand = early_s + (2 * planned.bytes - early_s * at_first) / later + beside_s
    assert moved.duration_s == pytest.approx(by_hand, rel=1e-9)
    assert moved.duration_s - beside_s > 1.01 * 2 * planned.bytes / 20e9


def test_kv_and_collectives_slow_each_other_as_max_min_says():
    collectives_and_kv_slow_each_other()


def no_offer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedFabric, "offer", lambda self, standing, rate: rate)


def no_demand(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SharedFabric, "want", lambda self, standing, rate: None)


@pytest.mark.parametrize("mutant", [no_offer, no_demand], ids=lambda part: part.__name__)
def test_a_copy_without_contention_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
):
    """With collectives that KV does not slow, or KV that collectives do not, the hand differs."""
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        collectives_and_kv_slow_each_other()


@pytest.mark.parametrize("cut", [{"tp": 4}, {"tp": 2, "pp": 2}])
def test_every_byte_on_every_link_is_accounted_for(cut: dict[str, int]):
    """KV by the transfers table, collectives by the steps table: together what links carried."""
    data = scenario(requests=12, isl=2000, osl=60)
    data["pools"]["d"]["parallel"] = cut
    data["workload"]["rate"] = "4 req/s"
    plan, world, found = played(data, check_laws=True)
    rows = found["steps"][found["steps"].pool == "d"]
    use: NetworkUse = plan.pools[1].model.network
    tokens = int((rows.batch_size * rows.steps).sum())
    assert tokens == int(rows.decode_tokens.sum()) > 500
    sent = 4 * use.sent_bytes(tokens, tokens)
    (port,) = world.crossings.ports
    assert port.standing.booked_bytes == pytest.approx(sent, rel=1e-12)
    carried = dict.fromkeys(range(len(plan.network.links)), 0.0)
    for link, share in plan.network.path("p/0", "d/0").route:
        carried[link] += share * found["transfers"].bytes.sum()
    for link, share in port.standing.path.route:
        carried[link] += share * sent
    for link, nbytes in carried.items():
        assert world.fabric.carried_bytes(link) == pytest.approx(nbytes, rel=1e-9), link
        assert nbytes <= plan.network.links[link].capacity_bytes_per_s * world.end_s
    assert world.fabric.sent_bytes == pytest.approx(found["transfers"].bytes.sum(), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("cut", [{"tp": 4}, {"tp": 2, "pp": 2}, {"tp": 1, "dp": 4, "ep": 4}])
def test_less_bandwidth_is_never_faster(cut: dict[str, int]):
    ends, tpots = [], []
    for gbit in (400, 100, 40, 10, 2):
        data = scenario(requests=25, isl=1500, osl=100)
        data["network"].update({"nic": f"{gbit} Gbit/s", "pcie": f"{gbit / 8} GB/s"})
        data["pools"]["d"]["parallel"] = cut
        if "ep" in cut:
            data["model"] = "qwen3-30b-a3b"
        _, _, found = played(data)
        ends.append(found["requests"].last_token_s.max())
        tpots.append(found["requests"].tpot_s.mean())
    assert ends == sorted(ends) and tpots == sorted(tpots)
    assert tpots[-1] > 1.01 * tpots[0]


def test_less_load_on_the_links_is_never_slower():
    """The same decodes with and without KV beside them."""
    _, _, found = played(overlapping())
    _, hit, before = met(found)
    assert hit.first_step_s > before.iloc[-1].last_step_s


def test_the_steps_of_a_segment_are_the_sum_of_their_operators_at_its_rate():
    """S(k) - S(k-1) against operators summed on their own, for rates down to a hundredth."""
    plan, _, _ = played(scenario())
    for model in (plan.pools[-1].model, plan.pools[-1].model.on_network(1.0)):
        for share in (1.0, 0.73, 0.5, 0.01):
            slowed = model.on_network(share)
            for batch, context in ((1, 500), (17, 90_000), (64, 4_000)):
                rows = slowed.operators((), batch, [float(context)])
                point = slowed.decode(batch)
                step_s = point.const_s + point.slopes_s[0] * context
                assert abs(step_s - sum(row.time_s for row in rows)) <= 1e-12
            mixed = slowed.step(((700, 100), (30, 0)), 8, [9_000.0])
            rows = slowed.operators(((700, 100), (30, 0)), 8, [9_000.0])
            assert abs(mixed.time_s - sum(row.time_s for row in rows)) <= 1e-12


def test_a_pool_without_crossing_collectives_has_plain_parts():
    data = scenario()
    data["pools"]["d"]["parallel"] = {"tp": 2}
    _, world, _ = played(data)
    assert world.crossings is None and type(world.fabric).__name__ == "Fabric"
    assert {type(one).__name__ for stage in world.pools for one in stage.instances} == {"Instance"}


def test_a_link_that_is_down_holds_the_steps_and_no_longer():
    fault = {"kind": "link_flap", "pool": "d", "at": "2 s", "duration": "1 s"}
    _, _, found = played(scenario(osl=600, faults=[fault]), check_laws=True)
    rows = found["steps"][found["steps"].pool == "d"]
    ends = (rows.start_s + rows.duration_s).to_numpy()
    gaps = rows.start_s.to_numpy()[1:] - ends[:-1]
    assert gaps.max() == pytest.approx(1.0, abs=0.05)
    assert rows.start_s.to_numpy()[1:][gaps.argmax()] == pytest.approx(3.0, abs=1e-9)
    assert (found["requests"].status == "finished").all()
    calm = played(scenario(osl=600))[2]["steps"]
    spent_s = calm.duration_s[calm.pool == "d"].sum()
    assert rows.duration_s.sum() == pytest.approx(spent_s, rel=1e-9)


def test_a_run_says_how_collectives_share_the_links():
    result = run(scenario(requests=3))
    said = [line for line in result.summary["assumptions"] if "collectives" in line]
    assert len(said) == 1 and "pool d" in said[0]
    figures = result.summary["collectives"]
    assert list(figures) == ["d"]
    assert figures["d"]["sent_bytes"] > 0
