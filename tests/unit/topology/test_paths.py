from __future__ import annotations

import pytest

from hetsim.engine import Engine, Fabric
from hetsim.errors import ScenarioError
from hetsim.spec._check import build
from hetsim.topology import Device, NetworkSpec, Tenant, place

GB = 1e9
NVL = Device(
    kind="h100",
    host_bytes_per_s=63 * GB,
    scale_up="switched",
    scale_up_bytes_per_s=450 * GB,
    per_peer_bytes_per_s=450 * GB,
    domain=8,
)
PCIE = Device(kind="l40s", host_bytes_per_s=31.5 * GB)
PLAIN = Device(kind="plain")  # no host link is known, so NICs alone limit

NIC = {"nic": "50 GB/s", "nics_per_node": 4, "efficiency": 1.0, "latency": "4 us"}


def tenant(pool, instances, devices, per_node=8, device=PLAIN):
    return Tenant(
        pool=pool, instances=instances, devices=devices, devices_per_node=per_node, device=device
    )


def network(tenants, fabric="single_switch", **more):
    spec = build(NetworkSpec, {"fabric": fabric, **NIC, **more})
    return spec.build(place(tenants, share=spec.share))


def names(net, src, dst):
    return [net.links[link].name for link in net.path(src, dst).links]


def rate(net, src, dst):
    return net.bottleneck_bytes_per_s(net.path(src, dst)) / GB


def test_an_instance_has_the_nics_that_its_devices_own():
    net = network([tenant("p", 2, 4), tenant("d", 1, 8)])
    assert names(net, "p/0", "d/0") == ["n0/nic0-1.tx", "n1/nic0-3.rx"]
    assert names(net, "p/1", "d/0") == ["n0/nic2-3.tx", "n1/nic0-3.rx"]
    assert rate(net, "p/0", "d/0") == 100.0
    assert net.path("p/0", "d/0").latency_s == pytest.approx(4e-6)
    assert net.path("p/0", "d/0") is net.path("p/0", "d/0")


def test_instances_on_one_nic_share_one_link():
    net = network([tenant("p", 4, 1), tenant("d", 1, 8)])
    assert names(net, "p/0", "d/0")[0] == names(net, "p/1", "d/0")[0] == "n0/nic0.tx"
    assert names(net, "p/2", "d/0")[0] == "n0/nic1.tx"


def test_instances_that_own_a_nic_in_common_share_just_that_one():
    # 3 devices of 8 own NICs 0 and 1 (1.5 of 4); devices 3 to 5 own 1 and 2.
    net = network([tenant("p", 2, 3), tenant("d", 1, 8)])
    one, two = net.path("p/0", "d/0"), net.path("p/1", "d/0")
    assert names(net, "p/0", "d/0") == ["n0/nic0.tx", "n1/nic0-3.rx", "n0/nic1.tx"]
    assert one.shares == (0.5, 1.0, 0.5)
    assert set(one.links) & set(two.links) == {
        net.link("n0/nic1.tx").id,
        net.link("n1/nic0-3.rx").id,
    }
    assert rate(net, "p/0", "d/0") == 100.0


def test_efficiency_and_pcie_take_their_part():
    net = network([tenant("p", 1, 8, device=PCIE), tenant("d", 1, 8)], efficiency=0.5)
    assert names(net, "p/0", "d/0") == ["p/0@n0.pcie.out", "n0/nic0-3.tx", "n1/nic0-3.rx"]
    assert net.link("n0/nic0-3.tx").capacity_bytes_per_s == 100 * GB
    assert net.link("p/0@n0.pcie.out").capacity_bytes_per_s == pytest.approx(8 * 31.5 * GB * 0.82)
    stated = network([tenant("p", 1, 8, device=PCIE)], pcie="10 GB/s", pcie_efficiency=1.0)
    assert stated.link("p/0@n0.pcie.out").capacity_bytes_per_s == 80 * GB


@pytest.mark.parametrize(("nics", "ceiling"), [(1, 0.95), (2, 0.8), (4, 0.8), (8, 0.7)])
def test_without_a_stated_efficiency_the_ceiling_falls_with_the_nics(nics, ceiling):
    data = {"fabric": "single_switch", "nic": "50 GB/s", "nics_per_node": nics}
    net = build(NetworkSpec, data).build(place([tenant("p", 1, 8), tenant("d", 1, 8)]))
    assert rate(net, "p/0", "d/0") == pytest.approx(nics * 50 * ceiling)


def test_pools_may_have_other_nics():
    net = network(
        [tenant("p", 1, 8), tenant("d", 1, 8)], pools={"p": {"nic": "10 GB/s", "nics_per_node": 1}}
    )
    assert rate(net, "p/0", "d/0") == 10.0
    assert net.link("n1/nic0-3.rx").capacity_bytes_per_s == 200 * GB


def test_inside_a_node_the_scale_up_link_is_taken_and_else_host_memory():
    fast = network([tenant("p", 2, 4, device=NVL)], scale_up_efficiency=0.5)
    assert names(fast, "p/0", "p/1") == ["p/0@n0.scale_up.out", "p/1@n0.scale_up.in"]
    assert rate(fast, "p/0", "p/1") == 4 * 450 * 0.5
    assert fast.path("p/0", "p/1").latency_s == pytest.approx(3.1e-6)
    slow = network([tenant("p", 2, 4, device=PCIE)], host_memory="60 GB/s")
    assert "n0.host" in names(slow, "p/0", "p/1")
    assert rate(slow, "p/0", "p/1") == 30.0  # written once, read once


def test_a_mesh_gives_a_pair_only_the_links_between_them():
    mesh = Device(
        kind="mi300x",
        scale_up="mesh",
        scale_up_bytes_per_s=448 * GB,
        per_peer_bytes_per_s=64 * GB,
        domain=8,
    )
    net = network([tenant("p", 8, 1, device=mesh)], scale_up_efficiency=1.0)
    assert rate(net, "p/0", "p/7") == 64.0
    pairs = network([tenant("p", 2, 4, device=mesh)], scale_up_efficiency=1.0)
    assert rate(pairs, "p/0", "p/1") == 4 * 4 * 64.0


def test_a_rack_wide_domain_joins_pools_only_when_asked():
    rack = Device(kind="gb200", scale_up="switched", scale_up_bytes_per_s=900 * GB, domain=8)
    pools = [tenant("p", 1, 4, 4, rack), tenant("d", 1, 4, 4, rack)]
    assert "nic" in "".join(names(network(pools), "p/0", "d/0"))
    assert "scale_up" in "".join(names(network(pools, share="domain"), "p/0", "d/0"))


def test_host_memory_of_an_instance():
    net = network([tenant("p", 2, 4, device=NVL), tenant("d", 1, 8, device=NVL)])
    assert names(net, "p/0", "p/0/host") == ["p/0@n0.pcie.out", "n0.host"]
    assert names(net, "p/0/host", "p/0") == ["n0.host", "p/0@n0.pcie.in"]
    assert names(net, "p/1", "p/0/host") == ["p/1@n0.pcie.out", "n0.host"]
    # From host to host every NIC of the node serves, not those of one instance.
    out = net.path("p/0/host", "d/0/host")
    used = {net.links[link].name: share for link, share in out.route}
    assert used == {
        "n0.host": 1.0,
        "n0/nic0-1.tx": 0.5,
        "n0/nic2-3.tx": 0.5,
        "n1/nic0-3.rx": 1.0,
        "n1.host": 1.0,
    }


def test_a_device_that_no_nic_can_address_goes_through_its_host():
    npu = Device(kind="npu", host_bytes_per_s=31.5 * GB, rdma=False)
    net = network([tenant("p", 1, 8, device=npu), tenant("d", 1, 8)], host_memory="100 GB/s")
    path = net.path("p/0", "d/0")
    shares = {net.links[link].name: share for link, share in path.route}
    assert shares["n0.host"] == 2.0  # written by the device, read by the NIC
    assert rate(net, "p/0", "d/0") == 50.0


def test_an_instance_over_two_nodes_spreads_its_bytes_over_both():
    net = network([tenant("p", 1, 16), tenant("d", 1, 8)])
    path = net.path("p/0", "d/0")
    shares = {net.links[link].name: share for link, share in path.route}
    assert shares == {"n0/nic0-3.tx": 0.5, "n2/nic0-3.rx": 1.0, "n1/nic0-3.tx": 0.5}
    assert rate(net, "p/0", "d/0") == 200.0
    big = network([tenant("p", 1, 16, device=NVL)])
    home = {big.links[k].name: s for k, s in big.path("p/0", "p/0/host").route}
    assert home == {"p/0@n0.pcie.out": 0.5, "n0.host": 0.5, "p/0@n1.pcie.out": 0.5, "n1.host": 0.5}


def test_two_tier_crosses_the_spine_only_between_leaves():
    tenants = [tenant("p", 2, 8), tenant("d", 2, 8)]
    net = network(tenants, "two_tier", oversubscription=2.0, nodes_per_leaf=2)
    assert names(net, "p/0", "p/1") == ["n0/nic0-3.tx", "n1/nic0-3.rx"]
    across = ["n0/nic0-3.tx", "leaf0.up", "leaf1.down", "n2/nic0-3.rx"]
    assert names(net, "p/0", "d/0") == across
    assert net.path("p/0", "p/1").latency_s == pytest.approx(4e-6)
    assert net.path("p/0", "d/0").latency_s == pytest.approx(5e-6)
    assert net.link("leaf0.up").capacity_bytes_per_s == 200 * GB  # two nodes of 200, halved


def test_an_instance_that_straddles_leaves_uses_both():
    net = network([tenant("p", 1, 16)], "two_tier", oversubscription=1.0, nodes_per_leaf=1)
    assert net.link("leaf1.up").capacity_bytes_per_s == 200 * GB
    tenants = [tenant("p", 1, 8), tenant("d", 1, 16)]
    net = network(tenants, "two_tier", oversubscription=4.0, nodes_per_leaf=2)
    shares = {net.links[k].name: s for k, s in net.path("p/0", "d/0").route}
    assert shares["leaf0.up"] == 0.5  # half of d is on p's own leaf
    assert shares["n0/nic0-3.tx"] == 1.0


@pytest.mark.parametrize("ratio", [1.0, 2.0, 4.0])
def test_oversubscription_saturates_the_spine(ratio):
    tenants = [tenant("p", 4, 8), tenant("d", 4, 8)]
    net = network(tenants, "two_tier", oversubscription=ratio, nodes_per_leaf=4)
    engine = Engine()
    fabric = Fabric(engine, net)
    for i in range(4):
        fabric.start(net.path(f"p/{i}", f"d/{i}"), 200 * GB, lambda flow: None)
    engine.run(until=0.5)
    up = net.link("leaf0.up")
    assert fabric.link_rate_bytes_per_s(up.id) == pytest.approx(up.capacity_bytes_per_s)
    assert up.capacity_bytes_per_s == pytest.approx(800 * GB / ratio)
    engine.run()
    assert engine.now == pytest.approx(ratio, rel=1e-4)  # 1 s at line rate
    fabric.check()


def test_rails_join_equal_indices():
    net = network([tenant("p", 2, 4), tenant("d", 2, 4)], "rails")
    assert names(net, "p/0", "d/0") == ["n0/nic0-1.tx", "n1/nic0-1.rx"]
    assert names(net, "p/1", "d/1") == ["n0/nic2-3.tx", "n1/nic2-3.rx"]


def test_rails_that_differ_are_reached_through_a_neighbour():
    fast = network([tenant("p", 2, 4, device=NVL), tenant("d", 2, 4, device=NVL)], "rails")
    detour = names(fast, "p/0", "d/1")
    assert detour[:2] == ["p/0@n0.scale_up.out", "p/1@n0.scale_up.in"]
    assert "n0/nic2-3.tx" in detour
    assert "n1/nic2-3.rx" in detour
    assert not any("nic0-1" in name for name in detour)
    slow = network([tenant("p", 2, 4, device=PCIE), tenant("d", 2, 4, device=PCIE)], "rails")
    assert "n0.host" in names(slow, "p/0", "d/1")


def test_rails_without_an_index_in_common_have_no_way():
    net = network(
        [tenant("p", 1, 4), tenant("d", 2, 4)], "rails", pools={"p": {"nics_per_node": 2}}
    )
    # p's devices own NIC 0 of 2; d/1 owns NICs 2 and 3, and p's node has none of them.
    with pytest.raises(ScenarioError, match=r"no way from p/0 to d/1: .*state network.pcie"):
        net.path("p/0", "d/1")
    helped = network(
        [tenant("p", 1, 4, device=NVL), tenant("d", 2, 4, device=NVL)],
        "rails",
        pools={"p": {"nics_per_node": 2}},
    )
    assert names(helped, "p/0", "d/1") == [
        "p/0@n0.pcie.out",
        "n0/nic0.tx",
        "n1/nic0.rx",
        "d/0@n1.pcie.in",
        "d/0@n1.scale_up.out",
        "d/1@n1.scale_up.in",
    ]


def test_direct_links_are_not_shared():
    spec = build(NetworkSpec, {"fabric": "direct", "link": "10 GB/s", "efficiency": 1.0})
    net = spec.build(place([tenant("p", 2, 8), tenant("d", 2, 8)]))
    used = [names(net, f"p/{i}", f"d/{j}") for i in range(2) for j in range(2)]
    assert used == [["p/0->d/0"], ["p/0->d/1"], ["p/1->d/0"], ["p/1->d/1"]]
    assert names(net, "d/0", "p/0") == ["d/0->p/0"]
    assert rate(net, "p/0", "d/0") == 10.0


def test_unknown_endpoints_links_and_missing_host_links_are_explained():
    net = network([tenant("prefill", 1, 8), tenant("decode", 1, 8)])
    with pytest.raises(ScenarioError, match=r"no endpoint called 'prefil/0'; did you mean 'pref"):
        net.path("prefil/0", "decode/0")
    with pytest.raises(ScenarioError, match=r"no link called 'n0\.hots'; did you mean 'n0\.host'"):
        net.link("n0.hots")
    with pytest.raises(ScenarioError, match=r"no source gives the host link of plain; state netwo"):
        net.path("prefill/0", "prefill/0/host")
    assert net.endpoints == ("prefill/0", "prefill/0/host", "decode/0", "decode/0/host")
