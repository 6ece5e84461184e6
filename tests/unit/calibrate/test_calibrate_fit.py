"""Fits find the parameters that made the data, and errors are stated on what was held back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate import _fit, _forms
from hetsim.calibrate._collectives import fit_collective
from hetsim.calibrate._models import MODELS
from hetsim.calibrate._nominal import Nominal
from hetsim.calibrate._table import make_table

NOMINAL = Nominal(
    name="made-up",
    bandwidth_bytes_per_s=3e12,
    peaks_flop_per_s={"bf16": 1e15, "fp8": 2e15},
    cache_bytes=0.0,
)
COMMON = {"source": "made", "framework": "made"}


def _grid(**axes: list[int]) -> dict[str, np.ndarray]:
    meshes = np.meshgrid(*[np.array(values, float) for values in axes.values()], indexing="ij")
    return {name: mesh.ravel() for name, mesh in zip(axes, meshes, strict=True)}


def _gemms(truth: dict[str, float], noise: float = 0.0):
    sizes = [512, 1024, 2048, 4096, 8192, 16384]
    grid = _grid(m=[1, 4, 16, 64, 256, 1024, 4096], n=sizes, k=sizes)
    table = make_table(
        "gemm", {**COMMON, "format": "bf16", "time_s": np.ones(len(grid["m"])), **grid}
    )
    time_s = _forms.gemm_s(truth, table.m, table.n, table.k, table.bytes, 1e15, 3e12)
    wiggle = np.random.default_rng(1).normal(0.0, noise, len(table)) if noise else 0.0
    return table.assign(time_s=time_s * np.exp(wiggle), frameworks=1)


def _judged(kind: str, table, fmt: str = "bf16", *, shaped: bool = False) -> _fit.Fitted:
    model = MODELS[kind]
    bounds = model.shaped if shaped else model.plain
    return _fit.judge(bounds, model.seconds, model.sample(table, NOMINAL, fmt))


def _assert_found(fitted: _fit.Fitted, truth: dict[str, float], rel: float = 0.03) -> None:
    for name, value in truth.items():
        assert fitted.parameters[name] == pytest.approx(value, rel=rel), name


def test_plain_gemm_parameters_are_recovered() -> None:
    truth = {"t0_us": 4.0, "e_c": 0.75, "e_m": 0.85, "p": 2.5}
    fitted = _judged("gemm", _gemms(truth))
    _assert_found(fitted, truth)
    assert fitted.p90_out < 0.02


def test_shaped_gemm_parameters_are_recovered() -> None:
    truth = {"t0_us": 4.0, "e_c": 0.8, "e_m": 0.85, "p": 3.0, "n0": 1200.0, "walk_ps": 500.0}
    fitted = _judged("gemm", _gemms(truth), shaped=True)
    _assert_found(fitted, truth, rel=0.06)


def test_standard_errors_grow_with_the_noise_and_cover_the_truth() -> None:
    truth = {"t0_us": 4.0, "e_c": 0.75, "e_m": 0.85, "p": 2.5}
    quiet, loud = (_judged("gemm", _gemms(truth, noise)) for noise in (0.02, 0.2))
    assert loud.standard_error["e_c"] > 3.0 * quiet.standard_error["e_c"]
    for name in ("t0_us", "e_c", "e_m"):
        miss = abs(loud.parameters[name] / truth[name] - 1.0)
        assert miss < 5.0 * loud.standard_error[name] + 0.01, name


def test_efficiencies_never_exceed_one() -> None:
    table = _gemms({"t0_us": 1.0, "e_c": 1.0, "e_m": 1.0, "p": 8.0})
    fitted = _judged("gemm", table.assign(time_s=table.time_s * 0.7))
    assert fitted.parameters["e_c"] <= 1.0
    assert fitted.parameters["e_m"] <= 1.0


def test_decode_attention_parameters_are_recovered() -> None:
    truth = {"t0_us": 10.0, "e_m": 0.9, "per_kv_head_ns": 6.0}
    axes = {"batch": [1, 8, 64, 256], "context": [512, 2048, 8192]}
    grid = _grid(**axes, kv_heads=[1, 2, 8], heads=[8, 16, 32])
    grid |= {"head_dim": np.full(len(grid["batch"]), 128.0)}
    ones = np.ones(len(grid["batch"]))
    table = make_table("attention_decode", {**COMMON, "format": "bf16", "time_s": ones, **grid})
    body = table.bytes / (3e12 * 0.9)
    time_s = 10e-6 + table.batch * table.kv_heads * 6e-9 + body
    fitted = _judged("attention_decode", table.assign(time_s=time_s, frameworks=1), shaped=True)
    _assert_found(fitted, truth, rel=0.05)


def test_prompt_attention_parameters_are_recovered() -> None:
    truth = {"t0_us": 12.0, "e_c": 0.6, "s0_tokens": 900.0}
    grid = _grid(batch=[1, 4], new=[128, 512, 2048, 8192], heads=[8, 16, 32, 64])
    ones = np.ones(len(grid["batch"]))
    grid |= {"past": 0 * ones, "kv_heads": 8 * ones, "head_dim": 128 * ones}
    table = make_table("attention_prefill", {**COMMON, "format": "bf16", "time_s": ones, **grid})
    factor = 1.0 + 900.0 / (table.new + 1.0)
    time_s = 12e-6 + table.flops / (1e15 * 0.6) * factor
    fitted = _judged("attention_prefill", table.assign(time_s=time_s, frameworks=1))
    _assert_found(fitted, truth, rel=0.05)


def test_grouped_gemm_reads_only_the_experts_that_work() -> None:
    grid = _grid(tokens=[1, 4, 16, 256, 4096], inter=[512, 1024, 2048], experts=[64, 128, 256])
    ones = np.ones(len(grid["tokens"]))
    grid |= {"hidden": 4096 * ones, "top_k": 8 * ones, "moe_tp": ones, "moe_ep": ones}
    table = make_table("grouped_gemm", {**COMMON, "format": "bf16", "time_s": ones, **grid})
    one = table[(table.tokens == 1) & (table.inter == 512)]
    assert len(set(one.bytes)) == 1  # eight experts, however many there are
    truth = {"t0_us": 30.0, "e_c": 0.5, "e_m": 0.8, "p": 2.0}
    rows = table.tokens * 8
    distinct = np.minimum(table.experts, rows)
    time_s = _forms.grouped_gemm_s(
        truth, table.tokens, table.hidden, table.inter, rows, distinct, table.bytes, 1e15, 3e12
    )
    fitted = _judged("grouped_gemm", table.assign(time_s=time_s, frameworks=1))
    _assert_found(fitted, truth, rel=0.05)


def test_families_are_held_back_whole() -> None:
    table = _gemms({"t0_us": 4.0, "e_c": 0.75, "e_m": 0.85, "p": 2.5})
    sample = MODELS["gemm"].sample(table, NOMINAL, "bf16")
    folds = _fit.fold_of(sample)
    for name in np.unique(sample.family):
        assert len(set(folds[sample.family == name])) == 1
    assert len(set(folds)) == _fit.FOLDS


def test_a_family_the_fit_could_adapt_to_is_judged_without_it() -> None:
    """Every row of a family carries its own offset: only held-back errors can see that."""
    table = _gemms({"t0_us": 4.0, "e_c": 0.75, "e_m": 0.85, "p": 2.5})
    sample = MODELS["gemm"].sample(table, NOMINAL, "bf16")
    names, index = np.unique(sample.family, return_inverse=True)

    def lookup(parameters, c):
        return c["guess"] * np.exp(sum(parameters[f"f{i}"] * (c["which"] == i) for i in range(4)))

    which = _fit.fold_of(sample)[...]
    offset = np.array([0.3, -0.3, 0.2, -0.2])[which]
    made = _fit.Sample(
        time_s=sample.time_s * np.exp(offset),
        weight=np.ones(len(sample)),
        family=sample.family,
        inside=np.ones(len(sample), dtype=bool),
        columns={"guess": sample.time_s, "which": which, "bytes": sample.columns["bytes"]},
    )
    bounds = tuple(_fit.Bound(name=f"f{i}", start=0.0, low=-1.0, high=1.0) for i in range(4))
    fitted = _fit.judge(bounds, lookup, made)
    assert len(names) > 4
    assert index.max() > 4
    assert fitted.median_in < 0.01
    assert fitted.median_out > 0.15


def test_too_few_families_are_cut_into_ranges() -> None:
    table = _gemms({"t0_us": 4.0, "e_c": 0.75, "e_m": 0.85, "p": 2.5})
    sample = MODELS["gemm"].sample(table[(table.n == 512) & (table.k <= 1024)], NOMINAL, "bf16")
    assert len(np.unique(sample.family)) == 2
    assert len(set(_fit.fold_of(sample))) == _fit.FOLDS


def test_thinning_is_the_same_every_time_and_even() -> None:
    rows = 20_000
    sample = _fit.Sample(
        time_s=np.ones(rows),
        weight=np.ones(rows),
        family=np.array(["a"] * rows),
        inside=np.ones(rows, dtype=bool),
        columns={"row": np.arange(rows, dtype=float)},
    )
    first, second = _fit._thin(sample), _fit._thin(sample)
    assert np.array_equal(first.columns["row"], second.columns["row"])
    assert len(first) == pytest.approx(_fit.MOST_ROWS, rel=0.02)
    assert first.columns["row"].mean() == pytest.approx(rows / 2, rel=0.02)


def _all_reduce(truth: list[tuple[float, float]]):
    size = 2.0 ** np.arange(12, 30)
    columns = {"ranks": np.full(len(size), 8), "message_bytes": size}
    time_s = _forms.collective_s(truth, size)
    return make_table("all_reduce", {**COMMON, "format": "bf16", "time_s": time_s, **columns})


def test_two_pieces_of_a_collective_are_recovered() -> None:
    truth = [(3.0, 45e9), (9.0, 200e9)]
    made = fit_collective(_all_reduce(truth))
    assert made is not None
    assert [list(piece) for piece in made.pieces] == [pytest.approx(t, rel=0.05) for t in truth]


def test_one_piece_is_enough_where_one_line_fits() -> None:
    made = fit_collective(_all_reduce([(5.0, 100e9)]))
    assert made is not None
    assert len(made.pieces) == 1
    assert made.median_out < 0.01


def test_a_handful_of_messages_is_not_fitted() -> None:
    assert fit_collective(_all_reduce([(5.0, 100e9)]).head(5)) is None


def test_a_slower_kernel_among_the_points_is_left_out() -> None:
    """Its sizes lie between those of the fast one, so that no two are of one size."""
    fast, slow = _all_reduce([(5.0, 100e9)]), _all_reduce([(40.0, 30e9)])
    slow = slow.head(-1).assign(message_bytes=slow["message_bytes"] * 1.1)
    made = fit_collective(pd.concat([fast, slow], ignore_index=True))
    assert made is not None
    assert made.points == len(fast)
    assert [list(piece) for piece in made.pieces] == [pytest.approx([5.0, 100e9], rel=0.01)]
