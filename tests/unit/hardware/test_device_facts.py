"""Well-known figures, typed again by hand from the makers' sheets."""

from __future__ import annotations

import pytest

from hetsim.hardware import get_accelerator, get_host, get_link

TERA = 1e12
GIGA = 1e9

BF16_TFLOPS = {
    "v100": ("fp16", 125),
    "t4": ("fp16", 65),
    "a100": ("bf16", 312),
    "l40s": ("bf16", 362),
    "rtx4090": ("bf16", 165.2),
    "rtx3090": ("bf16", 71.2),
    "rtxa6000": ("bf16", 154.8),
    "h20": ("bf16", 148),
    "h100": ("bf16", 989),
    "h200": ("fp8", 1979),
    "b200": ("fp8", 4500),
    "gb200": ("fp4", 10000),
    "mi300x": ("bf16", 1307),
    "gaudi3": ("bf16", 1677),
    "tpu-v5e": ("int8", 394),
    "trn2": ("fp8", 1299),
    "ascend-910b": ("int8", 626),
}


@pytest.mark.parametrize("name", BF16_TFLOPS)
def test_dense_peaks(name: str) -> None:
    roof, tera = BF16_TFLOPS[name]
    assert get_accelerator(name).peak(roof) == pytest.approx(tera * TERA, rel=2e-3)


@pytest.mark.parametrize(
    ("name", "giga"),
    [
        ("a100", 2039),
        ("h100", 3350),
        ("h200", 4800),
        ("h20", 4000),
        ("l40s", 864),
        ("l4", 300),
        ("mi300x", 5300),
        ("gaudi2", 2450),
        ("tpu-v6e", 1640),
        ("m2-ultra", 800),
        ("cpu-epyc-9654", 460.8),
    ],
)
def test_memory_bandwidth(name: str, giga: float) -> None:
    assert get_accelerator(name).memory_bytes_per_s == pytest.approx(giga * GIGA)


def test_h800_is_an_h100_with_a_cut_link() -> None:
    h100, h800 = get_accelerator("h100"), get_accelerator("h800")
    assert h800.peaks_flop_per_s == h100.peaks_flop_per_s
    assert h800.scale_up.aggregate_bytes_per_s == 200 * GIGA
    assert h100.scale_up.aggregate_bytes_per_s == 450 * GIGA


def test_mi300x_is_a_mesh_and_computes_in_fnuz() -> None:
    device = get_accelerator("mi300x")
    assert device.scale_up.topology == "mesh"
    assert device.scale_up.per_peer_bytes_per_s == 64 * GIGA
    assert "fp8_e4m3fnuz" in device.native_formats
    assert "fp8_e4m3" not in device.native_formats
    assert "fp8_e4m3" in get_accelerator("mi355x").native_formats


def test_ampere_has_no_fp8_and_hopper_no_fp4() -> None:
    assert get_accelerator("a100").peak("fp8") is None
    assert get_accelerator("h100").peak("fp4") is None
    assert not any(name.startswith("fp8") for name in get_accelerator("a100").native_formats)


def test_sold_gigabytes_are_often_gibibytes() -> None:
    h100 = get_accelerator("h100")
    assert h100.memory_bytes == 80 * GIGA
    assert h100.memory_usable_bytes == 81559 * 2**20
    assert h100.capacity_bytes == h100.memory_usable_bytes
    tpu = get_accelerator("tpu-v5e")
    assert tpu.capacity_bytes == tpu.memory_bytes == 16 * GIGA


def test_idle_power_says_whether_it_was_read_or_assumed() -> None:
    read, taken = get_accelerator("h100"), get_accelerator("mi325x")
    assert read.idle_w == 70
    assert read.sources["idle_w"].grade == "sourced"
    assert taken.idle_w == pytest.approx(0.19 * 1000)
    assert taken.sources["idle_w"].grade == "assumed"
    assert get_accelerator("tpu-v5e").idle_w is None


def test_a_scenario_device_with_doubtful_figures_says_so() -> None:
    device = get_accelerator("metax-c600")
    assert device.confidence == "low"
    assert device.peak("fp8") == 1000 * TERA
    assert device.sources["peaks_flop_per_s.bf16"].grade == "assumed"
    assert device.price is None


def test_price_is_the_middle_of_its_range() -> None:
    price = get_accelerator("h200").price
    assert price is not None
    assert price.usd_per_h == pytest.approx((2.59 + 3.5) / 2)


def test_links_and_hosts() -> None:
    assert get_link("ib-ndr").bytes_per_s == 50 * GIGA
    assert get_link("PCIe5 x16").bytes_per_s == 63 * GIGA
    assert get_link("tcp-100").latency_s == pytest.approx(20e-6)
    host = get_host("HGX H100")
    assert host.devices_per_node == 8
    # 8.4 kW were measured with eight devices at 700 W and eight NICs.
    assert host.max_w + 8 * 700 + 8 * host.nic_w == pytest.approx(8400, rel=1e-3)
    assert host.price_includes_host
