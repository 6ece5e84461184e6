"""The pushing protocols by hand: rendezvous, registration, trigger, layers."""

from __future__ import annotations

import pytest

from hetsim.ownership import Machine, Options, get_plan
from hetsim.ownership import vocabulary as voc

ADDRESSES, DONE, FAILED = voc.notice("addresses"), voc.notice("done"), voc.notice("failed")
ABORT, ACK = voc.notice("abort"), voc.notice("ack")
RENDEZVOUS = (voc.ARRIVED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, ADDRESSES, voc.PREFILL_STARTED)


def drive(machine: Machine, *events: voc.Event, at_s: float = 0.0) -> list[str]:
    return [step.op for event in events for step in machine.handle(event, at_s)]


def new(kind: str, variant: str = "", **options: object) -> Machine:
    return get_plan(kind, variant, None, Options(**options)).machine("r", record=True)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["rendezvous_chunk_push", "layerwise_push"])
def test_prefill_waits_for_the_blocks_of_d(kind: str) -> None:
    machine = new(kind)
    assert "start_prefill" not in drive(machine, *RENDEZVOUS[:3])
    assert "start_prefill" in drive(machine, ADDRESSES)
    assert machine.plan.facts.reserve_before_prefill


def test_each_chunk_is_pushed_as_it_is_computed() -> None:
    machine = new("rendezvous_chunk_push")
    drive(machine, *RENDEZVOUS)
    assert machine.handle(voc.produced(0, 3), 0.0) == (voc.StartTransfer(0, 3),)
    assert drive(machine, voc.landed(0, 3), voc.produced(1, 3)) == ["start_transfer"]
    drive(machine, voc.produced(2, 3), voc.landed(2, 3))
    assert machine.handle(voc.landed(1, 3), 0.0) == (
        voc.Free("Ps", "delivered"),
        voc.Send("done", "D"),
    )
    assert drive(machine, DONE, voc.FINISHED) == ["stop_timer", "admit", "free"]
    assert machine.resting and machine.outcome == "ok"


def test_p_gives_up_waiting_for_addresses_and_tells_d() -> None:
    machine = new("rendezvous_chunk_push")
    drive(machine, *RENDEZVOUS[:2])
    assert drive(machine, voc.timer_fired("bootstrap"), at_s=300.0) == ["send"]
    assert drive(machine, FAILED) == ["withdraw", "fail"]


def test_sound_bootstrap_clock_measures_silence_not_the_queue_of_d() -> None:
    machine = new("rendezvous_chunk_push", "sound")
    drive(machine, *RENDEZVOUS[:2])
    assert drive(machine, voc.timer_fired("beat"), at_s=60.0) == ["send", "set_timer"]
    drive(machine, voc.notice("beat"), at_s=60.0)
    assert machine.handle(voc.timer_fired("bootstrap"), 300.0) == (
        voc.SetTimer("bootstrap", 60.0, "P", "wall"),
    )


def test_aborted_blocks_wait_for_the_acknowledgement() -> None:
    machine = new("rendezvous_chunk_push")
    drive(machine, *RENDEZVOUS, voc.produced(0, 2))
    assert drive(machine, voc.cancelled("D")) == ["stop_timer", "send", "set_timer", "abort"]
    assert drive(machine, ABORT) == ["stop_prefill"]  # a write is in flight: no ack yet
    assert drive(machine, voc.landed(0, 2)) == ["free", "send"]
    assert drive(machine, ACK) == ["stop_timer", "free"]
    assert machine.resting and machine.outcome == "aborted"


def test_drain_timer_releases_under_a_write_but_for_the_sound_variant() -> None:
    early, sound = new("rendezvous_chunk_push"), new("rendezvous_chunk_push", "sound")
    for machine in (early, sound):
        drive(machine, *RENDEZVOUS, voc.produced(0, 2), voc.cancelled("D"))
    assert drive(early, voc.timer_fired("drain")) == ["free"] and early.access("Ds")
    assert drive(sound, voc.timer_fired("drain")) == ["stop_transfer"]
    drive(sound, voc.transfer_failed(True, 0, 2))
    assert "free" in drive(sound, voc.quiesced())


def test_fenced_writer_posts_no_more() -> None:
    machine = new("rendezvous_chunk_push", "sound")
    drive(machine, *RENDEZVOUS, voc.cancelled("D"), voc.timer_fired("drain"), voc.quiesced())
    assert "start_transfer" not in drive(machine, voc.produced(0, 2))
    assert machine.resting


def test_silence_of_p_is_noticed_after_the_health_time() -> None:
    machine = new("rendezvous_chunk_push")
    drive(machine, *RENDEZVOUS, voc.produced(0, 1))
    answer = machine.handle(voc.crashed("P"), 1.0)
    assert voc.SetTimer("health", 10.0, "D", "wall") in answer
    assert "free" in drive(machine, voc.timer_fired("health"), at_s=11.0)
    assert machine.outcome == "failed"


def test_failed_write_waits_for_its_siblings_then_fails_on_d() -> None:
    machine = new("rendezvous_chunk_push")
    drive(machine, *RENDEZVOUS, voc.produced(0, 3), voc.produced(1, 3))
    assert drive(machine, voc.transfer_failed(True, 0, 3)) == ["stop_prefill"]
    assert machine.handle(voc.landed(1, 3), 0.0) == (
        voc.Free("Ps", "stopped"),
        voc.Send("failed", "D"),
    )
    assert drive(machine, FAILED) == ["stop_timer", "free", "fail"]


def test_retracted_request_is_restored() -> None:
    machine = new("rendezvous_chunk_push", on_preempt="retract")
    drive(machine, *RENDEZVOUS, voc.produced(0, 1), voc.landed(0, 1), DONE)
    assert drive(machine, voc.PREEMPTED) == ["retract", "free", "reserve"]
    assert drive(machine, voc.CREDIT_GRANTED) == ["restore"]


def test_prefill_complete_reserves_after_the_prefill() -> None:
    machine = new("rendezvous_chunk_push", "prefill_complete")
    assert drive(machine, voc.ARRIVED, voc.PREFILL_STARTED) == ["start_prefill"]
    assert drive(machine, voc.produced(0, 1)) == ["dispatch", "set_timer"]
    drive(machine, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED)
    assert drive(machine, ADDRESSES) == ["stop_timer", "start_transfer"]
    assert not machine.plan.facts.reserve_before_prefill


@pytest.mark.parametrize("first", ["registered", "finished"])
def test_registered_push_starts_when_both_have_happened(first: str) -> None:
    machine = new("registered_push")
    drive(machine, voc.ARRIVED, voc.PREFILL_STARTED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED)
    order = [ADDRESSES, voc.produced(0, 1)]
    if first == "finished":
        order.reverse()
    assert "start_transfer" not in drive(machine, order[0])
    assert "start_transfer" in drive(machine, order[1])


def test_registration_that_expires_is_only_forgotten_by_p() -> None:
    machine = new("registered_push")
    drive(
        machine, voc.ARRIVED, voc.PREFILL_STARTED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, ADDRESSES
    )
    drive(machine, voc.timer_fired("registration"), voc.produced(0, 1))
    assert machine.state == "held/published"  # D's blocks stay, and nobody will write them


def test_lease_over_a_write_delivers_garbage_with_success() -> None:
    machine = new("registered_push")
    drive(
        machine, voc.ARRIVED, voc.PREFILL_STARTED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, ADDRESSES
    )
    drive(machine, voc.produced(0, 1))
    assert drive(machine, voc.timer_fired("lease")) == ["free", "corrupt"]
    drive(machine, voc.landed(0, 1), DONE, voc.FINISHED)
    assert machine.outcome == "ok" and machine.corrupt


def test_hold_timer_does_not_run_while_p_sends() -> None:
    machine = new("consumer_triggered_push")
    drive(machine, voc.ARRIVED, voc.PREFILL_STARTED, voc.produced(0, 1))
    drive(machine, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED)
    assert voc.StopTimer("lease") in machine.handle(ADDRESSES, 1.0)
    assert machine.handle(voc.timer_fired("lease"), 481.0) == ()


def test_failed_send_keeps_the_source_to_its_timer() -> None:
    machine = new("consumer_triggered_push")
    drive(machine, voc.ARRIVED, voc.PREFILL_STARTED, voc.produced(0, 1))
    drive(machine, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, ADDRESSES)
    assert drive(machine, voc.transfer_failed(True)) == ["send", "set_timer"]
    assert machine.part("Ps") == "kept"
    assert drive(machine, voc.timer_fired("lease"), at_s=480.0) == ["free"]


def test_late_receive_in_doubt_is_not_retired() -> None:
    doubt, mooncake = (new("consumer_triggered_push", name) for name in ("in_doubt", "mooncake"))
    for machine in (doubt, mooncake):
        drive(machine, voc.ARRIVED, voc.PREFILL_STARTED, voc.produced(0, 1))
        drive(machine, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, ADDRESSES)
    assert "free" not in drive(doubt, voc.timer_fired("waiting"))
    assert "free" in drive(mooncake, voc.timer_fired("waiting"))


def test_layers_free_at_finish_leave_writes_behind() -> None:
    machine = new("layerwise_push")
    drive(machine, *RENDEZVOUS, voc.produced(0, 2))
    assert drive(machine, voc.produced(1, 2)) == ["start_transfer", "free"]
    assert machine.owner("Ps") is None and machine.access("Ps") == ("P.nic",)
    drive(machine, voc.landed(0, 2))
    assert drive(machine, voc.landed(1, 2), DONE) == ["send", "admit"]
