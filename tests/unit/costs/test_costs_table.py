"""Projections by a measured table: exact at its rows, never falling, scaled and flagged outside."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.costs import Parameters, read_calibration_file
from hetsim.costs._calibration import Calibration, Layer
from hetsim.costs._operators import GemmOp, Roof
from hetsim.errors import ScenarioError
from hetsim.model import Gemm

ROOF = Roof(1e12, 1e11, 2.0, 2.0, 2.0, 1.0)
TABLE = ((1.0, 1e-10), (4.0, 2e-10), (64.0, 8e-10))
PLAIN = Parameters(t0_s=1e-6, e_c=0.5, e_m=0.5, p=3.0, grade="measured")
FIT = replace(PLAIN, table=TABLE, measured=(1.0, 64.0))


def projection(parameters: Parameters, n: int = 1000, k: int = 500) -> GemmOp:
    return GemmOp("x", "gemm", "rank", "bf16", 1.0, parameters, (Gemm(n, k, "x"),), ROOF)


def seconds(op: GemmOp, tokens: float) -> float:
    return op.evaluate(tokens)[0]


def test_at_the_measured_rows_the_table_is_exact() -> None:
    op = projection(FIT)
    for m, each in TABLE:
        assert seconds(op, m) == pytest.approx(1e-6 + 1000 * 500 * each)
    # Half way between 1 and 4 in the logarithm: the geometric mean.
    assert seconds(op, 2) == pytest.approx(1e-6 + 1000 * 500 * 2**0.5 * 1e-10)


def test_outside_the_roofline_goes_on_where_the_table_ends() -> None:
    op, plain = projection(FIT), projection(PLAIN)
    body = {m: seconds(plain, m) - 1e-6 for m in (64, 640)}
    assert seconds(op, 64.0001) == pytest.approx(seconds(op, 64), rel=1e-4)
    assert (seconds(op, 640) - 1e-6) / (seconds(op, 64) - 1e-6) == pytest.approx(
        body[640] / body[64]
    )
    assert [op.measured(m) for m in (1, 64, 65, 640)] == [True, True, False, False]


@given(
    steps=st.lists(st.floats(1.0, 5.0), min_size=2, max_size=6),
    tokens=st.lists(st.integers(1, 3000), min_size=2, max_size=20),
)
def test_more_rows_are_never_faster(steps: list[float], tokens: list[int]) -> None:
    each, table = 1e-10, []
    for i, step in enumerate(steps):
        each *= step
        table.append((4.0**i, each))
    op = projection(replace(PLAIN, table=tuple(table)))
    times = [seconds(op, m) for m in sorted(tokens)]
    assert all(a <= b * (1 + 1e-12) for a, b in pairwise(times))


def calibration(best: str) -> Calibration:
    layer = Layer(name="x", best=best, operators={"gemm": {"bf16": FIT}}, collectives={})  # type: ignore[arg-type]
    return Calibration(accelerator="x", layers=(layer,), collective_scale={})


def test_seconds_of_a_table_carry_over_to_no_other_device_or_format() -> None:
    assert calibration("measured").operator("gemm", "bf16").table == TABLE
    lent = calibration("transferred").operator("gemm", "bf16")
    assert (lent.table, lent.measured, lent.grade) == ((), None, "transferred")


def test_a_sampled_calibration_moves_the_table_with_the_fractions() -> None:
    slower = calibration("measured").shifted(1.0).operator("gemm", "bf16")
    ratios = [new[1] / old[1] for new, old in zip(slower.table, TABLE, strict=True)]
    assert max(ratios) == pytest.approx(min(ratios))
    assert ratios[0] == pytest.approx(FIT.e_c / slower.e_c)


HEAD = 'schema: 1\naccelerator: x\ndate: "2026-01-02"\nsource: "s"\noperators:\n  gemm:\n'
LINE = "e_c: 0.5, e_m: 0.5, p: 2, grade: measured, rse: 0.1"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("{m: [1, 4], ps_per_weight: [2, 1]}", "never faster"),
        ("{m: [4, 1], ps_per_weight: [1, 2]}", "m must rise"),
        ("{m: [1], ps_per_weight: [1]}", "2 or more"),
        ("{m: [1, 2], ps_per_weight: [1, 2, 3]}", "of one length"),
        ("{m: [1, 2], ps_per_weight: [0, 1]}", "above 0"),
    ],
)
def test_impossible_tables_are_refused(tmp_path: Path, table: str, said: str) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(f"{HEAD}    bf16: {{{LINE}, table: {table}}}\n")
    with pytest.raises(ScenarioError, match=said):
        read_calibration_file(path)


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(
        f"{HEAD}    bf16: {{{LINE}, table: {{m: [1, 4], ps_per_weight: [100, 200]}}}}\n"
    )
    entry = read_calibration_file(path).operators["gemm"]["bf16"].table
    assert entry is not None and entry.ps_per_weight == (100.0, 200.0)
