"""Projections climb a stair of tiles and waves: by hand, never falling, never for nothing."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from hetsim.costs import Parameters, load_calibration
from hetsim.costs._grouped import GroupedOp
from hetsim.costs._operators import GemmOp, Roof
from hetsim.costs._stairs import ROWS, TILES, Stair, tile_weight
from hetsim.hardware import get_accelerator
from hetsim.model import Gemm

ROOF = Roof(1e15, 1e12, 2.0, 2.0, 2.0, 1.0)
SHARP = Parameters(t0_s=0.0, e_c=1.0, e_m=1.0, p=8.0, blocks=132.0, feed=1e6, wave=1.0)
SMOOTH = Parameters(t0_s=3e-6, e_c=0.7, e_m=0.8, p=2.0, blocks=132.0, feed=60.0, wave=0.4)


def projection(parameters: Parameters, n: float, k: float) -> GemmOp:
    gemm = Gemm(n, k, "x")
    return GemmOp("x", "gemm", "rank", "bf16", 1.0, parameters, (gemm,), ROOF)


def test_a_full_wave_of_the_largest_tiles_is_not_dearer_than_its_products() -> None:
    # 4 x 33 tiles of 256 x 256 on 132 blocks: one wave, nothing lost.
    stair = Stair(n=33 * 256.0, blocks=132.0, feed=1e6, wave=1.0)
    assert stair.elements(1024.0) == pytest.approx(1024 * 33 * 256)


@pytest.mark.parametrize(("wave", "waves"), [(1.0, 2.0), (0.0, 1.25), (0.5, 1.625)])
def test_one_row_more_begins_another_row_of_tiles(wave: float, waves: float) -> None:
    # 5 x 33 tiles are 1.25 waves; with so large a feed only the largest tile is worth its while.
    stair = Stair(n=33 * 256.0, blocks=132.0, feed=1e6, wave=wave)
    assert stair.elements(1025.0) == pytest.approx(132 * waves * 256 * 256, rel=2e-3)


def test_small_tiles_win_where_few_rows_are_asked_for() -> None:
    stair = Stair(n=4096.0, blocks=1.0, feed=0.0, wave=0.0)
    assert stair.elements(1.0) == 16 * 4096.0
    assert stair.elements(250.0) == 256 * 4096.0


def test_the_weight_of_a_tile_is_what_feeding_it_takes() -> None:
    # 128 x 128: (1 + 64 / 64) over (1 + 64 / 128).
    assert tile_weight(128, 128, 64.0) == pytest.approx(2.0 / 1.5)
    assert all(tile_weight(*tile, 30.0) >= 1.0 for tile in TILES)


@pytest.mark.parametrize("blocks", [1.0, 80.0, 132.0, 304.0])
@pytest.mark.parametrize("wave", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("n", [64.0, 1000.5, 7168.0, 151936.0])
def test_the_stair_never_falls_and_never_lies_below_the_products(
    blocks: float, wave: float, n: float
) -> None:
    stair = Stair(n, blocks, 50.0, wave)
    last = 0.0
    for m in [*range(1, 700, 3), *range(700, 20000, 131)]:
        here = stair.elements(float(m))
        assert here >= last
        assert here >= m * n * (1.0 - 1e-12)
        last = here


def test_every_tile_has_rows_in_steps_of_the_stair() -> None:
    assert all(rows % ROWS == 0 for rows, _ in TILES)
    stair = Stair(5000.0, 132.0, 40.0, 0.7)
    assert {stair.elements(float(m)) for m in range(129, 145)} == {stair.elements(144.0)}


def test_a_projection_by_hand() -> None:
    # One wave of 132 tiles over k 2048: 2 x 132 x 65536 x 2048 FLOP at 1e15 per second.
    made = projection(SHARP, 33 * 256.0, 2048.0).evaluate(1024.0)
    compute = 2 * 132 * 65536 * 2048 / 1e15
    memory = 2.0 * (33 * 256 * 2048 + 1024 * 2048 + 1024 * 33 * 256) / 1e12
    assert made[0] == pytest.approx((compute**8 + memory**8) ** (1 / 8))
    assert made[2] == 2.0 * 1024 * 33 * 256 * 2048


def test_quantising_the_activations_is_added_per_row_and_per_element() -> None:
    without = projection(SMOOTH, 4096.0, 2048.0)
    quantised = projection(replace(SMOOTH, row_s=2e-9, token_s=1e-12), 4096.0, 2048.0)
    for tokens in (1.0, 100.0, 5000.0):
        more = quantised.evaluate(tokens)[0] - without.evaluate(tokens)[0]
        assert more == pytest.approx(tokens * (2e-9 + 2048 * 1e-12))


@pytest.mark.parametrize("parameters", [SHARP, SMOOTH], ids=["sharp", "smooth"])
@pytest.mark.parametrize(("n", "k"), [(512.0, 7168.0), (8192.0, 512.0), (18992.0, 4096.0)])
def test_more_tokens_are_never_faster(parameters: Parameters, n: float, k: float) -> None:
    op = projection(parameters, n, k)
    times = [op.evaluate(float(m))[0] for m in range(1, 9000, 7)]
    assert all(a <= b for a, b in pairwise(times))


def test_wide_experts_lose_half_a_tile_each_and_what_feeding_it_takes() -> None:
    gemms = (Gemm(2 * 14336.0, 4096.0, "up"), Gemm(4096.0, 14336.0, "down"))
    made = GroupedOp("experts", "grouped_gemm", "all", "bf16", 1.0, SMOOTH, gemms, ROOF)
    elements = 3 * 14336.0 * 4096.0
    # (1 + 60 (1/128 + 1/256)) / (1 + 60/128) = 1.703 / 1.469: as 148 rows for 128, less 64.
    assert made.m0 == pytest.approx(128 * 1.703125 / 1.46875 - 64.0)
    assert made.stair is None
    assert made.s_per_row == pytest.approx(2.0 * elements / (1e15 * 0.7))


FILE = """\
schema: 1
accelerator: h100-sxm
date: "2026-01-01"
source: "a test"
operators:
  gemm:
    bf16: {t0_us: 4, e_c: 0.8, e_m: 0.9, p: 3, grade: fitted, rse: 0.1,
      shaped: {t0_us: 2, e_c: 0.9, e_m: 0.95, p: 2, feed: 40, wave: WAVE, blocks: 132, k0: 100,
        row_ns: 20, token_ps: 1.5, rse: 0.05}}
collectives: {}
host: {}
"""


def _write(root: Path, wave: str) -> None:
    path = root / "h100-sxm" / "2026-01-01.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(FILE.replace("WAVE", wave), encoding="utf-8")


def _root(tmp_path: Path) -> Path:
    from hetsim.costs._calibration_files import data_root

    families = data_root("calibration") / "families.yaml"
    (tmp_path / "families.yaml").write_text(families.read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_a_file_states_the_stair(tmp_path: Path) -> None:
    root = _root(tmp_path)
    _write(root, "0.4")
    found = load_calibration(get_accelerator("h100-sxm"), root).operator("gemm", "bf16")
    assert (found.feed, found.wave, found.blocks, found.k0) == (40.0, 0.4, 132.0, 100.0)
    assert (found.row_s, found.token_s) == (pytest.approx(2e-8), pytest.approx(1.5e-12))


def test_a_wave_above_one_is_refused(tmp_path: Path) -> None:
    from hetsim.errors import ScenarioError

    root = _root(tmp_path)
    _write(root, "1.4")
    with pytest.raises(ScenarioError, match=r"wave is 1\.4"):
        load_calibration(get_accelerator("h100-sxm"), root)
