"""Fetch or recompute, the longest prefix, pool keys and wear: pure functions with small numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.model import get_model
from hetsim.representation import LayoutWords, represent
from hetsim.residency import Form, Naming, Run, choose, drive_writes_per_day, fetch_s, runs_of

runs_in = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 20), st.floats(0.0, 5.0)), max_size=6
)


def priced(raw: list[tuple[int, int, float]], slower: dict[int, float]) -> list[Run]:
    """Seconds of a tier grow with every run that it gives."""
    seconds = [0.0, 0.0, 0.0]
    made = []
    for tier, units, cost in raw:
        seconds[tier] += cost * slower.get(tier, 1.0)
        made.append(Run(tier, units, seconds[tier]))
    return made


def best(runs: list[Run], saved: float) -> float:
    totals = [0.0]
    for n in range(1, len(runs) + 1):
        took = max(run.seconds for run in runs[:n])
        totals.append(took - saved * sum(run.units for run in runs[:n]))
    return min(totals)


@given(runs_in, st.floats(0.0, 1.0))
def test_the_cheapest_prefix_is_chosen(raw: list[tuple[int, int, float]], saved: float):
    runs = priced(raw, {})
    number = choose(runs, lambda units: saved * units)
    took = max((run.seconds for run in runs[:number]), default=0.0)
    assert took - saved * sum(run.units for run in runs[:number]) == pytest.approx(
        best(runs, saved)
    )
    assert number == 0 or best(runs, saved) < 0.0


@given(runs_in, st.floats(0.0, 1.0), st.integers(0, 2), st.floats(1.0, 50.0))
def test_a_slower_tier_is_never_read_more(
    raw: list[tuple[int, int, float]], saved: float, tier: int, factor: float
):
    fast, slow = priced(raw, {}), priced(raw, {tier: factor})

    def reads(runs: list[Run]) -> bool:
        number = choose(runs, lambda units: saved * units)
        return any(run.tier == tier for run in runs[:number])

    assert reads(fast) or not reads(slow)


def test_a_fetch_that_is_only_as_fast_is_not_worth_it():
    assert choose([Run(0, 10, 1.0)], lambda units: 0.1 * units) == 0
    assert choose([Run(0, 10, 0.99)], lambda units: 0.1 * units) == 1


def test_fetch_seconds_are_bytes_over_rate_and_the_rest():
    assert fetch_s(10e9, 5e9, 0.25) == 2.25


@given(st.lists(st.integers(0, 9), max_size=12), st.lists(st.sets(st.integers(0, 9)), max_size=3))
def test_runs_cover_the_longest_prefix_from_the_nearest_tier(
    keys: list[int], tiers: list[set[int]]
):
    runs = runs_of(keys, [tier.__contains__ for tier in tiers])
    length = sum(run.units for run in runs)
    assert all(any(key in tier for tier in tiers) for key in keys[:length])
    assert length == len(keys) or not any(keys[length] in tier for tier in tiers)
    at = 0
    for run in runs:
        for key in keys[at : at + run.units]:
            assert key in tiers[run.tier]
            assert not any(key in tier for tier in tiers[: run.tier])
        at += run.units
    assert all(one.tier != two.tier for one, two in pairwise(runs))


def form(pool: str, kv: str = "bf16", page: int = 16, order: str = "LBHN") -> Form:
    words = LayoutWords(page_tokens=page, order=order, kv_pack="merged_row")  # type: ignore[arg-type]
    return Form(pool=pool, groups=represent(get_model("llama-3.1-8b"), kv, words))


def test_a_complete_key_tells_forms_apart_and_an_incomplete_one_aliases():
    reader, other = form("prefill", "bf16"), form("decode", "fp8_e4m3")
    sound = Naming("complete", [reader, other])
    assert sound.name(7, 0) != sound.name(7, 1)
    assert sound.readings[0] == ("plain", "convert")
    assert sound.names(7, 0) == [sound.name(7, 0), sound.name(7, 1)]
    faulty = Naming("no_dtype", [reader, other])
    assert faulty.name(7, 0) == faulty.name(7, 1)
    assert faulty.readings[0] == ("plain", "alias")
    assert faulty.names(7, 0) == [faulty.name(7, 0)]


def test_a_key_without_dtype_still_tells_layouts_apart():
    reader, other = form("prefill"), form("decode", order="LBNH")
    assert Naming("no_dtype", [reader, other]).readings[0] == ("plain", "convert")
    assert Naming("no_representation", [reader, other]).readings[0] == ("plain", "alias")


def test_equal_forms_never_alias_whatever_the_key():
    forms = [form("prefill"), form("decode")]
    for key in ("complete", "no_dtype", "no_representation"):
        assert Naming(key, forms).readings == (("plain", "plain"), ("plain", "plain"))


@given(
    st.tuples(st.integers(0, 10**9), st.integers(0, 1)),
    st.tuples(st.integers(0, 10**9), st.integers(0, 1)),
)
def test_with_a_complete_key_no_two_things_have_one_name(
    one: tuple[int, int], two: tuple[int, int]
):
    naming = Naming("complete", [form("prefill"), form("decode", "fp8_e4m3")])
    assert (naming.name(*one) == naming.name(*two)) == (one == two)


def test_wear_is_writes_over_capacity_and_days():
    assert drive_writes_per_day(4e12, 4e12, 86_400.0) == 1.0
    assert drive_writes_per_day(1.0, 1.0, 0.0) == 0.0
