"""The hand-off: carries out what an ownership machine asks, and tells it what came of it.

There is no ``if`` on a protocol here. Every instruction has one method; the outcome is fed back as
an event. Seconds come from the transfer planner and the fabric.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hetsim.metrics import pack_move
from hetsim.ownership import PARTS, Automaton, Configuration, Instructions, Moved
from hetsim.ownership._vocabulary import (
    ARRIVED,
    CONSUMER_SEEN,
    CONVERTED,
    CREDIT_GRANTED,
    PREFILL_STARTED,
    Convert,
    Free,
    StartTransfer,
    crashed,
    landed,
    produced,
    quiesced,
    transfer_failed,
)
from hetsim.ownership._vocabulary import FINISHED as DECODED
from hetsim.serving import Instance, Seq
from hetsim.stages._audit import Audit
from hetsim.stages._control import Control
from hetsim.stages._damage import Damage
from hetsim.stages._plan import BoundaryPlan
from hetsim.stages._pool import PoolStage
from hetsim.stages._preempted import watch_preemptions
from hetsim.stages._transit import Transit
from hetsim.stages._wire import Wire
from hetsim.stages._world import FAILED, World
from hetsim.stages._world import FINISHED as DONE

__all__ = ["Handoff"]

NAN = float("nan")

_Bound = tuple[tuple[int, ...], tuple[tuple[Callable[[Seq, Any], None], Any], ...]]


class Handoff(Control):
    """Drives one machine per request between a prefill and a decode pool."""

    def __init__(
        self, world: World, plan: BoundaryPlan, source: PoolStage, target: PoolStage
    ) -> None:
        super().__init__(world.engine, plan.control_s)
        self.world = world
        self.plan = plan
        self.machines = plan.plan
        self.source = source
        self.target = target
        self.wire = Wire(world, plan, source, target, self._landed)
        self.moves = world.recorder.ownership
        self._codes: dict[tuple[int, str, str, str], int] = {}
        self._ops: dict[str, Callable[[Seq, Any], None]] = {
            "start_prefill": self._start_prefill,
            "stop_prefill": self._stop_prefill,
            "dispatch": self._dispatch,
            "reserve": self._reserve,
            "withdraw": self._withdraw,
            "retract": self._nothing,
            "restore": self._nothing,
            "start_transfer": self._start_transfer,
            "stop_transfer": self._stop_transfer,
            "send": self._send,
            "set_timer": self._set_timer,
            "stop_timer": self._stop_timer,
            "convert": self._convert,
            "admit": self._admit,
            "recompute": self._recompute,
            "free": self._free,
            "quarantine": self._quarantine,
            "fail": self._fail,
            "abort": self._fail,
            "corrupt": self._corrupt,
        }
        self._automaton = Automaton(plan.plan, self._bind)
        self.audit = Audit(world, plan.plan)
        self.damage = Damage(self.audit.wrong)
        self.transit = Transit(self, plan.transit) if plan.transit is not None else None
        if self.transit is not None:
            self.transit.take_over(self._ops)
            world.transit = self.transit
            self.audit.elsewhere = self.transit.held_pages
        self.reason = ""
        """Why requests fail just now, where a fault knows better than the machine."""
        #: Prompt tokens left to D: where D emits the first token, vLLM computes the last one there.
        self._less = 1 if plan.first_token_from == "decode" else 0
        source.on_prefilled = self._prefilled
        source.on_started = self._chunk_started
        target.on_credit = self._credit
        target.on_decoded = self._decoded
        watch_preemptions(self, target)
        if plan.granularity != "request":
            for instance in source.instances:
                instance.watch_chunks = True

    # -- requests ----------------------------------------------------------------------------

    def submit(self, seq: Seq) -> None:
        """Make the machine of a request that arrives."""
        seq.handoff = self._automaton.start
        seq.transfer_tokens = seq.isl - self._less
        seq.timers = {}
        self.feed(seq, ARRIVED)

    def feed(self, seq: Seq, event: Any) -> None:
        """Take the request on from where it is: note what changed hands, do what is asked."""
        before: Configuration = seq.handoff
        now = self.engine._now
        step = before.steps.get(event)
        if step is None:
            step, seq.deadline_s = self._automaton.learn(
                before, event, now, seq.deadline_s, seq.rid
            )
        seq.handoff, (codes, orders) = step
        for code in codes:
            self.moves(pack_move(now, seq.rid, code))
        for act, order in orders:
            act(seq, order)

    def _bind(
        self, moved: Moved, lease_s: float | None, event: Any, answer: Instructions
    ) -> _Bound:
        """Return the codes of changes of state, and the method of each instruction with it."""
        codes = tuple([self._code(*change, event) for change in moved])
        orders: list[tuple[Callable[[Seq, Any], None], Any]]
        orders = [(self._ops[order.op], order) for order in answer]
        if lease_s is not None:
            orders.insert(0, (self._lease, lease_s))
        return codes, tuple(orders)

    def _lease(self, seq: Seq, lease_s: Any) -> None:
        seq.deadline_s = self.engine._now + lease_s

    def _code(self, part: int, before: str, after: str, event: Any) -> int:
        """Return the code of a change of state and the event that caused it."""
        code = self._codes.get((part, before, after, event.key))
        if code is not None:
            return code
        name = PARTS[part]
        owner = self.machines.table.owners[name].get(after) or ""
        moves = self.world.info.moves
        code = self._codes[part, before, after, event.key] = len(moves)
        moves.append((name, before, after, owner, event.key))  # type: ignore[attr-defined]
        return code

    # -- the producer's side -----------------------------------------------------------------

    def _start_prefill(self, seq: Seq, _: Any) -> None:
        self.source.submit(seq)

    def _stop_prefill(self, seq: Seq, _: Any) -> None:
        for instance in self.source.instances:
            for rank in instance.ranks:
                if seq in rank.waiting:
                    rank.waiting.remove(seq)
                    rank.queued -= seq.prompt - seq.done
                    instance.load -= 1

    def _chunk_started(self, instance: Instance, seq: Seq, end_s: float, tokens: int) -> None:
        """Note that a step which ends at ``end_s`` computes ``tokens`` of the prompt."""
        if seq.gone:
            return
        if seq.attempt == 0:
            self._begin(seq)
        if self.plan.granularity == "layer":
            now = self.engine._now
            # Layers leave as they are computed: the flow may not outrun the compute, and ends one
            # layer after it at the earliest.
            first_layer_s = (end_s - now) / self.plan.layers
            end = seq.done + tokens
            self.engine.call_at(now + first_layer_s, lambda: self._pieces(seq, end, end_s))
        else:
            end = seq.done + tokens
            if end < seq.prompt:
                self.engine.call_at(end_s, lambda: self._pieces(seq, end, end_s))

    def _begin(self, seq: Seq) -> None:
        seq.attempt = 1
        self.feed(seq, PREFILL_STARTED)

    def _pieces(self, seq: Seq, end_tokens: int, end_s: float) -> None:
        """Report the pieces that are complete when ``end_tokens`` of the prompt are."""
        if seq.gone:
            return
        size = self.plan.chunk_tokens
        count = -(-seq.prompt // size)
        upto = count if end_tokens >= seq.prompt else end_tokens // size
        while seq.attempt - 1 < upto:
            index = seq.attempt - 1
            seq.attempt += 1
            seq.second_s = end_s  # until the decode starts: when the compute of the piece ends
            self.feed(seq, produced(index, count))

    def _prefilled(self, instance: Instance, seq: Seq, now: float) -> None:
        """Keep the blocks of a computed prompt for the hand-off, and say so."""
        instance.detach(seq)
        seq.source = instance
        if seq.attempt == 0:
            self._begin(seq)
        if self.plan.first_token_from == "prefill":
            seq.first_s = now
            seq.out = min(1, self.world.osl[seq.rid])
        if self.world.osl[seq.rid] <= seq.out:
            self._no_decode(instance, seq, now)
            return
        self._produced(seq, now)

    def _produced(self, seq: Seq, now: float) -> None:
        """Tell the machine that what P computes of the prompt is complete."""
        if self.plan.granularity == "request":
            self.feed(seq, produced(0, 1))
        elif self.plan.granularity == "chunk":
            self._pieces(seq, seq.prompt, now)
        elif seq.handoff.owner("Ps") is None:
            # Layers are reported while they are computed, so the machine may have let go already.
            self._free_source(seq, now)

    def _no_decode(self, instance: Instance, seq: Seq, now: float) -> None:
        """Nothing is left to decode: the request ends on the prefill side."""
        if seq.first_s != seq.first_s:
            seq.first_s = now
        seq.last_s = now
        instance.drop(seq, now)
        if seq.dst_rank is not None:
            seq.dest.unreserve(seq, now)
        self.world.end(seq, DONE)

    # -- the consumer's side -----------------------------------------------------------------

    def _target_of(self, seq: Seq) -> Instance | None:
        if seq.dest is None:
            seq.dest = self.target.route(seq)
        instance: Instance | None = seq.dest
        return instance

    def _dispatch(self, seq: Seq, _: Any) -> None:
        self._tell(seq, CONSUMER_SEEN)

    def _reserve(self, seq: Seq, _: Any) -> None:
        instance = self._target_of(seq)
        if instance is None:
            # Nobody is left to ask: as if the instance had died with the request in its queue.
            self.reason = "decode_crash"
            self.feed(seq, crashed("D"))
            self.reason = ""
            self.world.end(seq, FAILED, "decode_crash")
            return
        self.target.ask(instance, seq)

    def _credit(self, seq: Seq) -> None:
        if self.damage.loose:
            self.damage.granted(seq)
        self.feed(seq, CREDIT_GRANTED)

    def _admit(self, seq: Seq, _: Any) -> None:
        """Let the request decode, now that its KV is there."""
        if seq.gone:
            return
        now = self.engine._now
        plan = self.plan
        seq.landed_s = now
        seq.second_s = NAN
        seq.done = seq.isl - self._less
        if plan.first_token_from == "decode_on_arrival":
            seq.first_s = now
            seq.out = 1
        elif plan.first_token_from == "decode_on_join":
            seq.out = 1  # it is out when its first step is
        instance: Instance = seq.dest
        if seq.out >= self.world.osl[seq.rid]:
            if seq.first_s != seq.first_s:
                seq.first_s = now
            seq.last_s = now
            seq.decode_instance = instance.index
            self.feed(seq, DECODED)
            self.audit.decoded(seq)
            self.world.end(seq, DONE)
            return
        instance.join(seq, now)
        if instance.next_s != instance.wake_s:
            self.target.rearm(instance)

    def _recompute(self, seq: Seq, instruction: Any) -> None:
        """Compute the prompt on D, in the blocks that are reserved there."""
        now = self.engine._now
        seq.landed_s = now
        instance: Instance = seq.dest
        rank = seq.rank = seq.dst_rank
        seq.blocks, seq.dst_rank = seq.dst_blocks, None
        seq.prompt, seq.done, seq.out = seq.isl, 0, 0
        rank.waiting.append(seq)
        rank.queued += seq.prompt
        instance.poke(now)
        self.target.rearm(instance)

    def _decoded(self, instance: Instance, seq: Seq, now: float) -> None:
        self.feed(seq, DECODED)
        self.audit.decoded(seq)

    # -- moving bytes ------------------------------------------------------------------------

    def _start_transfer(self, seq: Seq, order: StartTransfer) -> None:
        if seq.held is None and seq.rank is None:
            self.audit.posted(seq)
        self.wire.start(seq, order)

    def _landed(self, seq: Seq, order: StartTransfer) -> None:
        if self.damage.loose:
            self.damage.landed(seq)
        self.feed(seq, landed(order.piece, order.of, order.leg))
        if self.damage.loose and not seq.handoff.flying:
            self.damage.over(seq)

    def _stop_transfer(self, seq: Seq, asked: Any) -> None:
        fabric = self.world.fabric
        assert fabric is not None
        stopped = [flow for flow in fabric.flows if flow.tag[0] is seq]
        for flow in stopped:
            fabric.cancel(flow)
            order = flow.tag[1]
            self.feed(seq, transfer_failed(True, order.piece, order.of, order.leg))
        self.feed(seq, quiesced(asked.leg))

    def _convert(self, seq: Seq, order: Convert) -> None:
        engine, delay_s = self.engine, self.wire.convert_s(seq)
        engine.call_at(engine._now + delay_s, lambda: self.feed(seq, CONVERTED))

    def _nothing(self, seq: Seq, _: Any) -> None:
        """Only the ownership table shows it (a retraction is the instance's own work)."""

    def _withdraw(self, seq: Seq, _: Any) -> None:
        """Leave the queue for blocks: one that is gone is passed over there."""

    def _quarantine(self, seq: Seq, _: Any) -> None:
        """Only the ownership table shows it."""

    # -- letting go --------------------------------------------------------------------------

    def _free(self, seq: Seq, order: Free) -> None:
        self.audit.freed(seq, order)
        if order.block_set == "Ps":
            if seq.held is not None:
                self._free_source(seq, self.engine._now)
        elif order.block_set == "Ds" and seq.dst_rank is not None:
            self._free_target(seq, self.engine._now)

    def _free_source(self, seq: Seq, now: float) -> None:
        instance: Instance = seq.source
        if seq.handoff.flying and self.transit is None:
            rank, blocks, *_ = seq.held
            self.damage.freed(seq, "Ps", rank.pool, blocks)
        instance.drop(seq, now)
        if instance.next_s != instance.wake_s:
            self.source.rearm(instance)

    def _free_target(self, seq: Seq, now: float) -> None:
        if seq.handoff.flying and self.transit is None:
            self.damage.freed(seq, "Ds", seq.dst_rank.pool, seq.dst_blocks)
        seq.dest.unreserve(seq, now)
        if self.target.credit[seq.dest.index]:
            self.target.grant(seq.dest)
        self.target.rearm(seq.dest)

    def _fail(self, seq: Seq, order: Any) -> None:
        self.audit.failed(seq)
        self.world.end(seq, FAILED, self.reason or _REASON.get(order.cause, "transfer_failed"))

    def _corrupt(self, seq: Seq, _: Any) -> None:
        seq.corrupt = 1


_REASON = {
    "client": "client",
    "prefill_crash": "prefill_crash",
    "decode_crash": "decode_crash",
    "crash": "decode_crash",
}
