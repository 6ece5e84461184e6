"""What every ownership protocol and variant owes, present and future."""

from __future__ import annotations

from random import Random

import pytest

from hetsim.errors import InvalidTransition
from hetsim.ownership import (
    INVARIANTS,
    PARTS,
    PROTOCOL_INVARIANTS,
    Options,
    Plan,
    get_plan,
    get_protocol,
    protocol_names,
    variant_names,
)
from hetsim.ownership import vocabulary as voc
from hetsim.ownership._invariants import design_violations
from hetsim.ownership._mishaps import some_faults, wander
from hetsim.ownership._world import World

KINDS = {
    "pull_lease",
    "registered_push",
    "consumer_triggered_push",
    "rendezvous_chunk_push",
    "layerwise_push",
    "pool_lease",
    "copy_out",
}
VARIANTS = [(kind, name) for kind in protocol_names() for name in variant_names(kind)]
EVENTS = {
    event.key: event
    for event in (
        voc.ARRIVED,
        voc.PREFILL_STARTED,
        voc.CONSUMER_SEEN,
        voc.CREDIT_GRANTED,
        voc.XGRANTED,
        voc.TRANSFER_STARTED,
        voc.CONVERTED,
        voc.FINISHED,
        voc.PREEMPTED,
        voc.EVICTED,
        voc.REFUSED,
        voc.produced(0, 2),
        voc.produced(0, 1),
        *(voc.landed(0, 1, leg) for leg in ("direct", "put", "get")),
        *(
            voc.transfer_failed(q, 0, 1, leg)
            for q in (True, False)
            for leg in ("direct", "put", "get")
        ),
        *(voc.quiesced(leg) for leg in ("direct", "put", "get")),
        *(voc.cancelled(side) for side in ("P", "D")),
        *(voc.crashed(side) for side in ("P", "D", "X")),
    )
}


@pytest.fixture(params=VARIANTS, ids="/".join)
def plan(request: pytest.FixtureRequest) -> Plan:
    kind, name = request.param
    return get_plan(kind, name)


def test_the_seven_protocols_are_there() -> None:
    assert set(protocol_names()) >= KINDS


@pytest.mark.parametrize("kind", protocol_names())
def test_each_protocol_has_a_sound_variant_and_a_sourced_default(kind: str) -> None:
    protocol = get_protocol(kind)
    assert any(variant.sound for variant in protocol.variants)
    assert not protocol.variants[0].sound and not protocol.variants[0].faulty
    assert all(variant.source and variant.title for variant in protocol.variants)


def test_guarantees_are_known_and_a_faulty_variant_lacks_the_one_it_breaks(plan: Plan) -> None:
    variant = plan.variant
    assert set(variant.guarantees) <= set(INVARIANTS)
    if variant.faulty:
        assert variant.faulty not in variant.guarantees and not variant.sound


def test_timer_invariants_are_declared_exactly(plan: Plan) -> None:
    broken = design_violations(plan.variant)
    for name in ("I10", "I11"):
        assert (name in plan.variant.guarantees) == (name not in broken), broken


def test_every_event_of_a_table_is_in_the_vocabulary(plan: Plan) -> None:
    for key in plan.table.moves:
        assert key in EVENTS or key.split(":")[0] in ("notice", "timer"), key


def test_classification_covers_every_pair_of_state_and_event(plan: Plan) -> None:
    for part in PARTS:
        for state in plan.table.states[part]:
            for key in EVENTS:
                assert plan.classify(part, state, key) in ("legal", "ignored", "illegal")


def test_a_lost_side_ignores_everything_that_it_knows(plan: Plan) -> None:
    for key, by_part in plan.table.moves.items():
        for part, moves in by_part.items():
            if "lost" in plan.table.states[part]:
                assert "lost" in moves, (part, key)


def test_control_is_never_illegal_once_a_side_is_done(plan: Plan) -> None:
    """I7: late notices, timers, aborts and repeated dispatches are ignored or answered."""
    for key, by_part in plan.table.moves.items():
        if key.split(":")[0] not in ("notice", "timer", "cancelled", "consumer_seen"):
            continue
        for part, moves in by_part.items():
            if "free" in plan.table.states[part] and part != "X":
                assert "free" in moves, (part, key)


def test_unknown_event_is_illegal_and_changes_nothing(plan: Plan) -> None:
    machine = plan.machine("r")
    before = [*machine.states]
    with pytest.raises(InvalidTransition, match="notice:nonsense is not allowed"):
        machine.handle(voc.notice("nonsense"), 0.0)
    assert machine.states == before


def test_usual_path_ends_ok_and_at_rest(plan: Plan) -> None:
    world = World(plan, requests=3, capacity=3)
    world.settle()
    assert [job.machine.outcome for job in world.jobs] == ["ok"] * 3
    assert all(job.machine.resting for job in world.jobs)
    # Layers that P frees at once are the one design that breaks I1 with nothing going wrong.
    assert set(world.violations) <= (
        {"I1", "I16"} if "free_at_finish" in plan.variant.traits else set()
    )


def test_prefill_starts_after_the_grant_only_where_the_facts_say_so(plan: Plan) -> None:
    machine = plan.machine()
    first = [step.op for step in machine.handle(voc.ARRIVED, 0.0)]
    assert ("start_prefill" not in first) == plan.facts.reserve_before_prefill


def test_equal_histories_give_equal_instructions(plan: Plan) -> None:
    for seed in range(5):
        stories = []
        for _ in range(2):
            world = World(plan, faults=some_faults(Random(seed)), record=True)
            wander(world, Random(seed))
            stories.append([job.machine.story for job in world.jobs])
        assert stories[0] == stories[1]


@pytest.mark.parametrize(("kind", "name"), VARIANTS)
def test_guarantees_hold_in_random_histories(kind: str, name: str) -> None:
    """Fifty quick histories a variant; the slow and nightly suites run far more."""
    for options in (Options(), Options(on_error="recompute", handles=2, convert=True)):
        plan = get_plan(kind, name, None, options)
        for seed in range(25):
            draw = Random(seed)
            world = World(
                plan, draw.choice((2, 3, 4)), draw.choice((1, 2)), faults=some_faults(draw)
            )
            wander(world, draw)
            broken = set(world.violations) & set(plan.variant.guarantees)
            assert not broken, (seed, world.violations)
            assert world.ended or "I2" not in plan.variant.guarantees


def test_sound_means_every_invariant_that_a_protocol_can_keep() -> None:
    sound = [get_plan(kind, name).variant for kind, name in VARIANTS]
    assert all(
        set(variant.guarantees) == set(PROTOCOL_INVARIANTS) for variant in sound if variant.sound
    )
