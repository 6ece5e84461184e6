from __future__ import annotations

import pytest

from hetsim.errors import ScenarioError
from hetsim.spec._check import build, json_schema
from hetsim.spec._yaml import parse_yaml
from hetsim.topology import Device, NetworkSpec, Tenant, place

TEXT = """\
fabric: two_tier
nic: 400 GB
oversubscripton: 2
efficiency: 1.5
latency: 5
pools:
  prefill: {nics_per_node: 0, nick: 100 Gbit/s}
"""


def test_every_problem_is_located():
    data, marks = parse_yaml(TEXT, "net.yaml")
    with pytest.raises(ScenarioError) as caught:
        build(NetworkSpec, data, marks, "net.yaml")
    text = str(caught.value)
    for part in (
        "net.yaml:2: nic: '400 GB' has the wrong dimension",
        "nics_per_node: is missing",
        "oversubscription: is missing",
        "net.yaml:3: oversubscripton: unknown key; did you mean 'oversubscription'?",
        "net.yaml:4: efficiency:",
        "net.yaml:5: latency: needs a unit",
        "net.yaml:7: pools.prefill.nics_per_node:",
        "net.yaml:7: pools.prefill.nick: unknown key; did you mean 'nic'?",
        "8 problems",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"fabric": "single_switch"}, "nic: is missing"),
        ({"fabric": "rails", "nic": "400 Gbit/s"}, "nics_per_node: is missing"),
        ({"fabric": "direct"}, "link: is missing"),
        ({"nic": "400 Gbit/s"}, "needs a 'fabric'"),
        ({"fabric": "two_teir"}, "did you mean 'two_tier'?"),
        ({"fabric": "direct", "link": "400 Gbit/s", "nic": "400 Gbit/s"}, "nic: unknown key"),
        ({"fabric": "direct", "link": "0 Gbit/s"}, "link: must be above 0"),
        ({"fabric": "direct", "link": 5e10}, "link: needs a unit"),
    ],
)
def test_there_is_no_free_link(data, message):
    with pytest.raises(ScenarioError) as caught:
        build(NetworkSpec, data)
    assert message in str(caught.value)


def test_the_unknown_key_of_one_fabric_lists_the_keys_of_that_fabric():
    with pytest.raises(ScenarioError) as caught:
        build(NetworkSpec, {"fabric": "direct", "link": "1 GB/s", "x": 1})
    assert "'link'" in str(caught.value)
    assert "'oversubscription'" not in str(caught.value)


def test_pools_that_are_not_there_and_neighbours_that_differ_are_named():
    plain = Device(kind="plain")
    tenants = [
        Tenant(pool=pool, instances=1, devices=4, devices_per_node=8, device=plain)
        for pool in ("prefill", "decode")
    ]
    spec = build(
        NetworkSpec,
        {
            "fabric": "single_switch",
            "nic": "400 Gbit/s",
            "nics_per_node": 8,
            "share": "node",
            "pools": {"prefil": {}, "decode": {"nic": "100 Gbit/s"}},
        },
    )
    with pytest.raises(ScenarioError) as caught:
        spec.build(place(tenants, share=spec.share))
    text = str(caught.value)
    assert "network.pools.prefil: no such pool; did you mean 'prefill'?" in text
    assert "pools prefill and decode share nodes" in text


def test_the_schema_offers_every_fabric():
    assert set(json_schema(NetworkSpec)["discriminator"]["mapping"]) == {
        "direct",
        "rails",
        "single_switch",
        "two_tier",
    }
