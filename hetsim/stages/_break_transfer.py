"""Transfers that fail, hang, start late, lie, or are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetsim.engine import Flow
from hetsim.ownership._vocabulary import PREEMPTED, Event, StartTransfer, transfer_failed
from hetsim.representation import outcome_of
from hetsim.serving import Seq
from hetsim.stages._armed import Armed
from hetsim.stages._breaker import Breaker

if TYPE_CHECKING:
    from hetsim.stages._guard import Guard

__all__ = ["Transfers", "transfer_fault"]

CONNECT_S = 5.0
"""A peer that does not answer is given up after this. Source: vLLM 0.33, NIXL handshake receive."""

SETTLE_S = 1.0
"""After a failure, the backend says that its DMA is over within this, unless it is stated."""

_AT_START = ("connect_slow", "zombie_put", "layout_miss", "fragmentation", "mismatch")


def transfer_fault(breaker: Breaker, armed: Armed, seq: Seq | None) -> None:
    """Hit a transfer of the request that is under way, or else those that come next."""
    armed.open(breaker.engine.now, seq)
    if seq is not None and armed.kind.name not in _AT_START:
        transfers = breaker.guard.transfers
        for flow in [flow for flow in transfers.fabric.flows if flow.tag[0] is seq]:
            if armed.hits(seq, breaker.engine.now):
                transfers.strike(armed, seq, flow)


class Transfers:
    """Posts transfers for the guard, and lets faults at them."""

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.engine = guard.engine
        fabric = guard.world.fabric
        assert fabric is not None
        self.fabric = fabric
        self._open: dict[Seq, dict[StartTransfer, None]] = {}
        """Posted and not yet under way, or hanging."""
        self._bad: dict[tuple[Seq, int, str], Armed] = {}
        """Transfers that will report success with wrong bytes."""

    # -- posting -----------------------------------------------------------------------------

    def post(self, seq: Seq, order: StartTransfer) -> None:
        """Post a transfer: at once, late, or in vain."""
        breaker = self.guard.breaker
        states = seq.handoff.states
        if "lost" in self._ends(states, order):
            self._refuse(seq, order, self._wait_for_dead(seq, states))
            return
        now = self.engine.now
        target = seq.dest.index if seq.dest is not None else -1  # a put has none yet
        until_s, armed = breaker.blacklist.get(target, (0.0, None))
        if armed is not None and now < until_s:
            breaker.touch(armed, seq)
            self._refuse(seq, order, 0.0)
            return
        self._post(seq, order, now)

    def _ends(self, states: list[str], order: StartTransfer) -> tuple[str, str]:
        """Return the states of both ends of a transfer; X is one where it goes by a store."""
        if self.guard.transit is None:
            return states[0], states[1]
        return (states[0], states[2]) if order.leg == "put" else (states[2], states[1])

    def _wait_for_dead(self, seq: Seq, states: list[str]) -> float:
        """Return how long it takes to see that an end is gone: a new incarnation says so."""
        end = seq.source if states[0] == "lost" else seq.dest
        if end is not None and not end.dead:
            record = self.guard.breaker.blame.get(seq.rid)
            if record is not None:
                record.refused += 1
            return self.guard.plan.control_s
        return CONNECT_S

    def _refuse(self, seq: Seq, order: StartTransfer, after_s: float) -> None:
        self._open.setdefault(seq, {})[order] = None
        self.engine.call_at(self.engine.now + after_s, lambda: self._refused(seq, order))

    def _refused(self, seq: Seq, order: StartTransfer) -> None:
        if self._close(seq, order):
            self.guard.feed(seq, transfer_failed(True, order.piece, order.of, order.leg))

    def _post(self, seq: Seq, order: StartTransfer, now: float) -> None:
        delay_s, worse, breaker = 0.0, 1.0, self.guard.breaker
        hit: list[Armed] = []
        for armed in breaker.transfers:
            if armed.kind.name == "zombie_put" and order.leg != "put":
                continue
            if not armed.hits(seq, now):
                continue
            breaker.touch(armed, seq)
            name = armed.kind.name
            if name in ("connect_slow", "zombie_put"):
                delay_s += armed.fault.delay
            elif name == "layout_miss":
                delay_s += 2.0 * self.guard.plan.control_s
            elif name == "fragmentation":
                worse *= armed.fault.factor
            elif name == "mismatch" and self._is_seen(armed):
                self._refuse(seq, order, self.guard.plan.control_s)
                return
            else:
                hit.append(armed)
        if delay_s > 0.0:
            self._open.setdefault(seq, {})[order] = None
            self.engine.call_at(now + delay_s, lambda: self._begin(seq, order, worse, hit))
        else:
            self._start(seq, order, worse, hit)

    def _is_seen(self, armed: Armed) -> bool:
        """Return whether the runtime's checks see a mismatch; what they convert is no harm."""
        return self._outcome(armed).startswith("reject")

    def _outcome(self, armed: Armed) -> str:
        return outcome_of(armed.fault.mismatch, self.guard.source.plan.runtime.name)

    def _begin(self, seq: Seq, order: StartTransfer, worse: float, hit: list[Armed]) -> None:
        if self._close(seq, order):
            self._start(seq, order, worse, hit)

    def _start(self, seq: Seq, order: StartTransfer, worse: float, hit: list[Armed]) -> None:
        breaker = self.guard.breaker
        flow = self._flow(seq, order, worse)
        for armed, pool, instance in breaker.weak:
            there = seq.dest.index if seq.dest is not None else -1
            index = seq.prefill_instance if pool is breaker.pools[0] else there
            if index == instance.index:
                breaker.touch(armed, seq)
        self.guard.started(seq)
        for armed in hit:
            self.strike(armed, seq, flow)

    def _flow(self, seq: Seq, order: StartTransfer, worse: float) -> Flow:
        """Let the bytes go: between P and D, or to and from a store between them."""
        if self.guard.transit is None:
            return self.guard.wire.start(seq, order, worse)
        return self.guard.transit.start_transfer(seq, order, worse)

    # -- striking ----------------------------------------------------------------------------

    def strike(self, armed: Armed, seq: Seq, flow: Flow) -> None:
        """Let a fault at a transfer that is under way."""
        self.guard.breaker.touch(armed, seq)
        name, order = armed.kind.name, flow.tag[1]
        if name == "partial_write" or (name == "mismatch" and self._outcome(armed) == "silent"):
            self._bad[seq, order.piece, order.leg] = armed
        elif name in ("transfer_fail", "transfer_hang", "transfer_preemption"):
            # Half of it has crossed when it breaks.
            after_s = 0.5 * flow.nbytes / flow.ceiling if flow.ceiling > 0.0 else 0.0
            at_s = self.engine.now + (after_s if after_s < 1e9 else 0.0)
            self.engine.call_at(at_s, lambda: self._break(armed, seq, flow))

    def _break(self, armed: Armed, seq: Seq, flow: Flow) -> None:
        if flow.state not in ("moving", "landing"):
            return
        fault, order = armed.fault, flow.tag[1]
        if armed.kind.name == "transfer_preemption":
            machines = self.guard.machines
            if machines.classify("Ds", seq.handoff.states[1], "preempted") == "legal":
                self.guard.feed(seq, PREEMPTED)
            return
        armed.record.lost_bytes += self.fabric.cancel(flow)
        if armed.kind.name == "transfer_hang":
            self._open.setdefault(seq, {})[order] = None
            return
        live = fault.live
        if live:
            settle_s = fault.settle or SETTLE_S
            self.engine.call_at(self.engine.now + settle_s, lambda: self._settled(seq, order))
        self.guard.feed(seq, transfer_failed(not live, order.piece, order.of, order.leg))

    def _settled(self, seq: Seq, order: StartTransfer) -> None:
        """Say that no DMA is left, once the other transfers of the request are over too."""
        if seq in self._open or any(flow.tag[0] is seq for flow in self.fabric.flows):
            self.engine.call_at(self.engine.now + SETTLE_S, lambda: self._settled(seq, order))
            return
        self.guard.still(seq, order.leg)

    def arrived(self, seq: Seq, event: Event) -> None:
        """Let a transfer land; where its bytes are wrong, nobody is told."""
        leg = event.key.partition(":")[2] or "direct"
        armed = self._bad.pop((seq, event.piece, leg), None) if self._bad else None
        if armed is not None:
            seq.corrupt = 1
            self.guard.audit.wrong[seq] = "I13" if armed.kind.group == "representation" else "I6"

    # -- ending ------------------------------------------------------------------------------

    def _close(self, seq: Seq, order: StartTransfer) -> bool:
        mine = self._open.get(seq)
        if mine is None or order not in mine:
            return False
        del mine[order]
        if not mine:
            del self._open[seq]
        return True

    def stop(self, seq: Seq) -> list[StartTransfer]:
        """Give up what was posted and is not under way, or hangs; return it."""
        return list(self._open.pop(seq, ()))

    def hangs(self, seq: Seq) -> bool:
        """Return whether a transfer of a request is posted and does not move."""
        return seq in self._open
