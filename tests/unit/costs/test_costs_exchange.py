"""Tokens to experts over nodes: rows by link against enumeration, bytes and seconds by hand."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import combinations

import pytest

from hetsim.costs import GroupLinks, Layout
from hetsim.costs._exchange import (
    ExchangeOp,
    Routing,
    exchange_pieces,
    expected_parts,
    rows_of,
)
from hetsim.model import Mlp, get_model

V3 = Routing(experts=256, top_k=8, groups=8, top_groups=4)


def enumerated(routing: Routing, parts: int) -> float:
    """Return the mean number of parts over every choice that the router can make."""
    size = routing.experts // routing.groups
    counts = []
    for groups in combinations(range(routing.groups), routing.top_groups):
        admitted = [g * size + i for g in groups for i in range(size)]
        for chosen in combinations(admitted, routing.top_k):
            counts.append(len({expert * parts // routing.experts for expert in chosen}))
    return sum(counts) / len(counts)


@pytest.mark.parametrize(
    ("routing", "parts"),
    [
        (Routing(8, 2), 2),
        (Routing(8, 3), 4),
        (Routing(8, 3), 8),
        (Routing(12, 3, 4, 2), 2),
        (Routing(12, 3, 4, 2), 4),
        (Routing(12, 4, 3, 2), 6),
        (Routing(12, 2, 2, 1), 3),  # parts that lie across two groups
        (Routing(6, 6), 3),
    ],
)
def test_expected_parts_are_those_of_every_choice(routing, parts):
    assert expected_parts(routing, parts) == pytest.approx(enumerated(routing, parts), rel=1e-12)


def test_a_limit_on_groups_is_a_limit_on_nodes():
    """DeepSeek-V3 over eight nodes: one group a node, so at most four of them."""
    free = replace_groups(V3)
    assert expected_parts(V3, 8) == pytest.approx(4 * (1 - miss(32, 128, 8)), rel=1e-12)
    assert expected_parts(V3, 8) < 4.0 < expected_parts(free, 8)
    # Over two nodes of four groups each it hardly matters.
    assert expected_parts(V3, 2) == pytest.approx(expected_parts(free, 2), rel=0.04)
    assert expected_parts(V3, 1) == 1.0


def replace_groups(routing: Routing) -> Routing:
    return routing._replace(groups=1, top_groups=1)


def miss(held: int, admitted: int, top_k: int) -> float:
    chance = 1.0
    for i in range(top_k):
        chance *= (admitted - held - i) / (admitted - i)
    return chance


def test_rows_on_the_network_once_a_node_or_once_an_expert():
    """Sixteen experts on four ranks, two a node; a token takes two."""
    once, copies = rows_of(Routing(16, 2), 4, 2)
    nodes, ranks = 2 * (1 - 8 * 7 / (16 * 15)), 4 * (1 - 12 * 11 / (16 * 15))
    assert once == pytest.approx((nodes / 2, ranks / 2))
    assert copies == pytest.approx((2 * 2 / 4, 2 * 1 / 4))


def piece(direction="dispatch", line=50e9, near=1e18, ranks=4, local=2, latency=0.0):
    return exchange_pieces(
        direction,
        Routing(16, 2),
        ranks,
        local,
        scale_up_bytes_per_s=near,
        line_bytes_per_s=line,
        latency_s=latency,
    )


def test_seconds_are_those_of_the_slower_link():
    once, copies = piece()
    far = 1 - 8 * 7 / (16 * 15)
    assert once.s_per_byte == once.network_s_per_byte == pytest.approx(far / (0.93 * 50e9))
    assert copies.s_per_byte == pytest.approx(1.0 / (0.93 * 50e9))
    slow, _ = piece(near=1e9)
    assert slow.s_per_byte == pytest.approx(2 * (1 - 12 * 11 / (16 * 15)) / (0.4 * 1e9))
    assert slow.network_s_per_byte == once.network_s_per_byte
    assert piece(latency=5e-6)[0].t0_s - once.t0_s == pytest.approx(10e-6)


def test_more_bandwidth_is_never_slower():
    for near, line in ((450e9, 50e9), (900e9, 50e9), (450e9, 100e9)):
        for a, b in zip(piece(near=450e9), piece(near=near, line=line), strict=True):
            assert b.s_per_byte <= a.s_per_byte and b.t0_s == a.t0_s


def test_prompts_take_the_faster_kernel_and_decodes_that_for_few_tokens():
    op = ExchangeOp("moe_dispatch", 1.0, piece(), 1000.0, 4)
    (t_once, s_once), (t_copies, s_copies) = op.pieces
    crossing = (t_once - t_copies) / (s_copies - s_once) / 1000.0
    for tokens in (1.0, 0.5 * crossing, 2.0 * crossing):
        moved = 1000.0 * tokens
        assert op.evaluate(tokens)[0] == min(t_once + s_once * moved, t_copies + s_copies * moved)
        assert op.for_decode().evaluate(tokens)[0] == t_copies + s_copies * moved
    assert op.network_s(2.0 * crossing, False) == 2000.0 * crossing * op.far[0]
    assert op.network_s(2.0 * crossing, True) == 2000.0 * crossing * op.far[1]
    half = op.on_network(0.5)
    assert half.pieces == tuple(
        (t0, 2.0 * far) for (t0, _), far in zip(op.pieces, op.far, strict=True)
    )


EXPERTS = Mlp(kind="moe", inter=32, experts=16, top_k=2)
NODES = GroupLinks(devices_per_domain=2, network_bytes_per_s=50e9)


def test_bytes_on_each_nic_by_hand(kit):
    """Two layers of 16 experts over two nodes of two: 64 elements a row, 16 bit both ways."""
    model = kit.build(kit.tiny(mlp=EXPERTS), layout=Layout(dp=4, ep=4), links=NODES)
    # Four decodes are one token a device: k (R - L)/R = 1 copy of 128 B leaves its node.
    assert model.network.sent_bytes(4, 4) == pytest.approx(2 * 2 * 128 * 1.0)
    # Many prompt tokens: a row once per other node.
    far = 1 - 8 * 7 / (16 * 15)
    assert model.network.sent_bytes(4_000_000, 4) == pytest.approx(1e6 * 2 * 2 * 128 * far)


def test_the_dispatched_format_is_that_of_the_activations(kit):
    wide, narrow = (
        kit.build(
            kit.tiny(mlp=EXPERTS),
            layout=Layout(dp=4, ep=4),
            links=NODES,
            precision=kit.bf16(activations=fmt),
        )
        for fmt in ("bf16", "fp8_e4m3")
    )
    # The way out is halved, the way back stays in 16 bit.
    assert narrow.network.sent_bytes(4, 4) == pytest.approx(0.75 * wide.network.sent_bytes(4, 4))


def test_the_fullest_rank_sets_the_pace_of_an_exchange(kit):
    """All tokens on one of four ranks take as long as that many on every one."""
    model = kit.build(kit.tiny(mlp=EXPERTS), layout=Layout(dp=4, ep=4), links=NODES)

    def seconds(loads):
        rows = model.operators(loads, 0, [0.0])
        return sum(row.time_s for row in rows if row.kind == "all_to_all")

    assert seconds([(300_000, 0)]) == pytest.approx(seconds([(300_000, 0)] * 4))
    assert seconds([(300_000, 0)]) > 2.0 * seconds([(75_000, 0)] * 4)


def test_a_fabric_that_yields_less_than_the_line_is_asked_for_its_part(kit):
    links = replace(NODES, fabric_bytes_per_s=35e9)
    use = kit.build(kit.tiny(mlp=EXPERTS), layout=Layout(dp=4, ep=4), links=links).network
    # Half of the time of a line of 50 GB/s, of which an exchange reaches 0.93.
    assert use.demand_bytes_per_s(0.93 * 50e9 * 0.5, 1.0) == pytest.approx(0.5 * 35e9)
    assert use.demand_bytes_per_s(1e15, 1.0) == 35e9


def test_published_models_state_their_groups():
    for name, groups in (("deepseek-v3", (8, 4)), ("deepseek-v2", (8, 3)), ("kimi-k2", (1, 1))):
        mlp = get_model(name).layers[-1].mlp
        assert (mlp.groups, mlp.top_groups) == groups


def test_the_table_of_the_kernels_authors_is_met(shared_data):
    """H800 with 400 Gbit/s each, 128 tokens a rank, 16 ranks on: low latency within a quarter."""
    path = shared_data / "kernels" / "deepep" / "legacy_low_latency.csv"
    if not path.is_file():
        pytest.skip("the DeepEP table is absent")
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if int(row["ep"]) > 8]
    assert len(rows) == 5
    for row in rows:
        for direction, width in (("dispatch", 1.03125), ("combine", 2.0)):
            _, copies = exchange_pieces(
                direction,
                replace_groups(V3),
                int(row["ep"]),
                8,
                scale_up_bytes_per_s=200e9,
                line_bytes_per_s=50e9,
                latency_s=2e-6,
            )
            time_us = 1e6 * (copies.t0_s + copies.s_per_byte * 128 * 7168 * width)
            assert time_us == pytest.approx(float(row[f"{direction}_us"]), rel=0.25), row["ep"]
