"""Changes of a table are pure and say what they cannot do."""

import pytest

from hetsim.errors import ScenarioError
from hetsim.workload import RequestTable, limit, scale_rate, warm_up, window


def table() -> RequestTable:
    return RequestTable([0.0, 1.0, 2.0, 4.0], [10, 20, 30, 40], [1, 2, 3, 4])


def test_twice_the_rate_is_half_the_time():
    fast = scale_rate(warm_up(table(), 2.0), 2.0)
    assert fast.arrival_s.tolist() == [0.0, 0.5, 1.0, 2.0]
    assert fast.measured_from_s == 1.0
    assert fast.isl.tolist() == [10, 20, 30, 40]


def test_window_is_half_open_and_starts_anew_at_zero():
    part = window(table(), 1.0, 4.0)
    assert part.arrival_s.tolist() == [0.0, 1.0]
    assert part.isl.tolist() == [20, 30]


def test_limit_keeps_the_first():
    assert limit(table(), 3).isl.tolist() == [10, 20, 30]
    assert len(limit(table(), 99)) == 4


def test_the_table_itself_never_changes():
    whole = table()
    scale_rate(whole, 2.0), window(whole, 1.0, 3.0), limit(whole, 1), warm_up(whole, 1.0)
    assert whole.arrival_s.tolist() == [0.0, 1.0, 2.0, 4.0]
    assert whole.measured_from_s == 0.0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: scale_rate(t, 0.0), "rate_scale must be above 0"),
        (lambda t: scale_rate(t, float("nan")), "rate_scale"),
        (lambda t: limit(t, 0), "limit must be at least 1"),
        (lambda t: window(t, 3.0, 3.0), "end after it starts"),
        (lambda t: window(t, 2.5, 3.0), "no request arrives between"),
        (lambda t: warm_up(t, 5.0), "leaves nothing to measure"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ScenarioError, match=message):
        change(table())
