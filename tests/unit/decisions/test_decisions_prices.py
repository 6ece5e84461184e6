"""A ranking per dollar shows the prices it rests on, and whether its order survives them."""

from __future__ import annotations

from itertools import product
from random import Random

import pytest

from hetsim.decisions._price_range import Offer, least_ratio, offers_of, price_story
from hetsim.scenario import load_scenario


def offer(low: float, high: float, seller: str = "x") -> Offer:
    return Offer(low, 0.5 * (low + high), high, seller, "2026")


def test_the_least_ratio_is_the_least_of_a_grid() -> None:
    draw = Random(3)
    for _ in range(20):
        offers = {name: offer(draw.uniform(1, 2), draw.uniform(2, 4)) for name in "abc"}
        first = {name: draw.randint(1, 8) for name in "ab"}
        second = {name: draw.randint(1, 8) for name in "bc"}
        steps = [
            [offers[n].low + k / 6 * (offers[n].high - offers[n].low) for k in range(7)]
            for n in "abc"
        ]
        grid = []
        for a, b, c in product(*steps):
            grid.append((second["b"] * b + second["c"] * c) / (first["a"] * a + first["b"] * b))
        mid = {name: offers[name].used for name in "abc"}
        base = (second["b"] * mid["b"] + second["c"] * mid["c"]) / (
            first["a"] * mid["a"] + first["b"] * mid["b"]
        )
        assert least_ratio(first, second, offers) == pytest.approx(min(grid) / base)


def test_a_small_lead_falls_and_a_large_one_stays() -> None:
    here = load_scenario("quickstart")
    more = load_scenario("quickstart", sets=["pools.decode.accelerator=h100"])
    close = price_story([here, more], [1.02, 1.0])
    assert not close["order"][0]["survives"]
    assert close["order"][0]["worst_lead"] < 1.0 < close["order"][0]["lead"]
    assert any("falls behind 2 where prices speak against it" in line for line in close["says"])
    wide = price_story([here, more], [3.0, 1.0])
    assert wide["order"][0]["survives"]
    assert "h100-sxm 1.99 to 2.95" in wide["says"][0]


def test_stated_prices_have_no_range_and_sellers_of_two_kinds_are_named() -> None:
    stated = load_scenario("quickstart", sets=["prices={h100: 2 USD/h, decode: 3 USD/h}"])
    _, offers = offers_of(stated)
    assert all(one.low == one.high for one in offers.values())
    assert "h200-sxm (decode)" in offers
    mixed = load_scenario("quickstart", sets=["prices={decode: 3 USD/h}"])
    story = price_story([mixed, mixed], [2.0, 1.0])
    assert any("different kinds of seller" in line for line in story["says"])
