"""Projections: the stair in numpy and in plain numbers, planted constants, what a benchmark saw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate import _fit
from hetsim.calibrate._forms import gemm_s, stair_elements
from hetsim.calibrate._gemm import GEMM_MODEL, family_grid_weight
from hetsim.calibrate._nominal import Nominal, nominal_of
from hetsim.calibrate._repeats import from_memory, mark_outrun, resident_share, working_set
from hetsim.calibrate._table import clean, make_table
from hetsim.costs import Parameters
from hetsim.costs._operators import GemmOp, Roof
from hetsim.model import Gemm

NOMINAL = Nominal(
    name="made-up",
    bandwidth_bytes_per_s=3e12,
    peaks_flop_per_s={"bf16": 1e15, "fp8": 2e15},
    cache_bytes=50e6,
    blocks=132.0,
)
TRUTH = {
    "t0_us": 4.0,
    "e_c": 0.8,
    "e_m": 0.85,
    "p": 3.0,
    "feed": 60.0,
    "wave": 0.6,
    "k0": 300.0,
    "walk_ps": 500.0,
    "token_ps": 1.5,
    "row_ns": 8.0,
    "blocks": 132.0,
}


def _table(framework: str = "sglang", fmt: str = "bf16", **axes: list[float]) -> pd.DataFrame:
    meshes = np.meshgrid(*[np.array(v, float) for v in axes.values()], indexing="ij")
    grid = {name: mesh.ravel() for name, mesh in zip(axes, meshes, strict=True)}
    common = {"source": "made", "framework": framework, "format": fmt}
    return make_table("gemm", {**common, "time_s": np.full(len(grid["m"]), 1e-3), **grid})


def test_the_stair_of_the_fit_is_that_of_the_step() -> None:
    made = Parameters(
        t0_s=4e-6,
        e_c=0.8,
        e_m=0.85,
        p=3.0,
        k0=300.0,
        walk_s=5e-10,
        feed=60.0,
        wave=0.6,
        blocks=132.0,
        row_s=8e-9,
        token_s=1.5e-12,
    )
    roof = Roof(1e15, 3e12, 2.0, 2.0, 2.0, 1.0)
    for n, k in ((512, 7168), (4096, 4096), (18992, 5120)):
        op = GemmOp("x", "gemm", "rank", "bf16", 1.0, made, (Gemm(n, k, "x"),), roof)
        for m in (1.0, 16.0, 17.0, 129.0, 1000.0, 8192.0):
            moved = 2.0 * (n * k + m * k + m * n)
            reference = float(gemm_s(TRUTH, m, float(n), float(k), moved, 1e15, 3e12))
            assert op.evaluate(m)[0] == pytest.approx(reference, rel=1e-12)


def test_the_stair_by_hand() -> None:
    # 5 x 33 tiles of 256 x 256 are 1.25 waves on 132 blocks, of which the last lasts wholly.
    whole = {"blocks": 132.0, "wave": 1.0, "feed": 1e6}
    found = float(stair_elements(whole, 1025.0, 33 * 256.0))
    assert found == pytest.approx(132 * 2 * 65536, rel=2e-3)


def test_planted_constants_are_recovered() -> None:
    sizes = [512.0, 1024.0, 1536.0, 2048.0, 4096.0, 7168.0, 16384.0]
    rows = [1.0, 16.0, 33.0, 64.0, 65.0, 128.0, 129.0, 256.0, 257.0, 513.0, 1024.0, 1025.0, 4096.0]
    table = _table(m=[*rows, 16384.0], n=sizes, k=sizes)
    time_s = gemm_s(TRUTH, table.m, table.n, table.k, table.bytes, 1e15, 3e12)
    table = table.assign(time_s=time_s, cold=1.0)
    bounds = GEMM_MODEL.fuller(NOMINAL)
    fitted = _fit.judge(bounds, GEMM_MODEL.seconds, GEMM_MODEL.sample(table, NOMINAL, "bf16"))
    for name, value in TRUTH.items():
        assert fitted.parameters[name] == pytest.approx(value, rel=0.05), name
    assert fitted.p90_out < 0.01


def test_devices_without_known_blocks_keep_the_smooth_form() -> None:
    names = {bound.name for bound in GEMM_MODEL.fuller(replace(NOMINAL, blocks=0.0))}
    assert {"m0", "n0"} <= names
    assert not {"feed", "wave", "blocks"} & names
    assert nominal_of("h100-sxm").blocks == 132.0


def test_more_rows_are_never_faster_in_the_reference_either() -> None:
    m = np.arange(1.0, 5000.0)
    times = gemm_s(TRUTH, m, 2112.0, 7168.0, 2.0 * m * 9000, 1e15, 3e12)
    assert (np.diff(times) >= 0.0).all()


# --- what a benchmark walks through --------------------------------------------------------------


def test_working_sets_by_hand() -> None:
    # 4096 x 4096 in bf16 are 32 MiB, of which six make 192 MiB, and one copy more than half of 50.
    weights, moved = 2.0 * 4096 * 4096, 2.0 * (64 * 4096 + 64 * 4096)
    shape = {"m": [64.0], "n": [4096.0], "k": [4096.0]}
    found = {
        name: float(working_set(_table(framework=name, **shape), NOMINAL)[0])
        for name in ("sglang", "vllm", "trtllm", "unknown")
    }
    assert found["sglang"] == pytest.approx(6 * (weights + moved))
    assert found["vllm"] == pytest.approx(6 * weights + moved)
    assert found["trtllm"] == pytest.approx(2 * weights + moved)  # as many as fill 50 MiB
    assert found["unknown"] == pytest.approx(weights + moved)
    block = _table(framework="vllm", fmt="fp8_block", **shape)
    assert float(working_set(block, NOMINAL)[0]) < 2.0 * 4096 * 4096  # one copy of a byte each


def test_a_device_without_a_cache_reads_all_from_memory() -> None:
    bare = replace(NOMINAL, cache_bytes=0.0)
    assert resident_share(np.array([1.0, 1e9]), bare).tolist() == [1.0, 1.0]


def test_a_cached_row_yields_to_one_from_memory_where_memory_bounds() -> None:
    shape = {"m": [1.0, 8192.0], "n": [2048.0], "k": [2048.0]}
    table = pd.concat([_table(framework="trtllm", **shape), _table(framework="vllm", **shape)])
    table = table.reset_index(drop=True).assign(cold=[0.0, 0.0, 0.9, 0.9])
    assert from_memory(table, NOMINAL).tolist() == [False, True, True, True]
    alone = table[table.framework == "trtllm"]
    assert from_memory(alone, NOMINAL).all()


def test_cleaning_counts_rows_from_the_cache() -> None:
    # 1024 x 4096 fp8 with block scales: one copy (vLLM) lies in the cache, and so do six (SGLang),
    # of 25 MB together; of 4096 x 4096 SGLang alone walks through more than the cache holds.
    shape = {"m": [1.0], "n": [1024.0, 4096.0], "k": [4096.0]}
    table = pd.concat(
        [_table(framework=name, fmt="fp8_block", **shape) for name in ("vllm", "sglang")]
    )
    slow = np.where(table.framework == "vllm", 2e-5, 3e-5)
    kept, dropped = clean(table.assign(time_s=slow), NOMINAL)
    assert dropped == {"from the cache": 1, "slower framework": 1}
    assert dict(zip(kept.n, kept.framework, strict=True)) == {1024.0: "vllm", 4096.0: "sglang"}


def test_a_slower_framework_says_nothing_where_it_is_alone() -> None:
    rows = [float(m) for m in range(1, 121)]
    fast = _table(framework="rocm shuffled", m=rows, n=[2048.0], k=[2048.0])
    slow = _table(framework="rocm", m=rows, n=[2048.0, 4096.0], k=[2048.0])
    for factor, outrun in ((1.2, 120), (1.05, 0)):
        table = pd.concat([fast, slow.assign(time_s=factor * 1e-3)], ignore_index=True)
        marked = mark_outrun(table)
        assert int(marked.sum()) == outrun
        assert not marked[table.n == 2048.0].any()


def test_every_family_counts_over_its_own_range() -> None:
    dense = np.arange(1.0, 1025.0)
    sparse = np.array([1.0, 32.0, 1024.0])
    family = np.array(["a"] * len(dense) + ["b"] * len(sparse))
    weight = family_grid_weight(np.concatenate([dense, sparse]), family)
    assert weight[: len(dense)].sum() == pytest.approx(np.log(1024.0), rel=0.15)
    assert weight[len(dense) :].tolist() == pytest.approx([np.log(32.0)] * 3)
    assert family_grid_weight(np.array([5.0]), np.array(["x"])).tolist() == [0.7]
