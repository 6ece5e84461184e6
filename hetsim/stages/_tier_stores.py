"""What tiers take in: prompts as they are computed, and what the tier above gives up.

A copy out of HBM keeps its units there until it has landed. What is evicted is copied out of a
buffer of bounded size, and its room is free at once; beyond that size it is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from hetsim.engine import Flow
from hetsim.kv import WatchedPool
from hetsim.residency import Entry
from hetsim.serving import Instance, Rank, Seq
from hetsim.stages._residency_plan import copy_cost
from hetsim.stages._taint import NONE, Taint
from hetsim.stages._tier import SPILL_BYTES, Tier
from hetsim.topology import Path

if TYPE_CHECKING:
    from hetsim.stages._tiers import Tiers

__all__ = ["TierStores"]


class TierStores:
    """Writes into the tiers of a pool."""

    def __init__(self, tiers: Tiers) -> None:
        self.of = tiers
        self.taint = Taint(tiers.books)
        self._seen: set[int] = set()
        for number, tier in enumerate(tiers.tiers[:-1]):
            below = tiers.tiers[number + 1]
            if below.plan.write != "write_through":
                for holder, store in enumerate(tier.stores):
                    instance = tier.plan.holders.index(holder)
                    store.on_evict = self._falls(below, instance)

    def attach(self, instance: Instance) -> None:
        """Watch the prefix caches of an instance; after a crash they are new ones."""
        for rank in instance.ranks:
            pool = rank.pool
            assert isinstance(pool, WatchedPool)
            if pool.on_publish is not None:
                continue
            pool.on_publish = lambda keys, rank=rank: self._computed(instance, rank, keys)
            pool.on_evict = lambda keys, rank=rank: self._dropped(instance, rank, keys)
            if rank is instance.rank:
                self._began(instance.index)

    def _began(self, index: int) -> None:
        """Forget what died with an instance that has come back."""
        if index in self._seen:
            for tier in self.of.tiers:
                if tier.plan.private:
                    store = tier.store(index)
                    for entry in list(store.entries.values()):
                        store.drop(entry)
        self._seen.add(index)

    # -- writing down ------------------------------------------------------------------------

    def _computed(self, instance: Instance, rank: Rank, keys: list[int]) -> None:
        """Write newly computed units through."""
        wrong = self.taint.computed(rank, keys)
        for tier in self.of.tiers:
            if tier.plan.write == "write_through" and self._writes(tier):
                path = tier.plan.writes[instance.index]
                self._store(tier, instance.index, keys, path, rank, wrong=wrong)

    def _writes(self, tier: Tier) -> bool:
        return tier.plan.name != "remote" or self.of.plan.pool in self.of.plan.writers

    def _dropped(self, instance: Instance, rank: Rank, keys: list[int]) -> None:
        """HBM gives units up."""
        wrong = self.taint.dropped(rank, keys)
        tier = self.of.tiers[0]
        if tier.plan.write != "write_through" and self._writes(tier) and keys:
            path = tier.plan.writes[instance.index]
            self._store(tier, instance.index, keys, path, None, wrong=wrong)

    def _falls(self, below: Tier, instance: int) -> Callable[[Entry], None]:
        def fall(entry: Entry) -> None:
            if self._writes(below):
                path = below.plan.spills[instance]
                wrong = frozenset([entry.key]) if entry.wrong else NONE
                self._store(below, instance, [entry.key], path, None, wrong=wrong)

        return fall

    def keep_decoded(self, seq: Seq) -> None:
        """Let the decode pool store the prompt of a finished request in its own form.

        Its units take as many pages and bytes as the reader's, whatever the format.
        """
        of = self.of
        whole = seq.isl // of.plan.unit_tokens
        path = of.plan.drop_paths[seq.dest.index]
        for tier in of.tiers:
            if tier.plan.name == "remote":
                wrong = self.taint.of(seq)
                self._store(tier, 0, seq.keys[:whole], path, None, form=1, wrong=wrong)

    def _store(
        self,
        tier: Tier,
        instance: int,
        keys: list[int],
        path: Path,
        rank: Rank | None,
        form: int = 0,
        wrong: frozenset[int] = NONE,
    ) -> None:
        of = self.of
        store, now = tier.store(instance), of.engine._now
        holder = tier.plan.holders[instance]
        new: list[Entry] = []
        kept: list[int] = []
        room = SPILL_BYTES - tier.spilling_bytes[holder] if rank is None else float("inf")
        for key in keys:
            name = of.name(tier, key, form)
            if name in store.entries:
                continue
            if (len(new) + 1) * of.unit_bytes > room:
                tier.dropped_pages += of.plan.unit_pages
                continue
            entry = store.begin(name, at_s=now, pages=of.plan.unit_pages, form=form)
            if entry is None:
                break
            entry.wrong = key in wrong
            new.append(entry)
            kept.append(key)
        if not new:
            return
        nbytes = len(new) * of.unit_bytes
        if rank is None:
            tier.spilling_bytes[holder] += nbytes
        else:
            rank.pool.acquire(kept)
        rate, beside_s = copy_cost(of.plan, tier.plan, len(new))
        tag = (None, tier, instance, new, kept, rank)
        of.fabric.start(path, nbytes, self._stored, tag, rate, beside_s)

    def _stored(self, flow: Flow) -> None:
        _, tier, instance, new, kept, rank = flow.tag
        of = self.of
        now, store = of.engine._now, tier.store(instance)
        for entry in new:
            store.finish(entry, at_s=now)
        of.books.written(tier, flow, instance)
        if rank is None:
            tier.spilling_bytes[tier.plan.holders[instance]] -= flow.nbytes
        else:
            owner = of.stage.instances[instance]
            if rank in owner.ranks:
                owner.let_go(rank, kept, now)
                if owner.next_s != owner.wake_s:
                    of.stage.rearm(owner)
        if of.on_room is not None:
            of.on_room()

    # -- after a fetch -----------------------------------------------------------------------

    def fetched(self, instance: Instance, tier: Tier, group: list[Entry]) -> None:
        """Keep what has passed host memory there; a tier that only takes what falls gives it up."""
        of = self.of
        store, now = tier.store(instance.index), of.engine._now
        if tier.plan.name == "ssd" and of.tiers[0].plan.name == "dram":
            upper = of.tiers[0]
            if upper.plan.write == "write_through":
                self._promote(upper, instance.index, group, now)
        if tier.plan.write == "on_eviction":
            for entry in group:
                if not entry.pins:
                    store.drop(entry)

    def _promote(self, upper: Tier, instance: int, group: list[Entry], now: float) -> None:
        store = upper.store(instance)
        for entry in group:
            if entry.key not in store.entries:
                made = store.begin(entry.key, at_s=now, pages=entry.pages)
                if made is None:
                    return
                made.wrong = entry.wrong
                store.finish(made, at_s=now)
