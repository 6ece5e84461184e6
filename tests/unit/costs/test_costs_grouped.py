"""Experts in tiles of rows: by hand, never faster with more tokens, in step with the fits' form."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import hypot
from pathlib import Path

import pytest

from hetsim.calibrate._forms import grouped_gemm_s
from hetsim.costs import Parameters, expert_passes, expert_tile, load_calibration
from hetsim.costs._calibration_files import data_root
from hetsim.costs._grouped import GroupedOp
from hetsim.costs._operators import Roof
from hetsim.hardware import get_accelerator
from hetsim.model import Gemm

HIDDEN, WIDTH = 4096.0, 1536.0
ROOF = Roof(1e15, 2e12, 1.0, 1.0, 1.0, 1.0)
TILED = Parameters(
    t0_s=20e-6,
    e_c=0.8,
    e_m=0.9,
    p=2.0,
    n0=500.0,
    tile_rows=128.0,
    tile_half=32.0,
    tile_walk_s=50e-12,
    pass_s=0.1e-12,
)


def experts(parameters: Parameters, ep: int = 1, count: int = 128, top_k: int = 8) -> GroupedOp:
    gemms = (Gemm(2 * WIDTH, HIDDEN, "up"), Gemm(HIDDEN, WIDTH, "down"))
    made = GroupedOp("experts", "grouped_gemm", "all", "x", 1.0, parameters, gemms, ROOF)
    return made.route(count / ep, count, top_k, HIDDEN, parameters.token_s, parameters.pass_s)


def test_a_layer_by_hand() -> None:
    # 1024 tokens, 8 of 128 experts each: 8192 rows, 64 per expert, all experts at work.
    made = experts(TILED).evaluate(1024.0)
    tile = 128 * 64 / (64 + 32)
    padded = hypot(8192, 128 * tile)
    per_row = (2 * WIDTH + 500) * HIDDEN + (HIDDEN + 500) * WIDTH
    compute = 2 * padded * per_row / 0.8e15
    rows_bytes = 8192 * (2 * HIDDEN + 3 * WIDTH)
    memory = (128 * 3 * HIDDEN * WIDTH + rows_bytes + 1024 * 4 * HIDDEN) / 1.8e12
    passes = 1024 * (4 * HIDDEN + 8 * (HIDDEN + 1.5 * WIDTH))
    fixed = 20e-6 + passes * 0.1e-12 + tile * (HIDDEN + WIDTH) * 50e-12
    assert made[0] == pytest.approx(fixed + hypot(compute, memory))
    assert made[2] == pytest.approx(6 * 8192 * HIDDEN * WIDTH)  # what is lost is no work


def test_the_tile_is_chosen_by_all_copies_over_the_experts_here() -> None:
    # With 16 ranks an expert has 1 row, and the library counts 16 copies for it.
    assert expert_tile(128.0, 32.0, 16.0) == pytest.approx(128 / 3)
    alone, spread = experts(TILED).copies, experts(TILED, ep=16).copies
    assert spread == 16 * alone


def test_passes_grow_with_copies_and_not_with_ranks() -> None:
    assert expert_passes(1.0, 2.0, 10.0, 4.0) == 40 + 2 * 16
    assert experts(TILED).s_per_token == experts(TILED, ep=16).s_per_token


@pytest.mark.parametrize("ep", [1, 8, 64])
@pytest.mark.parametrize("half", [0.0, 4.0, 300.0])
def test_more_tokens_are_never_faster(ep: int, half: float) -> None:
    op = experts(replace(TILED, tile_half=half), ep)
    times = [op.evaluate(float(m))[0] for m in (*range(1, 300), *range(300, 20000, 97))]
    assert all(a <= b for a, b in pairwise(times))


def test_without_tiles_rows_are_lost_per_expert() -> None:
    bare = Parameters(t0_s=0.0, e_c=1.0, e_m=1.0, p=8.0)
    few = experts(bare).evaluate(40000.0)[0]
    lost = experts(replace(bare, m0=100.0)).evaluate(40000.0)[0]
    assert lost / few == pytest.approx((320000 + 128 * 100) / 320000, rel=1e-3)


@pytest.mark.parametrize("tokens", [64.0, 1024.0, 16384.0])
def test_what_is_fitted_is_what_is_charged(tokens: float) -> None:
    op = experts(TILED)
    rows = tokens * 8.0
    distinct = 128 * (1.0 - (1.0 - 8 / 128) ** tokens)
    moved = op.evaluate(tokens)[3]
    stated = {"t0_us": 20.0, "e_c": 0.8, "e_m": 0.9, "p": 2.0, "n0": 500.0}
    stated |= {"tile_rows": 128.0, "tile_half": 32.0, "tile_walk_ps": 50.0, "pass_ps": 0.1}
    shape = (tokens, HIDDEN, WIDTH, rows, distinct, moved, 1e15, 2e12)
    form = float(grouped_gemm_s(stated, *shape, 8.0, 128.0))
    assert op.evaluate(tokens)[0] == pytest.approx(form, rel=1e-12)


FILE = """\
schema: 1
accelerator: h100-sxm
date: "2026-11-24"
provider: made
source: made
operators:
  grouped_gemm:
    bf16: {t0_us: 20, e_c: 0.8, e_m: 0.9, p: 2, grade: fitted, rse: 0.1, points: 100,
      shaped: {t0_us: 20, e_c: 0.8, e_m: 0.9, p: 2, tile_rows: 128, tile_half: 32,
        tile_walk_ps: 50, pass_ps: 0.1, rse: 0.05}}
collectives: {}
host: {}
"""


def test_a_file_states_tiles_and_passes(tmp_path: Path) -> None:
    families = data_root("calibration") / "families.yaml"
    (tmp_path / "families.yaml").write_text(families.read_text(encoding="utf-8"), encoding="utf-8")
    path = tmp_path / "h100-sxm" / "2026-11-24.yaml"
    path.parent.mkdir()
    path.write_text(FILE, encoding="utf-8")
    found = load_calibration(get_accelerator("h100-sxm"), tmp_path).operator("grouped_gemm", "bf16")
    assert (found.tile_rows, found.tile_half) == (128.0, 32.0)
    assert found.tile_walk_s == pytest.approx(50e-12)
    assert found.pass_s == pytest.approx(0.1e-12)
