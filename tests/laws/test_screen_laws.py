"""The screen: no simulation beats its bound, and nothing that may win is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetsim.costs import Calibration
from hetsim.run import run_loaded
from hetsim.scenario import accelerator_of
from hetsim.sweep import SweepResult, Tables, screen_arrays, sweep, sweep_data
from hetsim.sweep._points import flatten, run_task, task_of
from hetsim.sweep._sides import calibration_of

TTFT = ("mean", "p50", "p90", "p99")


def axis(name: str, path: str, *levels: Any) -> dict[str, Any]:
    return {"name": name, "path": path, "levels": list(levels), "role": "decision"}


def sizes(*requests_and_rates: tuple[int, str]) -> dict[str, Any]:
    levels = [
        {"label": f"{n} at {rate}", "set": {"workload.requests": n, "workload.rate": rate}}
        for n, rate in requests_and_rates
    ]
    return {"name": "load", "levels": levels, "role": "condition"}


def objectives(*pairs: tuple[str, str]) -> dict[str, Any]:
    levels = [{"label": f"{t}, {p}", "set": {"slo.ttft": t, "slo.tpot": p}} for t, p in pairs]
    return {"name": "objectives", "levels": levels, "role": "condition"}


SPACES: dict[str, list[dict[str, Any]]] = {
    "quickstart": [
        axis("p", "pools.prefill.accelerator", "h100", "l40s", "mi300x"),
        axis("d", "pools.decode.accelerator", "h200", "l40s", "a100-sxm4-80"),
        axis("np", "pools.prefill.instances", 1, 2, 3),
        axis("nd", "pools.decode.instances", 1, 2),
        axis("tp", "pools.decode.parallel.tp", 1, 2),
        axis("pp", "pools.prefill.parallel.pp", 1, 2),
        axis("slots", "pools.decode.max_seqs", 4, 256),
        axis("nic", "network.nic", "400 Gbit/s", "2 Gbit/s"),
        axis("error", "boundary.on_error", "fail", "recompute"),
        sizes((60, "10 req/s"), (60, "400 req/s"), (2, "10 req/s"), (1, "10 req/s")),
        objectives(("1 s", "30 ms"), ("60 s", "1 s"), ("300 ms", "12 ms")),
    ],
    "colocated_baseline": [
        axis("a", "pools.serve.accelerator", "h100", "l40s", "h20"),
        axis("n", "pools.serve.instances", 1, 3),
        axis("budget", "pools.serve.max_batched_tokens", 512, 8192),
        axis("runtime", "pools.serve.runtime", "vllm", "sglang", "trtllm"),
        axis("router", "pools.serve.router", "round_robin", "least_load", "shared_queue"),
        sizes((60, "10 req/s"), (60, "500 req/s")),
        objectives(("1 s", "30 ms"), ("60 s", "1 s"), ("5 s", "15 ms")),
    ],
    "agentic_prefix": [
        axis("cache", "pools.prefill.prefix_caching", True, False),
        axis("router", "pools.prefill.router", "prefix_aware", "round_robin"),
        axis("np", "pools.prefill.instances", 1, 2),
        axis("turns", "workload.turns", 4.0, 20.0),
        sizes((60, "2 req/s"), (60, "60 req/s")),
        objectives(("2 s", "40 ms"), ("100 s", "1 s")),
    ],
    "sglang_pair": [
        axis("runtime", "pools.prefill.runtime", "sglang_early"),
        axis("kv", "pools.decode.block_tokens", 16, 64),
        axis("nd", "pools.decode.instances", 1, 2),
        axis("memory", "pools.decode.memory_utilisation", 0.25, 0.9),
        sizes((60, "5 req/s"), (60, "300 req/s")),
        objectives(("1 s", "30 ms"), ("100 s", "1 s")),
    ],
    "long_context": [
        axis("tp", "pools.prefill.parallel.tp", 1, 2, 4),
        axis("np", "pools.prefill.instances", 1, 4),
        axis("memory", "pools.decode.memory_utilisation", 0.35, 0.9),
        axis("layer", "boundary.granularity", "request"),
        sizes((20, "1 req/s"), (20, "40 req/s")),
        objectives(("10 s", "50 ms"), ("600 s", "1 s")),
    ],
    "moe_wide_ep": [
        axis("dp", "pools.prefill.parallel", {"dp": 32, "ep": 32}, {"tp": 8, "dp": 4, "ep": 32}),
        axis("d", "pools.decode.parallel", {"dp": 64, "ep": 64}, {"dp": 128, "ep": 128}),
        axis("nic", "network.nic", "400 Gbit/s", "50 Gbit/s"),
        sizes((60, "20 req/s"), (60, "900 req/s")),
        objectives(("3 s", "100 ms"), ("100 s", "1 s")),
    ],
    "queue_mmc": [
        axis("n", "pools.serve.instances", 1, 4),
        axis("seqs", "pools.serve.max_seqs", 1, 3),
        axis("step", "pools.serve.estimator.decode_step", "1 ms", "3 ms"),
        sizes((60, "1 req/s"), (60, "30 req/s")),
        objectives(("60 s", "10 ms"), ("1 s", "2 ms")),
    ],
    "bursty": [
        axis("timeout", "pools.prefill.queue_timeout", "200 ms", "5 s"),
        axis("limit", "pools.prefill.queue_limit", 2, 100),
        axis("horizon", "horizon", "2 s", "1000 s"),
        axis("nd", "pools.decode.instances", 1, 2),
        axis("warmup", "workload.warmup", "0 s", "500 ms"),
        sizes((60, "20 req/s"), (60, "80 req/s")),
        objectives(("1 s", "30 ms"), ("60 s", "1 s")),
    ],
    "hetero_nvidia": [
        axis("np", "pools.prefill.instances", 1, 8),
        axis("nd", "pools.decode.instances", 1, 4),
        axis("wire", "boundary.wire", "fp8_e4m3", "bf16"),
        axis("nic", "network.nic", "400 Gbit/s", "10 Gbit/s"),
        sizes((60, "4 req/s"), (60, "200 req/s")),
        objectives(("3 s", "60 ms"), ("600 s", "1 s")),
    ],
    "ascend910b_to_h20": [
        axis("np", "pools.prefill.instances", 1, 4),
        axis("nd", "pools.decode.instances", 1, 2),
        axis("model", "model", "qwen2.5-32b", "gpt-oss-20b"),
        sizes((60, "4 req/s"), (60, "200 req/s")),
        objectives(("4 s", "60 ms"), ("600 s", "1 s")),
    ],
}


def drawn(base: str, draw: int) -> list[dict[str, Any]]:
    """Return a space with loads and objectives of its own, so that no two draws share a point."""
    rng = np.random.default_rng([draw, sorted(SPACES).index(base)])
    count = 20 if base == "long_context" else 60
    loads = [
        (int(rng.integers(count // 3, count + 1)), f"{10 ** rng.uniform(0.0, 2.8):.6g} req/s")
        for _ in range(16)
    ]
    goals = [
        (f"{10 ** rng.uniform(-0.7, 2.0):.4g} s", f"{10 ** rng.uniform(-2.1, 0.0):.4g} s")
        for _ in range(8)
    ]
    rest = [one for one in SPACES[base] if one["name"] not in ("load", "objectives")]
    return [*rest, sizes(*loads), objectives(*goals)]


def broken_bounds(
    base: str, samples: int, seed: int = 0, axes: list[dict[str, Any]] | None = None
) -> tuple[list[str], set[str]]:
    """Return every bound that a simulation of a sampled point beats, and the points that ran."""
    made = sweep_data(
        {
            "name": base,
            "base": base,
            "axes": axes or SPACES[base],
            "design": {"kind": "sobol", "samples": samples, "seed": seed},
            "replications": {"seeds": [seed + 1]},
            "screen": {"keep": "all"},
        }
    )
    tables = Tables(made)
    bounds = screen_arrays(tables)
    found: list[str] = []
    run: set[str] = set()
    for row, point in enumerate(made.points):
        try:
            task = task_of(made.resolve(point, made.seeds[0]), "run")
        except Exception as error:  # illegal points have no result to hold against a bound
            if tables.reason(row):
                continue
            assert "nothing was run" in str(error), error
            continue
        result = run_task(task)
        if result["status"] != "simulated":
            assert result["status"] in ("infeasible", "illegal"), result
            continue
        assert not tables.reason(row), "said to be infeasible, and runs"
        run.add(str(made.labels(point)))
        beaten = _beaten(result, bounds, row)
        found += [f"{base} {made.labels(point)}: {text}" for text in beaten]
    return found, run


def _beaten(result: dict[str, Any], bounds: Any, row: int) -> list[str]:
    found = []
    if result["goodput_req_s"] > bounds.goodput_req_s[row, 0] * (1 + 1e-9):
        found.append(f"goodput {result['goodput_req_s']} above {bounds.goodput_req_s[row, 0]}")
    for name in ("cost_usd_per_mtok", "power_w"):
        least = getattr(bounds, name)[row, 0]
        if result[name] is not None and result[name] < least * (1 - 1e-9):
            found.append(f"{name} {result[name]} below {least}")
    for place, word in enumerate(TTFT):
        seen, least = result[f"ttft_s.{word}"], bounds.ttft_s[row, 0, place]
        if seen is not None and seen < least * (1 - 1e-9):
            found.append(f"ttft {word} {seen} below {least}")
    if bounds.all_end[row, 0] and result["requests.finished"] != result["requests.arrived"]:
        found.append(f"all should finish: {result['requests.finished']}")
    return found


@pytest.mark.parametrize("base", sorted(SPACES))
def test_no_simulation_beats_its_bound(base: str) -> None:
    found, run = broken_bounds(base, 8)
    assert not found, "\n".join(found)
    assert run


@pytest.mark.nightly
@pytest.mark.parametrize("base", sorted(SPACES))
def test_no_simulation_beats_its_bound_on_2000_points(base: str) -> None:
    """200 distinct points of each of ten spaces, each draw with loads and objectives of its own."""
    assert len(SPACES) * 200 >= 2000
    seen: set[str] = set()
    draw = 0
    while len(seen) < 200:
        found, run = broken_bounds(base, 220, seed=draw, axes=drawn(base, draw))
        assert not found, "\n".join(found[:20])
        assert run, "nothing of this space runs"
        seen |= run
        draw += 1
    print(f"{base}: {len(seen)} distinct points from {draw} draws")


def within(calibration: Calibration, z: float, draw: int) -> Calibration:
    """Return a calibration with every parameter anywhere within ``z`` standard errors."""
    rng = np.random.default_rng(draw)
    layers = [calibration.shifted(float(rng.uniform(-z, z))).layers for _ in range(4)]
    kinds = [
        replace(
            kept,
            operators={k: layers[int(rng.integers(4))][n].operators[k] for k in kept.operators},
        )
        for n, kept in enumerate(calibration.layers)
    ]
    return replace(calibration, layers=tuple(kinds))


def test_bounds_hold_for_every_calibration_within_the_interval() -> None:
    """Without the interval the same bounds are beaten, so it is the interval that holds them."""
    level, z = 0.9, 1.6448536269514722
    data = {
        "name": "interval",
        "base": "quickstart",
        "axes": [
            axis("p", "pools.prefill.accelerator", "h100", "l40s"),
            axis("d", "pools.decode.accelerator", "h200", "a100-sxm4-80"),
            sizes((60, "400 req/s"), (2, "0.1 req/s")),
            objectives(("60 s", "1 s"), ("300 ms", "12 ms")),
        ],
        "replications": {"seeds": [3]},
    }
    screens = {"wide": {"keep": "winner", "calibration_interval": level}, "point": {"keep": "all"}}
    swept = {name: sweep_data({**data, "screen": screen}) for name, screen in screens.items()}
    bounds = {name: screen_arrays(Tables(made)) for name, made in swept.items()}
    broken: dict[str, list[str]] = {"wide": [], "point": []}
    made = swept["wide"]
    for row, point in enumerate(made.points):
        loaded = made.resolve(point, 3)
        names = {accelerator_of(p.accelerator, None).name for p in loaded.scenario.pools.values()}
        for draw in range(3):
            fast = draw == 0
            calibrations = {
                name: calibration_of(name).shifted(-z * 0.999)
                if fast
                else within(calibration_of(name), z * 0.999, draw)
                for name in sorted(names)
            }
            result = flatten(run_loaded(loaded, calibrations=calibrations).summary)
            for name, one in bounds.items():
                broken[name] += _beaten(result, one, row)
    assert not broken["wide"], broken["wide"][:10]
    assert broken["point"]


def _swept(keep: str, out: Path, objectives: list[str] | None = None) -> SweepResult:
    screen: dict[str, Any] = {"keep": keep, "round": 3}
    if objectives:
        screen["objectives"] = objectives
    made = sweep_data(
        {
            "name": "screened",
            "base": "quickstart",
            "axes": [
                axis("p", "pools.prefill.accelerator", "h100", "l40s"),
                axis("slo", "slo.ttft", "100 s"),
                axis("np", "pools.prefill.instances", 1, 2),
                axis("nd", "pools.decode.instances", 1, 2),
                sizes((40, "10 req/s"), (250, "500 req/s")),
            ],
            "replications": {"seeds": [1, 2]},
            "screen": screen,
        }
    )
    return sweep(made, workers=1, out=out)


def test_screening_changes_neither_the_winner_nor_the_front(tmp_path: Path) -> None:
    goals = ["goodput_req_s", "cost_usd_per_mtok"]
    everything = _swept("all", tmp_path)
    winner = _swept("winner", tmp_path)
    front = _swept("front", tmp_path, goals)
    assert winner.counts["screened"] > 0
    assert front.counts["screened"] > 0
    assert winner.best["point"].tolist() == everything.best["point"].tolist()
    whole = everything.pareto(goals)["point"].tolist()
    assert front.pareto(goals)["point"].tolist() == whole
    assert len(whole) > 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_screening_changes_no_winner_of_random_sweeps(seed: int, tmp_path: Path) -> None:
    """The three share a folder: what one has simulated, the next need not, if it keeps it."""
    rng = np.random.default_rng(seed)
    base = sorted(SPACES)[int(rng.integers(len(SPACES)))]
    data = {
        "name": "random",
        "base": base,
        "axes": SPACES[base],
        "design": {"kind": "latin_hypercube", "samples": 60, "seed": seed},
        "replications": {"seeds": [seed]},
    }
    goals = ["goodput_req_s", "power_w", "ttft_s.p50"]
    results = {
        keep: sweep(
            sweep_data({**data, "screen": {"keep": keep, "objectives": goals, "round": 5}}),
            workers=1,
            out=tmp_path,
        )
        for keep in ("all", "winner", "front")
    }
    assert results["winner"].best["point"].tolist() == results["all"].best["point"].tolist()
    front, whole = results["front"].pareto(goals), results["all"].pareto(goals)
    assert front["point"].tolist() == whole["point"].tolist()
