"""Strokes, accounts and deadlocks, by hand."""

from __future__ import annotations

import math

import pytest

from hetsim.engine import Streams
from hetsim.faults import (
    CATALOGUE,
    FAULT_COLUMNS,
    FaultRecord,
    Prices,
    Store,
    Waiter,
    fields_of,
    find_deadlock,
    hits,
    poisson_times,
    report,
    stuck,
)


def test_strokes_of_a_rate_come_as_often_as_stated_and_belong_to_the_fault():
    draw = Streams(3).uniform
    times = []
    for at_s in poisson_times(draw, 0, 360.0):  # one in ten seconds
        if at_s > 100_000.0:
            break
        times.append(at_s)
    assert len(times) == pytest.approx(10_000, rel=0.03)
    assert times == sorted(times)
    assert next(poisson_times(draw, 1, 360.0)) != times[0]
    assert next(poisson_times(Streams(3).uniform, 0, 360.0)) == times[0]


def test_a_probability_is_met_thing_by_thing():
    draw = Streams(1).uniform
    found = sum(hits(draw, 0, 0.2, rid, 0) for rid in range(20_000))
    assert found == pytest.approx(4000, rel=0.05)
    assert not any(hits(draw, 0, 0.0, rid, 0) for rid in range(100))


def test_the_account_of_a_fault_by_hand():
    """Two requests touched at 1 s: one failed and came back at 4 s, one was wrong at 3 s."""
    record = FaultRecord(0, "decode_crash", "crash")
    record.strike(1.0)
    for rid, end_s in ((7, 4.0), (8, 3.0), (9, 2.0)):
        record.touch(rid)
        record.touched[rid] = end_s
    record.recovered[7] = None
    record.corrupt[8] = None
    record.lose(record.lost_prefill, "p", 100)
    record.lose(record.lost_decode, "d", 10)
    record.down(2.0, devices=4, now=3.0)
    (row,) = report([record], frozenset({9}), Prices({"p": 0.01}, {"d": 0.5}), 10.0)
    assert set(row) == set(FAULT_COLUMNS)
    assert (row["touched"], row["lost_requests"], row["blast_radius"]) == (3, 2, 3.0)
    assert row["lost_goodput_req_s"] == pytest.approx(0.2)
    assert row["wasted_gpu_s"] == pytest.approx(2 * 4 + 100 * 0.01 + 10 * 0.5)
    assert row["time_to_recover_s"] == 3.0 and row["down_s"] == 2.0


def test_what_never_comes_back_has_no_time_to_recover():
    record = FaultRecord(0, "decode_crash", "crash")
    record.strike(1.0)
    record.open = 1
    (row,) = report([record], frozenset(), Prices({}, {}), 10.0)
    assert math.isnan(row["time_to_recover_s"]) and math.isnan(row["down_s"])


def test_a_queue_behind_a_head_that_fits_is_not_stuck():
    store = Store("d", free=4, held={1: 4}, waits=[Waiter(2, 4), Waiter(3, 8)])
    assert stuck([store]) == ()


def test_a_request_larger_than_all_that_can_come_free_is_stuck_and_no_circle():
    store = Store("d", free=0, held={1: 4}, waits=[Waiter(2, 8)])
    assert stuck([store]) == (2,)
    assert find_deadlock([store], {}) is None


def test_three_in_a_circle_and_the_youngest_holder_is_the_victim():
    stores = [
        Store("a", 0, {1: 1}, [Waiter(3, 1)]),
        Store("b", 0, {2: 1}, [Waiter(1, 1)]),
        Store("c", 0, {3: 1}, [Waiter(2, 1), Waiter(9, 1)]),
    ]
    found = find_deadlock(stores, {1: 5.0, 2: 1.0, 3: 2.0, 9: 8.0})
    assert found is not None and found.victim == 1
    assert found.requests == (1, 2, 3, 9)
    assert found.cycle[0] == found.cycle[-1] and len(found.cycle) == 7


def test_one_more_block_is_enough_to_break_the_circle():
    stores = [Store("p", 0, {1: 4}, [Waiter(2, 4)]), Store("d", 4, {2: 4}, [Waiter(1, 4)])]
    assert stuck(stores) == ()


def test_every_kind_knows_what_it_needs():
    for kind in CATALOGUE.values():
        assert set(kind.needs) <= set(fields_of(kind))
