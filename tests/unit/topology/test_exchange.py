"""Which links the collectives of an instance use, and with how many of its devices."""

from __future__ import annotations

import pytest

from hetsim.topology import Device, Network, Tenant, place
from hetsim.topology._exchange import exchanges
from hetsim.topology.fabrics.single_switch import SingleSwitch
from hetsim.topology.fabrics.two_tier import TwoTier

NIC = {"nic": 10e9, "nics_per_node": 2, "efficiency": 1.0, "pcie": 10e9, "pcie_efficiency": 1.0}
DEVICE = Device(kind="l40s")


def network(devices: int, fabric: object = None, **more: object) -> Network:
    tenant = Tenant(pool="d", instances=1, devices=devices, devices_per_node=2, device=DEVICE)
    spec = TwoTier(**NIC, **more) if fabric == "two_tier" else SingleSwitch(**NIC)
    return spec.build(place([tenant]))


def shares(found: Network, devices: int, *groups: tuple[str, int]) -> dict[str, float]:
    path = found.among("d/0", devices, groups)
    if path is None:
        return {}
    return {found.links[link].name: share for link, share in path.route}


def test_a_ring_over_two_nodes_uses_every_nic_in_both_directions():
    found = shares(network(4), 4, ("ring", 4))
    nics = {name: share for name, share in found.items() if "nic" in name}
    assert nics == dict.fromkeys(
        ("n0/nic0-1.tx", "n1/nic0-1.rx", "n1/nic0-1.tx", "n0/nic0-1.rx"), 0.5
    )
    assert {name for name in found if "pcie" in name} == {
        f"d/0@n{node}.pcie.{way}" for node in (0, 1) for way in ("out", "in")
    }


def test_groups_that_fit_a_node_use_nothing():
    assert shares(network(4), 4, ("ring", 2)) == {}


def test_a_pipeline_sends_one_way():
    found = shares(network(4), 4, ("shift", 2))
    assert {name for name in found if "nic" in name} == {"n0/nic0-1.tx", "n1/nic0-1.rx"}


def test_only_the_devices_at_the_end_of_a_node_send_on():
    """Four stages of one device: only the second of each node has its next stage elsewhere."""
    found = shares(network(4), 4, ("shift", 1))
    assert {name: share for name, share in found.items() if "nic" in name} == {
        "n0/nic0-1.tx": 0.25,
        "n1/nic0-1.rx": 0.25,
    }


def test_an_exchange_over_four_nodes_crosses_the_spine_with_two_thirds_of_its_bytes():
    """Two nodes a leaf: of three other nodes one is on the same leaf."""
    wide = network(8, "two_tier", oversubscription=2.0, nodes_per_leaf=2)
    found = shares(wide, 8, ("all_to_all", 8))
    assert found["leaf0.up"] == pytest.approx(0.5 * 2 / 3)
    assert found["n0/nic0-1.tx"] == pytest.approx(0.25)


def test_the_busiest_of_several_groups_counts():
    found = shares(network(4), 4, ("shift", 1), ("ring", 4))
    assert found["n0/nic0-1.tx"] == 0.5


def test_unlike_parts_exchange_at_the_pace_of_the_smaller():
    assert exchanges([4, 2], [0, 1], "ring", 6) == {(0, 1): 2.0, (1, 0): 2.0}


def test_in_a_rack_every_node_sends_to_its_like_in_the_next():
    """Four nodes, two to a scale-up domain."""
    found = exchanges([2, 2, 2, 2], [0, 0, 1, 1], "ring", 8)
    assert found == {(0, 2): 2.0, (1, 3): 2.0, (2, 0): 2.0, (3, 1): 2.0}
