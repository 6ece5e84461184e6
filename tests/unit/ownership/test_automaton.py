"""The automaton of a plan says what its machines say, whatever happens, and when it may forget."""

from __future__ import annotations

from random import Random

import pytest

from hetsim.errors import InvalidTransition
from hetsim.ownership import Automaton, get_plan, get_protocol, protocol_names, vocabulary
from hetsim.ownership import _automaton as module

PLANS = [
    (kind, variant.name) for kind in protocol_names() for variant in get_protocol(kind).variants
]
FIELDS = ("states", "flying", "getting", "addressed", "count", "fenced", "outcome", "corrupt")


def _events():
    v = vocabulary
    timers = ("lease", "beat", "transfer", "waiting", "drain", "health", "bootstrap", "read_lease")
    notices = ("done", "beat", "addresses", "failed", "abort", "ack")
    return [
        v.ARRIVED, v.PREFILL_STARTED, v.CONSUMER_SEEN, v.CREDIT_GRANTED, v.XGRANTED, v.CONVERTED,
        v.FINISHED, v.PREEMPTED, v.EVICTED, v.TRANSFER_STARTED, v.produced(0, 2), v.produced(1, 2),
        v.produced(0, 1), v.landed(0, 1), v.landed(0, 2), v.landed(1, 2), v.landed(0, 1, "put"),
        v.landed(0, 1, "get"), v.transfer_failed(True), v.transfer_failed(False), v.quiesced(),
        *map(v.notice, notices), *map(v.timer_fired, timers), *map(v.cancelled, ("P", "D")),
        *map(v.crashed, ("P", "D")),
    ]  # fmt: skip


def _same(plan, automaton, draw, events):
    """Walk one request at random, by a machine and by the automaton; return its last state."""
    machine, now, at, deadline_s = plan.machine(3), automaton.start, 0.0, 0.0
    for _ in range(60):
        event = draw.choice(events)
        at += draw.choice((0.0, 0.1, 7.0, 40.0))
        try:
            asked = machine.handle(event, at)
        except InvalidTransition:
            with pytest.raises(InvalidTransition):
                automaton.learn(now, event, at, deadline_s, 3)
            continue
        step = now.steps.get(event)
        if step is None:
            step, deadline_s = automaton.learn(now, event, at, deadline_s, 3)
        elif step[1][0] is not None:
            deadline_s = at + step[1][0]
        now, (_, answer) = step
        assert answer == asked
        assert [getattr(now, f) for f in FIELDS] == [getattr(machine, f) for f in FIELDS]
        assert deadline_s == machine.deadline_s
    return machine.state


@pytest.mark.parametrize(("kind", "variant"), PLANS)
def test_automaton_and_machine_agree_on_every_history(kind, variant):
    plan = get_plan(kind, variant)
    automaton = Automaton(plan, lambda moved, lease_s, event, answer: (lease_s, answer))
    draw, events = Random(5), [e for e in _events() if plan.knows(e)]
    seen = {_same(plan, automaton, draw, events) for _ in range(60)}
    assert len(seen) > 1


def test_what_changed_hands_is_told():
    found = []
    automaton = Automaton(get_plan("pull_lease"), lambda moved, *rest: found.append((moved, *rest)))
    step, _ = automaton.learn(automaton.start, vocabulary.ARRIVED, 5.0, 0.0, 1)
    assert found[0][:2] == (((0, "idle", "waiting"),), None)
    step, _ = automaton.learn(step[0], vocabulary.PREFILL_STARTED, 6.0, 0.0, 1)
    _, deadline_s = automaton.learn(step[0], vocabulary.produced(0, 1), 7.0, 0.0, 1)
    assert (found[-1][1], deadline_s) == (30.0, 37.0)


def test_a_step_that_depends_on_the_deadline_is_not_remembered():
    automaton = Automaton(get_plan("pull_lease"), lambda *found: found[-1])
    at = automaton.start
    for event in (vocabulary.ARRIVED, vocabulary.PREFILL_STARTED, vocabulary.produced(0, 1)):
        at = automaton.learn(at, event, 0.0, 0.0, 1)[0][0]
    expiry = vocabulary.timer_fired("lease")
    early, _ = automaton.learn(at, expiry, 30.0, 45.0, 1)
    late, _ = automaton.learn(at, expiry, 45.0, 45.0, 1)
    assert expiry not in at.steps
    assert (early[0].states[0], late[0].states[0]) == ("leased", "free")


def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "_STEPS", 4)
    plan = get_plan("pull_lease")
    automaton = Automaton(plan, lambda moved, lease_s, event, answer: (lease_s, answer))
    draw, events = Random(1), [e for e in _events() if plan.knows(e)]
    for _ in range(20):
        _same(plan, automaton, draw, events)
    assert sum(len(known.steps) for known in automaton._known.values()) <= 4
