from __future__ import annotations

import pytest

from hetsim.errors import ScenarioError
from hetsim.topology import Device, Tenant, place

H100 = Device(kind="h100", scale_up="switched", scale_up_bytes_per_s=450e9, domain=8)
H20 = Device(kind="h20", scale_up="switched", scale_up_bytes_per_s=450e9, domain=8)


def tenant(pool, instances, devices, per_node=8, device=H100):
    return Tenant(
        pool=pool, instances=instances, devices=devices, devices_per_node=per_node, device=device
    )


def spots(placement):
    return {
        placed.name: [(slot.node, slot.first, slot.devices) for slot in placed.slots]
        for placed in placement.instances
    }


def test_instances_fill_nodes_in_order_of_declaration():
    found = spots(place([tenant("p", 3, 4), tenant("d", 1, 8)]))
    assert found == {
        "p/0": [(0, 0, 4)],
        "p/1": [(0, 4, 4)],
        "p/2": [(1, 0, 4)],
        "d/0": [(2, 0, 8)],
    }


def test_an_instance_that_fits_is_not_split_and_leaves_a_gap():
    assert spots(place([tenant("p", 2, 5)])) == {"p/0": [(0, 0, 5)], "p/1": [(1, 0, 5)]}


def test_a_large_instance_takes_whole_nodes_and_its_rest_may_be_joined():
    found = spots(place([tenant("p", 1, 20), tenant("d", 1, 8)]))
    assert found["p/0"] == [(0, 0, 8), (1, 0, 8), (2, 0, 4)]
    assert found["d/0"] == [(3, 0, 8)]
    assert spots(place([tenant("p", 2, 12)]))["p/1"] == [(2, 0, 8), (1, 4, 4)]


def test_pools_share_nodes_only_when_asked_and_only_with_like_devices():
    half = [tenant("p", 1, 4), tenant("d", 1, 4)]
    assert spots(place(half))["d/0"] == [(1, 0, 4)]
    assert spots(place(half, share="domain"))["d/0"] == [(1, 0, 4)]
    assert spots(place(half, share="node"))["d/0"] == [(0, 4, 4)]
    unlike = [tenant("p", 1, 4), tenant("d", 1, 4, device=H20)]
    assert spots(place(unlike, share="node"))["d/0"] == [(1, 0, 4)]


def test_a_rack_wide_domain_spans_nodes_of_one_pool_and_of_two_when_asked():
    rack = Device(kind="gb200", scale_up="switched", scale_up_bytes_per_s=900e9, domain=8)
    pools = [tenant("p", 3, 4, 4, rack), tenant("d", 1, 4, 4, rack)]
    assert place(pools).domains == (0, 0, 1, 2)
    assert place(pools, share="domain").domains == (0, 0, 1, 1)


def test_a_domain_smaller_than_a_node_splits_it():
    bridged = Device(kind="h100-nvl", scale_up="switched", scale_up_bytes_per_s=300e9, domain=2)
    placement = place([tenant("p", 3, 2, 4, bridged)])
    domains = [placement.domain_of(p, p.slots[0]) for p in placement.instances]
    assert len(set(domains)) == 3


def test_placement_prints_as_rows_by_node():
    placement = place([tenant("prefill", 1, 16), tenant("decode", 2, 1)])
    assert placement.rows() == [
        (0, "prefill", 0, "0-7"),
        (1, "prefill", 0, "0-7"),
        (2, "decode", 0, "0"),
        (2, "decode", 1, "1"),
    ]
    assert placement.nodes == 3
    assert str(placement).splitlines() == [
        "node  pool     instance  devices",
        "0     prefill  0         0-7",
        "1     prefill  0         0-7",
        "2     decode   0         0",
        "2     decode   1         1",
    ]


def test_every_wrong_count_is_listed():
    with pytest.raises(ScenarioError) as caught:
        place([tenant("p", 0, -1), tenant("p", 1, 1, 0)])
    text = str(caught.value)
    for part in (
        "pools.p.instances: is 0",
        "pools.p.devices: is -1",
        "pools.p.devices_per_node: is 0",
        "pools.p: this pool is placed twice",
        "4 problems",
    ):
        assert part in text
