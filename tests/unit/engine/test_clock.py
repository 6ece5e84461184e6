from __future__ import annotations

from math import inf, nan
from timeit import timeit

import pytest
import simpy

from hetsim.engine import LATE, URGENT, Alarm, Engine, Wake
from hetsim.errors import InvariantViolated


@pytest.fixture
def engine():
    return Engine()


@pytest.fixture
def log():
    return []


def test_alarm_rings_once_at_its_time(engine, log):
    alarm = Alarm(engine, lambda: log.append(engine.now))
    alarm.set(2.5)
    assert alarm.is_set
    assert alarm.at_s == 2.5
    engine.run()
    assert log == [2.5]
    assert not alarm.is_set
    assert alarm.at_s == inf


@pytest.mark.parametrize("again", [1.0, 2.5, 4.0])
def test_the_last_setting_counts(engine, log, again):
    alarm = Alarm(engine, lambda: log.append(engine.now))
    alarm.set(2.5)
    alarm.set(again)
    engine.run()
    assert log == [again]


def test_an_alarm_that_is_cleared_or_set_to_never_does_not_ring(engine, log):
    for stop in (Alarm.clear, lambda alarm: alarm.set(inf)):
        alarm = Alarm(engine, lambda: log.append("rang"))
        alarm.set(1.0)
        stop(alarm)
    engine.run()
    assert log == []


def test_an_alarm_may_set_itself_again_from_its_callback(engine, log):
    def ring():
        log.append(engine.now)
        if len(log) < 3:
            alarm.set_in(1.0)

    alarm = Alarm(engine, ring)
    alarm.set(0.0)
    engine.run()
    assert log == [0.0, 1.0, 2.0]


def test_an_absolute_time_is_kept_to_the_last_bit(engine, log):
    at = 0.1 + 0.2  # now + (at - now) is another number when now is 0.3 / 7
    alarm = Alarm(engine, lambda: log.append(engine.now))
    engine.call_at(0.3 / 7, lambda: alarm.set(at))
    engine.run()
    assert log == [at]


def test_ties_run_by_priority_and_then_in_the_order_of_setting(engine, log):
    late = Alarm(engine, lambda: log.append("late"), late=True)
    late.set(1.0)
    engine.call_at(1.0, lambda: log.append("first"))
    engine.call_at(1.0, lambda: log.append("urgent"), priority=URGENT)

    def process():
        yield engine.timeout(1.0)
        log.append("process")
        yield engine.timeout(0.0)
        log.append("still the same time")

    engine.process(process())
    engine.call_at(1.0, lambda: log.append("late, set after"), priority=LATE)
    engine.run()
    expected = ["urgent", "first", "process", "still the same time", "late", "late, set after"]
    assert log == expected


@pytest.mark.parametrize("at", [0.5, nan])
def test_L5_time_does_not_run_backwards(engine, at):
    engine.run(until=1.0)
    for call in (Alarm(engine, print).set, lambda at: engine.call_at(at, print)):
        with pytest.raises(InvariantViolated, match="law L5"):
            call(at)


def test_run_until_a_time_leaves_what_happens_then_for_later(engine, log):
    engine.call_at(1.0, lambda: log.append("one"))
    engine.call_at(2.0, lambda: log.append("two"))
    engine.run(until=2.0)
    assert (log, engine.now) == (["one"], 2.0)
    engine.run()
    assert log == ["one", "two"]
    with pytest.raises(ValueError, match="must not be before now"):
        engine.run(until=1.0)


def test_run_until_an_event_returns_its_value(engine):
    def process():
        yield engine.timeout(3.0)
        return "done"

    assert engine.run(until=engine.process(process())) == "done"
    assert engine.now == 3.0
    with pytest.raises(RuntimeError, match="no event is left"):
        engine.run(until=engine.event())


@pytest.mark.parametrize("until", [None, 5.0, "event"])
def test_an_error_in_a_process_comes_out_as_it_was(engine, until):
    class Keyworded(Exception):
        def __init__(self, *, code):
            super().__init__(f"code {code}")

    def process():
        yield engine.timeout(1.0)
        raise Keyworded(code=4)

    made = engine.process(process())
    if until == "event":
        until = engine.event()
        made.callbacks.append(lambda _: until.fail(made.value))
        made.defused = True
        until.defused = True
    with pytest.raises(Keyworded, match="code 4"):
        engine.run(until=until)


def test_observers_look_after_every_event(engine, log):
    engine.after_event(lambda: log.append(engine.now))
    engine.call_at(1.0, lambda: None)
    engine.run()
    engine.run(until=engine.timeout(1.0))
    assert log == [1.0, 2.0]


@pytest.mark.slow
def test_an_alarm_costs_at_most_two_and_a_half_timeouts():
    bare, engine = simpy.Environment(), Engine()
    alarm = Alarm(engine, lambda: None)

    def timeout():
        bare.timeout(1.0)
        bare.step()

    def ring():
        alarm.set(engine.now + 1.0)
        engine.step()

    best = min(timeit(ring, number=2000) / timeit(timeout, number=2000) for _ in range(9))
    assert best <= 2.5


def late_now(engine, log, name):
    signal = Wake(lambda wake: log.append(wake.owner), name)
    engine.soon.append((engine.now, LATE, next(engine.order), signal))


def test_a_late_event_of_this_moment_waits_for_what_else_happens_now(engine, log):
    def first():
        late_now(engine, log, "late")
        engine.call_at(engine.now, lambda: log.append("normal"))

    engine.call_at(1.0, first)
    engine.call_at(1.0, lambda: log.append("second"))
    engine.run()
    assert log == ["second", "normal", "late"]
    assert engine.now == 1.0


def test_late_events_of_this_moment_keep_their_order(engine, log):
    def first():
        for name in "abc":
            late_now(engine, log, name)

    engine.call_at(1.0, first)
    engine.call_at(2.0, lambda: log.append("after"))
    engine.run()
    assert log == ["a", "b", "c", "after"]


def test_laws_are_looked_at_after_a_late_event_of_this_moment_too(engine, log):
    engine.call_at(1.0, lambda: late_now(engine, log, "late"))
    engine.after_event(lambda: log.append("look"))
    engine.run()
    assert log == ["look", "late", "look"]


def test_simpy_steps_through_the_same_events(engine, log):
    engine.call_at(1.0, lambda: late_now(engine, log, "late"))
    engine.run(until=engine.timeout(2.0))
    assert log == ["late"]


def test_a_dropped_entry_does_not_move_the_clock():
    engine, seen = Engine(), []
    orders = []
    for at in (3.0, 1.0, 2.0, 9.0):
        engine.call_at(at, lambda at=at: seen.append(at))
        orders.append(engine.queue[0][2] if at == 1.0 else max(e[2] for e in engine.queue))
    engine.drop(orders[3])
    engine.drop(orders[3])  # it is gone: nothing happens
    engine.drop(orders[2])
    engine.run()
    assert (seen, engine.now) == ([1.0, 3.0], 3.0)
