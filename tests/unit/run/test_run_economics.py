from __future__ import annotations

from typing import Any

import pytest

import hetsim
from hetsim.hardware import get_accelerator, get_host
from hetsim.run import notes_on_power, pool_power
from hetsim.scenario import load_data


def test_power_of_a_pool_by_hand(queue: Any) -> None:
    scenario = queue("pools.serve.instances=3").scenario
    device, host = get_accelerator("h100"), get_host("hgx-h100")
    found = pool_power(scenario, "serve")
    assert device.idle_w is not None
    assert device.tdp_w is not None
    nics = (host.nics_per_node or 0) * host.nic_w
    assert found.idle_w == pytest.approx(3 * (device.idle_w + (host.idle_w + nics) / 8))
    assert found.max_w == pytest.approx(3 * (device.tdp_w + (host.max_w + nics) / 8))


def test_a_stated_price_goes_before_the_profiles(queue: Any) -> None:
    stated = queue("prices={h100: 2 USD/h}", "pools.serve.instances=4").scenario
    assert pool_power(stated, "serve").usd_per_h == 8.0
    by_pool = queue("prices={h100: 2 USD/h, serve: 3 USD/h}").scenario
    assert pool_power(by_pool, "serve").usd_per_h == 3.0
    price = get_accelerator("h100").price
    assert price is not None
    host = get_host("hgx-h100")
    assert host.price_includes_host
    assert pool_power(queue().scenario, "serve").usd_per_h == price.usd_per_h


def test_no_price_is_a_null_with_a_note_in_the_run(queue: Any) -> None:
    found = hetsim.run(queue("pools.serve.accelerator=gaudi3")).summary
    assert found["cost_usd_per_mtok"] is None
    note = "state one, such as prices: {gaudi3: 2 USD/h}"
    assert [line for line in found["notes"] if note in line]
    priced = hetsim.run(queue("pools.serve.accelerator=gaudi3", "prices={gaudi3: 2 USD/h}"))
    assert priced.summary["cost_usd_per_mtok"] > 0.0
    assert not [line for line in priced.summary["notes"] if "price" in line]


def test_an_own_accelerator_file_is_found_beside_the_scenario(queue: Any, tmp_path: Any) -> None:
    from hetsim.spec import data_root

    text = (data_root("hardware_profiles") / "accelerators" / "h100-sxm.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(text.replace("name: h100-sxm", "name: mine", 1))
    data = queue("pools.serve.accelerator=h100").data
    data["pools"]["serve"]["accelerator"] = "mine.yaml"
    loaded = load_data(data, base_dir=tmp_path)
    power = pool_power(loaded.scenario, "serve", tmp_path)
    assert power.usd_per_h is not None
    assert notes_on_power(loaded.scenario, tmp_path) == [
        "energy is not given: no power figures are known for mine or its server (pool serve); "
        "host: names another server"
    ]


def test_a_cost_says_what_it_rests_on_and_what_is_not_in_it() -> None:
    few = ["workload.requests=10"]
    lines = [x for x in hetsim.run("quickstart", sets=few).summary["assumptions"] if "cost:" in x]
    assert any("1.99 to 2.95 USD/h (specialist cloud)" in line for line in lines)
    assert any("NICs and switches, so none is in it" in line for line in lines)
    stated = [*few, "prices={h100: 2 USD/h, decode: 3 USD/h}"]
    lines = hetsim.run("quickstart", sets=stated).summary["assumptions"]
    assert not [line for line in lines if "cost:" in line]
