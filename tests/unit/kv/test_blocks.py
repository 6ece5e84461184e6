"""The pool conserves blocks whatever is asked of it, and caches what was published."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hetsim.errors import InfeasibleError, InvariantViolated
from hetsim.kv import BlockPool, blocks_for, kv_capacity


def test_blocks_round_up():
    assert [blocks_for(t, 16) for t in (1, 16, 17)] == [1, 1, 2]


def test_prefix_hits_count_leading_units_only():
    pool = BlockPool(100, unit_blocks=2)
    pool.take(6)
    assert pool.publish([7, 8, 9]) == [7, 8, 9]
    assert pool.hits([7, 8, 1, 9]) == 2
    assert pool.owned == 0 and pool.cached == 6


def test_lru_evicts_the_deepest_unit_of_the_oldest_prefix_first():
    pool = BlockPool(6, unit_blocks=2)
    pool.take(4)
    pool.publish([1, 2])
    pool.release([1, 2])
    pool.take(4)  # 2 free, so one unit must go
    assert pool.hits([1, 2]) == 1 and pool.evicted_units == 1


def test_units_in_use_are_not_available():
    pool = BlockPool(4, unit_blocks=2)
    pool.take(4)
    pool.publish([1, 2])
    assert pool.available == 0
    pool.release([1, 2])
    assert pool.available == 4
    with pytest.raises(InvariantViolated):
        pool.acquire([1, 2])
        pool.take(1)


class PoolMachine(RuleBasedStateMachine):
    """Any order of legal calls keeps law L2; a model of plain sets agrees on hits."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = BlockPool(40, unit_blocks=2)
        self.owned: list[int] = []
        self.readers: list[list[int]] = []

    @rule(n=st.integers(0, 12))
    def take(self, n: int) -> None:
        if n <= self.pool.available:
            self.pool.take(n)
            self.owned.append(n)

    @precondition(lambda self: self.owned)
    @rule()
    def give_back(self) -> None:
        self.pool.give_back(self.owned.pop())

    @precondition(lambda self: self.owned and self.owned[-1] >= 4)
    @rule(keys=st.lists(st.integers(0, 8), min_size=1, max_size=2, unique=True))
    def publish(self, keys: list[int]) -> None:
        fresh = self.pool.publish(keys)
        self.owned[-1] -= 2 * len(fresh)
        self.readers.append(fresh)

    @rule(keys=st.lists(st.integers(0, 8), max_size=3, unique=True))
    def read(self, keys: list[int]) -> None:
        found = keys[: self.pool.hits(keys)]
        self.pool.acquire(found)
        self.readers.append(found)

    @precondition(lambda self: self.readers)
    @rule()
    def release(self) -> None:
        self.pool.release(self.readers.pop(0))

    @invariant()
    def adds_up(self) -> None:
        self.pool.check()
        assert self.pool.owned == sum(self.owned)
        held = {key for reader in self.readers for key in reader}
        assert self.pool.used == self.pool.owned + 2 * len(held)


TestPoolMachine = PoolMachine.TestCase


def test_capacity_by_hand_llama_70b_tp2_on_80_gb():
    # 80e9 * 0.9 - 70.55e9 - 0.5e9 - 0.5e9 = 0.45e9; a block of 16 tokens is 16 * 163840 bytes.
    capacity = kv_capacity(
        name="decode",
        memory_bytes=80e9,
        utilisation=0.9,
        weight_bytes=70.55e9,
        activation_bytes=0.5e9,
        reserve_bytes=0.5e9,
        kv_bytes_per_token=163840,
        block_tokens=16,
    )
    assert capacity.blocks == int(0.45e9 // (16 * 163840))


def test_too_large_says_what_is_short():
    with pytest.raises(InfeasibleError, match=r"short by 7[01]\.?\d* GB"):
        kv_capacity(
            name="decode",
            memory_bytes=80e9,
            utilisation=0.9,
            weight_bytes=141.1e9,
            activation_bytes=1e9,
            reserve_bytes=0.5e9,
            kv_bytes_per_token=327680,
            block_tokens=16,
        )
