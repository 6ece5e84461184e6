"""What people call devices, and what must not be taken for another device."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.hardware import accelerator_names, get_accelerator, get_host, get_link
from hetsim.hardware._names import choose, readings

SPOKEN = {
    "h100": "h100-sxm",
    "H100-SXM": "h100-sxm",
    "NVIDIA H100 80GB HBM3": "h100-sxm",
    "H100 PCIe 80GB": "h100-pcie",
    "a100": "a100-sxm4-80",
    "A100-SXM-80GB": "a100-sxm4-80",
    "NVIDIA A100-SXM4-40GB": "a100-sxm4-40",
    "A100-PCIE-40GB": "a100-pcie-40",
    "h20": "h20-96",
    "H20-3e": "h20-141",
    "H20 141GB": "h20-141",
    "b200": "b200-sxm",
    "B200 192GB": "b200-sxm",
    "GB200-NVL72": "gb200",
    "GB300-NVL72": "gb300",
    "H200_SXM": "h200-sxm",
    "H200-NVL": "h200-nvl",
    "AMD Instinct MI300X": "mi300x",
    "MI325X-OAM": "mi325x",
    "Gaudi3": "gaudi3",
    "Ascend910B": "ascend-910b",
    "RTX-PRO-6000-BSE": "rtxpro6000-server",
    "NVIDIA GeForce RTX 4090": "rtx4090",
    "some-tool:RTX A6000 48GB": "rtxa6000",
    "some-tool:4090 24GB": "rtx4090",
    "M1 7‑Core GPU 8GB": "apple-m1-7core",
    "V100-PCIE-16GB": "v100-pcie-16",
    "trillium": "tpu-v6e",
    "Jetson-Orin": "jetson-agx-orin",
    "Xeon-6787P": "cpu-xeon-6787p",
}


@pytest.mark.parametrize("spoken", SPOKEN)
def test_spoken_names(spoken: str) -> None:
    assert get_accelerator(spoken).name == SPOKEN[spoken]


@pytest.mark.parametrize("name", accelerator_names())
def test_a_name_means_itself_in_any_spelling(name: str) -> None:
    assert get_accelerator(name.upper().replace("-", " ")).name == name


@pytest.mark.parametrize(
    "wrong",
    [
        "H200-PCIe",  # the form factor is another part's
        "V100-16GB",  # the size is another part's
        "H100-96GB",
        "L40S-NVL72",
        "h1000",
        "",
        "gpu",
        "../accelerators/h100-sxm",
    ],
)
def test_a_name_that_fits_no_device_is_refused(wrong: str) -> None:
    with pytest.raises(ScenarioError, match="no accelerator"):
        get_accelerator(wrong)


def test_an_unknown_name_is_answered_with_a_near_one_and_its_place() -> None:
    with pytest.raises(ScenarioError) as caught:
        get_accelerator("mi300y", "pools.decode.accelerator")
    (problem,) = caught.value.problems
    assert problem.path == "pools.decode.accelerator"
    assert "did you mean 'mi300x'?" in problem.message


@pytest.mark.parametrize(("get", "kind"), [(get_link, "link"), (get_host, "host")])
def test_unknown_links_and_hosts_name_their_kind(get: object, kind: str) -> None:
    assert callable(get)
    with pytest.raises(ScenarioError, match=f"no {kind} 'nvlonk4'"):
        get("nvlonk4")


def test_a_literal_name_wins_over_a_stripped_one() -> None:
    index = {"h100pcie": "card", "h100": "module"}
    assert choose("H100-PCIe", index, lambda name, wish: True) == "card"
    assert choose("H100-OAM", index, lambda name, wish: wish.form == "oam") == "module"
    assert choose("H100-OAM", index, lambda name, wish: not wish.form) is None


def test_a_stated_size_must_fit_within_a_tenth() -> None:
    (wish,) = [wish for wish in readings("b200 192GB") if wish.size_gb]
    assert wish.fits(180e9, "SXM6")
    assert not wish.fits(141e9, "SXM6")
    assert wish.fits(None, "SXM6")


def test_every_device_of_the_measured_tables_has_a_profile(shared_data: Path) -> None:
    spoken = set()
    for path in sorted((shared_data / "validation").glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            spoken |= {row.get("accelerator", "") for row in csv.DictReader(file)}
    unknown = []
    for name in sorted(spoken - {"", None}):
        try:
            get_accelerator(name)
        except ScenarioError:
            unknown.append(name)
    assert unknown == []


def test_an_unknown_device_is_told_what_alias_is_near() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'h100'"):
        get_accelerator("h1000")
