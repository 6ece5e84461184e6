"""Every state of small instances of every ownership protocol, with at most one fault.

The tables of ``docs/background/exploration.md`` are kept true here; ``HETSIM_REWRITE=1`` writes
them. What the search rests on (one request alone stands for each of several; merged states stand
for all) is tested beside it.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from functools import lru_cache
from pathlib import Path
from random import Random

import numpy as np
import pytest

from hetsim.ownership import Options, Plan, get_plan, protocol_names, variant_names
from hetsim.ownership._alone import Alone, alone, project, ranked
from hetsim.ownership._crowd import Crowd, Seen, Size
from hetsim.ownership._invariants import design_violations
from hetsim.ownership._mishaps import KINDS, moves
from hetsim.ownership._quotient import Ints, Web, merge, quotient, unfold
from hetsim.ownership._scene import Faults
from hetsim.ownership._story import retell, shortest
from hetsim.ownership._world import World

PAGE = Path(__file__).resolve().parents[2] / "docs" / "background" / "exploration.md"
VARIANTS = [(kind, name) for kind in protocol_names() for name in variant_names(kind)]
SOUND = [pair for pair in VARIANTS if get_plan(*pair).variant.sound]
UNSOUND = [pair for pair in VARIANTS if pair not in SOUND]
FAULTY = [pair for pair in VARIANTS if get_plan(*pair).variant.faulty]
BRIEF = ("pool_lease",)
SMALL = Size(requests=2, prefill=1, decode=1)
FULL = Size(requests=3, prefill=2, decode=2)


def _when(kind: str) -> tuple[pytest.MarkDecorator, ...]:
    if kind in BRIEF:
        return ()
    # With one piece, its states are those of rendezvous_chunk_push.
    return (pytest.mark.nightly,) if kind == "layerwise_push" else (pytest.mark.slow,)


def plan_of(kind: str, name: str, most: int, handles: int = 1) -> Plan:
    timers = ranked(get_plan(kind, name).variant.timers, most)
    return get_plan(kind, name, timers, Options(handles=handles))


@lru_cache(maxsize=2)
def single(plan: Plan) -> tuple[Alone, Web, Ints]:
    """Return one request alone: its automaton, that as arrays, and the class of each node."""
    found = alone(plan)
    web = unfold(found)
    return found, web, merge(web)


@pytest.fixture(
    scope="module",
    params=[pytest.param(pair, marks=_when(pair[0]), id="-".join(pair)) for pair in SOUND],
)
def small(request: pytest.FixtureRequest) -> Plan:
    """Return a sound plan with short timers (of module scope: its automaton is found once)."""
    kind, name = request.param
    return plan_of(kind, name, 2)


def explored(plan: Plan, size: Size) -> tuple[Seen, list[str]]:
    """Explore an instance; return what was seen and the cells of its row."""
    found, web, classes = single(plan)
    merged = quotient(web, classes)
    seen = Crowd(merged, size).explore()
    numbers = (len(found.edges), merged.nodes, seen.states, seen.steps, seen.depth)
    return seen, [*(f"{number:,}" for number in numbers), "yes" if seen.whole else "no"]


def sound(plan: Plan, seen: Seen) -> None:
    found = single(plan)[0]
    assert not found.broken() and not found.foreign
    assert not seen.broken and not seen.doomed
    assert seen.whole and seen.ends
    assert not design_violations(get_plan(plan.kind, plan.variant.name).variant)


def kept(heading: str, kind: str, name: str, cells: list[str], measured: list[str]) -> None:
    """Assert that a row of the page says what was found, or let it."""
    text = PAGE.read_text()
    start = text.index(f"\n## {heading}\n")
    place = text.index(f"| `{kind}/{name}` |", start)
    end = text.index("\n", place)
    seen = [cell.strip() for cell in text[place:end].strip("|").split("|")]
    if os.environ.get("HETSIM_REWRITE"):
        row = " | ".join((f"`{kind}/{name}`", *cells, *measured))
        PAGE.write_text(f"{text[:place]}| {row} |{text[end:]}")
    else:
        assert seen[1 : 1 + len(cells)] == cells


def test_two_requests_on_one_p_and_one_d_are_whole(small: Plan) -> None:
    seen, cells = explored(small, SMALL)
    sound(small, seen)
    kept("Small instance", small.kind, small.variant.name, cells, [])


@pytest.mark.nightly
@pytest.mark.parametrize(("kind", "name"), SOUND, ids=lambda word: word)
def test_three_requests_on_two_p_and_two_d_are_whole(kind: str, name: str) -> None:
    """Every placement of three requests, every interleaving of one fault, all timers apart."""
    plan = plan_of(kind, name, 99, handles=2)
    began = time.process_time()
    seen, cells = explored(plan, FULL)
    spent = f"{time.process_time() - began:.0f}"
    unit = 1e6 if sys.platform == "darwin" else 1e3
    peak = f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit:.0f}"
    sound(plan, seen)
    kept("Two P, two D, three requests", kind, name, cells, [spent, peak])


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["rendezvous_chunk_push", "layerwise_push"])
def test_three_requests_of_two_pieces_are_whole(kind: str) -> None:
    """Chunks or layers: the first piece is pushed while the second is computed."""
    found = alone(plan_of(kind, "sound", 2), pieces=2)
    web = unfold(found)
    seen = Crowd(quotient(web, merge(web)), FULL).explore()
    assert not found.broken() and not found.foreign
    assert seen.whole and not seen.broken and not seen.doomed


@pytest.mark.nightly
@pytest.mark.parametrize(("kind", "name"), SOUND, ids=lambda word: word)
def test_ten_million_unmerged_states_break_no_sound_variant(kind: str, name: str) -> None:
    """The same without silent steps: only nodes that can do exactly the same are one."""
    limit = int(os.environ.get("HETSIM_STATES", "10000000"))
    _, web, _ = single(plan_of(kind, name, 99))
    seen = Crowd(quotient(web, merge(web, silent=False)), FULL).explore(limit)
    assert not seen.broken and not seen.doomed
    assert seen.whole or seen.states >= limit


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param(*pair, marks=pytest.mark.slow if "free_on_first_error" in pair else ())
        for pair in FAULTY
    ],
)
def test_the_defect_of_a_faulty_variant_has_a_shortest_story(kind: str, name: str) -> None:
    """Found among three requests on two P and two D, and told again in the world of full size."""
    plan = plan_of(kind, name, 2, handles=2)
    defect = plan.variant.faulty
    if defect == "I10":  # a property of the timers; in a run it shows as reuse under access
        assert "I10" in design_violations(get_plan(kind, name).variant)
        defect = "I1"
    found, web, classes = single(plan)
    story = shortest(found, web, Crowd(web, FULL), defect, 2_000_000)
    assert story is not None
    assert defect in retell(plan, story).violations, story.lines()
    merged = Crowd(quotient(web, classes), FULL).explore()
    assert merged.whole and defect in merged.broken


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), UNSOUND)
def test_an_unsound_variant_keeps_what_it_declares(kind: str, name: str) -> None:
    """In all states of the full instance, up to what a slot reused under access does to others."""
    _, web, classes = single(plan_of(kind, name, 2, handles=2))
    seen = Crowd(quotient(web, classes), FULL).explore()
    assert seen.whole and seen.broken
    assert not set(seen.broken) & set(get_plan(kind, name).variant.guarantees)


def test_a_shortest_story_reads_as_one() -> None:
    plan = plan_of("pull_lease", "short_lease", 2)
    found, web, _ = single(plan)
    story = shortest(found, web, Crowd(web, FULL), "I1", 1_000_000)
    assert story is not None
    assert story.lines() == [
        "request 0: arrive",
        "request 0: prefill",
        "request 0: produce",
        "request 0: dispatch",
        "request 0: grant D",
        "request 0: timer lease fires",
    ]


def still(crowd: Crowd, states: Ints) -> Ints:
    """Return the states without any step."""
    words = crowd.unpack(states)
    moved = np.zeros(len(words), dtype=bool)
    for _, _, rows, _, _ in crowd.steps(words):
        moved[rows] = True
    return np.asarray(states[~moved])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("pool_lease", "sound"),
        ("pool_lease", "unchecked"),
        ("pull_lease", "no_timer"),
        ("pull_lease", "short_lease"),
        pytest.param("consumer_triggered_push", "sound", marks=pytest.mark.slow),
        pytest.param("rendezvous_chunk_push", "release_before_drain", marks=pytest.mark.slow),
    ],
)
def test_merged_states_are_the_images_of_all_states(kind: str, name: str) -> None:
    """Nothing is lost and nothing invented: states, dead ends and violations are the same."""
    _, web, classes = single(plan_of(kind, name, 2))
    merged = quotient(web, classes)
    every, few = Crowd(web, SMALL), Crowd(merged, SMALL)
    all_seen, few_seen = every.explore(keep=True), few.explore(keep=True)
    assert all_seen.whole and few_seen.whole and few_seen.states < all_seen.states / 10

    def image(states: Ints) -> Ints:
        words = every.unpack(states)
        return np.unique(few.pack(classes[words >> 2] << 2 | words & 3))

    all_states, few_states = (np.concatenate(seen.levels) for seen in (all_seen, few_seen))
    assert np.array_equal(image(all_states), np.unique(few_states))
    ends = still(few, few_states)
    quiet = ends[~merged.spins[few.unpack(ends) >> 2].any(axis=1)]
    assert np.isin(quiet, image(still(every, all_states))).all()
    assert np.isin(image(still(every, all_states)), ends).all()
    assert set(all_seen.broken) == set(few_seen.broken)


def test_each_request_of_a_world_is_in_a_state_of_one_alone(small: Plan) -> None:
    """Random histories of three requests on two P and two D, clocks shared, with one fault."""
    known = single(small)[0].keys
    for seed in range(150):
        draw = Random(seed)
        faults = Faults(**dict.fromkeys(KINDS, 1), total=1)
        world = World(small, 3, 1, 1, faults)
        for job in world.jobs:
            job.machine.deadline_s = -1.0
        for _ in range(80):
            choices = moves(world) if draw.random() < 0.1 else world.usual()
            if not choices:
                break
            world.do(draw.choice(choices))
            assert all(project(world, number) in known for number in range(3)), seed
        assert not world.violations
