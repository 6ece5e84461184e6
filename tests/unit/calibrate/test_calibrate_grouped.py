"""Rows of experts that count, and the terms that a fit finds in them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate import _fit, _forms
from hetsim.calibrate._models import MODELS
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._table import clean, make_table
from hetsim.calibrate.adapters.aiconfigurator import _fills_with_strangers

NOMINAL = Nominal(
    name="made-up",
    bandwidth_bytes_per_s=3e12,
    peaks_flop_per_s={"bf16": 1e15},
    cache_bytes=0.0,
)
MODEL = MODELS["grouped_gemm"]
TOKENS = [1, 4, 16, 64, 256, 1024, 4096, 16384]
TRUTH = {
    "t0_us": 20.0,
    "e_c": 0.7,
    "e_m": 0.8,
    "p": 2.0,
    "n0": 900.0,
    "tile_rows": 100.0,
    "tile_half": 20.0,
    "tile_walk_ps": 60.0,
    "pass_ps": 0.2,
}


def _table(**axes: list[int]) -> pd.DataFrame:
    meshes = np.meshgrid(*[np.array(values, float) for values in axes.values()], indexing="ij")
    grid = {name: mesh.ravel() for name, mesh in zip(axes, meshes, strict=True)}
    ones = np.ones(len(grid["tokens"]))
    rest = {"hidden": 4096 * ones, "top_k": 8 * ones, "moe_tp": ones, "moe_ep": ones} | grid
    common = {"format": "bf16", "source": "made", "framework": "made", "time_s": ones}
    return make_table("grouped_gemm", {**common, **rest})


def _timed(table: pd.DataFrame, truth: dict[str, float]) -> pd.DataFrame:
    columns = MODEL.sample(table.assign(frameworks=2), NOMINAL, "bf16").columns
    return table.assign(time_s=MODEL.seconds(truth, columns), frameworks=2)


def test_tiles_walks_and_passes_are_recovered_from_expert_parallel_tables() -> None:
    axes = {"inter": [512, 1024, 2048], "experts": [64, 128, 256], "hidden": [2048, 6144]}
    table = _timed(_table(tokens=TOKENS, moe_ep=[1, 8, 32], **axes), TRUTH)
    fitted = _fit.judge(MODEL.shaped, MODEL.seconds, MODEL.sample(table, NOMINAL, "bf16"))
    for name, value in TRUTH.items():
        assert fitted.parameters[name] == pytest.approx(value, rel=0.05), name
    assert fitted.p90_out < 0.02


def test_on_one_rank_passes_and_walks_are_not_told_apart_from_work() -> None:
    alone, spread = _table(tokens=[8], inter=[512], experts=[64]), {"moe_ep": [1, 8]}
    ranks = _table(tokens=[8], inter=[512], experts=[64], **spread)
    left = [b.name for b in MODEL.shaped if not MODEL.known(b, alone)]
    assert left == ["tile_walk_ps", "pass_ps"]
    assert all(MODEL.known(bound, ranks) for bound in MODEL.shaped)


def test_the_tile_pads_every_expert_once() -> None:
    shape = (64.0, 4096.0, 1536.0, 512.0)
    stated = {"t0_us": 0.0, "e_c": 1.0, "e_m": 1.0, "p": 8.0, "tile_rows": 96.0}
    made = _forms.grouped_gemm_s(stated, *shape, 4.0, 0.0, 1e15, 3e12, 8.0, 4.0)
    # 512 rows and four tiles of 96: 640 rows, as sides of a triangle of 384 and 512.
    assert float(made) == pytest.approx(6 * 640 * 4096 * 1536 / 1e15)


def test_rows_of_a_slower_version_alone_are_left_out() -> None:
    shared = _table(tokens=TOKENS, inter=[512, 1024, 2048, 4096], experts=[32, 64, 128, 256])
    alone = _table(tokens=TOKENS, inter=[768], experts=[64])
    truth = {"t0_us": 20.0, "e_c": 0.7, "e_m": 0.8, "p": 2.0}
    new = _timed(shared, truth).assign(source="new", framework="a")
    old = _timed(shared, truth).assign(source="old", framework="b")
    lone = _timed(alone, truth).assign(source="old", framework="b")
    for slower, kept in ((1.05, True), (1.5, False)):
        slow = [part.assign(time_s=part.time_s * slower) for part in (old, lone)]
        rows, _ = clean(pd.concat([new, *slow], ignore_index=True), NOMINAL)
        selected, dropped = MODEL.select(rows, NOMINAL)
        assert dropped.get("only a slower framework", 0) == (0 if kept else len(lone))
        assert len(selected) == len(shared)


def test_a_rank_that_computes_the_copies_of_others_says_nothing() -> None:
    raw = pd.DataFrame(
        {
            "kernel_source": ["sglang_marlin_moe", "sglang_marlin_moe", "vllm_marlin_int4_moe"],
            "moe_ep_size": [8, 1, 8],
        }
    )
    assert _fills_with_strangers(raw).tolist() == [True, False, False]
