"""Tiers below HBM in a run: prompts look for their prefix, and what was computed is kept.

A prompt looks when it reaches an instance, before its queue: first the prefix cache in HBM, then
the tiers, the nearest first. What :func:`hetsim.residency.choose` finds worth it is fetched into
HBM blocks taken for it, and the prompt queues when the last byte has landed; the units lie idle in
the prefix cache until then, so a full cache may lose them again. Two prompts that need the same
unit at once fetch it twice. Bytes cross the same links as hand-offs do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hetsim.engine import Fabric, Flow
from hetsim.residency import Entry, Naming, Run, TierStore, choose, fetch_s, runs_of
from hetsim.serving import Instance, Rank, Seq
from hetsim.stages._pool import PoolStage
from hetsim.stages._residency_plan import ResidencyPlan, copy_cost
from hetsim.stages._tier import Tier
from hetsim.stages._tier_books import TierBooks
from hetsim.stages._tier_stores import TierStores
from hetsim.stages._world import FINISHED, World

__all__ = ["Tiers"]


class _Fetch:
    """A prefix on its way up for one request."""

    __slots__ = ("bad", "blocks", "instance", "keys", "left", "rank", "seq", "since_s", "valid")

    def __init__(self, seq: Seq, instance: Instance, rank: Rank, since_s: float) -> None:
        self.seq = seq
        self.instance = instance
        self.rank = rank
        self.since_s = since_s
        self.keys: list[int] = []
        self.blocks = 0
        self.left = 0
        """Flows that have not landed."""
        self.valid = 0
        """Leading units that may be used: a read whose lease has ended is thrown away."""
        self.bad: dict[int, bool] = {}
        """Units whose bytes are not what their key says, by unit; True: read as another form."""


class _Found:
    """Runs of a lookup, with the entries behind them."""

    __slots__ = ("entries", "runs")

    def __init__(self, runs: list[Run], entries: list[Entry]) -> None:
        self.runs = runs
        self.entries = entries


class Tiers:
    """The tiers of the pool that computes prompts."""

    def __init__(self, world: World, plan: ResidencyPlan, stage: PoolStage) -> None:
        self.world = world
        self.engine = world.engine
        self.plan = plan
        self.stage = stage
        assert world.fabric is not None
        self.fabric: Fabric = world.fabric
        self.naming = Naming(plan.key, plan.forms)
        self.tiers = [Tier(tier, plan.unit_pages) for tier in plan.tiers]
        self.books = TierBooks(world, plan, self.tiers)
        self.keeper = TierStores(self)
        self.unit_bytes = plan.unit_pages * plan.page_bytes
        self._none = (0.0,) * len(stage.plan.model.windows)
        self.on_room: Callable[[], None] | None = None
        """Told when the room in a tier may have changed."""
        stage.tiers = self
        world.on_end.append(self._ended)

    @property
    def remote(self) -> TierStore | None:
        """The store of the remote pool, if there is one."""
        found = [tier.stores[0] for tier in self.tiers if tier.plan.name == "remote"]
        return found[0] if found else None

    def name(self, tier: Tier, unit: int, form: int = 0) -> int:
        """Return the key of a unit in a tier; tiers that one pool has for itself need no form."""
        return self.naming.name(unit, form) if tier.plan.name == "remote" else unit

    # -- looking -----------------------------------------------------------------------------

    def hold(self, instance: Instance, seq: Seq) -> bool:
        """Look for the prefix of a request; say whether it waits for a fetch before its queue."""
        rules = self.stage.plan.rules
        if not seq.keys or not rules.unit_tokens:
            return False
        now = self.engine._now
        rank = instance.domain_for_prompt()
        self.keeper.attach(instance)
        keys = seq.keys[: (seq.prompt - 1) // rules.unit_tokens]
        here = rank.pool.hits(keys)
        self.books.hbm(here * rules.unit_tokens)
        self.keeper.taint.hit(rank, seq, keys[:here])
        found = self._find(instance, keys[here:], now)
        if not found.runs:
            return False
        number = self._worth(instance, seq, here, found)
        return self._fetch(instance, rank, seq, keys[here:], found, number)

    def _find(self, instance: Instance, keys: list[int], now: float) -> _Found:
        entries: list[Entry] = []
        finders = [self._finder(tier, instance, now, entries) for tier in self.tiers]
        runs = runs_of(keys, finders)
        return _Found(runs, entries)

    def _finder(
        self, tier: Tier, instance: Instance, now: float, entries: list[Entry]
    ) -> Callable[[int], bool]:
        store = tier.store(instance.index)
        shared = tier.plan.name == "remote"
        lease_s = tier.plan.lease_s

        def holds(unit: int) -> bool:
            names = self.naming.names(unit, 0) if shared else (unit,)
            for name in names:
                entry = store.find(name, now)
                if entry is not None:
                    store.use(entry, now)
                    if lease_s is not None and now + lease_s > entry.lease_s:
                        entry.lease_s = now + lease_s
                    entries.append(entry)
                    return True
            return False

        return holds

    # -- deciding ----------------------------------------------------------------------------

    def _worth(self, instance: Instance, seq: Seq, here: int, found: _Found) -> int:
        """Return how many of the runs are to be fetched."""
        if self.plan.fetch == "never":
            return 0
        if self.plan.fetch == "always":
            return len(found.runs)
        size = self.plan.unit_tokens
        done = here * size
        whole_s = self._prefill_s(seq.prompt - done, done)

        def saved_s(units: int) -> float:
            past = done + units * size
            return whole_s - self._prefill_s(seq.prompt - past, past)

        return choose(self._priced(instance, found), saved_s)

    def _priced(self, instance: Instance, found: _Found) -> list[Run]:
        units = [0] * len(self.tiers)
        at, priced = 0, []
        for run in found.runs:
            tier = self.tiers[run.tier]
            units[run.tier] += run.units
            entries = found.entries[at : at + run.units]
            at += run.units
            path = tier.plan.reads[instance.index]
            rate, beside_s = copy_cost(self.plan, tier.plan, units[run.tier])
            for link, share in path.route:
                rate = min(rate, self.fabric.fair_share_bytes_per_s(link) / share)
            beside_s += path.latency_s + self.convert_s(entries)
            nbytes = units[run.tier] * self.unit_bytes
            priced.append(run._replace(seconds=fetch_s(nbytes, max(rate, 1e-9), beside_s)))
        return priced

    def convert_s(self, entries: list[Entry]) -> float:
        """Return the seconds in which entries of another form are made readable."""
        readings = self.naming.readings[0]
        count = sum(1 for entry in entries if readings[entry.form] == "convert")
        if not count:
            return 0.0
        plan = self.plan
        return plan.convert_launch_s + count * self.unit_bytes * plan.convert_s_per_byte

    def _prefill_s(self, new: int, past: int) -> float:
        """Return the seconds of prefill of ``new`` tokens after ``past``, alone on the instance."""
        plan = self.stage.plan
        budget, seconds = plan.rules.max_tokens, 0.0
        while new > 0:
            tokens = min(new, budget)
            chunks = [(tokens, past)] * plan.ranks
            seconds += plan.model.step(chunks, 0, self._none).time_s
            new -= tokens
            past += tokens
        return seconds

    # -- fetching ----------------------------------------------------------------------------

    def _fetch(
        self,
        instance: Instance,
        rank: Rank,
        seq: Seq,
        keys: list[int],
        found: _Found,
        number: int,
    ) -> bool:
        runs, entries = found.runs, found.entries
        units = sum(run.units for run in runs[:number])
        blocks = units * self.stage.plan.rules.unit_blocks
        now = self.engine._now
        # Pinned first: what HBM gives up to make room may push entries out of the tier below it.
        self._pin(instance, runs[:number], entries, 1)
        refused = units > 0 and not instance.lend(rank, blocks, now)
        self.books.found(runs, 0 if refused else number, refused)
        if not units or refused:
            self._pin(instance, runs[:number], entries, -1)
            return False
        job = _Fetch(seq, instance, rank, now)
        job.keys, job.blocks, job.valid = keys[:units], blocks, units
        instance.load += 1
        by_tier: dict[int, list[Entry]] = {}
        at = 0
        for run in runs[:number]:
            by_tier.setdefault(run.tier, []).extend(entries[at : at + run.units])
            at += run.units
        readings = self.naming.readings[0]
        for key, entry in zip(job.keys, entries, strict=False):
            if entry.wrong or readings[entry.form] == "alias":
                job.bad[key] = not entry.wrong
        job.left = len(by_tier)
        for index, group in by_tier.items():
            self._start(job, self.tiers[index], group, runs[:number])
        return True

    def _pin(self, instance: Instance, runs: list[Run], entries: list[Entry], by: int) -> None:
        """Pin what is to be read, or let it go again; a lease does the same for a time."""
        at = 0
        for run in runs:
            if self.tiers[run.tier].plan.lease_s is None:
                for entry in entries[at : at + run.units]:
                    entry.pins += by
            at += run.units

    def _start(self, job: _Fetch, tier: Tier, group: list[Entry], runs: list[Run]) -> None:
        nbytes = len(group) * self.unit_bytes
        rate, beside_s = copy_cost(self.plan, tier.plan, len(group))
        before = 0
        for run in runs:
            if self.tiers[run.tier] is tier:
                break
            before += run.units
        path = tier.plan.reads[job.instance.index]
        extra_s = beside_s + self.convert_s(group)
        tag = (None, job, tier, group, before)
        self.fabric.start(path, nbytes, self._landed, tag, rate, extra_s)

    def _landed(self, flow: Flow) -> None:
        """One tier has given its part."""
        _, job, tier, group, before = flow.tag
        now = self.engine._now
        lease_s = tier.plan.lease_s
        held = lease_s is None or now <= job.since_s + lease_s
        if lease_s is None:
            for entry in group:
                entry.pins -= 1
        if not held:
            job.valid = min(job.valid, before)
        self.books.read(tier, flow, job, group, self.naming.readings[0], held=held)
        if held:
            self.keeper.fetched(job.instance, tier, group)
        job.left -= 1
        if not job.left:
            self._finish(job)

    def _finish(self, job: _Fetch) -> None:
        instance, rank, seq, now = job.instance, job.rank, job.seq, self.engine._now
        self.books.waited(now - job.since_s)
        if rank not in instance.ranks:  # the instance has died, and its blocks with it
            if not seq.gone:
                self.stage.put(instance, seq)
            return
        instance.load -= 1
        keys = job.keys[: job.valid]
        there = rank.pool.hits(keys)  # what HBM has by now is not replaced
        instance.take_in(rank, keys, job.blocks, now)
        if job.bad:
            self.keeper.taint.fetched(rank, seq, keys[there:], job.bad)
        if not seq.gone:
            self._queue(instance, rank, seq, job.since_s)
        if instance.next_s != instance.wake_s:
            self.stage.rearm(instance)

    def _queue(self, instance: Instance, rank: Rank, seq: Seq, since_s: float) -> None:
        instance.submit(seq, self.engine._now, rank)
        # The wait for a fetch is queueing, wherever the request waits.
        seq.enqueued_s = since_s

    # -- the end -----------------------------------------------------------------------------

    def _ended(self, seq: Seq, now: float) -> None:
        if seq.status == FINISHED:
            self.books.finished(seq)
            if self.plan.drop_paths and seq.keys and seq.dest is not None:
                self.keeper.keep_decoded(seq)
        self.keeper.taint.ended(seq)

    def check(self) -> None:
        """Hold every tier to the conservation of its pages (L2, I4)."""
        for tier in self.tiers:
            for store in tier.stores:
                store.check()

    def close(self) -> None:
        """Count every entry, and hand over what went wrong."""
        for tier in self.tiers:
            for store in tier.stores:
                store.audit()
        self.books.close()

    def figures(self, end_s: float) -> dict[str, Any]:
        """Return what the summary says of the tiers."""
        return self.books.figures(end_s)
