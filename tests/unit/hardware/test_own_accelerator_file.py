"""A user's own profile: what is refused, and where the message points."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.hardware import accelerator_names, load_accelerator_file, source_titles
from hetsim.hardware._build import read_accelerator, read_host, read_link
from hetsim.hardware._library import _idle
from hetsim.spec import data_root

GOOD = """\
name: mine
title: "Our own part"
vendor: Us
family: hopper
form_factor: PCIe
status: shipping
confidence: medium
native_formats: [bf16, fp8_e4m3]
peaks:
  bf16: 500 TFLOP/s
  fp8: 1 PFLOP/s
memory: {kind: HBM3, size: 80 GB, usable: 79 GiB, bandwidth: 3 TB/s}
scale_up: {link: pcie5x16, topology: pcie, aggregate: 63 GB/s, per_peer: 63 GB/s, domain: 4}
host: {link: pcie5x16, bandwidth: 63 GB/s}
nic: {rate: 400 Gbit/s, rdma_to_device: "yes"}
power: {tdp: 350 W}
price: {low: 1 USD/h, high: 2 USD/h}
sources:
  default: {keys: [our sheet], date: "2026-11"}
"""

Load = Callable[[str], list[str]]


@pytest.fixture
def problems(tmp_path: Path) -> Load:
    def load(text: str) -> list[str]:
        path = tmp_path / "mine.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ScenarioError) as caught:
            load_accelerator_file(path)
        return [str(problem).replace(f"{path}:", "") for problem in caught.value.problems]

    return load


def test_a_good_file_becomes_si_numbers(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD, encoding="utf-8")
    device = load_accelerator_file(path)
    assert device.peak("fp8") == 1e15
    assert device.memory_bytes == 80e9
    assert device.memory_usable_bytes == 79 * 2**30
    assert device.nic_bytes_per_s == 50e9
    assert device.idle_w == pytest.approx(0.11 * 350)
    assert device.price is not None
    assert device.price.date == "2026-11"
    assert device.sources["memory_bytes"].keys == ("our sheet",)


BROKEN = [
    ("  bf16: 500 TFLOP/s", "  bf16: 500", "10: peaks.bf16: needs a unit"),
    ("  bf16: 500 TFLOP/s", "  bf16: 500 GB/s", "10: peaks.bf16: '500 GB/s' has the wrong dim"),
    ("  bf16: 500 TFLOP/s", "  bf16: -500 TFLOP/s", "10: peaks.bf16: must be above 0"),
    ("  bf16: 500 TFLOP/s", "  bf17: 500 TFLOP/s", "10: peaks.bf17"),
    ("size: 80 GB", "size: 80", "12: memory.size: needs a unit"),
    ("size: 80 GB", "size: 80 Gbit/s", "12: memory.size: '80 Gbit/s' has the wrong dimension"),
    ("size: 80 GB", "size: 0 GB", "12: memory.size: is 0"),
    ("size: 80 GB", "sice: 80 GB", "12: memory.sice: unknown key; did you mean 'size'?"),
    ("usable: 79 GiB", "usable: 97 GiB", "12: memory.usable: exceeds the size"),
    ("per_peer: 63", "per_peer: 64", "13: scale_up.per_peer: exceeds the aggregate"),
    ("domain: 4", "domain: 0", "13: scale_up.domain: is 0"),
    ("topology: pcie", "topology: ring", "13: scale_up.topology: is 'ring'"),
    ("topology: pcie", "topology: none", "13: scale_up.topology: is 'none'"),
    ("tdp: 350 W", "tdp: 350 W, idle: 400 W", "16: power.idle: exceeds the TDP"),
    ("low: 1 USD/h", "low: 3 USD/h", "17: price.low: exceeds"),
    ("fp8_e4m3]", "fp8_e4m4]", "8: native_formats: no format 'fp8_e4m4'; did you mean"),
    ("family: hopper\n", "", "family: is missing"),
    ("keys: [our sheet]", "keys: []", "19: sources.default: cites nothing"),
    ("2026-11", "last year", "19: sources.default: date 'last year' is not a date"),
    ("keys: [our sheet]", "keys: [], grade: assumed", "sources.default: is assumed and gives no"),
    ("  default:", "  memory:", "10: peaks.bf16: has no source"),
    (
        "  default:",
        "  tpd: {keys: [x], date: '2026'}\n  default:",
        "19: sources.tpd: is the source",
    ),
    ("name: mine\n", "name: mine\nname: yours\n", "2: name: this key stands here twice"),
    ("peaks:", "peaks: [", "not YAML"),
]


@pytest.mark.parametrize(("old", "new", "message"), BROKEN, ids=[case[2][:40] for case in BROKEN])
def test_a_broken_file_is_refused_with_the_place(
    problems: Load, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    assert any(message in line for line in found), found


def test_every_problem_is_reported_at_once(problems: Load) -> None:
    text = (
        GOOD.replace("bf16: 500 TFLOP/s", "bf16: 500").replace("80 GB", "80").replace("350 W", "x")
    )
    assert len(problems(text)) == 3
    text = GOOD.replace("usable: 79 GiB", "usable: 97 GiB").replace("domain: 4", "domain: -1")
    assert len(problems(text)) == 2


@pytest.mark.parametrize("text", ["", "[]", "name", "3", "name: {a: 1}", "\x00"])
def test_what_is_no_profile_at_all_is_refused(problems: Load, text: str) -> None:
    assert problems(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no such file"):
        load_accelerator_file(tmp_path / "absent.yaml")


def test_a_built_in_profile_may_cite_listed_keys_only(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD, encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"key 'our sheet' is not in sources\.yaml"):
        read_accelerator(path, source_titles())


def test_links_and_hosts_are_refused_in_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(
        "name: x\ntitle: x\nrate: 50 GB/s\nlatency: -1 us\nconfidence: high\n"
        "sources: {rate: {keys: [a], date: '2026'}}\n"
    )
    with pytest.raises(ScenarioError, match="latency: must be at least 0"):
        read_link(path)
    path.write_text(
        "name: x\ntitle: x\ndevices_per_node: 0\nidle: 9 W\nmax: 8 W\nnic_power: 1 W\n"
        "memory: 1 GB\nprice_includes_host: true\n"
        "sources: {default: {keys: [a], date: '2026'}}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        read_host(path)
    assert [problem.path for problem in caught.value.problems] == ["devices_per_node", "idle"]


@pytest.mark.slow
def test_a_device_loads_in_milliseconds() -> None:
    known, idle = source_titles(), _idle()
    folder = data_root("hardware_profiles") / "accelerators"
    taken = []
    for name in accelerator_names():
        start = time.perf_counter()
        read_accelerator(folder / f"{name}.yaml", known, idle)
        taken.append(time.perf_counter() - start)
    # 5 ms on an idle core; the bound allows for a busy one.
    assert sorted(taken)[len(taken) // 2] < 15e-3
