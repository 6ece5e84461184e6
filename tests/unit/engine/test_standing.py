"""Standing demands: what flows leave them and they leave flows, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.engine import Engine, SharedFabric
from hetsim.errors import InvariantViolated
from hetsim.topology import wire

RATE = 100.0


def made(nbytes: tuple[float, ...] = (), limits: tuple[float, ...] = ()) -> Any:
    """Return engine, fabric, a demand, and the flows beside it on one link of 100 B/s."""
    engine, network = Engine(), wire(RATE)
    fabric = SharedFabric(engine, network)
    path = network.path("a", "b")
    standing = fabric.stand(path)
    limits = limits or (float("inf"),) * len(nbytes)
    flows = [
        fabric.start(path, size, lambda flow: None, None, limit)
        for size, limit in zip(nbytes, limits, strict=True)
    ]
    fabric.settle()
    return engine, fabric, standing, flows


def test_a_small_demand_is_met_and_the_flow_has_the_rest():
    _, fabric, standing, (flow,) = made((1000.0,))
    fabric.want(standing, 30.0)
    assert (standing.rate_bytes_per_s, flow.rate_bytes_per_s) == (30.0, 70.0)


def test_a_demand_never_has_more_than_its_fair_share():
    _, fabric, standing, flows = made((1000.0, 1000.0, 1000.0))
    fabric.want(standing, 60.0)
    assert standing.rate_bytes_per_s == 25.0
    assert [flow.rate_bytes_per_s for flow in flows] == [25.0, 25.0, 25.0]


def test_the_offer_is_the_max_min_share_with_slow_flows_counted_as_they_are():
    """Flows of 10 (its own limit) and one without: 100 = 10 + 45 + 45; 100 = 10 + 80 + 10."""
    _, fabric, standing, flows = made((1000.0, 1000.0), (10.0, float("inf")))
    before = [flow.rate_bytes_per_s for flow in flows]
    assert fabric.offer(standing, RATE) == 45.0
    assert fabric.offer(standing, 10.0) == 10.0
    assert [flow.rate_bytes_per_s for flow in flows] == before == [10.0, 90.0]


def test_the_offer_counts_other_demands_at_their_mean_and_not_its_own():
    _, fabric, standing, _ = made()
    fabric.want(standing, 70.0)
    other = fabric.stand(fabric.network.path("a", "b"))
    fabric.want(other, 20.0)
    assert fabric.offer(standing, RATE) == 80.0
    assert fabric.offer(other, RATE) == 50.0


def test_what_was_wanted_before_is_forgotten():
    engine, fabric, standing, (flow,) = made((1000.0,))
    fabric.want(standing, 50.0)
    engine.call_at(4.0, lambda: fabric.want(standing, 20.0))
    engine.call_at(5.0, lambda: fabric.want(standing, 0.0))
    engine.run()
    # 4 s at 50, 1 s at 80, the other 720 B at 100.
    assert flow.landed_s == pytest.approx(12.2, abs=1e-12)
    fabric.check()


def test_only_what_is_booked_counts_as_carried():
    engine, fabric, standing, (flow,) = made((1000.0,))
    fabric.want(standing, 50.0)
    engine.call_at(10.0, lambda: fabric.want(standing, 0.0))
    engine.call_at(10.0, lambda: fabric.book(standing, 450.0))
    engine.run()
    assert fabric.sent_bytes == fabric.landed_bytes == 1000.0
    assert fabric.carried_bytes(0) == 1450.0
    assert fabric.busy_s(0) == flow.landed_s == 15.0
    fabric.check()


def test_a_link_that_is_down_offers_nothing_and_comes_back():
    engine, fabric, standing, _ = made()
    fabric.want(standing, 50.0)
    fabric.set_capacity(0, 0.0)
    assert (standing.rate_bytes_per_s, fabric.offer(standing, RATE)) == (0.0, 0.0)
    fabric.set_capacity(0, 40.0)
    assert (standing.rate_bytes_per_s, fabric.offer(standing, RATE)) == (40.0, 40.0)
    engine.run()


@pytest.mark.parametrize("rate", [-1.0, float("nan"), float("inf")])
def test_a_demand_is_a_finite_rate(rate: float):
    _, fabric, standing, _ = made()
    with pytest.raises(InvariantViolated, match="L9"):
        fabric.want(standing, rate)
