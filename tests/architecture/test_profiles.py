"""Every hardware profile loads, cites its sources, and says nothing that cannot be."""

from __future__ import annotations

import math
import re

import pytest

from hetsim.hardware import (
    Accelerator,
    Host,
    Link,
    accelerator_names,
    describe,
    get_accelerator,
    get_host,
    get_link,
    host_names,
    link_names,
    source_titles,
)
from hetsim.precision import FORMATS
from hetsim.spec import data_root
from hetsim.spec._yaml import read_yaml

FOLDER = data_root("hardware_profiles")

TYPE_FIELDS = (
    "memory_bytes",
    "memory_usable_bytes",
    "memory_bytes_per_s",
    "host_bytes_per_s",
    "nic_bytes_per_s",
    "tdp_w",
    "idle_w",
)
SCALE_UP_FIELDS = ("aggregate_bytes_per_s", "per_peer_bytes_per_s", "domain")
CUT_INT8 = {"b300-sxm", "gb300", "rubin"}
"""Parts that gave up most of their int8 units: the only ones where int8 may be below bf16."""


def numbers_of(device: Accelerator) -> dict[str, float]:
    """Return every number of a device by the name under which its source stands."""
    found = {f"peaks_flop_per_s.{roof}": v for roof, v in device.peaks_flop_per_s.items()}
    found |= {name: getattr(device, name) for name in TYPE_FIELDS}
    if device.scale_up.topology != "none":
        found |= {f"scale_up.{name}": getattr(device.scale_up, name) for name in SCALE_UP_FIELDS}
    if device.price:
        found["price.low_usd_per_h"] = device.price.low_usd_per_h
        found["price.high_usd_per_h"] = device.price.high_usd_per_h
    return {name: value for name, value in found.items() if value is not None}


@pytest.mark.parametrize("name", accelerator_names())
def test_every_accelerator_loads_and_every_number_has_a_source(name: str) -> None:
    device = get_accelerator(name)
    assert device.name == name
    numbers = numbers_of(device)
    assert set(device.sources) == set(numbers), "a number without a source, or a stray source"
    for source in device.sources.values():
        assert re.fullmatch(r"\d{4}(-\d{2}){0,2}", source.date)
        assert set(source.keys) <= set(source_titles())
        assert source.keys or (source.grade == "assumed" and source.note)


@pytest.mark.parametrize("name", accelerator_names())
def test_every_accelerator_is_plausible(name: str) -> None:
    device = get_accelerator(name)
    assert all(math.isfinite(v) and v > 0 for v in numbers_of(device).values())
    assert set(device.native_formats) <= set(FORMATS)
    assert device.memory_bytes is not None
    assert 4e9 <= device.memory_bytes <= 1e12
    peaks = device.peaks_flop_per_s
    ladder = [peaks[roof] for roof in ("fp32", "tf32", "bf16", "fp8", "fp4") if roof in peaks]
    assert ladder == sorted(ladder)
    if "bf16" in peaks and "int8" in peaks and name not in CUT_INT8:
        assert peaks["bf16"] <= peaks["int8"]
    if "bf16" in peaks and "fp16" in peaks:
        assert peaks["bf16"] == peaks["fp16"]
    if device.memory_bytes_per_s is not None:
        low = 0.3e12 if "HBM" in device.memory_kind else 0.06e12
        if device.memory_kind == "measured":
            low = 0.005e12  # some threads of a CPU
        assert low <= device.memory_bytes_per_s <= 30e12
    if device.tdp_w is not None:
        assert 40 <= device.tdp_w <= 2500
        assert device.idle_w is not None
        assert 0.01 * device.tdp_w <= device.idle_w <= 0.5 * device.tdp_w
    if device.confidence != "high":
        assert device.doubts, "a device that is not sure must say why"


MOVED = (
    "prefill", "decode", "every time", "KV room", "hand-off", "collectives", "parallelism",
    "cost", "energy", "compare", "host memory", "device", "vector work",
)  # fmt: skip
"""What a doubt may be about: a figure of a run, not a figure of a sheet."""


@pytest.mark.parametrize("name", accelerator_names())
def test_a_doubt_says_what_it_means_for_a_run(name: str) -> None:
    for doubt in get_accelerator(name).doubts:
        assert any(word in doubt for word in MOVED), doubt
        assert ":" in doubt or ";" in doubt or " and " in doubt or "," in doubt, doubt
        assert not doubt.isupper() and "DOUBTFUL" not in doubt and "AIC" not in doubt, doubt


@pytest.mark.parametrize("name", accelerator_names())
def test_mesh_shares_its_links_and_a_switch_does_not(name: str) -> None:
    up = get_accelerator(name).scale_up
    if up.aggregate_bytes_per_s is None or up.per_peer_bytes_per_s is None:
        return
    if up.topology in ("switched", "pcie"):
        assert up.per_peer_bytes_per_s in (
            up.aggregate_bytes_per_s,
            # Two dies in a package, each with half of the ports.
            0.5 * up.aggregate_bytes_per_s,
        )
    if up.topology == "mesh" and up.domain is not None:
        peers = up.domain - 1
        assert up.per_peer_bytes_per_s * peers >= 0.99 * up.aggregate_bytes_per_s


def test_a_mesh_of_eight_gives_a_pair_a_seventh() -> None:
    for name in ("mi300x", "mi325x", "mi355x", "gaudi2", "gaudi3", "ascend-910b"):
        up = get_accelerator(name).scale_up
        assert up.topology == "mesh"
        assert up.aggregate_bytes_per_s == pytest.approx(7 * (up.per_peer_bytes_per_s or 0))


@pytest.mark.parametrize("name", link_names())
def test_every_link_loads(name: str) -> None:
    link = get_link(name)
    assert link.name == name
    assert set(link.sources) == {"bytes_per_s", "latency_s"}
    assert 1e9 <= link.bytes_per_s <= 2e12
    assert 1e-8 <= link.latency_s <= 1e-3
    assert all(set(source.keys) <= set(source_titles()) for source in link.sources.values())


@pytest.mark.parametrize("name", host_names())
def test_every_host_loads(name: str) -> None:
    host = get_host(name)
    assert host.name == name
    assert 0 < host.idle_w <= host.max_w <= 10_000
    assert host.price_includes_host or host.price_usd_per_h is not None
    if host.accelerator is not None:
        device = get_accelerator(host.accelerator)
        assert device.name == host.accelerator
        domain = device.scale_up.domain or host.devices_per_node
        assert domain >= host.devices_per_node or domain == 1
    assert all(set(source.keys) <= set(source_titles()) for source in host.sources.values())


def test_aliases_are_unique_across_profiles() -> None:
    from hetsim.hardware._names import fold

    owner: dict[str, str] = {}
    for name in accelerator_names():
        for alias in (name, *get_accelerator(name).aliases):
            assert owner.setdefault(fold(alias), name) == name, alias


@pytest.mark.parametrize("kind", ["accelerators", "links", "hosts"])
def test_no_number_of_a_file_lacks_a_unit(kind: str) -> None:
    """Only counts may be bare: everything else is text with a unit."""
    counts = {"domain", "devices_per_node", "nics_per_node"}
    for path in sorted((FOLDER / kind).glob("*.yaml")):
        data, _ = read_yaml(path)
        stack = [data]
        while stack:
            here = stack.pop()
            for key, value in here.items():
                if isinstance(value, dict):
                    stack.append(value)
                bare = isinstance(value, (int, float)) and not isinstance(value, bool)
                assert not bare or key in counts, f"{path.name}: {key} = {value}"


def test_sources_are_listed_and_used() -> None:
    text = "\n".join(path.read_text() for path in sorted(FOLDER.rglob("*.yaml")))
    unused = [key for key in source_titles() if not re.search(rf"[\[ ]{key}[\],]", text)]
    assert unused == []


def test_scale_up_and_host_links_have_a_profile_or_a_plain_name() -> None:
    """A link in a device that looks like a profile name is one."""
    for name in accelerator_names():
        device = get_accelerator(name)
        for link in (device.scale_up.link, device.host_link):
            looks = re.fullmatch(
                r"(nvlink|xgmi|ici|pcie\d|neuronlink|gaudi|hccs|ub)[a-z0-9-]+", link
            )
            assert not looks or link in link_names(), f"{name}: {link}"


def test_enough_devices_of_every_maker() -> None:
    devices = [get_accelerator(name) for name in accelerator_names()]
    assert len(devices) >= 40
    vendors = {device.vendor for device in devices}
    wanted = {"NVIDIA", "AMD", "Intel", "Google", "AWS", "Huawei", "Qualcomm", "MetaX", "Cambricon"}
    assert wanted <= vendors
    assert any(device.vendor == "AMD" and device.family == "zen" for device in devices)


def test_descriptions_cover_every_profile() -> None:
    profiles: list[Accelerator | Link | Host] = [get_accelerator(n) for n in accelerator_names()]
    profiles += [get_link(n) for n in link_names()]
    profiles += [get_host(n) for n in host_names()]
    for profile in profiles:
        rows = describe(profile)
        assert rows[0].value == profile.name
        assert [row.value for row in rows if row.field == "doubt"] == list(profile.doubts)
        graded = [row for row in rows if row.grade]
        assert len(graded) == len(profile.sources)


def test_prices_that_are_compared_come_from_sellers_of_one_kind() -> None:
    """What GPUs cost is asked of specialist clouds throughout; a newer part is never cheaper."""
    shipped = [get_accelerator(name) for name in accelerator_names()]
    priced = {one.name: one.price for one in shipped if one.price is not None}
    assert {price.seller for price in priced.values()} <= {"specialist cloud", "hyperscaler"}
    order = ("l40s", "h100-sxm", "h200-sxm", "b200-sxm", "b300-sxm")
    assert {priced[name].seller for name in (*order, "mi300x", "a100-sxm4-80")} == {
        "specialist cloud"
    }
    used = [priced[name].usd_per_h for name in order]
    assert used == sorted(used)
    for price in priced.values():
        assert price.high_usd_per_h <= 1.75 * price.low_usd_per_h, "two kinds of seller in a range"
