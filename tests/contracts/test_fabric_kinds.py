"""What every fabric kind must do, whichever files there are."""

from __future__ import annotations

import pytest

from hetsim.engine import Engine, Fabric
from hetsim.spec import kinds, lookup
from hetsim.topology import Device, FabricSpec, Tenant, place

GB = 1e9
STATED = {
    "nic": 50 * GB,
    "nics_per_node": 8,
    "oversubscription": 2.0,
    "nodes_per_leaf": 2,
    "link": 50 * GB,
}
DEVICE = Device(
    kind="h100",
    host_bytes_per_s=63 * GB,
    scale_up="switched",
    scale_up_bytes_per_s=450 * GB,
    per_peer_bytes_per_s=450 * GB,
    domain=8,
)
POOLS = [
    Tenant(pool="prefill", instances=4, devices=4, devices_per_node=8, device=DEVICE),
    Tenant(pool="decode", instances=2, devices=16, devices_per_node=8, device=DEVICE),
]


@pytest.fixture(params=kinds("fabric"))
def made(request):
    cls = lookup("fabric", request.param)
    names = cls.__dataclass_fields__
    return cls(**{key: value for key, value in STATED.items() if key in names})


@pytest.fixture
def net(made):
    return made.build(place(POOLS))


def pairs(net):
    ends = net.endpoints
    return [(a, b) for a in ends for b in ends if a != b]


def test_it_is_a_fabric_spec_and_says_its_kind(made):
    assert isinstance(made, FabricSpec)
    assert lookup("fabric", made.fabric) is type(made)
    assert type(made).__doc__


def test_links_are_numbered_named_once_and_finite(net):
    assert [link.id for link in net.links] == list(range(len(net.links)))
    assert len({link.name for link in net.links}) == len(net.links)
    for link in net.links:
        assert 0.0 < link.capacity_bytes_per_s < float("inf")
        assert link.latency_s >= 0.0


def test_every_pair_is_joined_by_real_links(net):
    for a, b in pairs(net):
        path = net.path(a, b)
        one_memory = {a, b} == {"prefill/0/host", "prefill/1/host"}  # as on every node they share
        one_memory |= {a, b} == {"prefill/2/host", "prefill/3/host"}
        assert bool(path.links) is not one_memory, (a, b)
        if one_memory:
            continue
        assert len(set(path.links)) == len(path.links)
        assert all(0.0 < share <= 2.0 for _, share in path.route)
        assert 0.0 < net.bottleneck_bytes_per_s(path) < float("inf")


def test_there_and_back_are_equally_fast_and_share_no_link_but_host_memory(net):
    for a, b in pairs(net):
        there, back = net.path(a, b), net.path(b, a)
        assert net.bottleneck_bytes_per_s(there) == pytest.approx(net.bottleneck_bytes_per_s(back))
        assert there.latency_s == pytest.approx(back.latency_s)
        both = set(there.links) & set(back.links)
        assert all(net.links[link].kind == "host" for link in both)


def test_between_nodes_the_latency_is_at_least_that_of_the_fabric(made, net):
    assert net.path("prefill/0", "decode/0").latency_s >= made.latency * (1 - 1e-12)


def test_nothing_that_leaves_an_instance_avoids_its_own_links(net):
    """All ways out of prefill/0 together are no faster than its NICs, however many receivers."""
    engine = Engine()
    fabric = Fabric(engine, net)
    for index in range(2):
        fabric.start(net.path("prefill/0", f"decode/{index}"), 1e12, lambda flow: None)
    engine.run(until=1e-3)
    fabric.check()
    total = sum(flow.rate_bytes_per_s for flow in fabric.flows)
    assert total <= 4 * 50 * GB


def test_twice_the_line_rate_is_never_slower(made):
    wide = {
        key: value * (2 if key in ("nic", "link") else 1)
        for key, value in STATED.items()
        if key in type(made).__dataclass_fields__
    }
    slow, fast = made.build(place(POOLS)), type(made)(**wide).build(place(POOLS))
    for a, b in pairs(slow):
        assert fast.bottleneck_bytes_per_s(fast.path(a, b)) >= slow.bottleneck_bytes_per_s(
            slow.path(a, b)
        )


def test_building_twice_gives_the_same_network(made):
    one, two = made.build(place(POOLS)), made.build(place(POOLS))
    assert one.links == two.links
    for a, b in pairs(one):
        assert one.path(a, b).route == two.path(a, b).route
