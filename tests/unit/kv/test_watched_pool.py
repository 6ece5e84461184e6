"""A pool that tells what its cache takes in and gives up counts as the plain one does."""

from __future__ import annotations

from hetsim.kv import BlockPool, WatchedPool


def told() -> tuple[WatchedPool, list[list[int]], list[list[int]]]:
    pool, computed, dropped = WatchedPool(8, 2), [], []
    pool.on_publish = computed.append
    pool.on_evict = dropped.append
    return pool, computed, dropped


def test_units_that_are_new_are_told_and_copies_are_not():
    pool, computed, _ = told()
    pool.take(4)
    pool.publish([1, 2])
    pool.take(4)
    pool.publish([2, 3])
    assert computed == [[1, 2], [3]]


def test_units_that_came_from_below_are_not_told():
    pool, computed, _ = told()
    pool.take(4)
    assert pool.adopt([1, 2]) == [1, 2]
    assert computed == [] and pool.hits([1, 2]) == 2
    pool.check()


def test_what_is_given_up_is_told_before_it_goes_the_deepest_first():
    pool, _, dropped = told()
    pool.take(8)
    pool.publish([1, 2, 3, 4])
    pool.release([1, 2, 3, 4])
    pool.take(3)  # two units of two blocks
    assert dropped == [[4, 3]]
    assert pool.hits([1, 2, 3]) == 2
    pool.check()


def test_it_counts_as_the_plain_pool():
    watched, _, _ = told()
    plain = BlockPool(8, 2)
    for pool in (watched, plain):
        pool.take(6)
        pool.publish([1, 2])
        pool.release([1, 2])
        pool.take(5)
    parts = ("free", "owned", "cached", "available", "evicted_units")
    assert [getattr(watched, p) for p in parts] == [getattr(plain, p) for p in parts]
