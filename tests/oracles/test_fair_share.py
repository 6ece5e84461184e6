"""Max-min fair rates against systems that can be solved on paper."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.errors import ScenarioError
from hetsim.topology import max_min_rates, progressive_fill


def test_one_flow_takes_the_tightest_link():
    # x <= 10, x <= 4, x <= 7  ->  x = 4
    assert max_min_rates({0: [0, 1, 2]}, [10.0, 4.0, 7.0]) == {0: 4.0}


def test_equal_flows_split_a_link():
    # x + y + z <= 9, equal  ->  3 each
    assert max_min_rates({5: [0], 6: [0], 7: [0]}, [9.0]) == {5: 3.0, 6: 3.0, 7: 3.0}


def test_three_flows_two_links():
    # x + y <= 10   (link 0)
    #     y + z <= 4 (link 1)   Link 1 fills at 2: y = z = 2; the rest of link 0 is x = 8.
    assert max_min_rates({1: [0], 2: [0, 1], 3: [1]}, [10.0, 4.0]) == {1: 8.0, 2: 2.0, 3: 2.0}


def test_the_long_flow_of_a_line_does_not_starve_and_does_not_win():
    # x + a <= 1, x + b <= 1, x + c <= 1  ->  all 1/2 (proportional fairness would give x = 1/4)
    rates = max_min_rates({0: [0, 1, 2], 1: [0], 2: [1], 3: [2]}, [1.0, 1.0, 1.0])
    assert rates == {0: 0.5, 1: 0.5, 2: 0.5, 3: 0.5}


def test_five_flows_fill_in_three_rounds():
    # a + b + c <= 3        link 0 fills first, at 1: a = b = c = 1
    # c + d     <= 6        d = 6 - 1 = 5
    # d + e     <= 20       e = 20 - 5 = 15
    flows = {1: [0], 2: [0], 3: [0, 1], 4: [1, 2], 5: [2]}
    assert max_min_rates(flows, [3.0, 6.0, 20.0]) == {1: 1.0, 2: 1.0, 3: 1.0, 4: 5.0, 5: 15.0}


def test_what_a_limited_flow_leaves_goes_to_the_others():
    # x <= 1, x + y + z <= 10  ->  x = 1, y = z = 4.5
    rates = max_min_rates({0: [0], 1: [0], 2: [0]}, [10.0], {0: 1.0})
    assert rates == {0: 1.0, 1: 4.5, 2: 4.5}


def test_incast_and_outcast():
    # Senders 0 and 1 (ports 0, 1: 10 each), receivers 0 and 1 (ports 2, 3: 10 and 3).
    # a: 0->0, b: 0->1, c: 1->1.  b + c <= 3 -> 1.5 each; a = 10 - 1.5 = 8.5.
    rates = max_min_rates({0: [0, 2], 1: [0, 3], 2: [1, 3]}, [10.0, 10.0, 10.0, 3.0])
    assert rates == {0: 8.5, 1: 1.5, 2: 1.5}


def test_shares_count_bytes_and_not_flows():
    # Half of x crosses link 0: x/2 + y <= 3, rising together  ->  x = y = 2.
    assert progressive_fill([[(0, 0.5)], [(0, 1.0)]], [3.0], [inf, inf]) == [2.0, 2.0]


def test_the_order_of_links_in_a_route_and_a_link_named_twice_do_not_matter():
    assert max_min_rates({0: [1, 0, 1], 1: [0]}, [2.0, 9.0]) == {0: 1.0, 1: 1.0}


def test_a_dead_link_stops_its_flows_only():
    assert max_min_rates({0: [0], 1: [0, 1], 2: [1]}, [0.0, 5.0]) == {0: 0.0, 1: 0.0, 2: 5.0}


def test_no_flows_and_no_links():
    assert max_min_rates({}, [1.0]) == {}
    assert max_min_rates({0: []}, []) == {0: inf}


def test_every_wrong_input_is_named():
    with pytest.raises(ScenarioError) as caught:
        max_min_rates({3: [7], 4: [0]}, [-1.0, float("nan")], {4: -2.0})
    text = str(caught.value)
    assert "flow 3 names link 7 of 2" in text
    assert "link 0 is -1.0" in text
    assert "link 1 is nan" in text
    assert "limit of flow 4 is -2.0" in text


@st.composite
def systems(draw):
    links = draw(st.integers(1, 6))
    capacity = draw(st.lists(st.floats(0.1, 100.0), min_size=links, max_size=links))
    route = st.lists(st.integers(0, links - 1), min_size=1, max_size=links, unique=True)
    share = st.sampled_from([1.0, 0.5, 0.25])
    routes = [[(link, draw(share)) for link in draw(route)] for _ in range(draw(st.integers(1, 8)))]
    limits = draw(
        st.lists(
            st.one_of(st.just(inf), st.floats(0.1, 50.0)),
            min_size=len(routes),
            max_size=len(routes),
        )
    )
    return routes, capacity, limits


@given(systems())
def test_every_flow_has_a_bottleneck_and_no_link_overflows(system):
    """The definition: a full link on which nobody is faster, or its own limit. It is unique."""
    routes, capacity, limits = system
    rates = progressive_fill(routes, capacity, limits)
    load = [0.0] * len(capacity)
    fastest = [0.0] * len(capacity)
    for route, rate in zip(routes, rates, strict=True):
        for link, share in route:
            load[link] += share * rate
            fastest[link] = max(fastest[link], rate)
    for used, there in zip(load, capacity, strict=True):
        assert used <= there * (1 + 1e-9)
    for route, rate, limit in zip(routes, rates, limits, strict=True):
        full = [
            link
            for link, _ in route
            if load[link] >= capacity[link] * (1 - 1e-9) and rate >= fastest[link] * (1 - 1e-9)
        ]
        assert full or rate >= limit * (1 - 1e-9)


@given(systems(), st.integers(-20, 20))
def test_rates_scale_with_capacity(system, power):
    routes, capacity, limits = system
    factor = 2.0**power  # exact in binary, so the rates must be exactly proportional
    before = progressive_fill(routes, capacity, limits)
    after = progressive_fill(routes, [c * factor for c in capacity], [x * factor for x in limits])
    assert after == [rate * factor for rate in before]


@given(
    st.lists(st.floats(0.1, 50.0), min_size=1, max_size=8), st.floats(0.1, 50.0), st.floats(1, 100)
)
def test_a_new_flow_speeds_nobody_on_one_link(limits, newcomer, capacity):
    before = progressive_fill([[(0, 1.0)]] * len(limits), [capacity], limits)
    after = progressive_fill([[(0, 1.0)]] * (len(limits) + 1), [capacity], [*limits, newcomer])
    for old, new in zip(before, after, strict=False):
        assert new <= old * (1 + 1e-12)
