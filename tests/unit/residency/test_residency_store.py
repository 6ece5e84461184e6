"""A tier against a dictionary that does the same the slow way, and its pages against their sum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.errors import InvariantViolated
from hetsim.residency import TierStore
from hetsim.residency.evictions.arc import ArcOrder
from hetsim.residency.evictions.lfu import LfuOrder
from hetsim.residency.evictions.lru import LruOrder
from hetsim.residency.evictions.ttl import TtlOrder

ORDERS = {
    "lru": lambda size: LruOrder(),
    "lfu": lambda size: LfuOrder(),
    "arc": ArcOrder,
    "ttl": lambda size: TtlOrder(25.0),
}


class SlowLru:
    """Keys in a list, the least recently used first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.keys: list[int] = []

    def ask(self, key: int) -> bool:
        hit = key in self.keys
        if hit:
            self.keys.remove(key)
        elif len(self.keys) == self.size:
            self.keys.pop(0)
        self.keys.append(key)
        return hit


class SlowLfu(SlowLru):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.uses: dict[int, int] = {}

    def ask(self, key: int) -> bool:
        hit = key in self.keys
        if hit:
            self.keys.remove(key)
        elif len(self.keys) == self.size:
            least = min(self.uses[k] for k in self.keys)
            gone = next(k for k in self.keys if self.uses[k] == least)
            self.keys.remove(gone)
            del self.uses[gone]
        self.keys.append(key)
        self.uses[key] = self.uses.get(key, 0) + 1
        return hit


def ask(store: TierStore, key: int, at_s: float) -> bool:
    entry = store.find(key, at_s)
    if entry is not None:
        store.use(entry, at_s)
        return True
    store.finish(store.begin(key, at_s=at_s), at_s=at_s)
    return False


requests = st.lists(st.integers(0, 12), max_size=80)


@given(requests, st.integers(1, 8))
def test_lru_and_lfu_do_what_a_list_does(keys: list[int], size: int):
    for order, slow in (("lru", SlowLru(size)), ("lfu", SlowLfu(size))):
        store = TierStore(size, ORDERS[order](size))
        for at, key in enumerate(keys):
            assert ask(store, key, float(at)) == slow.ask(key)
            assert set(store.entries) == set(slow.keys)
        store.audit()


@given(requests, st.integers(1, 8), st.integers(1, 8))
def test_with_lru_a_larger_tier_holds_all_that_a_smaller_one_holds(
    keys: list[int], one: int, two: int
):
    small, large = (TierStore(size, LruOrder()) for size in sorted((one, two)))
    for at, key in enumerate(keys):
        hit_small, hit_large = ask(small, key, float(at)), ask(large, key, float(at))
        assert hit_large or not hit_small
        assert set(small.entries) <= set(large.entries)


@given(requests, st.integers(1, 8))
def test_ttl_is_lru_that_forgets(keys: list[int], size: int):
    store = TierStore(size, TtlOrder(5.0))
    last: dict[int, float] = {}
    for at, key in enumerate(keys):
        hit = ask(store, key, float(at))
        assert not hit or at - last[key] < 5.0
        last[key] = float(at)


class SlowArc:
    """The four lists of the paper, as it is written there (figure 4)."""

    def __init__(self, c: int) -> None:
        self.c, self.p = c, 0.0
        self.t1: list[int] = []
        self.t2: list[int] = []
        self.b1: list[int] = []
        self.b2: list[int] = []

    def replace(self, x: int) -> None:
        if self.t1 and (len(self.t1) > self.p or (x in self.b2 and len(self.t1) == self.p)):
            self.b1.append(self.t1.pop(0))
        else:
            self.b2.append(self.t2.pop(0))

    def ask(self, x: int) -> bool:
        if x in self.t1 or x in self.t2:
            (self.t1 if x in self.t1 else self.t2).remove(x)
            self.t2.append(x)
            return True
        if x in self.b1:
            self.p = min(self.c, self.p + max(1.0, len(self.b2) / len(self.b1)))
            self.replace(x)
            self.b1.remove(x)
            self.t2.append(x)
        elif x in self.b2:
            self.p = max(0.0, self.p - max(1.0, len(self.b1) / len(self.b2)))
            self.replace(x)
            self.b2.remove(x)
            self.t2.append(x)
        else:
            self._new(x)
        return False

    def _new(self, x: int) -> None:
        if len(self.t1) + len(self.b1) == self.c:
            if len(self.t1) < self.c:
                self.b1.pop(0)
                self.replace(x)
            else:
                self.t1.pop(0)
        elif len(self.t1) + len(self.b1) < self.c:
            total = len(self.t1) + len(self.t2) + len(self.b1) + len(self.b2)
            if total >= self.c:
                if total == 2 * self.c:
                    self.b2.pop(0)
                self.replace(x)
        self.t1.append(x)


@given(st.lists(st.integers(0, 6), max_size=60))
def test_arc_keeps_twice_its_size_in_mind_and_no_more(keys: list[int]):
    order = ArcOrder(3)
    store = TierStore(3, order)
    for at, key in enumerate(keys):
        ask(store, key, float(at))
        lists = (order._once, order._again, order._ghosts_once, order._ghosts_again)
        assert sum(map(len, lists)) <= 6
        assert len(order._once) + len(order._ghosts_once) <= 3
        assert 0.0 <= order.target <= 3.0
        assert sorted([*order._once, *order._again]) == sorted(store.entries)


def test_arc_hits_as_often_as_the_paper_s_lists_on_a_scan_with_a_hot_set():
    """A scan between repeats of a hot set: LRU loses the set, ARC keeps it."""
    keys = [1, 2, 3, 1, 2, 3]
    for block in range(40):
        keys += [100 + 3 * block + i for i in range(3)] + [1, 2, 3]
    hits = {}
    for name in ("lru", "arc"):
        store = TierStore(5, ORDERS[name](5))
        hits[name] = sum(ask(store, key, float(at)) for at, key in enumerate(keys))
    paper = SlowArc(5)
    slow = sum(paper.ask(key) for key in keys)
    assert hits["arc"] >= 0.9 * slow > 2 * hits["lru"]


actions = st.lists(
    st.tuples(
        st.sampled_from(["write", "finish", "drop", "pin", "unpin", "lease", "strand", "read"]),
        st.integers(0, 7),
        st.integers(1, 4),
    ),
    max_size=120,
)


@given(actions, st.integers(1, 10), st.sampled_from(sorted(ORDERS)))
def test_pages_are_conserved_and_nobody_loses_what_he_holds(
    steps: list[tuple[str, int, int]], total: int, kind: str
):
    store = TierStore(total, ORDERS[kind](total))
    for at, (what, key, pages) in enumerate(steps):
        now = float(at)
        entry = store.entries.get(key)
        held = [e for e in store.entries.values() if e.pins or e.lease_s > now]
        if what == "write" and entry is None:
            store.begin(key, at_s=now, pages=pages)
        elif what == "read":
            found = store.find(key, now)
            assert found is None or found.state == "complete"
        elif entry is not None:
            _act(store, entry, what, now)
        store.check()
        dropped = {id(entry)} if what == "drop" else set()
        assert all(e.state != "gone" for e in held if id(e) not in dropped)
    store.audit()


def _act(store: TierStore, entry, what: str, now: float) -> None:
    if what == "finish":
        store.finish(entry, at_s=now)
    elif what == "drop" and not entry.pins:
        store.drop(entry)
    elif what == "pin" and entry.state == "complete":
        entry.pins += 1
    elif what == "unpin" and entry.pins:
        entry.pins -= 1
    elif what == "lease":
        entry.lease_s = max(entry.lease_s, now + 3.0)
    elif what == "strand":
        store.strand(entry)


def test_what_is_being_written_can_neither_be_read_nor_evicted():
    store = TierStore(1, LruOrder())
    entry = store.begin(1, at_s=0.0)
    assert store.find(1, 0.0) is None
    assert store.begin(2, at_s=0.0) is None and store.refused_pages == 1
    store.finish(entry, at_s=1.0)
    assert store.find(1, 1.0) is entry
    assert store.begin(2, at_s=1.0) is not None and entry.state == "gone"


def test_a_lease_protects_until_it_ends_and_a_pin_until_it_is_let_go():
    store = TierStore(2, LruOrder())
    for key in (1, 2):
        store.finish(store.begin(key, at_s=0.0), at_s=0.0)
    store.entries[1].lease_s = 10.0
    store.entries[2].pins = 1
    assert store.begin(3, at_s=9.9) is None
    assert store.next_lease_s(9.9) == 10.0
    assert store.begin(3, at_s=10.0) is not None
    assert sorted(store.entries) == [2, 3]


def test_room_is_not_made_in_vain():
    """Evicting the one that may go would not be enough, so nobody goes."""
    store = TierStore(3, LruOrder())
    for key in (1, 2, 3):
        store.finish(store.begin(key, at_s=0.0), at_s=0.0)
    store.entries[1].pins = store.entries[2].pins = 1
    assert store.begin(9, at_s=1.0, pages=2) is None
    assert sorted(store.entries) == [1, 2, 3] and store.evicted_pages == 0


def test_an_owner_may_refuse_and_the_next_goes():
    store = TierStore(2, LruOrder())
    store.finish(store.begin(1, at_s=0.0, owner=lambda: False), at_s=0.0)
    store.finish(store.begin(2, at_s=0.0, owner=lambda: True), at_s=0.0)
    assert store.begin(3, at_s=1.0) is not None
    assert sorted(store.entries) == [1, 3]


def test_a_stranded_entry_is_quarantined_until_it_is_dropped():
    store = TierStore(4, LruOrder())
    entry = store.begin(1, at_s=0.0, pages=3)
    store.strand(entry)
    assert (store.free, store.owned, store.quarantined) == (1, 0, 3)
    store.finish(entry, at_s=1.0)  # a stale end of a put is refused
    assert store.find(1, 1.0) is None
    store.drop(entry)
    assert (store.free, store.owned, store.quarantined) == (4, 0, 0)


def test_a_second_copy_is_refused():
    store = TierStore(4, LruOrder())
    store.begin(1, at_s=0.0)
    with pytest.raises(InvariantViolated, match="I3"):
        store.begin(1, at_s=0.0)


def test_the_tier_below_hears_of_what_falls_and_only_of_that():
    fallen: list[int] = []
    store = TierStore(2, LruOrder())
    store.on_evict = lambda entry: fallen.append(entry.key)
    for key in (1, 2, 3):
        store.finish(store.begin(key, at_s=0.0), at_s=0.0)
    store.drop(store.entries[2])
    assert fallen == [1]


def test_lfu_keeps_what_was_used_often_through_a_scan():
    store = TierStore(3, LfuOrder())
    for at, key in enumerate([1, 1, 2, 2, 10, 11, 12, 13]):
        ask(store, key, float(at))
    assert sorted(store.entries) == [1, 2, 13]
