"""Orders, regrets over regimes, re-cuts, and constraints in words."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.decisions import (
    CONSTRAINTS,
    Design,
    best_split,
    changed,
    constraint_of,
    distinct,
    parameters_of,
    probability_table,
    regret_table,
)
from hetsim.decisions._counted import bound_in_words


def test_probability_of_being_above() -> None:
    values = np.array([[3.0, 1.0, 2.0], [3.0, 4.0, 2.0], [3.0, 1.0, 3.0], [3.0, 1.0, 2.0]])
    table = probability_table(values)
    assert table[0, 1] == 0.75
    assert table[0, 2] == 0.875  # one tie
    assert table + table.T == pytest.approx(np.ones((3, 3)))


def test_twins_are_ranked_once() -> None:
    designs = [Design(n, {"a": str(n)}, value) for n, value in enumerate([5.0, 5.0, 4.999, 4.0])]
    assert [one.point for one in distinct(designs)] == [0, 3]


def test_minimax_regret_by_hand() -> None:
    table = regret_table(np.array([[10.0, 1.0], [8.0, 4.0], [2.0, 5.0]]))
    assert table == pytest.approx(np.array([[0.0, 0.8], [0.2, 0.2], [0.8, 0.0]]))
    assert int(table.max(axis=1).argmin()) == 1


@pytest.mark.parametrize(
    ("prefill", "decode", "total", "split"),
    [(10.0, 5.0, 6, 2), (1.0, 100.0, 4, 3), (9.0, 9.0, 2, 1)],
)
def test_the_split_matches_the_rates(prefill: float, decode: float, total: int, split: int) -> None:
    assert best_split(prefill, decode, total) == split


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("prefill-bound: compute of pool p", "compute"),
        ("decode-bound: memory bandwidth of pool d (TPOT missed)", "bandwidth"),
        ("decode-bound: KV capacity of pool d", "capacity"),
        ("transfer-bound: network from pool p to pool d", "link"),
        ("decode-bound: batch slots of pool d", "admission"),
        ("hand-off-bound: control latency between pools p and d", "lease"),
        ("transfer-bound: descriptors of the transfer engine", "descriptors"),
        ("no stage is under pressure (nearest to its limit: pool decode, 9%)", "other"),
    ],
)
def test_bottlenecks_become_constraints(text: str, kind: str) -> None:
    assert constraint_of(text) == kind
    assert kind in CONSTRAINTS


def test_a_changed_parameter_changes_the_time_it_stands_for_and_nothing_else() -> None:
    from hetsim.costs import load_calibration
    from hetsim.hardware import get_accelerator

    nominal = {"h100-sxm": load_calibration(get_accelerator("h100"))}
    one = next(
        p for p in parameters_of(nominal) if (p.kind, p.fmt, p.name) == ("gemm", "bf16", "e_c")
    )
    new = changed(nominal, one, 2.0)["h100-sxm"]
    old = nominal["h100-sxm"]
    assert new.operator("gemm", "bf16").e_c == pytest.approx(old.operator("gemm", "bf16").e_c / 2)
    assert new.operator("gemm", "bf16").e_m == old.operator("gemm", "bf16").e_m
    assert new.operator("gemm", "fp8_e4m3") == old.operator("gemm", "fp8_e4m3")
    assert one.at(2.0) == pytest.approx(one.value / 2)


@pytest.mark.parametrize(
    ("bottleneck", "lost", "away", "kind"),
    [
        ("decode-bound: KV capacity of pool d", 0.3, 0.0, "lease"),
        ("decode-bound: KV capacity of pool d", 0.005, 0.0, "capacity"),
        ("transfer-bound: descriptors from pool p to pool d", 0.02, 0.0, "lease"),
        ("prefill-bound: compute of pool p", 0.0, 0.5, "compute"),
        ("no stage is under pressure (nearest to its limit: pool d, 9%)", 0.0, 0.5, "admission"),
        ("no stage is under pressure (nearest to its limit: pool d, 9%)", 0.0, 0.0, "other"),
    ],
)
def test_the_counters_of_a_run_say_what_its_bottleneck_does_not(
    bottleneck: str, lost: float, away: float, kind: str
) -> None:
    counted = {"lease_expired_ratio": lost, "turned_away_ratio": away}
    assert constraint_of(bound_in_words(bottleneck, counted)) == kind
