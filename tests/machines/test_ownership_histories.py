"""Histories of the ownership protocols in a world where things go wrong.

Sound variants keep every invariant; each faulty one is caught by the invariant that names its
defect; every variant keeps exactly what it declares. A history counts only if each request ended.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from hetsim.ownership import (
    PARTS,
    PROTOCOL_INVARIANTS,
    Options,
    Plan,
    Timers,
    get_plan,
    protocol_names,
    variant_names,
)
from hetsim.ownership import vocabulary as voc
from hetsim.ownership._effects import RUN
from hetsim.ownership._explore import explore
from hetsim.ownership._mishaps import KINDS, mishaps, some_faults, wander
from hetsim.ownership._scene import Faults
from hetsim.ownership._world import World

VARIANTS = [(kind, name) for kind in protocol_names() for name in variant_names(kind)]
SOUND = [pair for pair in VARIANTS if get_plan(*pair).variant.sound]
FAULTY = [pair for pair in VARIANTS if get_plan(*pair).variant.faulty]
EVENTS = (
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
    *(voc.transfer_failed(q, 0, 1, leg) for q in (True, False) for leg in ("direct", "put", "get")),
    *(voc.quiesced(leg) for leg in ("direct", "put", "get")),
    *(voc.cancelled(side) for side in ("P", "D")),
    *(voc.crashed(side) for side in ("P", "D", "X")),
)
OPTIONS = (
    Options(convert=True),
    Options(on_error="recompute"),
    Options(handles=2, convert=True, on_preempt="retract"),
    Options(handles=2, on_error="recompute", on_preempt="reload"),
)


def history(plan: Plan, seed: int, faults: Faults | None = None) -> World:
    draw = Random(seed)
    budget = faults or some_faults(draw)
    return wander(World(plan, draw.choice((2, 3, 4)), draw.choice((1, 2)), faults=budget), draw)


def machine_of(plan: Plan) -> type[RuleBasedStateMachine]:
    """Return a Hypothesis machine that chooses every step of a world under ``plan``."""

    class Histories(RuleBasedStateMachine):
        world: World

        @initialize(
            requests=st.integers(2, 4),
            capacity=st.integers(1, 2),
            kinds=st.sets(st.sampled_from(KINDS), max_size=3),
        )
        def begin(self, requests: int, capacity: int, kinds: set[str]) -> None:
            faults = Faults(**dict.fromkeys(sorted(kinds), 2), total=3)
            self.world = World(plan, requests, capacity, faults=faults)

        @precondition(lambda self: self.world.usual())
        @rule(pick=st.integers(0, 1 << 16))
        def something_happens(self, pick: int) -> None:
            choices = self.world.usual()
            self.world.do(choices[pick % len(choices)])
            self.holds()

        @precondition(lambda self: mishaps(self.world))
        @rule(pick=st.integers(0, 1 << 16))
        def something_goes_wrong(self, pick: int) -> None:
            choices = mishaps(self.world)
            self.world.do(choices[pick % len(choices)])
            self.holds()

        @rule()
        def time_passes(self) -> None:
            """Nothing: a history may be over before its steps are."""

        def holds(self) -> None:
            broken = set(self.world.violations) & set(plan.variant.guarantees)
            assert not broken, self.world.violations

        def teardown(self) -> None:
            if hasattr(self, "world"):
                self.world.settle()
                self.holds()
                assert self.world.ended or "I2" not in plan.variant.guarantees

    return Histories


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), SOUND, ids=lambda word: word)
def test_hypothesis_finds_no_way_to_break_a_sound_variant(kind: str, name: str) -> None:
    plan = get_plan(kind, name, None, Options(handles=2))
    budget = settings(max_examples=300, stateful_step_count=60, deadline=None)
    run_state_machine_as_test(machine_of(plan), settings=budget)


@pytest.mark.parametrize(("kind", "name"), FAULTY, ids=lambda word: word)
def test_faulty_variant_is_caught_by_the_invariant_that_names_its_defect(
    kind: str, name: str
) -> None:
    plan = get_plan(kind, name, None, Options(handles=2))
    defect = plan.variant.faulty
    if defect == "I10":  # a property of the timers; in a run it shows as reuse under access
        defect = "I1"
    assert any(defect in history(plan, seed).violations for seed in range(400))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), SOUND, ids=lambda word: word)
def test_sound_variants_keep_every_invariant_in_10_000_histories(kind: str, name: str) -> None:
    kept(kind, name, 10_000 // len(SOUND))


@pytest.mark.nightly
@pytest.mark.parametrize(("kind", "name"), SOUND, ids=lambda word: word)
def test_sound_variants_keep_every_invariant_in_a_million_histories(kind: str, name: str) -> None:
    """2026-11-24: 1,000,000 histories, 125,000 of each of eight variants, in 289 s of one core.

    No invariant was broken, and every request of every history ended.
    Once they settled (same day): 1,000,000 again, none broken.
    """
    kept(kind, name, int(os.environ.get("HETSIM_HISTORIES", "1000000")) // len(SOUND))


def kept(kind: str, name: str, histories: int) -> None:
    plans = [get_plan(kind, name, None, options) for options in OPTIONS]
    for seed in range(histories):
        world = history(plans[seed % len(plans)], seed)
        assert world.ended, seed
        assert not world.violations, (seed, world.violations)


HUNTS = {
    "I15": Faults(stall=1, total=2),
    "I5": Faults(cancel=1, total=1),
    "I16": Faults(cancel=1, total=1),
    "I2": Faults(hang=1, lose=1, cancel=1, total=2),
}


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), VARIANTS, ids=lambda word: word)
def test_what_a_variant_does_not_guarantee_can_be_broken(kind: str, name: str) -> None:
    """The declared list is exact: nothing is left out of it that always holds."""
    plans = [get_plan(kind, name, None, options) for options in OPTIONS]
    open_ones = set(PROTOCOL_INVARIANTS) - set(plans[0].variant.guarantees) - {"I10", "I11"}
    for seed in range(2_000):
        if not open_ones:
            return
        open_ones -= set(history(plans[seed % len(plans)], seed).violations)
    for name_ in sorted(open_ones):
        hunted = HUNTS.get(name_)
        assert any(
            name_ in history(plans[seed % len(plans)], seed, hunted).violations
            for seed in range(30_000)
        ), name_


TASKS = {
    "note": lambda task: f"notice:{task[2]}",
    "cancelled": lambda task: f"cancelled:{task[2]}",
    "convert": lambda task: "converted",
    "quiet": lambda task: voc.quiesced(task[2]).key,
    "start": lambda task: "transfer_started",
    "grant": lambda task: "xgranted" if task[2] == "X" else "credit_granted",
}
MOVES = {
    "do": lambda move: TASKS.get(move[1][0], lambda task: "")(move[1]),
    "land": lambda move: voc.landed(0, 1, move[2][0]).key,
    "drop": lambda move: voc.transfer_failed(move[3], 0, 1, move[2][0]).key,
    "timer": lambda move: f"timer:{move[1][2]}",
    "crash": lambda move: f"crashed:{move[1][0]}",
    "preempt": lambda move: "preempted",
    "cancel": lambda move: "cancelled:D",
    "unseat": lambda move: "preempted",
    "refuse": lambda move: "refused",
}


def leads_to(world: World, move: tuple[Any, ...]) -> set[tuple[str, str, str]]:
    """Return the pairs that ``move`` would visit."""
    if move[0] not in MOVES:
        return set()
    key = MOVES[move[0]](move)
    if move[0] == "crash":
        here = [job for job in world.jobs if job.machine.part("Ps") != "idle"]
        jobs = [job for job in here if move[1] in (job.p, job.d, "X")]
    elif move[0] in ("do", "timer", "preempt"):
        jobs = [world.jobs[move[1][1]]]
    else:
        jobs = [world.jobs[move[1]]]
    return {
        (part, state, key)
        for job in jobs
        for part, state in zip(PARTS, job.machine.states, strict=True)
    }


def enters(world: World, move: tuple[Any, ...]) -> set[str]:
    """Return the states, entered only by a mishap and soon left, that ``move`` leads to."""
    if move[0] == "preempt":
        return {"preempted", "retracted"}
    if move[0] == "cancel":
        state = world.jobs[move[1]].machine.part("Ds")
        brief = {"converting": "scrapping", "reading": "quarantine", "reserved": "quarantine"}
        return {brief.get(state, "")}
    return set()


def seek(world: World, left: set[tuple[str, str, str]], draw: Random) -> None:
    """Walk at random, but take what leads to a pair not yet reached; then settle."""
    assert world.covered is not None
    hurry = draw.choice((0.0, 0.6))
    for _ in range(100):
        usual = world.usual()
        choices = [*usual, *mishaps(world)]
        if not choices:
            break
        ahead = left - world.covered
        wanted = [move for move in choices if leads_to(world, move) & ahead]
        if not wanted:
            wanted = [move for move in choices if enters(world, move) & {p[1] for p in ahead}]
        rare = choices if draw.random() < 0.2 else (usual[:-1] or choices)
        rare = usual[-1:] if usual and draw.random() < hurry else rare
        world.do(draw.choice(wanted or rare))
    world.settle()


def unreached(kind: str, name: str, histories: int) -> set[tuple[str, str, str]]:
    left = set(get_plan(kind, name).legal())
    # The world lets no read of a dead P land; a driver may, if it was over just before.
    left.discard(("Ps", "lost", "landed"))
    for seed in range(histories):
        draw = Random(seed)
        kinds = draw.choice(
            (
                draw.sample(KINDS, 3),
                ["preempt", "cancel", "crash"],
                ["preempt", "fail"],
                ["refuse", "preempt"],
            )
        )
        faults = Faults(**dict.fromkeys(kinds, 2), total=draw.choice((1, 2, 3, 4)))
        options = Options(
            on_error=draw.choice(("fail", "recompute")),
            on_preempt=draw.choice(("recompute", "retract")),
            convert=draw.random() < 0.5,
            handles=draw.choice((1, 2)),
        )
        plan = get_plan(kind, name, None, options)
        world = World(plan, draw.choice((2, 3, 4)), draw.choice((1, 1, 2)), faults=faults)
        world.starts, world.covered = draw.random() < 0.5, set()
        seek(world, left, draw)
        left -= world.covered
        if not left:
            break
    return left


FAULTS = (
    "failed:",
    "crashed:",
    "cancelled:",
    "timer:",
    "quiesced",
    "preempted",
    "evicted",
    "refused",
)
"""Keys of events that come of a fault, a timer or an end."""


def is_fault(pair: tuple[str, str, str]) -> bool:
    return pair[2].startswith(FAULTS)


def test_every_protocol_is_among_those_whose_pairs_are_counted() -> None:
    """A to G, each with all its variants; what is reached of them is told by the next one."""
    assert len({kind for kind, _ in VARIANTS}) == 7
    legal = {pair: get_plan(*pair).legal() for pair in VARIANTS}
    assert all(any(is_fault(pair) for pair in pairs) for pairs in legal.values())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), VARIANTS, ids=lambda word: word)
def test_every_legal_pair_of_state_and_event_is_reached(
    kind: str, name: str, record_property: Any
) -> None:
    """2026-11-24: all 2,140 pairs of 33 variants, 1,400 of them with a fault, a timer or an end."""
    legal = set(get_plan(kind, name).legal())
    left = unreached(kind, name, 20_000)
    faults = {pair for pair in legal if is_fault(pair)}
    record_property("legal_pairs", len(legal))
    record_property("legal_pairs_reached", len(legal - left))
    record_property("state_fault_pairs", len(faults))
    record_property("state_fault_pairs_reached", len(faults - left))
    print(f"{kind}/{name}: {len(legal - left)} of {len(legal)} (state, event) pairs reached, "
          f"{len(faults - left)} of {len(faults)} (state, fault) pairs")  # fmt: skip
    assert left == set()


@pytest.mark.parametrize(("kind", "name"), VARIANTS, ids=lambda word: word)
def test_every_legal_pair_can_be_executed(kind: str, name: str) -> None:
    """Each move, from the state it stands in, ends in a declared state with known instructions."""
    plan = get_plan(kind, name)
    events = {event.key: event for event in EVENTS}
    for part, state, key in plan.legal():
        machine = plan.machine()
        machine.states[PARTS.index(part)] = state
        machine.flying = machine.getting = 1
        word, _, rest = key.partition(":")
        made = {"notice": voc.notice, "timer": voc.timer_fired}.get(word)
        event = made(rest) if made else events[key]
        answer = machine.handle(event, 1e6)
        assert all(step.op in RUN for step in answer), (state, key)
        for block_set, after in zip(PARTS, machine.states, strict=True):
            assert after == "none" or after in plan.table.states[block_set], (state, key)


SHORT = {
    "pull_lease": Timers(lease_s=2.0, beat_s=2.0, extend_s=2.0, transfer_s=2.0),
    "rendezvous_chunk_push": Timers(
        bootstrap_s=4.0, beat_s=4.0, waiting_s=4.0, health_s=2.0, drain_s=2.0, transfer_s=2.0
    ),
}
ONE_FAULT = Faults(lose=1, repeat=1, fail=1, hang=1, crash=1, cancel=1, preempt=1, total=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SHORT))
@pytest.mark.parametrize("faults", [Faults(total=0), ONE_FAULT], ids=["no fault", "one fault"])
def test_no_state_of_a_small_instance_breaks_a_sound_variant(kind: str, faults: Faults) -> None:
    """Two P, one D, two requests, room for one each; timers scaled to a few ticks."""
    plan = get_plan(kind, "sound", SHORT[kind])
    seen = explore(World(plan, requests=2, capacity=1, faults=replace(faults)), limit=60_000)
    assert not seen.violations
    assert seen.whole or seen.states == 60_000


ANY_FAULT = replace(ONE_FAULT, stall=1, evict=1)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", protocol_names())
def test_no_state_of_two_p_two_d_and_three_requests_breaks_a_sound_variant(kind: str) -> None:
    """Every interleaving with at most one fault of any kind, depth first, up to a bound.

    The three requests share one P and one D in turn (P0 D0, P1 D0, P0 D1), so that no two are
    alike and symmetry saves nothing; timers fire in the order of their deadlines. 2026-11-24: the
    bound of 1,500,000 states was reached without a violation for consumer_triggered_push (213 s
    of one core, 243 ends) and copy_out (201 s, 456 ends), one of 150,000 for the other five. None
    is whole.
    """
    plan = get_plan(kind, "sound", SHORT.get(kind))
    limit = int(os.environ.get("HETSIM_STATES", "1500000"))
    world = World(plan, requests=3, capacity=1, pieces=1, faults=replace(ANY_FAULT))
    seen = explore(world, limit=limit)
    assert not seen.violations
    assert seen.whole or seen.states == limit


def test_exploration_finds_the_defect_of_a_faulty_variant() -> None:
    plan = get_plan("pull_lease", "short_lease", Timers(lease_s=1.0))
    seen = explore(World(plan, requests=1, capacity=1, faults=Faults(total=0)), limit=5_000)
    assert seen.whole and {"I1", "I16"} <= set(seen.violations)
