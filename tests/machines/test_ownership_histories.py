"""Histories of the ownership protocols in a world where things go wrong.

Sound variants keep every invariant; each faulty one is caught by the invariant that names its
defect; every variant keeps exactly what it declares. A history counts only if each request ended.
"""

from __future__ import annotations

import os
from random import Random

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
    PROTOCOL_INVARIANTS,
    Options,
    Plan,
    get_plan,
    protocol_names,
    variant_names,
)
from hetsim.ownership._mishaps import KINDS, mishaps, some_faults, wander
from hetsim.ownership._scene import Faults
from hetsim.ownership._world import World

VARIANTS = [(kind, name) for kind in protocol_names() for name in variant_names(kind)]
SOUND = [pair for pair in VARIANTS if get_plan(*pair).variant.sound]
FAULTY = [pair for pair in VARIANTS if get_plan(*pair).variant.faulty]
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
