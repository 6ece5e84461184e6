"""Links that are always crossed together are one; a route that parts them loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetsim.engine import Engine, Fabric
from hetsim.engine._bundles import Bundler
from hetsim.engine._flow import LinkState
from hetsim.topology import DirectedLink, Network, Path


def _fabric(*capacity):
    links = [DirectedLink(i, f"link{i}", c, 0.0, "direct") for i, c in enumerate(capacity)]
    engine = Engine()
    return engine, Fabric(engine, Network(links, None))


def test_links_of_one_route_are_one_bundle_as_narrow_as_the_least():
    bundler = Bundler([LinkState(i, c) for i, c in enumerate((30.0, 10.0, 20.0))])
    ((bundle, share),), changed = bundler.route([(0, 1.0), (1, 1.0), (2, 1.0)])
    assert (bundle.capacity, share, changed) == (10.0, 1.0, False)


def test_other_shares_are_other_bundles():
    bundler = Bundler([LinkState(i, 10.0) for i in range(3)])
    route, _ = bundler.route([(0, 1.0), (1, 0.5), (2, 0.5)])
    assert [(len(bundle.links), share) for bundle, share in route] == [(1, 1.0), (2, 0.5)]


def test_a_bundle_is_split_where_a_route_needs_a_part_of_it_and_stays_so():
    bundler = Bundler([LinkState(i, 10.0) for i in range(3)])
    whole = [(0, 1.0), (1, 1.0), (2, 1.0)]
    bundler.route(whole)
    ((part, _),), changed = bundler.route([(1, 1.0)])
    assert changed and [link.id for link in part.links] == [1]
    again, changed = bundler.route(whole)
    assert not changed and [[k.id for k in b.links] for b, _ in again] == [[0, 2], [1]]


def test_a_split_under_a_flow_keeps_its_past_and_its_share():
    # a: 100 B from 0 s over links 0 and 1. b joins on link 1 alone at 4 s and takes half of it.
    engine, fabric = _fabric(10.0, 10.0)
    done = {}
    fabric.start(Path((0, 1), 0.0), 100.0, lambda flow: done.update(a=engine.now))
    engine.call_at(
        4.0, lambda: fabric.start(Path((1,), 0.0), 20.0, lambda flow: done.update(b=engine.now))
    )
    engine.after_event(fabric.check)
    engine.run(until=6.0)
    assert [fabric.carried_bytes(link) for link in (0, 1)] == pytest.approx([50.0, 60.0])
    assert fabric.link_rate_bytes_per_s(0) == pytest.approx(5.0)
    engine.run()
    assert done == pytest.approx({"b": 8.0, "a": 12.0})
    assert [fabric.busy_s(link) for link in (0, 1)] == pytest.approx([12.0, 12.0])


def test_a_slower_link_of_a_bundle_slows_its_flows_and_the_others_are_what_they_were():
    engine, fabric = _fabric(10.0, 10.0)
    done = []
    fabric.start(Path((0, 1), 0.0), 100.0, lambda flow: done.append(engine.now))
    engine.call_at(5.0, lambda: fabric.set_capacity(1, 5.0))
    engine.run()
    assert done == [15.0]
    assert [link.capacity for link in fabric.links] == [10.0, 5.0]


def test_flows_that_begin_at_one_moment_have_their_rates_when_somebody_asks():
    engine, fabric = _fabric(12.0)
    seen = []

    def begin():
        fabric.start(Path((0,), 0.0), 12.0, lambda flow: None)
        seen.append((fabric.link_rate_bytes_per_s(0), fabric.fair_share_bytes_per_s(0)))

    for _ in range(3):
        engine.call_at(1.0, begin)
    engine.run()
    assert seen == [(12.0, 6.0), (12.0, 4.0), (12.0, 3.0)]


ROUTES = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True), max_size=8)


@given(ROUTES, st.lists(st.floats(1.0, 50.0), min_size=8, max_size=8))
@settings(deadline=None)
def test_every_link_carries_what_its_routes_say_whatever_the_order_of_learning(routes, sizes):
    engine, fabric = _fabric(10.0, 7.0, 9.0, 8.0, 6.0)
    for number, links in enumerate(routes):
        path = Path(tuple(links), 0.0)

        def begin(path=path, size=sizes[number]):
            fabric.start(path, size, lambda flow: None)

        engine.call_at(0.7 * number, begin)
    engine.after_event(fabric.check)
    engine.run()
    for link in range(5):
        due = sum(sizes[n] for n, links in enumerate(routes) if link in links)
        assert fabric.carried_bytes(link) == pytest.approx(due)
        assert fabric.busy_s(link) * fabric.links[link].capacity >= due * (1 - 1e-9)
