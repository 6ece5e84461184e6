from dataclasses import replace

import pytest

from hetsim.costs import GroupLinks, Layout, Piece
from hetsim.costs._collectives import Collectives
from hetsim.hardware import get_accelerator
from hetsim.model import Mlp


def pieces(kit, device, kind, ranks, links=None, calibration=None):
    collectives = Collectives(
        get_accelerator(device), calibration or kit.ideal(), links or kit.links
    )
    return collectives.pieces(kind, ranks)


def test_switched_ring(kit):
    (one,) = pieces(kit, "h100-sxm", "all_reduce", 8)
    # 2 x 7/8 of the message at 0.55 of 450 GB/s.
    assert 1.0 / one.s_per_byte == pytest.approx(0.55 * 450e9 / 1.75)
    assert one.grade == "datasheet"


def test_mesh_pair_gets_one_link_and_eight_get_seven(kit):
    (pair,) = pieces(kit, "mi300x", "all_reduce", 2)
    (eight,) = pieces(kit, "mi300x", "all_reduce", 8)
    assert 1.0 / pair.s_per_byte == pytest.approx(0.7 * 64e9)
    assert 1.0 / eight.s_per_byte == pytest.approx(4 * 0.7 * 64e9)


def test_pcie_falls_with_the_number_of_devices(kit):
    (two,) = pieces(kit, "l40s", "all_reduce", 2)
    (eight,) = pieces(kit, "l40s", "all_reduce", 8)
    assert 1.0 / two.s_per_byte == pytest.approx(0.6 * 31.5e9)
    assert eight.s_per_byte / two.s_per_byte == pytest.approx(4**0.7)


def test_measured_pieces_are_used_and_scaled_to_other_groups(kit):
    table = {"all_reduce": {8: (Piece(t0_s=5e-6, s_per_byte=1e-11, grade="fitted"),)}}
    layer = replace(kit.ideal().layers[0], collectives=table)
    calibration = replace(kit.ideal(), layers=(layer,))
    assert pieces(kit, "h100-sxm", "all_reduce", 8, calibration=calibration)[0].t0_s == 5e-6
    (six,) = pieces(kit, "h100-sxm", "all_reduce", 6, calibration=calibration)
    assert six.s_per_byte == pytest.approx(1e-11 * (5 / 6) / (7 / 8))
    assert six.grade == "transferred"


def test_beyond_the_domain_the_network_is_added(kit):
    links = GroupLinks(devices_per_domain=8, network_bytes_per_s=50e9, network_latency_s=2e-6)
    (inside,) = pieces(kit, "h100-sxm", "all_reduce", 8, links)
    (both,) = pieces(kit, "h100-sxm", "all_reduce", 16, links)
    # Two nodes: 2 x 1/2 of an eighth of the message at 0.8 of the NIC.
    network = 1.0 / 8 / (0.8 * 50e9)
    assert both.s_per_byte - inside.s_per_byte == pytest.approx(network)
    assert both.t0_s > inside.t0_s + 4e-6


def test_one_device_needs_no_collective(kit):
    assert pieces(kit, "h100-sxm", "all_reduce", 1) == ()


def test_an_exchange_over_fewer_ranks_sends_fewer_rows(kit):
    """Measured over eight ranks at 8 copies a token; over two, half of them have one other rank."""
    table = {"moe_dispatch": {8: (Piece(t0_s=1e-5, s_per_byte=1e-12, grade="fitted"),)}}
    layer = replace(kit.ideal().layers[0], collectives=table)
    group = Collectives(
        get_accelerator("h100-sxm"),
        replace(kit.ideal(), layers=(layer,)),
        GroupLinks(devices_per_domain=8),
    )
    assert group.measured_near("moe_dispatch", 8)[0] == 8
    near, pieces = group.measured_near("moe_dispatch", 2)
    assert (near, pieces[0].t0_s) == (8, 1e-5)
    assert group.measured_near("moe_combine", 2) == (0, ())
    mlp = Mlp(kind="moe", inter=32, experts=16, top_k=8)

    def slope(ranks):
        model = kit.build(
            kit.tiny(mlp=mlp),
            layout=Layout(dp=ranks, ep=ranks),
            calibration=replace(kit.ideal(), layers=(layer,)),
        )
        (op,) = [op for op in model.sums.stage.shared if op.name == "moe_dispatch"]
        return op.bytes_per_token * ranks

    assert slope(8) == pytest.approx(8 * 128)
    rows = {ranks: (ranks - 1) * (1 - (1 - 1 / ranks) ** 8) for ranks in (2, 8)}
    assert slope(2) == pytest.approx(8 * 128 * rows[2] / rows[8])
