"""A hand-off in which things may break: messages, transfers and timers pass through the faults.

Only runs that state faults, recovery, placement or step timers have one; a calm run has the plain
:class:`Handoff`, which knows nothing of this. What is added: states are watched, messages may be
lost, late or repeated, transfers may fail or hang, timers ride on step loops, preemptions are told
to the machines, and requests may leave in the middle.
"""

from __future__ import annotations

from typing import Any

from hetsim.metrics import pack_move
from hetsim.ownership import PARTS
from hetsim.ownership._vocabulary import (
    ARRIVED,
    CREDIT_GRANTED,
    PREEMPTED,
    TRANSFER_STARTED,
    Free,
    Send,
    StartTransfer,
    cancelled,
    notice,
    quiesced,
    transfer_failed,
)
from hetsim.ownership._vocabulary import FINISHED as DECODED
from hetsim.serving import Instance, Seq
from hetsim.stages._admission import refuses, reload
from hetsim.stages._break_control import crossing
from hetsim.stages._break_instance import preempted
from hetsim.stages._break_transfer import Transfers
from hetsim.stages._place import Place
from hetsim.stages._plan import BoundaryPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._pressure import Pressure
from hetsim.stages._rooms import Rooms
from hetsim.stages._step_timers import TimedHandoff
from hetsim.stages._world import FAILED, World

__all__ = ["Guard"]

_BACKGROUND = frozenset(
    {"timer:beat", "notice:beat", "timer:lease", "timer:bootstrap", "timer:resend"}
)
_LEASES = ("timer:lease", "timer:bootstrap")
_COMPUTING = ("idle", "bootstrapping", "waiting", "prefilling")


class Guard(TimedHandoff):
    """Drives the machines of a run in which something may break."""

    def __init__(
        self, world: World, plan: BoundaryPlan, source: PoolStage, target: PoolStage
    ) -> None:
        super().__init__(world, plan, source, target)
        self.place = Place(self, world.plan.placement)
        self.transfers = Transfers(self)
        self._told_preempted = False
        target.grant = self._grant  # type: ignore[method-assign]
        self._aside: dict[Seq, None] = {}
        """Requests whose blocks on D are in quarantine."""
        self._left: dict[Seq, str] = {}
        """Why those have gone whom nobody waits for any more."""
        self._reloading: dict[Seq, None] = {}
        """Preempted requests that wait for their prompt from the pool."""
        self.rooms = Rooms(self) if world.plan.by_room else None
        self.pressure: Pressure | None = None
        self.audit.told = self._leaked
        self._ops["start_transfer"] = self._start_transfer
        target.on_started = self._resumed
        target.on_preempted = self._preempted
        for instance in target.instances:
            instance.watch_preempted = instance.watch_chunks = True

    # -- requests ----------------------------------------------------------------------------

    def submit(self, seq: Seq) -> None:
        """Let a request in where it is to be computed, once the router is there."""
        back_s = self.breaker.router_back_s
        if back_s > self.engine.now:
            self.engine.call_at(back_s, lambda: self.submit(seq))
            return
        if not seq.gone and not self.place.bypasses(seq):
            self.place.split(seq)
            if self.rooms is not None:
                self.rooms.enter(seq)
            # A machine of its own: what happens to it may be like nobody else's.
            seq.handoff = self.machines.machine(seq.rid)
            seq.transfer_tokens = seq.isl - self._less
            seq.timers = {}
            self.feed(seq, ARRIVED)

    def reload(self, fresh: Seq, before: Seq) -> bool:
        """Read again what an earlier attempt has put into the pool; say whether it can."""
        return reload(self, fresh, before)

    def feed(self, seq: Seq, event: Any) -> None:
        """Tell the machine what happened; watch where it goes."""
        machine = seq.handoff
        now = self.engine._now
        key = event.key
        if key not in _BACKGROUND:
            self.moved_s = now
            if key.startswith("landed"):
                self.transfers.arrived(seq, event)
                if self.rooms is not None:
                    self.rooms.landed(seq)
        before = tuple(machine.states)
        at_s = now
        if self._short and key in _LEASES and self._short.get(seq) == machine.deadline_s:
            at_s = max(now, machine.deadline_s)  # so it seems to a clock that is wrong
        answer = machine.handle(event, at_s)
        after = tuple(machine.states)
        if after != before:
            for part in range(3):
                if after[part] is not before[part]:
                    self.note(seq, part, before[part], after[part], event)
        elif "lost" in after and key.startswith(("notice", "landed")):
            self._refused(seq)
        ops = self._ops
        for instruction in answer:
            ops[instruction.op](seq, instruction)

    def note(self, seq: Seq, part: int, before: str, after: str, event: Any) -> None:
        """Write a change of state down, and tell faults that wait for it."""
        code = self._codes.get((part, before, after, event.key))
        if code is None:
            code = self._code(part, before, after, event)
        self.moves(pack_move(self.engine._now, seq.rid, code))
        watch = self.breaker.watch
        if watch:
            self.breaker.entered(seq, f"{PARTS[part]}:{after}")

    def _refused(self, seq: Seq) -> None:
        record = self.breaker.blame.get(seq.rid)
        if record is not None:
            record.refused += 1

    def cancel(self, seq: Seq, reason: str) -> None:
        """Let both sides know, each at its time, that nobody waits for the request any more."""
        at_s = self.engine._now + self._control_s

        def tell() -> None:
            self._left[seq] = reason
            self.reason = reason
            for side in ("P", "D"):
                if seq.handoff.outcome in (None, "aborted"):
                    self.feed(seq, cancelled(side))
            self.reason = ""
            if not seq.gone and seq.handoff.outcome == "aborted":
                self.world.end(seq, FAILED, reason)

        self.engine.call_at(at_s, tell)

    # -- the producer's side -----------------------------------------------------------------

    def _prefilled(self, instance: Instance, seq: Seq, now: float) -> None:
        if seq.gone:
            seq.rank.free(seq)
            instance.load -= 1
            return
        if seq.prompt < seq.isl:
            self._prefilled_part(instance, seq, now)
        else:
            super()._prefilled(instance, seq, now)

    def _prefilled_part(self, instance: Instance, seq: Seq, now: float) -> None:
        """Hand the first part of a prompt over; the rest of it, and every token, is D's."""
        instance.detach(seq)
        seq.source = instance
        if seq.attempt == 0:
            self._begin(seq)
        self._produced(seq, now)

    def _stop_prefill(self, seq: Seq, _: Any) -> None:
        now = self.engine._now
        if self.source.shared and seq in self.source.shared:
            self.source.shared.remove(seq)
        for instance in self.source.instances:
            if instance.cut(seq, now):
                self.source.rearm(instance)
                return

    # -- the consumer's side -----------------------------------------------------------------

    def _reserve(self, seq: Seq, order: Any) -> None:
        if self._told_preempted:
            return
        if order.side == "D" and refuses(self, seq):
            return
        if seq.handoff.states[1] == "preempted" and seq not in self._reloading:
            self.place.queue_anew(seq)  # it gets blocks as a prompt does, not ahead of its turn
            return
        super()._reserve(seq, order)
        if seq.dest is not None and self._is_stalled(seq.dest):
            self.breaker.touch(self.breaker.stalled_by[seq.dest], seq)

    def _grant(self, instance: Instance) -> None:
        """Reserve blocks for those who wait; a step loop that stands still admits nobody."""
        if self.breaker.stalled_until.get(instance, 0.0) <= self.engine._now:
            PoolStage.grant(self.target, instance)

    def _credit(self, seq: Seq) -> None:
        if seq.prompt < seq.isl:  # blocks are there for all of it, but only this much crosses
            seq.transfer_tokens = seq.prompt
        super()._credit(seq)

    def _admit(self, seq: Seq, order: Any) -> None:
        if seq in self._reloading:
            del self._reloading[seq]
            self.place.goes_on(seq)
        elif not self.place.completes(seq):
            super()._admit(seq, order)

    def _recompute(self, seq: Seq, instruction: Any) -> None:
        if self._told_preempted:
            return
        record = self.breaker.blame.get(seq.rid)
        if record is not None:
            record.lose(record.lost_prefill, self.source.plan.name, seq.isl - seq.cached)
        if instruction.side == "D" and seq.dst_rank is not None:
            self._reclaim(seq)
            if seq in self._reloading:
                del self._reloading[seq]
                seq.transfer_tokens, told = 0, seq.transfer_tokens
                self.place.goes_on(seq)
                seq.transfer_tokens = told
            else:
                super()._recompute(seq, instruction)

    def _decoded(self, instance: Instance, seq: Seq, now: float) -> None:
        if seq.gone or seq.handoff is None:
            return
        self.feed(seq, DECODED)
        self.audit.decoded(seq)

    def _preempted(self, instance: Instance, seq: Seq) -> None:
        """Tell the machine that D took the blocks back; the instance queues it by itself."""
        preempted(self.breaker, instance, seq)
        if seq.handoff is None or seq.handoff.states[1] != "decoding":
            return
        if self.machines.options.on_preempt == "reload" and seq.handoff.states[2] == "complete":
            # The pool still has the prompt: wait for blocks to read it into, not to compute it.
            instance.cut(seq, self.engine._now)
            self._reloading[seq] = None
            self.feed(seq, PREEMPTED)
            return
        self._told_preempted = True
        self.feed(seq, PREEMPTED)
        self._told_preempted = False

    def _resumed(self, instance: Instance, seq: Seq, at_s: float, tokens: int) -> None:
        """Tell the machine that a preempted request has its blocks again."""
        machine = seq.handoff
        if machine is not None and machine.states[1] in ("preempted", "retracted"):
            self._told_preempted = True
            self.feed(seq, CREDIT_GRANTED)
            self._told_preempted = False

    def _withdraw(self, seq: Seq, order: Any) -> None:
        """Leave the queue for blocks, or that of the preempted."""
        if seq.dest is None:
            return
        queue = self.target.credit[seq.dest.index]
        if seq in queue:
            queue.remove(seq)
            self.target.grant(seq.dest)
        elif seq.dest.cut(seq, self.engine._now):
            self.target.rearm(seq.dest)

    # -- moving bytes ------------------------------------------------------------------------

    def _start_transfer(self, seq: Seq, order: StartTransfer) -> None:
        gone = seq.held is None and seq.rank is None and seq.handoff.states[0] != "lost"
        if gone and self.transit is None:
            self.audit.posted(seq)
        self.transfers.post(seq, order)

    def started(self, seq: Seq) -> None:
        """Tell the machine that bytes begin to move."""
        self.feed(seq, TRANSFER_STARTED)

    def _stop_transfer(self, seq: Seq, asked: Any) -> None:
        for order in self.transfers.stop(seq):
            self.feed(seq, transfer_failed(True, order.piece, order.of, order.leg))
        fabric, record = self.world.fabric, self.breaker.blame.get(seq.rid)
        assert fabric is not None
        before = fabric.lost_bytes
        super()._stop_transfer(seq, asked)
        if record is not None:
            record.lost_bytes += fabric.lost_bytes - before

    def forget(self, seq: Seq) -> None:
        """Drop what was posted and has not begun, or hangs: an end of it has died."""
        for order in self.transfers.stop(seq):
            self.feed(seq, transfer_failed(True, order.piece, order.of, order.leg))

    def still(self, seq: Seq, leg: Any) -> None:
        """Tell the machine that no DMA of a leg is left."""
        self.feed(seq, quiesced(leg))

    # -- control -----------------------------------------------------------------------------

    def _send(self, seq: Seq, order: Send) -> None:
        self._cross(seq, notice(order.notice), order.rides)

    def _tell(self, seq: Seq, event: Any) -> None:
        self._cross(seq, event, False)

    def _cross(self, seq: Seq, event: Any, rides: bool) -> None:
        """Let a message through the faults: on time, late, more than once, or not at all."""
        delays, lost = crossing(self.breaker, seq, event, self.plan.control_s, rides)
        if lost is not None:
            self._lost_message(seq, event, lost)
        for delay_s in delays:
            self.engine.call_at(
                self.engine._now + self._control_s + delay_s,
                lambda: self._arrives(seq, event),
            )

    def _arrives(self, seq: Seq, event: Any) -> None:
        found = self.rooms.addressee(seq, event) if self.rooms is not None else seq
        if found is not None:
            self.feed(found, event)

    def _lost_message(self, seq: Seq, event: Any, armed: Any) -> None:
        """Close the client's connection if a dispatch is lost; others are just not there."""
        self.breaker.touch(armed, seq)
        if event.key == "consumer_seen":
            self.cancel(seq, "router_crash")

    # -- letting go --------------------------------------------------------------------------

    def _free(self, seq: Seq, order: Free) -> None:
        if order.block_set == "Ds" and order.cause not in ("preempted", "retracted", "finished"):
            self._leave_decode(seq)
        self.audit.freed(seq, order)
        now = self.engine._now
        if order.block_set == "Ps" and seq.held is not None:
            if order.cause == "delivered" and seq.gone:
                self.audit.delivered(seq, "Ps", seq.held[1], 2.0 * self._control_s)
            self._free_source(seq, now)
        elif order.block_set == "Ds" and seq.dst_rank is not None:
            self._reclaim(seq)
            self._free_target(seq, now)

    def _leave_decode(self, seq: Seq) -> None:
        """Take a request that ends otherwise than by its last token out of D's batch."""
        instance = seq.dest
        if instance is None or seq.dst_rank is not None or instance.dead:
            return
        if instance.cut(seq, self.engine._now):
            self.target.rearm(instance)

    def _quarantine(self, seq: Seq, order: Any) -> None:
        """Set blocks aside that nobody can use until the backend is quiet."""
        if seq.dst_rank is not None and seq not in self._aside:
            seq.dst_rank.pool.quarantine(seq.dst_blocks)
            self._aside[seq] = None

    def _reclaim(self, seq: Seq) -> None:
        """Take blocks out of quarantine, now that the DMA is over."""
        if seq in self._aside:
            del self._aside[seq]
            pool = seq.dst_rank.pool
            pool.end_quarantine(seq.dst_blocks)
            pool.take(seq.dst_blocks)

    def _leaked(self, seq: Seq, amount: float) -> None:
        self.breaker.leaked(seq, amount)

    def _fail(self, seq: Seq, order: Any) -> None:
        if seq.gone:
            return
        self.breaker.lost_work(seq)
        before, why = self.reason, self._left.pop(seq, "")
        if order.op == "abort":  # it may have waited for its blocks to be quiet
            self.reason = before or why
        super()._fail(seq, order)
        self.reason = before
        if seq.prefill_end_s != seq.prefill_end_s:
            # The router closes its connection, and P stops computing for nobody.
            self.engine.call_at(
                self.engine._now + self._control_s, lambda: self._stop_computing(seq)
            )

    def _stop_computing(self, seq: Seq) -> None:
        self._stop_prefill(seq, None)
        if seq.handoff.states[0] in _COMPUTING:
            self.feed(seq, cancelled("P"))
