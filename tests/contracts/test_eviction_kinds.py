"""What every order of eviction must do, whichever files there are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.residency import TierStore
from hetsim.spec import kinds, lookup

STATED = {"after": 40.0}
KINDS = kinds("eviction")


def order_of(kind: str, size: int) -> Any:
    cls = lookup("eviction", kind)
    names = cls.__dataclass_fields__
    return cls(**{key: value for key, value in STATED.items() if key in names}).build(size)


def test_the_usual_ones_are_there():
    assert {"lru", "lfu", "arc", "ttl"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_its_kind(kind: str):
    assert lookup("eviction", kind).__dataclass_fields__["kind"].default == kind


moves = st.lists(
    st.tuples(st.sampled_from(["add", "use", "drop", "evict"]), st.integers(0, 9)), max_size=80
)


@pytest.mark.parametrize("kind", KINDS)
@given(moves=moves)
def test_it_lists_exactly_what_is_there_and_only_once(kind: str, moves: list[tuple[str, int]]):
    order, here = order_of(kind, 10), set()
    for at, (what, key) in enumerate(moves):
        if what == "add" and key not in here:
            order.added(key, float(at))
            here.add(key)
        elif what == "use" and key in here:
            order.used(key, float(at))
        elif what == "drop" and key in here:
            order.removed(key, evicted=False)
            here.remove(key)
        elif what == "evict" and here:
            first = next(order.first(None))
            order.removed(first, evicted=True)
            here.remove(first)
        listed = list(order.first(None))
        assert sorted(listed) == sorted(here)
        assert set(order.expired(float(at))) <= here


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_just_used_does_not_go_first(kind: str):
    order = order_of(kind, 4)
    for key in (1, 2, 3):
        order.added(key, 0.0)
    order.used(1, 1.0)
    assert next(order.first(4)) != 1


@pytest.mark.parametrize("kind", KINDS)
@given(keys=st.lists(st.integers(0, 20), max_size=100), size=st.integers(1, 6))
def test_a_full_tier_always_takes_the_next(kind: str, keys: list[int], size: int):
    store = TierStore(size, order_of(kind, size))
    for at, key in enumerate(keys):
        entry = store.find(key, float(at))
        if entry is None:
            entry = store.begin(key, at_s=float(at))
            assert entry is not None
            store.finish(entry, at_s=float(at))
        else:
            store.use(entry, float(at))
        assert len(store.entries) <= size
    store.audit()


@pytest.mark.parametrize("kind", KINDS)
@given(keys=st.lists(st.integers(0, 20), max_size=60))
def test_the_same_requests_leave_the_same_entries(kind: str, keys: list[int]):
    left = []
    for _ in range(2):
        store = TierStore(4, order_of(kind, 4))
        for at, key in enumerate(keys):
            if store.find(key, float(at)) is None:
                store.finish(store.begin(key, at_s=float(at)), at_s=float(at))
        left.append(list(store.entries))
    assert left[0] == left[1]
