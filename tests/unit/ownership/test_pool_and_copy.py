"""The protocols with a third block set: a pool object, a transit copy."""

from __future__ import annotations

import pytest

from hetsim.ownership import Machine, Options, get_plan
from hetsim.ownership import vocabulary as voc

PUT, GET = voc.landed(0, 1, "put"), voc.landed(0, 1, "get")
STORED = (voc.ARRIVED, voc.PREFILL_STARTED, voc.produced(0, 1), voc.XGRANTED, PUT)


def drive(machine: Machine, *events: voc.Event, at_s: float = 0.0) -> list[str]:
    return [step.op for event in events for step in machine.handle(event, at_s)]


def pool(variant: str = "", **options: object) -> Machine:
    return get_plan("pool_lease", variant, None, Options(**options)).machine()  # type: ignore[arg-type]


def test_put_frees_p_independently_of_d() -> None:
    machine = pool()
    assert drive(machine, *STORED)[-2:] == ["free", "dispatch"]
    assert machine.owner("Ps") is None and machine.owner("X") == "pool"


def test_read_is_used_only_if_the_lease_still_held() -> None:
    in_time, late = pool(on_error="recompute"), pool(on_error="recompute")
    for machine in (in_time, late):
        drive(machine, *STORED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, at_s=1.0)
    assert drive(in_time, GET, at_s=11.0) == ["admit"]
    assert drive(late, GET, at_s=11.01) == ["recompute"]


def test_reader_that_does_not_check_uses_what_it_read() -> None:
    machine = pool("unchecked")
    drive(machine, *STORED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED)
    assert drive(machine, voc.EVICTED, at_s=5.0) == ["free", "corrupt"]
    assert drive(machine, GET, at_s=6.0) == ["admit"]


def test_lease_and_pin_protect_an_object_from_eviction() -> None:
    store, sound = pool(), pool("sound")
    for machine in (store, sound):
        drive(machine, *STORED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED)
        assert drive(machine, voc.EVICTED, at_s=9.9) == []
    assert drive(store, voc.EVICTED, at_s=10.0) == ["free"]
    assert drive(sound, voc.EVICTED, at_s=10.0) == []


@pytest.mark.parametrize(("policy", "ops"), [("fail", ["fail"]), ("recompute", ["reserve"])])
def test_eviction_before_the_lookup_is_a_miss(policy: str, ops: list[str]) -> None:
    machine = pool(on_error=policy)
    drive(machine, *STORED, voc.EVICTED)
    assert drive(machine, voc.CONSUMER_SEEN) == ops


def test_dead_writer_leaves_a_zombie_until_its_release() -> None:
    machine = pool()
    drive(machine, *STORED[:4])
    answer = machine.handle(voc.crashed("P"), 1.0)
    assert voc.SetTimer("release", 600.0, "X", "wall") in answer
    assert machine.owner("X") == "pool" and not machine.resting
    assert drive(machine, voc.timer_fired("release"), at_s=601.0) == ["free"]


def test_preempted_request_is_read_again_from_the_pool() -> None:
    machine = pool(on_preempt="reload")
    drive(machine, *STORED, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED, GET, voc.PREEMPTED)
    assert machine.handle(voc.CREDIT_GRANTED, 20.0) == (voc.StartTransfer(0, 1, "get"),)
    assert drive(machine, GET, at_s=21.0) == ["admit"]


def test_copy_out_frees_p_when_the_copy_is_made() -> None:
    machine = get_plan("copy_out").machine()
    assert drive(machine, *STORED[:3]) == ["start_prefill", "reserve"]
    assert drive(machine, voc.XGRANTED) == ["convert"]
    assert drive(machine, voc.CONVERTED) == ["free", "dispatch", "set_timer"]
    assert machine.owner("Ps") is None and machine.owner("X") == "P.connector"
    drive(machine, voc.CONSUMER_SEEN, voc.CREDIT_GRANTED)
    assert machine.access("X") == ("D.nic",) and machine.access("Ps") == ()
    drive(machine, voc.landed(0, 1))
    assert machine.handle(voc.notice("done"), 0.0)[-1] == voc.Free("X", "delivered")


def test_qaic_reader_gives_up_after_five_tries_of_50_ms() -> None:
    machine = get_plan("copy_out", "shared_memory").machine()
    drive(machine, *STORED[:4], voc.CONVERTED, voc.CONSUMER_SEEN)
    assert voc.SetTimer("transfer", 0.25, "D", "wall") in machine.handle(voc.CREDIT_GRANTED, 0.0)
