"""Everything that may break in a run: faults are armed, strike, and are held to account.

The breaker knows the clock and the parts of the simulation; what a stroke does to them is in the
files of its class: ``_break_instance.py``, ``_break_link.py``, ``_guard.py`` (messages and
transfers) and ``_break_client.py``. A record says what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from hetsim.engine import Streams
from hetsim.faults import FaultRecord, poisson_times
from hetsim.serving import Instance, Seq
from hetsim.stages._armed import Armed
from hetsim.stages._pool import PoolStage
from hetsim.stages._world import FAILED, FINISHED, REJECTED, UNFINISHED, World

__all__ = ["Breaker", "Stroke"]

Stroke = Callable[["Breaker", Armed, "Seq | None"], None]


class Breaker:
    """The faults of a run, whom each has touched, and who is to blame for what."""

    def __init__(self, world: World, pools: list[PoolStage], guard: Any) -> None:
        self.world = world
        self.engine = world.engine
        self.pools = pools
        self.guard = guard
        """The hand-off, or None where one pool does everything."""
        self.draw = Streams(world.plan.seed).uniform
        self.armed = [
            Armed(index, fault, self.draw) for index, fault in enumerate(world.plan.faults)
        ]
        self.records = [armed.record for armed in self.armed]
        self.blame: dict[int, FaultRecord] = {}
        """The last fault that touched a request."""
        self.due = 0
        """Strokes and repairs that are on the clock."""
        self.router_back_s = 0.0
        self.recovery: Any = None
        self.submit: Callable[[Seq], None] = _nowhere
        """Where a request goes that comes in (again)."""
        self.down: list[Armed] = []
        """Crashes of which an instance has not come back."""
        self.stalled_until: dict[Instance, float] = {}
        self.stalled_by: dict[Instance, Armed] = {}
        self.short_of: dict[Instance, Any] = {}
        """Instances that are short of blocks until they preempt somebody."""
        self.clock_ahead: dict[str, tuple[float, float, Armed | None]] = {}
        """By side: how far its clock is ahead, until when, and by which fault."""
        self.timer_factor: dict[str, tuple[float, float, Armed | None]] = {}
        self.blacklist: dict[int, tuple[float, Armed]] = {}
        """Decode instances to which P refuses to send, and until when."""
        self.partitions: list[tuple[float, Armed, bool, int]] = []
        """Control planes that are cut: until when, and around which instance (True: of prefill)."""
        self.ports: Any = None
        self.weak: list[tuple[Armed, PoolStage, Instance]] = []
        """Ports that are slow or down just now, and by which fault."""
        self.watch: dict[str, list[Armed]] = {}
        self.notices: list[Armed] = []
        self.transfers: list[Armed] = []
        self.requests: list[Armed] = []
        self.refusals: list[Armed] = []
        """Faults of requests that D turns away."""
        self.at_arrival: list[Callable[[Breaker, Seq], None]] = []
        self._touchers: dict[int, dict[FaultRecord, None]] = {}
        world.on_end.append(self._ended)

    # -- when --------------------------------------------------------------------------------

    def arm(self, strokes: dict[str, Stroke]) -> None:
        """Put every fault on the clock, or where it waits for its thing."""
        for armed in self.armed:
            fault, kind = armed.fault, armed.kind
            if kind.is_thing:
                lists = {
                    "notice": self.notices,
                    "transfer": self.transfers,
                    "admission": self.refusals,
                }
                lists.get(kind.strikes, self.requests).append(armed)
            stroke = strokes[fault.kind]
            if fault.when is not None:
                self.watch.setdefault(fault.when, []).append(armed)
                armed.stroke = stroke
            elif fault.per_hour is not None:
                self._next(armed, stroke, poisson_times(
                    self.draw, armed.index, fault.per_hour, fault.at or 0.0
                ))  # fmt: skip
            elif fault.probability is None:
                self.later(fault.at, partial(stroke, self, armed, None))

    def _next(self, armed: Armed, stroke: Stroke, times: Any) -> None:
        at_s = next(times, None)
        if at_s is None:
            return

        def ring() -> None:
            # Strokes at random end with the work: nothing would be left to strike.
            if self.work_left():
                stroke(self, armed, None)
                self._next(armed, stroke, times)

        self.engine.call_at(at_s, ring)

    def enter(self, seq: Seq) -> None:
        """Let a new request in, and faults at it."""
        if self.guard is None and self.router_back_s > self.engine.now:
            self.engine.call_at(self.router_back_s, lambda: self.enter(seq))
            return
        self.submit(seq)
        for at_arrival in self.at_arrival:
            at_arrival(self, seq)

    def later(self, at_s: float, what: Callable[[], None]) -> None:
        """Let something happen that the end of the run has to wait for."""
        self.due += 1

        def ring() -> None:
            self.due -= 1
            what()

        self.engine.call_at(at_s, ring)

    def work_left(self) -> bool:
        """Return whether requests are inside or still to come."""
        world = self.world
        return bool(world.inside) or world.arrived < world.plan.workload.requests

    def entered(self, seq: Seq, key: str) -> None:
        """Take note that a request entered a state; the nth of them is struck."""
        for armed in self.watch.get(key, ()):
            armed.entered += 1
            if armed.entered == (armed.fault.nth or 1):
                # After what the machine has asked for in the same moment.
                assert armed.stroke is not None
                self.later(self.engine.now, partial(armed.stroke, self, armed, seq))

    # -- whom --------------------------------------------------------------------------------

    def pool_of(self, armed: Armed) -> PoolStage:
        """Return the pool that a fault names, or the one that does the stage of its kind."""
        name = armed.fault.pool
        if name is not None:
            return next(pool for pool in self.pools if pool.plan.name == name)
        return self.pools[-1] if armed.kind.side == "D" else self.pools[0]

    def instance_of(self, armed: Armed, seq: Seq | None) -> tuple[PoolStage, Instance]:
        """Return what a fault strikes: the stated instance, or that of the request."""
        pool = self.pool_of(armed)
        if seq is not None:
            mine = seq.source if pool is self.pools[0] and len(self.pools) > 1 else seq.dest
            if mine is None and seq.prefill_instance >= 0 and pool is self.pools[0]:
                mine = pool.instances[seq.prefill_instance]
            if mine is not None:
                return pool, mine
        return pool, pool.instances[armed.fault.instance]

    def touch(self, armed: Armed, seq: Seq) -> None:
        """Count a request among those that a fault reached, and put the blame on it."""
        record = armed.record
        record.touch(seq.rid)
        self.blame[seq.rid] = record
        self._touchers.setdefault(seq.rid, {})[record] = None

    def miss(self, seq: Seq) -> None:
        """Blame a request that found nobody on what is down just now, unless it is blamed."""
        if seq.rid in self.blame or not self.down:
            return
        self.touch(self.down[-1], seq)
        self.down[-1].record.failed[seq.rid] = None

    # -- what came of it ---------------------------------------------------------------------

    def lost_work(self, seq: Seq) -> None:
        """Book the tokens of an attempt that failed on the fault that is to blame for it."""
        record = self.blame.get(seq.rid)
        if record is None:
            return
        record.failed[seq.rid] = None
        computed = seq.isl if seq.prefill_end_s == seq.prefill_end_s else seq.done
        on_decode = seq.handoff is None and len(self.pools) > 1
        prefill = self.pools[-1] if on_decode else self.pools[0]
        record.lose(record.lost_prefill, prefill.plan.name, computed - seq.cached)
        record.lose(record.lost_decode, self.pools[-1].plan.name, seq.out)

    def leaked(self, seq: Seq, block_seconds: float) -> None:
        """Book leaked blocks."""
        record = self.blame.get(seq.rid)
        if record is not None:
            record.leak_page_s += block_seconds

    def _ended(self, seq: Seq, now: float) -> None:
        if seq.status in (FAILED, REJECTED):
            self.miss(seq)
        for record in self._touchers.pop(seq.rid, ()):
            record.touched[seq.rid] = float("nan") if seq.status == UNFINISHED else now
            if seq.corrupt and seq.status == FINISHED:
                record.corrupt[seq.rid] = None
            if seq.status == FINISHED and seq.rid in record.failed:
                del record.failed[seq.rid]
                record.recovered[seq.rid] = None


def _nowhere(seq: Seq) -> None:
    raise AssertionError("a request comes back before there is a pool")
