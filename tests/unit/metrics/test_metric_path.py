from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetsim.metrics import PATH
from hetsim.metrics._stages import critical_path

quiet = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
part = st.floats(0.0, 10.0)


def total(row: Any) -> float:
    return sum(float(row[name]) for name in PATH if row[name] == row[name])


@quiet
@given(
    parts=st.lists(part, min_size=7, max_size=7),
    early=st.floats(0.0, 1.0),
    convert=part,
    overhead=part,
    reserves=st.booleans(),
    has_transfer=st.booleans(),
)
def test_the_parts_add_up_to_the_end_to_end_latency(
    make: Any,
    parts: list[float],
    early: float,
    convert: float,
    overhead: float,
    reserves: bool,
    has_transfer: bool,
) -> None:
    """Also where the transfer begins before the prefill ends, or there is none at all."""
    moments = [3.0]
    for value in parts:
        moments.append(moments[-1] + value)
    arrival, enqueued, start, end, sent, landed, decode, last = moments
    sent -= early * (sent - start)
    row = {
        "arrival_s": arrival, "enqueued_s": enqueued, "prefill_start_s": start,
        "prefill_end_s": end, "decode_start_s": decode, "first_token_s": last,
        "last_token_s": last,
    }  # fmt: skip
    if has_transfer:
        row |= {"transfer_start_s": sent, "landed_s": landed, "convert_s": convert}
    table = make("requests", [row], overhead_s=overhead, reserves_first=reserves)
    found = table.to_pylist()[0]
    assert total(found) == pytest.approx(found["e2e_s"], abs=1e-9)
    assert all(found[name] >= -1e-9 for name in PATH if found[name] == found[name])
    assert sum(critical_path(table).values()) == pytest.approx(found["e2e_s"], abs=1e-9)


ROW = {
    "arrival_s": 10.0, "enqueued_s": 13.0, "prefill_start_s": 14.0, "prefill_end_s": 16.0,
    "transfer_start_s": 16.5, "landed_s": 19.0, "convert_s": 0.5, "decode_start_s": 19.25,
    "first_token_s": 20.0, "last_token_s": 24.0,
}  # fmt: skip


def test_the_fixed_overhead_is_its_own_part(make: Any) -> None:
    found = make("requests", [ROW], overhead_s=0.5).to_pylist()[0]
    assert [found[name] for name in PATH] == [0.5, 0.0, 3.5, 2.0, 0.5, 2.0, 0.5, 0.25, 4.75]


def test_waiting_for_the_decode_side_before_the_prefill_is_credit(make: Any) -> None:
    found = make("requests", [ROW], overhead_s=0.5, reserves_first=True).to_pylist()[0]
    assert [found[name] for name in PATH[:3]] == [0.5, 2.5, 1.0]


def test_a_transfer_under_the_prefill_is_exposed_only_beyond_it(make: Any) -> None:
    found = make("requests", [{**ROW, "transfer_start_s": 14.5}]).to_pylist()[0]
    assert (found["hold_s"], found["transfer_s"], found["convert_s"]) == (0.0, 2.5, 0.5)


def test_a_request_that_is_computed_again_is_held_until_then(make: Any) -> None:
    found = make("requests", [{**ROW, "transfer_start_s": float("nan")}]).to_pylist()[0]
    assert (found["hold_s"], found["transfer_s"]) == (3.0, 0.0)


def test_only_finished_requests_count(make: Any) -> None:
    lost = {**ROW, "status": "failed", "last_token_s": float("nan")}
    path = critical_path(make("requests", [ROW, lost], overhead_s=0.5))
    assert path["prefill_s"] == 2.0
    assert sum(path.values()) == pytest.approx(14.0)
