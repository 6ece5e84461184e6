"""PULL_LEASE by hand: the usual path, each failure of the specification, the cost of a request."""

from __future__ import annotations

import time

import pytest

from hetsim.errors import InvalidTransition, ScenarioError
from hetsim.ownership import Machine, Options, Timers, get_plan
from hetsim.ownership import vocabulary as voc

PRODUCED = voc.produced(0, 1)
LANDED = voc.landed(0, 1)
DONE = voc.notice("done")
USUAL = (
    voc.ARRIVED,
    voc.PREFILL_STARTED,
    PRODUCED,
    voc.CONSUMER_SEEN,
    voc.CREDIT_GRANTED,
    voc.TRANSFER_STARTED,
    LANDED,
    DONE,
    voc.FINISHED,
)


def drive(machine: Machine, *events: voc.Event, at_s: float = 0.0) -> list[str]:
    """Feed events; return the ops of all instructions, in order."""
    return [step.op for event in events for step in machine.handle(event, at_s)]


def reading(variant: str = "", **options: object) -> Machine:
    machine = get_plan("pull_lease", variant, None, Options(**options)).machine("r", record=True)  # type: ignore[arg-type]
    drive(machine, *USUAL[:6])
    return machine


def test_usual_path_is_the_life_a0_to_a6() -> None:
    machine = get_plan("pull_lease").machine("r")
    states = []
    for event in USUAL:
        machine.handle(event, 0.0)
        states.append(machine.state)
    assert states == [
        "waiting/absent",
        "prefilling/absent",
        "leased/absent",
        "leased/queued",
        "leased/reserved",
        "leased/reading",
        "leased/decoding",
        "free/decoding",
        "free/free",
    ]
    assert machine.resting and machine.outcome == "ok" and not machine.corrupt


def test_owners_follow_the_table_of_the_protocol() -> None:
    machine = get_plan("pull_lease").machine()
    owners = []
    for event in USUAL:
        machine.handle(event, 0.0)
        owners.append((machine.owner("Ps"), machine.owner("Ds")))
    assert owners[1:6] == [
        ("P.scheduler", None),
        ("P.connector", None),
        ("P.connector", None),
        ("P.connector", "D.scheduler"),
        ("P.connector", "D.connector"),
    ]
    assert owners[-1] == (None, None)


def test_both_sets_are_under_access_while_the_read_may_run() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL[:5])  # posted, though no byte may have moved
    assert machine.access("Ps") == machine.access("Ds") == ("D.nic",)
    machine.handle(LANDED, 0.0)
    assert machine.access("Ps") == () and machine.access("Ds") == ("D.compute",)


def test_lease_at_its_edge() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL[:3], at_s=10.0)
    (again,) = machine.handle(voc.timer_fired("lease"), 39.5)
    assert again == voc.SetTimer("lease", 0.5, "P", "step")
    assert machine.handle(voc.timer_fired("lease"), 40.0) == (voc.Free("Ps", "lease_expired"),)


def test_heartbeat_moves_the_deadline_to_the_later_of_the_two() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL[:4], at_s=0.0)
    machine.handle(voc.notice("beat"), 5.0)
    assert machine.deadline_s == 30.0  # 5 + 20 is earlier than what it was
    machine.handle(voc.notice("beat"), 25.0)
    assert machine.deadline_s == 45.0


def test_beats_are_sent_until_the_read_is_over() -> None:
    machine = get_plan("pull_lease").machine()
    assert drive(machine, *USUAL[:4])[-2:] == ["reserve", "set_timer"]
    assert drive(machine, voc.timer_fired("beat")) == ["send", "set_timer"]
    drive(machine, voc.CREDIT_GRANTED, LANDED)
    assert drive(machine, voc.timer_fired("beat")) == []


def test_expiry_under_a_live_read_is_silent_corruption() -> None:
    machine = reading()
    ops = drive(machine, voc.timer_fired("lease"), at_s=31.0)
    assert ops == ["free", "corrupt"] and machine.corrupt
    drive(machine, LANDED, voc.FINISHED, at_s=32.0)
    assert machine.outcome == "ok"  # HTTP 200 with wrong tokens


def test_read_of_recycled_blocks_goes_unnoticed_without_generations() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL[:4])
    drive(machine, voc.timer_fired("lease"), at_s=31.0)
    assert drive(machine, voc.CREDIT_GRANTED, at_s=32.0) == ["start_transfer", "corrupt"]


@pytest.mark.parametrize(("policy", "last"), [("fail", "fail"), ("recompute", "recompute")])
def test_sound_variant_refuses_a_stale_source(policy: str, last: str) -> None:
    machine = get_plan("pull_lease", "sound", None, Options(on_error=policy)).machine()  # type: ignore[arg-type]
    drive(machine, *USUAL[:4])
    drive(machine, voc.timer_fired("lease"), voc.quiesced(), at_s=31.0)
    ops = drive(machine, voc.CREDIT_GRANTED, at_s=32.0)
    assert ops[-1] == last and "start_transfer" not in ops and not machine.corrupt


def test_sound_variant_frees_only_when_the_fence_is_proven() -> None:
    machine = reading("sound")
    assert drive(machine, voc.timer_fired("lease"), at_s=31.0) == ["stop_transfer"]
    assert machine.owner("Ps") == "P.connector"
    assert "free" in drive(machine, voc.transfer_failed(True))  # D's blocks: its read is over
    assert machine.handle(voc.quiesced(), 31.0) == (voc.Free("Ps", "lease_expired"),)


def test_failed_read_that_may_still_write_quarantines_ds() -> None:
    machine = reading()
    assert drive(machine, voc.transfer_failed(False)) == ["quarantine"]
    assert machine.owner("Ds") == "D.connector" and machine.outcome is None
    assert drive(machine, voc.quiesced()) == ["stop_timer", "free", "fail"]


def test_siblings_of_a_failed_handle_are_awaited() -> None:
    machine = reading(handles=3)
    drive(machine, voc.landed(0, 3))
    assert drive(machine, voc.transfer_failed(True, 1, 3)) == ["quarantine"]
    assert drive(machine, voc.landed(2, 3))[-1] == "fail"


def test_first_error_frees_under_siblings_in_the_faulty_variant() -> None:
    machine = reading("free_on_first_error", handles=2)
    assert "free" in drive(machine, voc.transfer_failed(True, 0, 2))
    assert machine.access("Ds")  # the sibling still writes


def test_abort_while_reading_waits_for_the_read() -> None:
    machine = reading()
    assert drive(machine, voc.cancelled("D")) == ["quarantine", "abort"]
    assert drive(machine, LANDED) == ["stop_timer", "free", "send"]


def test_refused_request_releases_p_by_an_empty_receive() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL[:3], voc.cancelled("D"))
    assert machine.handle(voc.CONSUMER_SEEN, 1.0) == (voc.Send("done", "P"),)
    assert drive(machine, DONE) == ["stop_timer", "free"]


def test_preempted_request_is_computed_anew_and_never_pulled_twice() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL[:7])
    assert drive(machine, voc.PREEMPTED) == ["free", "reserve"]
    assert drive(machine, voc.CREDIT_GRANTED) == ["recompute"]


def test_conversion_stands_between_landing_and_admission() -> None:
    machine = reading(convert=True)
    assert drive(machine, LANDED)[-1] == "convert"
    assert drive(machine, voc.CONVERTED) == ["admit"]


def test_lost_release_is_repaired_by_the_lease_only_where_there_is_one() -> None:
    leased, endless = reading(), reading("no_timer")
    for machine in (leased, endless):
        drive(machine, LANDED, voc.FINISHED)
    drive(leased, voc.timer_fired("lease"), at_s=31.0)
    assert leased.resting and not endless.resting


def test_crash_of_p_before_the_hand_off_fails_the_request() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL[:2])
    assert machine.handle(voc.crashed("P"), 1.0) == (
        voc.Free("Ps", "crash"),
        voc.Fail("prefill_crash"),
    )


def test_crash_of_d_leaves_p_to_its_lease() -> None:
    machine = reading()
    assert drive(machine, voc.crashed("D")) == ["free", "fail"]
    assert machine.owner("Ps") == "P.connector" and machine.access("Ps") == ()
    assert drive(machine, voc.timer_fired("lease"), at_s=31.0) == ["free"]
    assert machine.resting


def test_repeated_and_late_control_changes_nothing() -> None:
    machine = get_plan("pull_lease").machine()
    drive(machine, *USUAL)
    for event in (
        DONE,
        voc.notice("beat"),
        voc.CONSUMER_SEEN,
        voc.cancelled("P"),
        voc.cancelled("D"),
        voc.timer_fired("lease"),
        voc.timer_fired("beat"),
    ):
        assert machine.handle(event, 99.0) == ()
    assert machine.outcome == "ok"


def test_illegal_event_tells_the_story_and_changes_nothing() -> None:
    machine = reading()
    before = machine.state
    with pytest.raises(
        InvalidTransition, match="finished is not allowed in state leased/reading"
    ) as e:
        machine.handle(voc.FINISHED, 7.0)
    assert "0.000000 s: consumer_seen in leased/absent" in str(e.value)
    assert machine.state == before


def test_timers_of_a_scenario_replace_those_of_the_variant() -> None:
    plan = get_plan("pull_lease", "lease", Timers(lease_s=1.0))
    machine = plan.machine()
    assert voc.SetTimer("lease", 1.0, "P", "step") in [
        step for event in USUAL[:3] for step in machine.handle(event, 0.0)
    ]


def test_timer_that_is_not_above_zero_is_refused() -> None:
    with pytest.raises(ScenarioError, match="lease_s: must be above 0 s"):
        Timers(lease_s=0.0)


def test_unknown_kind_and_variant_name_the_near_ones() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'pull_lease'"):
        get_plan("pull_leese")
    with pytest.raises(ScenarioError, match="no variant 'lesse'; did you mean 'lease'"):
        get_plan("pull_lease", "lesse")


@pytest.mark.slow
def test_usual_path_costs_less_than_6_us() -> None:
    plan = get_plan("pull_lease")
    best = float("inf")
    for _ in range(7):
        start = time.process_time()
        for _ in range(4000):
            handle = plan.machine().handle
            for event in USUAL:
                handle(event, 1.0)
        best = min(best, (time.process_time() - start) / 4000)
    assert best < 6e-6
