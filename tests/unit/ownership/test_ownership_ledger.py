"""The ledger of a run and the checks of a design."""

from __future__ import annotations

from hetsim.ownership import INVARIANTS, OwnershipRow, get_plan, observe
from hetsim.ownership import vocabulary as voc
from hetsim.ownership._invariants import (
    INVARIANT_TEXT,
    Ledger,
    conservation,
    lease_bound,
    no_deadlock,
    timer_order,
    timer_start,
)

READ = (
    voc.ARRIVED,
    voc.PREFILL_STARTED,
    voc.produced(0, 1),
    voc.CONSUMER_SEEN,
    voc.CREDIT_GRANTED,
)


def reading():  # type: ignore[no-untyped-def]
    machine = get_plan("pull_lease").machine("r")
    for event in READ:
        machine.handle(event, 0.0)
    return machine


def test_every_invariant_has_a_sentence() -> None:
    assert tuple(INVARIANT_TEXT) == INVARIANTS


def test_usual_free_leaves_no_trace() -> None:
    ledger, machine = Ledger(), reading()
    machine.handle(voc.landed(0, 1), 1.0)
    machine.handle(voc.notice("done"), 1.0)
    ledger.freed(machine, "Ps", "delivered", 1.0, 10, 0.5)
    assert ledger.broken() == () and ledger.leak_block_seconds == {}


def test_free_under_a_read_is_i1_and_a_late_free_a_leak() -> None:
    ledger, machine = Ledger(), reading()
    machine.handle(voc.timer_fired("lease"), 30.0)
    ledger.freed(machine, "Ps", "lease_expired", 30.0, blocks=10, useless_since_s=28.0)
    assert ledger.violations["I1"] == 1
    assert ledger.causes[("I1", "lease_expired")] == 1
    assert ledger.leak_block_seconds == {("Ps", "lease_expired"): 20.0}


def test_death_of_a_device_is_no_reuse() -> None:
    ledger, machine = Ledger(), reading()
    machine.handle(voc.crashed("P"), 1.0)
    ledger.freed(machine, "Ps", "crash", 1.0, 10)
    assert ledger.broken() == ()


def test_ok_with_wrong_kv_is_counted_apart() -> None:
    ledger, machine = Ledger(), reading()
    machine.handle(voc.timer_fired("lease"), 30.0)
    machine.handle(voc.landed(0, 1), 31.0)
    machine.handle(voc.FINISHED, 32.0)
    ledger.ended(machine)
    assert ledger.ok_corrupt == 1 and ledger.violations["I16"] == 1
    ledger.ended(machine, wrong=False)  # the engine knows that nobody reused the blocks
    assert ledger.ok_corrupt == 1


def test_what_is_held_at_the_end_is_a_leak_without_end() -> None:
    ledger = Ledger()
    machine = get_plan("pull_lease", "no_timer").machine()
    for event in (*READ, voc.landed(0, 1), voc.FINISHED):
        machine.handle(event, 1.0)
    ledger.left(machine, at_s=101.0, blocks=4, since_s=1.0)
    assert ledger.leak_block_seconds == {("Ps", "never"): 400.0}
    assert ledger.broken() == ("I2",)


def test_post_to_blocks_given_up_is_i5() -> None:
    ledger = Ledger()
    machine = get_plan("pull_lease").machine()
    for event in READ[:4]:
        machine.handle(event, 0.0)
    machine.handle(voc.timer_fired("lease"), 30.0)
    machine.handle(voc.CREDIT_GRANTED, 31.0)
    ledger.posted(machine)
    assert ledger.violations["I5"] == 1


def test_conservation_states_the_sum() -> None:
    assert conservation(1, 2, 3, 7) == "1 free + 2 owned + 3 quarantined != 7"


def test_lease_bound_needs_a_renewal_off_the_step_loop() -> None:
    long = (1.0, 40.0, 1.0)
    assert "may stall" in lease_bound(get_plan("pull_lease").variant, *long)
    assert lease_bound(get_plan("pull_lease", "sound").variant, *long) == ""
    assert lease_bound(get_plan("pull_lease", "legacy").variant, *long) == ""


def test_timer_order_and_start_name_the_culprit() -> None:
    assert (
        timer_order(get_plan("consumer_triggered_push", "early_receive_timeout").variant)
        == "D gives up after 2 s, P only after 480 s"
    )
    assert "measures D's queue" in timer_start(get_plan("rendezvous_chunk_push").variant)


def test_deadlock_is_a_cycle_of_waits() -> None:
    waits = {"P blocks": ["D blocks"], "D blocks": ["transit"], "transit": ["P blocks"], "host": []}
    assert no_deadlock(waits) == ("D blocks", "transit", "P blocks", "D blocks")


def test_observer_writes_one_row_per_block_set_that_changed() -> None:
    rows: list[OwnershipRow] = []
    machine = get_plan("pull_lease").machine(7)
    for event in (*READ, voc.TRANSFER_STARTED, voc.landed(0, 1), voc.notice("done"), voc.FINISHED):
        observe(machine, event, 1.0, rows)
    assert [(row.block_set, row.state_to) for row in rows if row.block_set == "Ps"] == [
        ("Ps", "waiting"),
        ("Ps", "prefilling"),
        ("Ps", "leased"),
        ("Ps", "free"),
    ]
    assert rows[-1] == (1.0, 7, "Ds", "decoding", "free", "", "finished")
