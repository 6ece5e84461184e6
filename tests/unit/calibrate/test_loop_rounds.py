"""Rounds, sentinels and the verdict: synthetic numbers only."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.calibrate.loop import Ask, Case, Handoff, ModelKey, Row, compare, judge
from hetsim.calibrate.loop._rounds import Guard, good, more, shift

CALM, BUSY, SLOW = Guard(((1.0, 1.0),)), Guard(((1.0, 1.3),)), Guard(((1.2, 1.2),))


def guard(cpu: float, wall: float | None = None) -> Guard:
    return Guard(((1.0, 1.0), (cpu, wall or cpu)))


def test_a_neighbour_spoils_the_wall_clock_alone() -> None:
    guards = [CALM, CALM, BUSY, SLOW, CALM]
    assert good(guards, "cpu") == [True, True, True, False, True]
    assert good(guards, "wall") == [True, True, False, False, True]


def test_a_neighbour_that_is_always_there_does_not_hide() -> None:
    # Every round alike: no round moved against the others, yet none is good on the wall clock.
    assert good([BUSY] * 5, "wall") == [False] * 5
    assert good([BUSY] * 5, "cpu") == [True] * 5


@pytest.mark.parametrize(
    ("ratio", "kept"), [(1.099, True), (1.101, False), (0.901, True), (0.899, False)]
)
def test_ten_percent_is_the_limit_in_both_directions(ratio: float, kept: bool) -> None:
    guards = [CALM] * 8 + [guard(ratio)]
    assert good(guards, "cpu")[-1] is kept
    assert shift(guards[-1], guards, "cpu") == pytest.approx(ratio - 1.0)


def test_rounds_are_repeated_at_most_three_times() -> None:
    done: list[Guard] = []
    while more(done):
        done.append(SLOW if len(done) in (1, 3) else CALM)
    assert len(done) == 7  # five, and one for each that moved
    done = []
    while more(done):
        done.append(BUSY)
    assert len(done) == 8


def row(quantity: str, predicted: float, measured: float, case: str = "a") -> Row:
    return Row(
        case=case, size="30m", format="bf16", convert="none", kv="bf16", wire="bf16",
        through="tcp", together=1, quantity=quantity, clock="cpu", predicted_s=predicted,
        measured_s=measured, spread_ratio=0.0, rounds=5,
    )  # fmt: skip


GOOD = [
    row("prefill", 1.1, 1.0),
    row("tpot", 0.9, 1.0),
    row("transfer", 2.2e-3, 2e-3),
    row("transfer", 0.7e-3, 0.5e-3),
]


def test_verdict_good() -> None:
    verdict, targets = judge(GOOD, {"cpu": 5, "wall": 5})
    assert verdict == "good"
    assert [target["verdict"] for target in targets] == ["good"] * 4


@pytest.mark.parametrize(
    ("rows", "missed"),
    [
        ([row("prefill", 1.16, 1.0)], "prefill time"),
        ([row("tpot", 0.79, 1.0)], "TPOT"),
        ([row("transfer", 2.5e-3, 2e-3)], "transfer above 1 ms"),
        ([row("transfer", 0.9e-3, 0.5e-3)], "transfer up to 1 ms"),
    ],
)
def test_verdict_missed_names_its_target(rows: list[Row], missed: str) -> None:
    kept = [
        one for one in GOOD
        if (one.quantity, one.measured_s > 1e-3) != (rows[0].quantity, rows[0].measured_s > 1e-3)
    ]  # fmt: skip
    verdict, targets = judge(kept + rows, {"cpu": 5, "wall": 5})
    assert verdict == "missed"
    assert [t["target"] for t in targets if t["verdict"] == "missed"] == [missed]


def test_short_transfers_are_judged_by_seconds_and_long_ones_by_ratio() -> None:
    rows = [*GOOD[:3], row("transfer", 0.29e-3, 0.01e-3)]  # 28 times too long, but only 0.28 ms
    assert judge(rows, {"cpu": 5, "wall": 5})[0] == "good"


@pytest.mark.parametrize("counts", [{"cpu": 5, "wall": 2}, {"cpu": 2, "wall": 5}])
def test_fewer_than_three_good_rounds_are_never_green(counts: Any) -> None:
    verdict, targets = judge(GOOD, counts)
    assert verdict == "inconclusive"
    few = next(name for name, count in counts.items() if count < 3)
    assert all(t["verdict"] == "inconclusive" for t in targets if t["clock"] == few)


def test_an_error_in_rounds_that_do_not_count_is_not_a_miss() -> None:
    assert judge([row("prefill", 9.0, 1.0)], {"cpu": 1, "wall": 1})[0] == "inconclusive"


def test_nothing_measured_is_inconclusive() -> None:
    assert judge([], {"cpu": 5, "wall": 5})[0] == "inconclusive"


# --- from rounds to rows -------------------------------------------------------------------------

CASE = Case("c", ModelKey("30m", "bf16"), Handoff("bf16", "bf16"), (Ask(0.0, 8, 4, 0),))


def served(prefill: float, ttft: float) -> list[dict[str, Any]]:
    return [
        {
            "arrival_s": 0.0, "osl": 4, "prefill_cpu_s": prefill, "prefill_wall_s": 2.0 * prefill,
            "tpot_cpu_s": 1.0, "tpot_wall_s": 1.5, "transfer_s": 0.1, "ttft_s": ttft,
            "first_token_s": ttft, "last_token_s": ttft + 3.0, "producer_convert_s": 0.0,
            "consumer_convert_s": 0.0,
        }
    ]  # fmt: skip


def test_each_clock_counts_its_own_good_rounds() -> None:
    rounds = [served(1.0, 10.0), served(1.2, 11.0), served(9.0, 12.0)]
    usable: Any = {"cpu": [True, True, False], "wall": [False, False, True]}
    rows = {r.quantity: r for r in compare(CASE, rounds, usable, served(1.1, 12.0))}
    assert rows["prefill"].measured_s == pytest.approx(1.1)
    assert rows["prefill"].wall_s == pytest.approx(2.2)
    assert (rows["prefill"].rounds, rows["ttft"].rounds) == (2, 1)
    assert rows["ttft"].error == pytest.approx(0.0)
    assert rows["throughput"].measured_s == pytest.approx(4 / 15)
    assert "producer_convert" not in rows  # nobody converts


def test_transfers_among_others_are_not_compared() -> None:
    both = CASE._replace(asks=(CASE.asks[0], CASE.asks[0]))
    rounds = [served(1.0, 1.0) * 2]
    usable: Any = {"cpu": [True], "wall": [True]}
    found = {r.quantity for r in compare(both, rounds, usable, served(1.0, 1.0) * 2)}
    assert "transfer" not in found and "ttft" in found
