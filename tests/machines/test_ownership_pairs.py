"""Every legal pair of state and event of every ownership protocol: each is reached in a history.

A pair that no history reaches would be a move that nobody has seen work.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from hetsim.ownership import PARTS, Options, get_plan, protocol_names, variant_names
from hetsim.ownership import vocabulary as voc
from hetsim.ownership._effects import RUN
from hetsim.ownership._mishaps import KINDS, mishaps
from hetsim.ownership._scene import Faults
from hetsim.ownership._world import World

VARIANTS = [(kind, name) for kind in protocol_names() for name in variant_names(kind)]
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


def key_of(move: tuple[Any, ...]) -> str:
    """Return the key of the event that ``move`` brings about ('' for none)."""
    return MOVES[move[0]](move) if move[0] in MOVES else ""


def leads_to(world: World, move: tuple[Any, ...]) -> set[tuple[str, str, str]]:
    """Return the pairs that ``move`` would visit."""
    key = key_of(move)
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
        keys, states = {pair[2] for pair in ahead}, {pair[1] for pair in ahead}
        hopeful = [move for move in choices if key_of(move) in keys]
        wanted = [move for move in hopeful if leads_to(world, move) & ahead]
        if not wanted:
            wanted = [move for move in choices if enters(world, move) & states]
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
