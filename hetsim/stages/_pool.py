"""A pool of instances under SimPy: alarms ring, instances answer, outcomes go where they belong."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappush
from typing import TYPE_CHECKING

from hetsim.engine import LATE, Alarm, Wake
from hetsim.serving import FINISHED, PREEMPTED, PREFILLED, Instance, Outcome, Rank, Seq
from hetsim.spec import lookup
from hetsim.stages._crossing import instance_kind
from hetsim.stages._plan import PoolPlan
from hetsim.stages._world import FINISHED as DONE
from hetsim.stages._world import REJECTED, TIMED_OUT, World

if TYPE_CHECKING:
    from hetsim.stages._tiers import Tiers

__all__ = ["PoolStage"]

INFINITY = float("inf")


class PoolStage:
    """The instances of one pool, their alarms, their router and the queues before them."""

    def __init__(self, world: World, plan: PoolPlan, pool_id: int) -> None:
        self.world = world
        self.plan = plan
        self.engine = world.engine
        self.on_prefilled: Callable[[Instance, Seq, float], None] | None = None
        self.on_started: Callable[[Instance, Seq, float, int], None] | None = None
        self.on_decoded: Callable[[Instance, Seq, float], None] | None = None
        self.on_preempted: Callable[[Instance, Seq], None] | None = None
        self.tiers: Tiers | None = None
        batcher = lookup("batcher", plan.batcher)()
        recorder = world.recorder
        kind = instance_kind(plan, world.crossings)
        self.instances = [
            kind(
                index,
                pool_id,
                [Rank(r, plan.blocks, plan.rules) for r in range(plan.ranks)],
                plan.model,
                batcher,
                world.osl,
                record=recorder.steps,
                gap=recorder.gaps,
                keeps=plan.keeps,
                stepwise=world.plan.stepwise,
                swap_s_per_block=plan.swap_s_per_block,
            )
            for index in range(plan.instances)
        ]
        self.alive = list(self.instances)
        for instance in self.instances:
            instance.bell = Wake(self._wake, instance)
        self._crosses = world.crossings is not None and world.crossings.join(self)
        self.shared: deque[Seq] | None = deque() if plan.router == "shared_queue" else None
        self.router = None if self.shared is not None else lookup("router", plan.router)()
        #: Requests that wait for blocks on each instance, in order of asking.
        self.credit: list[deque[Seq]] = [deque() for _ in self.instances]
        self.on_credit: Callable[[Seq], None] | None = None
        self._granting: Instance | None = None
        self._waits: deque[tuple[float, Seq]] = deque()
        self._wait_alarm = Alarm(self.engine, self._expire)

    # -- requests come in --------------------------------------------------------------------

    def route(self, seq: Seq) -> Instance | None:
        """Return the instance that the pool's router chooses, or None if none is alive."""
        alive = self.alive
        if len(alive) == 1:
            return alive[0]
        if not alive:
            return None
        assert self.router is not None
        chosen: int = self.router.choose(alive, seq.prompt, seq.keys)
        return alive[chosen]

    def submit(self, seq: Seq) -> None:
        """Let a request in: to the shared queue, or to an instance of the router's choice."""
        now = self.engine._now
        plan = self.plan
        if plan.queue_limit is not None and self._is_full(plan.queue_limit):
            self.world.end(seq, REJECTED, "queue_full")
            return
        if plan.queue_timeout_s is not None:
            self._watch(seq, now + plan.queue_timeout_s)
        if self.shared is not None:
            self.shared.append(seq)
            self._pull_all()
            return
        instance = self.route(seq)
        if instance is None:
            self.world.end(seq, REJECTED, "prefill_crash")
            return
        # A busy scheduler looks for new requests only every so many steps.
        delay_s = plan.admission_steps * instance.step_s if plan.admission_steps else 0.0
        if delay_s > 0.0:
            self.engine.call_at(now + delay_s, lambda: self.put(instance, seq))
        else:
            self.put(instance, seq)

    def put(self, instance: Instance, seq: Seq) -> None:
        """Queue a request on one instance; on another if that one has died meanwhile."""
        if instance.dead:
            self._move(seq)
            return
        if seq.gone:
            return
        if self.tiers is not None and self.tiers.hold(instance, seq):
            return
        instance.submit(seq, self.engine._now)
        if instance.next_s != instance.wake_s:
            self.rearm(instance)

    def _move(self, seq: Seq) -> None:
        instance = self.route(seq)
        if instance is None:
            self.world.end(seq, REJECTED, "prefill_crash")
        else:
            self.put(instance, seq)

    def _is_full(self, limit: int) -> bool:
        waiting = sum(len(rank.waiting) for i in self.alive for rank in i.ranks)
        if self.shared is not None:
            waiting += len(self.shared)
        return waiting >= limit * max(1, len(self.alive))

    def _pull_all(self) -> None:
        for instance in self.alive:
            if not self.shared:
                return
            self._pull(instance)

    def _pull(self, instance: Instance) -> None:
        """Take from the shared queue what ``instance`` has slots for."""
        shared = self.shared
        while shared and instance.load < self.plan.rules.max_seqs * self.plan.ranks:
            seq = shared.popleft()
            if not seq.gone:
                self.put(instance, seq)

    # -- alarms ------------------------------------------------------------------------------

    def rearm(self, instance: Instance) -> None:
        """Let the instance be woken when it next wants to be asked.

        An :class:`~hetsim.engine.Alarm` in effect, without its calls: this is done at every step
        boundary. Late, so that everything else at the same time has happened before.
        """
        at_s = instance.next_s
        if at_s == instance.wake_s:
            return
        instance.wake_s = at_s
        engine = self.engine
        if self._crosses and instance.wake >= 0:
            # A step that was slow for its links may end later than everything that replaced it.
            engine.drop(instance.wake)
        if at_s == INFINITY:
            instance.wake = -1
            return
        wake = instance.wake = next(engine.order)
        if at_s == engine._now:
            engine.soon.append((at_s, LATE, wake, instance.bell))
        else:
            heappush(engine.queue, (at_s, LATE, wake, instance.bell))

    def _wake(self, bell: Wake) -> None:
        """Let the instance act at its step boundary, then pass its outcomes on."""
        instance: Instance = bell.owner
        engine = self.engine
        if engine.rang != instance.wake:
            return
        instance.wake = -1
        instance.wake_s = INFINITY
        now = engine._now
        instance.boundary(now)
        outcomes = instance.outcomes
        if outcomes:
            instance.outcomes = []
            self._pass_on(instance, outcomes, now)
        if self.credit[instance.index]:
            self.grant(instance)
        at_s = instance.next_s
        if at_s != instance.wake_s:
            # :meth:`rearm`, inlined: most of its calls would be from here.
            instance.wake_s = at_s
            wake = instance.wake = next(engine.order)
            heappush(engine.queue, (at_s, LATE, wake, instance.bell))

    def _pass_on(self, instance: Instance, outcomes: list[Outcome], now: float) -> None:
        for kind, seq, at_s, tokens in outcomes:
            if kind == FINISHED:
                if self.on_decoded is not None:
                    self.on_decoded(instance, seq, now)
                self.world.end(seq, DONE)
            elif kind == PREFILLED:
                self.on_prefilled(instance, seq, now)  # type: ignore[misc]
            elif kind == PREEMPTED:
                self.on_preempted(instance, seq)  # type: ignore[misc]
            else:
                self.on_started(instance, seq, at_s, tokens)  # type: ignore[misc]
        if self.shared:
            self._pull(instance)

    # -- blocks for KV that comes from elsewhere ---------------------------------------------

    def ask(self, instance: Instance, seq: Seq) -> None:
        """Queue for blocks on ``instance``; ``on_credit`` is called when they are granted."""
        queue = self.credit[instance.index]
        queue.append(seq)
        if len(queue) == 1:
            self.grant(instance)

    def grant(self, instance: Instance) -> None:
        """Reserve blocks for those who wait, in order, as far as they last."""
        if self._granting is instance:
            return  # a request gave its blocks back at once: the loop below goes on with them
        outer, self._granting = self._granting, instance
        served = self._grant_all(instance)
        self._granting = outer
        if served and instance.next_s != instance.wake_s:
            self.rearm(instance)

    def _grant_all(self, instance: Instance) -> bool:
        """Say whether there was enough for everybody."""
        queue, now = self.credit[instance.index], self.engine._now
        assert self.on_credit is not None
        while queue:
            seq = queue[0]
            if seq.gone:
                queue.popleft()
                continue
            if not instance.reserve(seq, seq.transfer_tokens, now):
                return False
            queue.popleft()
            seq.reserved_s = now
            self.on_credit(seq)
        return True

    # -- waiting too long --------------------------------------------------------------------

    def _watch(self, seq: Seq, deadline_s: float) -> None:
        # The time-out is the same for all, so deadlines come in order: one alarm is enough.
        self._waits.append((deadline_s, seq))
        if not self._wait_alarm.is_set:
            self._wait_alarm.set(deadline_s)

    def _expire(self) -> None:
        now, waits = self.engine._now, self._waits
        while waits and waits[0][0] <= now:
            _, seq = waits.popleft()
            if not seq.gone and seq.prefill_start_s != seq.prefill_start_s:
                self._give_up(seq)
        if waits:
            self._wait_alarm.set(waits[0][0])

    def _give_up(self, seq: Seq) -> None:
        for instance in self.instances:
            for rank in instance.ranks:
                if seq in rank.waiting:
                    rank.waiting.remove(seq)
                    rank.queued -= seq.prompt - seq.done
                    instance.load -= 1
        self.world.end(seq, TIMED_OUT, "queue_timeout")

    def check(self) -> None:
        """Hold every rank's blocks to law L2, and idle instances to L7."""
        for instance in self.instances:
            for rank in instance.ranks:
                rank.pool.check()

    def __repr__(self) -> str:
        return f"PoolStage({self.plan.name}, {len(self.alive)} alive)"
