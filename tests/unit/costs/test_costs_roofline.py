import math

import pytest

from hetsim.costs._roofline import (
    busiest_rank,
    expected_experts,
    expected_maximum,
    expected_ranks,
    head_factor,
    smooth_max,
)


def test_smooth_max_is_the_p_norm():
    assert smooth_max(3.0, 4.0, 2.0) == pytest.approx(5.0)
    assert smooth_max(4.0, 3.0, 1.0) == pytest.approx(7.0)


def test_smooth_max_does_not_overflow_for_tiny_or_huge_times():
    assert smooth_max(1e-300, 1e-300, 8.0) == pytest.approx(1e-300 * 2 ** (1 / 8))
    assert smooth_max(1e200, 1e-200, 8.0) == 1e200


def test_expected_experts_of_one_token_are_its_picks():
    assert expected_experts(256, 256, 8, 1) == pytest.approx(8.0)


def test_expected_experts_match_an_enumeration():
    # Two tokens, each picks 1 of 2 experts: both the same half of the time.
    assert expected_experts(2, 2, 1, 2) == pytest.approx(1.5)


def test_expected_ranks_match_an_enumeration():
    # Two picks over two ranks: the other rank is missed in 1 of 4 cases.
    assert expected_ranks(2, 2) == pytest.approx(0.75)


@pytest.mark.parametrize(("ranks", "published"), [(2, 0.564), (8, 1.424), (32, 2.070)])
def test_expected_maximum_is_near_the_published_order_statistic(ranks, published):
    assert expected_maximum(ranks) == pytest.approx(published, rel=0.05)


def test_busiest_rank_is_the_mean_without_spread_and_never_beyond_the_limit():
    assert busiest_rank(3.0, 32.0, 0.0) == 3.0
    assert busiest_rank(31.9, 32.0, 2.0) == 32.0
    assert busiest_rank(8.0, 16.0, 1.5) == pytest.approx(8.0 + 1.5 * math.sqrt(4.0))


def test_head_factor_is_linear_in_the_logarithm():
    assert head_factor(1.5, 0.8, math.sqrt(64 * 128)) == pytest.approx(1.25)
    assert head_factor(1.5, 0.8, 256) == pytest.approx(0.8)
