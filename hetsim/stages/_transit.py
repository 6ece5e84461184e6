"""The store X between P and D: a pool over the network, or copies that P keeps for D.

Takes over those instructions that name X; the others stay with the hand-off. Room in X is finite:
who finds none waits, and P's blocks with it. An object of the pool may be evicted once nobody's
lookup protects it; its machine has the last word.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hetsim.engine import Alarm, Flow
from hetsim.metrics import pack_transfer
from hetsim.ownership import USUAL
from hetsim.ownership._vocabulary import CONVERTED, EVICTED, XGRANTED, cancelled, landed
from hetsim.residency import Entry, TierStore
from hetsim.residency.evictions.lru import LruOrder
from hetsim.serving import Seq
from hetsim.stages._kinds import COPY, GET, PUT
from hetsim.stages._late_puts import LatePuts
from hetsim.stages._residency_plan import TransitPlan

if TYPE_CHECKING:
    from hetsim.stages._handoff import Handoff

__all__ = ["Transit"]

_TINY_S = 1e-9
_Act = Callable[[Seq, Any], None]


class Transit:
    """The objects of a hand-off in X, and the hops to and from it."""

    def __init__(self, handoff: Handoff, plan: TransitPlan) -> None:
        self.handoff = handoff
        self.world = handoff.world
        self.engine = handoff.engine
        self.plan = plan
        tiers = handoff.source.tiers
        shared = tiers.remote if tiers is not None and plan.place == "remote" else None
        if shared is not None:
            self.stores = [shared]
            tiers.on_room = self.retry  # type: ignore[union-attr]
        else:
            self.stores = [TierStore(plan.pages, LruOrder()) for _ in handoff.source.instances]
        #: Requests that wait for room, in order of asking; one queue per store.
        self.queues: list[deque[Seq]] = [deque() for _ in self.stores]
        self.objects: dict[Seq, tuple[TierStore, Entry, Seq]] = {}
        """What each request has in X."""
        self.bytes: dict[str, float] = {"copy": 0.0, "put": 0.0, "get": 0.0}
        self.waits = 0
        self.misses = 0
        self._names = 0
        self._granting = False
        self._alarm = Alarm(self.engine, self.retry)
        self._usual: dict[str, _Act] = {}
        self.late = LatePuts()

    def take_over(self, ops: dict[str, _Act]) -> None:
        """Put the methods for X before those of the hand-off."""
        mine: dict[str, _Act] = {
            "reserve": self._reserve,
            "withdraw": self._withdraw,
            "start_transfer": self._post,
            "convert": self._convert,
            "free": self._free,
            "recompute": self._recompute,
        }
        self._usual = {name: ops[name] for name in mine}
        ops.update(mine)

    # -- room --------------------------------------------------------------------------------

    def _number(self, seq: Seq) -> int:
        return 0 if len(self.stores) == 1 else seq.source.index

    def pages_of(self, seq: Seq) -> int:
        """Return the pages that the KV of a request takes."""
        nbytes = self.handoff.plan.transfer.plan(seq.transfer_tokens).bytes
        return max(1, int(-(-nbytes // self.plan.page_bytes)))

    def _reserve(self, seq: Seq, order: Any) -> None:
        if order.side != "X":
            self._usual["reserve"](seq, order)
            return
        number = self._number(seq)
        if self.pages_of(seq) > self.stores[number].total:
            # It could wait for ever: its client is told instead.
            self.handoff.reason = "larger_than_pool"
            self.handoff.feed(seq, cancelled("P"))
            self.handoff.reason = ""
            return
        queue = self.queues[number]
        queue.append(seq)
        if len(queue) > 1 or not self._grant(number):
            self.waits += 1

    def _withdraw(self, seq: Seq, order: Any) -> None:
        if order.side != "X":
            self._usual["withdraw"](seq, order)
            return
        for queue in self.queues:
            if seq in queue:
                queue.remove(seq)

    def hand_over(self, before: Seq, fresh: Seq) -> bool:
        """Let a new attempt have the object of an earlier one; say whether there is one."""
        held = self.objects.pop(before, None)
        if held is None:
            return False
        store, entry, _ = held
        entry.owner = lambda: self._may_go(fresh)
        self.objects[fresh] = (store, entry, fresh)
        return True

    def retry(self) -> None:
        """Look again who may have room."""
        for number, queue in enumerate(self.queues):
            if queue:
                self._grant(number)

    def _grant(self, number: int) -> bool:
        """Give room to those who wait, in order, as far as it lasts; say whether all have some."""
        queue, store = self.queues[number], self.stores[number]
        if self._granting:
            return False
        self._granting = True
        try:
            while queue:
                seq = queue[0]
                entry = self._begin(store, seq)
                if entry is None:
                    break
                queue.popleft()
                self.objects[seq] = (store, entry, seq)
                if self.late.loose:
                    self.late.granted(seq, store, entry)
                self.handoff.feed(seq, XGRANTED)
        finally:
            self._granting = False
        if queue:
            self._wait_for_lease(store)
        return not queue

    def _begin(self, store: TierStore, seq: Seq) -> Entry | None:
        owner = (lambda: self._may_go(seq)) if self.plan.place == "remote" else None
        # Units of the prefix cache have names from 0 on; a second attempt has an object of its own.
        self._names -= 1
        key = self._names
        return store.begin(key, at_s=self.engine._now, pages=self.pages_of(seq), owner=owner)

    def _may_go(self, seq: Seq) -> bool:
        """Ask the machine of an object whether it may be evicted."""
        self.handoff.feed(seq, EVICTED)
        gone: bool = seq.handoff.states[2] != "complete"
        return gone

    def _wait_for_lease(self, store: TierStore) -> None:
        """Wake when the next lease ends: nothing else may tell that room can be had."""
        now = self.engine._now
        ends = []
        for held, _, seq in self.objects.values():
            end_s = max(seq.deadline_s, seq.handoff.deadline_s)
            if held is store and end_s > now:
                ends.append(end_s)
        lease_s = store.next_lease_s(now)
        if lease_s is not None:
            ends.append(lease_s)
        if ends and not self._alarm.is_set:
            self._alarm.set(min(ends) + _TINY_S)

    def _sweep(self) -> None:
        """Set aside the room of objects whose writer died; only where something may break."""
        for store, entry, seq in self.objects.values():
            if entry.state == "writing" and seq.handoff.states[2] == "zombie":
                store.strand(entry)

    def _later(self) -> None:
        """Look for room once the present event is over."""
        if any(self.queues):
            self.engine.call_at(self.engine._now, self.retry)

    def _free(self, seq: Seq, order: Any) -> None:
        if order.block_set != "X":
            self._usual["free"](seq, order)
            return
        held = self.objects.pop(seq, None)
        if held is None:
            return
        store, entry, _ = held
        if order.cause == "discarded" and seq.handoff.flying:
            self.late.freed(seq, store, entry)
        self._note(seq, order, entry.pages)
        store.drop(entry, evicted=order.cause == "evicted")
        self._later()

    def _note(self, seq: Seq, order: Any, pages: int) -> None:
        """Tell the ledger of a free that may be a leak, or under access."""
        machine, audit = seq.handoff, self.handoff.audit
        if order.cause in USUAL and not machine.flying and not machine.getting:
            if order.cause == "delivered" and seq.gone:
                audit.delivered(seq, "X", pages, 2.0 * self.handoff.plan.control_s)
            return
        # What the pool evicts is its own, and of use until then.
        since_s = None if order.cause == "evicted" else audit.useless_since(seq, "X")
        audit.ledger.freed(machine, "X", order.cause, self.engine._now, pages, since_s)

    # -- hops --------------------------------------------------------------------------------

    def _convert(self, seq: Seq, order: Any) -> None:
        """Copy out on P; a conversion on D is the hand-off's."""
        if order.side != "P":
            self._usual["convert"](seq, order)
            return
        nbytes = self.handoff.plan.transfer.plan(seq.transfer_tokens).bytes
        self.bytes["copy"] += nbytes
        if self.plan.place == "host":
            name = f"{self.handoff.source.plan.name}/{seq.source.index}"
            self._move(seq, None, (name, f"{name}/host"), nbytes, COPY, 0.0)
            return
        seconds = self.plan.copy_launch_s + nbytes * self.plan.copy_s_per_byte
        self.engine.call_at(self.engine._now + seconds, lambda: self.handoff.feed(seq, CONVERTED))

    def _post(self, seq: Seq, order: Any) -> None:
        self.start_transfer(seq, order)

    def start_transfer(self, seq: Seq, order: Any, worse: float = 1.0) -> Flow:
        """Post a hop; a copy in device memory goes as any hand-off does.

        ``worse``: how many times the usual descriptors it takes.
        """
        source = f"{self.handoff.source.plan.name}/{seq.source.index}"
        if order.leg != "put" and seq.handoff.states[2] in ("free", "empty"):
            self.handoff.audit.ledger.posted(seq.handoff, "X")
        if self.plan.place == "device":
            return self.handoff.wire.start(seq, order, worse)
        planned = self.handoff.plan.transfer.plan(seq.transfer_tokens)
        beside_s = planned.post_s * worse + planned.fixed_s + self.plan.rpc_s
        if order.leg == "put":
            ends = (source, "remote/0/host")
            beside_s += planned.producer_convert_s + planned.producer_stage_s
            seq.convert_s += planned.producer_convert_s
        else:
            target = f"{self.handoff.target.plan.name}/{seq.dest.index}"
            ends = ("remote/0/host" if order.leg == "get" else f"{source}/host", target)
            beside_s += planned.consumer_stage_s
        if seq.transfer_start_s != seq.transfer_start_s:
            seq.transfer_start_s = self.engine._now
        kind = PUT if order.leg == "put" else GET
        self.bytes["put" if kind == PUT else "get"] += planned.bytes
        rate = planned.rate_bytes_per_s / worse
        return self._move(seq, order, ends, planned.bytes, kind, beside_s, rate)

    def _move(
        self,
        seq: Seq,
        order: Any,
        ends: tuple[str, str],
        nbytes: float,
        kind: int,
        beside_s: float,
        limit: float = float("inf"),
    ) -> Flow:
        path = self.world.plan.network.path(*ends)
        fabric = self.world.fabric
        assert fabric is not None
        # A copy is P's own work: nobody stops it as a transfer.
        first = seq if order is not None else None
        tag = (first, order, kind, seq)
        return fabric.start(path, nbytes, self._landed, tag, limit, beside_s)

    def _landed(self, flow: Flow) -> None:
        _, order, kind, seq = flow.tag
        target = seq.dest.index if seq.dest is not None else seq.source.index
        start_s = flow.started_s
        duration_s = self.engine._now - start_s
        self.world.recorder.transfers(
            pack_transfer(
                seq.rid, seq.source.index, target, flow.nbytes, 0.0, start_s, start_s, duration_s,
                1, duration_s, kind, 0,
            )
        )  # fmt: skip
        if order is None:
            self.handoff.feed(seq, CONVERTED)
        else:
            if kind == PUT and self.late.loose:
                self.late.landed(seq, self.objects)
            elif kind == GET and seq in self.objects and self.objects[seq][1].wrong:
                seq.corrupt = 1
                self.handoff.audit.wrong.setdefault(seq, "I16")
            self.handoff.feed(seq, landed(order.piece, order.of, order.leg))
            if kind == PUT:
                self._whole(seq)

    def _whole(self, seq: Seq) -> None:
        """Let an object that is complete be evicted, should its machine agree."""
        held = self.objects.get(seq)
        if held is not None and seq.handoff.states[2] == "complete":
            held[0].finish(held[1], at_s=self.engine._now)
            self._later()

    def _recompute(self, seq: Seq, order: Any) -> None:
        """Count a miss of the pool: D computes what it could not read."""
        self.misses += 1
        self._usual["recompute"](seq, order)

    # -- the end -----------------------------------------------------------------------------

    def held_pages(self, seq: Seq) -> int:
        """Return the pages that a request has in X."""
        held = self.objects.get(seq)
        return held[1].pages if held is not None else 0

    def check(self) -> None:
        """Hold X to the conservation of its pages (L2, I4)."""
        if self.world.plan.faults:
            self._sweep()
        for store in self.stores:
            store.check()

    def close(self) -> None:
        """Count every entry."""
        for store in self.stores:
            store.audit()

    def figures(self) -> dict[str, Any]:
        """Return the ``transit`` part of the summary."""
        names = ("total", "free", "owned", "quarantined", "peak_owned")
        return {
            "place": self.plan.place,
            "pages": {n: sum(getattr(store, n) for store in self.stores) for n in names},
            "page_bytes": self.plan.page_bytes,
            "bytes": dict(self.bytes),
            "evicted_pages": sum(store.evicted_pages for store in self.stores),
            "waits_for_room": self.waits,
            "recomputed_requests": self.misses,
        }
