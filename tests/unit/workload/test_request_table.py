"""The table of requests: what it costs, what it refuses, what it gives back."""

import pickle

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.workload import RequestTable


def small() -> RequestTable:
    return RequestTable(
        [0.0, 1.0, 1.0],
        [40, 16, 33],
        [5, 0, 2],
        session=[4, 4, 9],
        hash_offsets=[0, 2, 2, 4],
        hash_ids=[7, 8, 7, 9],
        hash_block_tokens=16,
        source="here",
    )


def test_hashes_are_python_ints():
    assert [small().hashes(i) for i in range(3)] == [[7, 8], [], [7, 9]]
    assert type(small().hashes(0)[0]) is int


def test_a_table_without_hashes_has_none_anywhere():
    table = RequestTable([0.0], [1], [1])
    assert not table.has_hashes
    assert table.hashes(0) == []


def test_select_keeps_each_row_together():
    part = small().select(np.array([2, 0])[::-1].copy())
    assert part.isl.tolist() == [40, 33]
    assert part.session.tolist() == [4, 9]
    assert [part.hashes(0), part.hashes(1)] == [[7, 8], [7, 9]]
    assert part.source == "here"


def test_rows_are_plain_numbers_in_order():
    assert list(small().rows()) == [(0, 0.0, 40, 5), (1, 1.0, 16, 0), (2, 1.0, 33, 2)]
    long = RequestTable(np.arange(20_000) / 2, np.full(20_000, 3), np.full(20_000, 4))
    rows = list(long.rows())
    assert len(rows) == 20_000
    assert rows[-1] == (19_999, 9999.5, 3, 4)


def test_a_million_rows_cost_less_than_forty_bytes_each():
    count = 1_000_000
    table = RequestTable(
        np.zeros(count),
        np.ones(count, int),
        np.ones(count, int),
        session=np.zeros(count, int),
        priority=np.zeros(count, int),
    )
    assert table.nbytes / count == 28


def test_columns_are_read_only_and_the_giver_keeps_his_array():
    mine = np.array([0.0, 1.0])
    table = RequestTable(mine, [1, 1], [1, 1])
    with pytest.raises(ValueError, match="read-only"):
        table.arrival_s[0] = 5.0
    mine[1] = 2.0


def test_pickles_whole():
    again = pickle.loads(pickle.dumps(small()))
    assert again.hashes(2) == [7, 9]
    assert again.hash_block_tokens == 16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arrival_s": [0.0, 2.0, 1.0]}, "request 2 arrives before the request above"),
        ({"arrival_s": [-1.0, 0.0, 1.0]}, "before time 0"),
        ({"arrival_s": [0.0, 1.0, float("nan")]}, "not finite"),
        ({"arrival_s": [0.0, 1.0]}, "differ in length"),
        ({"isl": [1, 0, 1]}, "request 1 has an input below 1 token"),
        ({"osl": [1, 1, -1]}, "request 2 has a negative output"),
        ({"isl": [1, 2**31, 1]}, "out of range"),
        ({"hash_ids": None}, "together or not at all"),
        ({"hash_offsets": [0, 3, 2, 4]}, "must rise"),
        ({"hash_offsets": [0, 1, 2, 3]}, "must rise"),
    ],
)
def test_refuses(change, message):
    with pytest.raises(ScenarioError, match=message):
        small().replace(**change)


def test_empty_inputs_only_where_the_source_logs_them():
    table = RequestTable([0.0], [0], [0], empty_inputs=True)
    assert table.zero_inputs == 1
