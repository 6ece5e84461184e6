"""Wrong units in HBM, and who uses them."""

from __future__ import annotations

from typing import Any

from hetsim.serving import Seq
from hetsim.stages._taint import Taint


class Books:
    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []

    def mislead(self, seq: Seq, aliased: int, tainted: int) -> None:
        self.seen.append((seq.rid, aliased, tainted))


def made() -> tuple[Taint, Books, Any]:
    books = Books()
    return Taint(books), books, object()  # type: ignore[arg-type]


def seq(rid: int, *keys: int) -> Seq:
    return Seq(rid, 0.0, 16 * len(keys), 10, list(keys))


def test_whoever_hits_a_unit_that_was_read_under_an_alias_is_misled():
    taint, books, rank = made()
    taint.fetched(rank, seq(0, 1, 2, 3, 4), [1, 2], {2: True})
    taint.hit(rank, seq(1, 1), [1])  # the first unit was right
    taint.hit(rank, seq(2, 1, 2, 9), [1, 2])
    assert books.seen == [(0, 0, 0), (2, 1, 0)]


def test_what_is_computed_on_top_is_wrong_too_and_copies_of_it():
    taint, books, rank = made()
    first = seq(0, 1, 2, 3, 4)
    taint.fetched(rank, first, [1, 2], {2: True})
    assert taint.computed(rank, [3, 4, 77]) == {3, 4}
    taint.hit(rank, seq(1, 1, 2, 3), [1, 2, 3])
    assert books.seen[-1] == (1, 1, 1)
    assert taint.of(first) == {2, 3, 4}
    assert taint.dropped(rank, [3, 4, 77]) == {3, 4} and not taint.dropped(rank, [3])


def test_a_request_that_has_gone_computes_nothing():
    taint, _, rank = made()
    first = seq(0, 1, 2, 3)
    taint.fetched(rank, first, [1], {1: True})
    taint.ended(first)
    assert taint.computed(rank, [2, 3]) == frozenset()


def test_an_answer_that_the_hand_off_has_spoilt_is_wrong_as_a_whole():
    taint, _, _ = made()
    spoilt, right = seq(0, 1, 2), seq(1, 1, 2)
    spoilt.corrupt = 1
    assert taint.of(spoilt) == {1, 2} and taint.of(right) == frozenset()
