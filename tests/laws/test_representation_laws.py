"""Laws of the boundary: bytes are conserved, more work never takes less, L9 holds per plan."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hetsim.representation import (
    SEVERITY,
    BoundaryPolicy,
    Representation,
    run_bytes,
    verdict,
)
from hetsim.transfer import (
    Converter,
    Endpoint,
    TransferEngine,
    build_planner,
    exposed_after_prefill_s,
    exposed_layerwise_s,
)

STATIC = ("tensor_static", "checkpoint")
CONTENTS = [
    ("bf16", "none", "none"),
    ("e4m3fn", *STATIC),
    ("e5m2", *STATIC),
    ("int8", "token_head_dyn", "inline_row"),
    ("mxfp8", "block32", "inline_row"),
]


@st.composite
def caches(draw: st.DrawFn, content: tuple[str, str, str] | None = None) -> Representation:
    enc, gran, loc = content or draw(st.sampled_from(CONTENTS))
    fields: dict[str, Any] = {
        "order": draw(st.sampled_from(["LBHN", "LBNH", "LHBN", "BLHN", "BLNH", "BHLN"])),
        "kv_pack": draw(st.sampled_from(["separate", "planes", "merged_row"])),
        "enc": enc,
        "scale_gran": gran,
        "scale_loc": loc,
    }
    return Representation(
        semantics_id="m",
        group_kind="mha_gqa",
        group_layers=tuple(range(6)),
        model_layers=6,
        kv_heads_total=8,
        dim_k=64,
        dim_v=draw(st.sampled_from([32, 64])) if content is None else 64,
        page_tokens=draw(st.sampled_from([1, 16, 32, 48, 64])),
        tp=draw(st.sampled_from([1, 2, 4, 8, 16])),
        pp=draw(st.sampled_from([1, 2, 3])),
        **fields,
    )


BF16 = ("bf16", "none", "none")
TOKENS = st.integers(1, 50_000)


@given(caches())
def test_every_cache_is_identical_to_itself(rep: Representation) -> None:
    made = verdict(rep, rep)
    assert made.kind == "identical"
    assert made.kv_error is None
    assert made.drivers is not None
    assert not made.convert_sides


@given(caches(BF16), caches(BF16), TOKENS)
def test_consumers_receive_what_they_hold(
    p: Representation, c: Representation, tokens: int
) -> None:
    """Wire bytes = bytes of all consumer ranks for whole pages, whatever the producer's shards."""
    made = verdict(p, c).drivers
    assert made is not None
    each = 6 * max(8, c.tp) * 128 * 2
    assert made.wire_bytes_per_token == each
    step = max(flow.unit_tokens for flow in made.flows)
    assert tokens * each <= made.wire_bytes(tokens) < (tokens + step) * each


@given(caches(BF16), caches(BF16))
def test_runs_are_symmetric_and_bounded_by_the_pages(p: Representation, c: Representation) -> None:
    run = run_bytes(p, c)
    if not (p.replicated or c.replicated):
        assert run == run_bytes(c, p)
    assert 0 < run <= 6 * min(p.page_bytes, c.page_bytes)


@given(caches(BF16), caches(BF16), TOKENS, TOKENS)
def test_more_tokens_never_cost_less(
    p: Representation, c: Representation, first: int, second: int
) -> None:
    few, many = sorted((first, second))
    made = verdict(p, c).drivers
    assert made is not None
    assert made.wire_bytes(few) <= made.wire_bytes(many)
    assert made.descriptors(few) <= made.descriptors(many)
    assert made.descriptors(many, mean_block_run=8) <= made.descriptors(many)


@given(caches(BF16), caches(BF16), st.floats(1, 1e6), st.floats(1, 1e6))
def test_a_stricter_shortest_run_never_softens_the_verdict(
    p: Representation, c: Representation, first: float, second: float
) -> None:
    low, high = sorted((first, second))
    loose = verdict(p, c, BoundaryPolicy(run_min_bytes=low)).kind
    strict = verdict(p, c, BoundaryPolicy(run_min_bytes=high)).kind
    assert SEVERITY.index(loose) <= SEVERITY.index(strict)


@given(caches(), caches())
def test_shares_cover_all_ranks_that_move(p: Representation, c: Representation) -> None:
    made = verdict(p, c).drivers
    if made is None:
        return
    assert made.sender_ranks + made.release_only_ranks == p.tp * p.pp
    assert made.receiver_ranks == c.tp * c.pp
    assert 1 / made.sender_ranks <= made.sender_share * (1 + 1e-9) <= 1 + 1e-9
    for flow in made.flows:
        assert flow.run_bytes > 0


@st.composite
def plans(draw: st.DrawFn) -> tuple[Any, int, float]:
    p, c = draw(caches(BF16)), draw(caches(BF16))
    made = verdict(p, c).drivers
    assert made is not None
    engine = TransferEngine(
        title="any",
        control_s=draw(st.floats(0, 0.01)),
        post_s=draw(st.floats(0, 1e-5)),
        descriptors_per_s=draw(st.one_of(st.none(), st.floats(1e4, 1e7))),
        ceiling_ratio=draw(st.floats(0.1, 1.0)),
        connect_s=0.0,
        grade="measured",
        rse=0.0,
        sources={},
    )
    ends = [
        Endpoint(
            ranks=side.tp * side.pp,
            memory_bytes_per_s=2e12,
            nics=draw(st.integers(1, 16)),
            nic_bytes_per_s=draw(st.floats(1e9, 1e11)),
            striped=draw(st.booleans()),
        )
        for side in (p, c)
    ]
    kernel = Converter(efficiency=0.5, launch_s=0.0, grade="measured", rse=0.0, sources={})
    planner = build_planner(
        [made],
        engine,
        *ends,
        producer_converter=kernel,
        consumer_converter=kernel,
    )
    capacity = min(end.nics * end.nic_bytes_per_s for end in ends)
    return planner, draw(TOKENS), capacity


@given(plans())
def test_l9_no_plan_beats_the_capacity_of_its_nics(made: tuple[Any, int, float]) -> None:
    planner, tokens, capacity = made
    plan = planner.plan(tokens)
    assert plan.rate_bytes_per_s <= capacity * (1 + 1e-9)
    assert plan.total_s >= plan.bytes / capacity * (1 - 1e-9)
    assert planner.plan(tokens + 100).total_s >= plan.total_s * (1 - 1e-12)


@given(st.floats(0, 100), st.floats(0, 100), st.integers(1, 100))
def test_exposed_time_lies_between_one_piece_and_the_whole(
    prefill: float, transfer: float, pieces: int
) -> None:
    exposed = exposed_layerwise_s(prefill, transfer, pieces)
    assert transfer / pieces - 1e-9 <= exposed <= transfer + 1e-9


@given(st.lists(st.tuples(st.floats(0, 10), st.floats(0, 10)), min_size=1, max_size=20))
def test_pieces_never_land_before_their_bytes_could(parts: list[tuple[float, float]]) -> None:
    ready = sorted(part[0] for part in parts)
    seconds = [part[1] for part in parts]
    end = ready[-1]
    exposed = exposed_after_prefill_s(ready, seconds, end)
    assert exposed >= seconds[-1] - 1e-9
    assert exposed <= sum(seconds) + 1e-9
