"""Variants that settle: a request ends as its blocks come back, and a release is acknowledged."""

from __future__ import annotations

import pytest

from hetsim.ownership import Machine, Options, get_plan
from hetsim.ownership import vocabulary as voc

READING = (
    voc.ARRIVED, voc.PREFILL_STARTED, voc.produced(0, 1), voc.CONSUMER_SEEN, voc.CREDIT_GRANTED,
)  # fmt: skip
WRITING = (
    voc.ARRIVED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, voc.notice("addresses"),
    voc.PREFILL_STARTED, voc.produced(0, 1),
)  # fmt: skip


def drive(machine: Machine, *events: voc.Event, at_s: float = 1.0) -> list[str]:
    """Return the names of the last answer's instructions, and the notice of each message."""
    answer: tuple[voc.Instruction, ...] = ()
    for event in events:
        answer = machine.handle(event, at_s)
    return [getattr(step, "notice", step.op) for step in answer]


def test_an_abort_under_a_read_ends_when_the_read_is_over():
    machine = get_plan("pull_lease", "sound").machine()
    drive(machine, *READING)
    assert drive(machine, voc.cancelled("D")) == ["quarantine"] and machine.outcome is None
    assert drive(machine, voc.landed(0, 1))[-4:] == ["free", "abort", "done", "set_timer"]
    assert machine.outcome == "aborted"


def test_a_client_that_left_before_decode_saw_it_holds_nothing_on_the_prefill_side():
    machine = get_plan("pull_lease", "sound").machine()
    drive(machine, *READING[:3])
    assert drive(machine, voc.cancelled("P")) == ["stop_timer", "free"]
    assert drive(machine, voc.cancelled("D")) == ["abort"]
    usual = get_plan("pull_lease", "lease").machine()
    drive(usual, *READING[:3])
    assert drive(usual, voc.cancelled("P")) == [] and usual.owner("Ps") == "P.connector"


def test_a_release_is_said_until_it_is_acknowledged():
    machine = get_plan("pull_lease", "sound").machine()
    assert "done" in drive(machine, *READING, voc.landed(0, 1))
    assert drive(machine, voc.timer_fired("resend")) == ["done", "set_timer"]
    assert drive(machine, voc.notice("done"))[-2:] == ["free", "ack"]
    assert drive(machine, voc.notice("done")) == ["ack"]  # the acknowledgement was lost
    assert drive(machine, voc.notice("ack")) == ["stop_timer"]


def test_a_dead_peer_ends_the_saying():
    machine = get_plan("pull_lease", "sound").machine()
    drive(machine, *READING, voc.landed(0, 1), voc.crashed("P"))
    assert drive(machine, voc.notice("done")) == ["ack"]


@pytest.mark.parametrize("kind", ["rendezvous_chunk_push", "layerwise_push"])
def test_an_abort_under_a_write_ends_at_the_word_that_writes_are_over(kind: str):
    machine = get_plan(kind, "sound").machine()
    drive(machine, *WRITING, voc.cancelled("P"))
    assert drive(machine, voc.cancelled("D"))[:2] == ["stop_timer", "abort"]
    assert machine.outcome is None and machine.part("Ds") == "cancelling"
    drive(machine, voc.landed(0, 1))
    assert drive(machine, voc.notice("ack")) == ["stop_timer", "free", "abort"]
    assert machine.outcome == "aborted"


def test_a_late_wait_does_not_become_a_computation_for_nobody():
    plan = get_plan("rendezvous_chunk_push", "sound", None, Options(on_error="recompute"))
    machine = plan.machine()
    drive(machine, *WRITING, voc.timer_fired("waiting"))
    assert machine.part("Ds") == "aborting"
    drive(machine, voc.cancelled("D"))
    assert drive(machine, voc.notice("ack"))[-2:] == ["free", "abort"]


def test_the_router_tells_decode_of_a_dead_producer_and_decode_ends_the_request():
    machine = get_plan("rendezvous_chunk_push", "sound").machine()
    drive(machine, *WRITING[:5])
    assert drive(machine, voc.crashed("P")) == ["free", "dead", "set_timer"]
    assert machine.outcome is None
    assert drive(machine, voc.notice("dead")) == ["stop_timer", "free", "fail"]


def test_a_refusal_is_told_by_those_that_have_learned_it():
    for variant, said in (("lease", True), ("legacy", False), ("sound", True)):
        machine = get_plan("pull_lease", variant).machine()
        answer = drive(machine, *READING[:4], voc.REFUSED)
        assert ("done" in answer) is said and machine.outcome == "failed"


def test_blocks_taken_back_in_flight_wait_for_the_read_where_reads_are_drained():
    sound, faulty = (get_plan("pull_lease", v).machine() for v in ("sound", "free_on_first_error"))
    for machine in (sound, faulty):
        drive(machine, *READING)
    assert drive(sound, voc.PREEMPTED) == ["quarantine"]
    answer = drive(sound, voc.landed(0, 1))
    assert answer[1:3] == ["free", "reserve"] and "done" in answer
    assert drive(faulty, voc.PREEMPTED) == ["stop_timer", "free", "reserve"] and faulty.flying
    for machine in (sound, faulty):
        assert drive(machine, voc.CREDIT_GRANTED) == ["recompute"]


def test_a_pool_that_takes_room_back_does_not_take_a_put_for_whole_that_ends_later():
    machine = get_plan("pool_lease", "reclaiming").machine()
    stored = (*READING[:3], voc.XGRANTED)
    assert "set_timer" in drive(machine, *stored)
    assert drive(machine, voc.timer_fired("discard")) == ["free"] and machine.access("X")
    assert drive(machine, voc.landed(0, 1, "put")) == ["free", "dispatch"]
    assert machine.part("X") == "free"
