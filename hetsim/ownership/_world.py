"""A world small enough to explore: several requests, two P, two D and a pool, as plain choices.

Pure and untimed but for timers: anything pending may happen next, in any order and at the present
time; only a timer moves the clock, to its deadline, and timers fire in the order of their
deadlines. Blocks are slots with contents, so that reuse under access corrupts what a real run would
corrupt. What may go wrong is in ``_mishaps.py``; a chooser (random, Hypothesis, exhaustive) picks.
"""

from __future__ import annotations

from collections.abc import Callable

from hetsim.errors import InvalidTransition
from hetsim.ownership import _vocabulary as voc
from hetsim.ownership._effects import RUN
from hetsim.ownership._machine import PARTS, Instructions, Plan
from hetsim.ownership._scene import LEGS, Faults, Flight, Job, Move, Slot, Timer

__all__ = ["ACTIONS", "World"]


class World:
    """The driver and the fabric: what is pending, what may happen next, what broke."""

    def __init__(
        self,
        plan: Plan,
        requests: int = 3,
        capacity: int = 2,
        pieces: int = 2,
        faults: Faults | None = None,
        record: bool = False,
    ) -> None:
        self.plan = plan
        self.now_s = 0.0
        self.faults = (faults or Faults()).copy()
        self.pieces = 1 if plan.facts.granularity == "request" else pieces
        names = ("P0", "P1", "D0", "D1", "X")
        self.pools = {name: [Slot() for _ in range(capacity)] for name in names}
        self.jobs = [
            Job(
                plan.machine(number, record=record),
                f"P{number % 2}",
                f"D{number // 2 % 2}",
                self.pieces,
            )
            for number in range(requests)
        ]
        self.pending: list[Move] = [("arrive", number) for number in range(requests)]
        self.timers: list[Timer] = []
        self.stalled: set[str] = set()
        #: Tell machines when bytes begin to move (optional in the vocabulary).
        self.starts = False
        self.violations: dict[str, str] = {}
        self.covered: set[tuple[str, str, str]] | None = None
        transit = plan.facts.flight[0] == "X"
        self.legs = {**LEGS, "direct": ("X", "Ds")} if transit else LEGS

    # --- what may happen next -------------------------------------------------------------

    def usual(self) -> list[Move]:
        """Return what may happen next without a fault: pending things, then the first timer."""
        found: list[Move] = [("do", task) for task in self.pending if self._ready(task)]
        for number, job in enumerate(self.jobs):
            for flight in job.flights:
                if flight[5] == "flying":
                    found.append(("land", number, flight))
                elif flight[5] == "stopped":
                    found.append(("drop", number, flight, True))
        timer = self.next_timer()
        wanting = any(task[0] == "grant" and task[2] == "X" for task in self.pending)
        if wanting and self.room("X") is None:
            pinned = "pinned" in self.plan.variant.traits  # would be refused, again and again
            found += [
                ("evict", number)
                for number in self.evictable(timer)
                if not (pinned and self.jobs[number].machine.getting)
            ]
        if timer is not None:
            found += [("timer", other) for other in self._live_timers() if other[0] == timer[0]]
        return found

    def evictable(self, timer: Timer | None) -> list[int]:
        """Return the requests whose pool object may lose its protection before the next timer."""
        return [
            number
            for number, job in enumerate(self.jobs)
            if job.machine.part("X") == "complete"
            and (timer is None or job.machine.deadline_s <= timer[0])
        ]

    def _ready(self, task: Move) -> bool:
        op, number = task[0], task[1]
        if op == "prefill":
            return self.room(self.jobs[number].p) is not None
        if op == "grant":
            return self.room("X" if task[2] == "X" else self.jobs[number].d) is not None
        if op == "quiet":
            leg = task[2]
            return all(f[0] != leg or f[5] == "dead" for f in self.jobs[number].flights)
        return True

    def room(self, pool: str) -> int | None:
        for index, slot in enumerate(self.pools[pool]):
            if slot.holder is None:
                return index
        return None

    def next_timer(self) -> Timer | None:
        live = self._live_timers()
        return min(live) if live else None

    def _live_timers(self) -> list[Timer]:
        if not self.stalled:
            return self.timers
        return [t for t in self.timers if t[4] == "wall" or self._instance(t) not in self.stalled]

    def _instance(self, timer: Timer) -> str:
        job = self.jobs[timer[1]]
        return {"P": job.p, "D": job.d, "X": "X"}[timer[3]]

    # --- doing it -------------------------------------------------------------------------

    # --- doing it -------------------------------------------------------------------------

    def do(self, move: Move) -> None:
        """Let one thing happen."""
        ACTIONS[move[0]](self, *move[1:])

    def _do(self, task: Move) -> None:
        self.pending.remove(task)
        _TASK[task[0]](self, *task[1:])

    def _arrive(self, number: int) -> None:
        self.feed(number, voc.ARRIVED)

    def _prefill(self, number: int) -> None:
        self._take(number, "Ps", self.jobs[number].p)
        self.pending.append(("produce", number))
        self.feed(number, voc.PREFILL_STARTED)

    def _produce(self, number: int) -> None:
        job = self.jobs[number]
        slot = self.pools[job.p][job.grants["Ps"]]
        slot.bits |= 1 << job.made
        job.made += 1
        if job.made < job.of:
            self.pending.append(("produce", number))
        self.feed(number, voc.produced(job.made - 1, job.of))

    def _grant(self, number: int, side: str) -> None:
        if side == "X":
            self._take(number, "X", "X")
            self.feed(number, voc.XGRANTED)
        else:
            self._take(number, "Ds", self.jobs[number].d)
            self.feed(number, voc.CREDIT_GRANTED)

    def _take(self, number: int, block_set: str, pool: str) -> None:
        index = self.room(pool)
        assert index is not None
        slot = self.pools[pool][index]
        slot.holder, slot.bits, slot.bad = (number, block_set), 0, 0
        job = self.jobs[number]
        job.grants[block_set] = job.last[block_set] = index

    def _convert(self, number: int, side: str) -> None:
        job = self.jobs[number]
        if side == "P":
            # The copy-out: what is in Ps is now in X.
            source, target = self.pools[job.p][job.grants["Ps"]], self.pools["X"][job.grants["X"]]
            target.bits, target.bad = source.bits, source.bad
        self.feed(number, voc.CONVERTED)

    def _decode(self, number: int) -> None:
        job = self.jobs[number]
        slot = self.pools[job.d][job.grants["Ds"]]
        job.wrong = job.wrong or bool(slot.bad)
        self.feed(number, voc.FINISHED)
        job.ends += 1
        if job.wrong:
            self.violate("I16", f"request {number} ended ok with wrong KV")

    def _quiet(self, number: int, leg: str) -> None:
        job = self.jobs[number]
        for flight in [f for f in job.flights if f[0] == leg]:
            # Until the backend was quiet, a failed write may have landed.
            self._spoil(number, flight)
            job.flights.remove(flight)
        self.feed(number, voc.quiesced(leg))

    def _timer(self, timer: Timer) -> None:
        self.timers.remove(timer)
        late = self.now_s > timer[0] + 1e-9
        if late and timer[4] == "step" and timer[2] == "lease":
            self.violate("I15", "a stalled step loop held an expiry back")
        self.now_s = max(self.now_s, timer[0])
        self.feed(timer[1], voc.timer_fired(timer[2]))

    # --- transfers ------------------------------------------------------------------------

    def _land(self, number: int, flight: Flight) -> None:
        leg, piece, of, source, target, _ = flight
        job = self.jobs[number]
        job.flights.remove(flight)
        bit = self._bits(piece, of)
        origin, place = self._slots(job, leg, source, target)
        from_set, to_set = self.legs[leg]
        whole = (
            origin.holder == (number, from_set) and not bit & ~origin.bits and not bit & origin.bad
        )
        if place.holder == (number, to_set):
            place.bits |= bit
            place.bad = place.bad & ~bit if whole else place.bad | bit
        else:
            place.bad |= place.bits & bit
        self.feed(number, voc.landed(piece, of, leg))

    def _bits(self, piece: int, of: int) -> int:
        """Return the bits that a piece covers: a handle of a whole request covers all of them."""
        return 1 << piece if self.plan.facts.granularity != "request" else (1 << self.pieces) - 1

    def _slots(self, job: Job, leg: str, source: int, target: int) -> tuple[Slot, Slot]:
        where = {"Ps": job.p, "Ds": job.d, "X": "X"}
        from_set, to_set = self.legs[leg]
        return self.pools[where[from_set]][source], self.pools[where[to_set]][target]

    def _spoil(self, number: int, flight: Flight) -> None:
        """Let a failed write land where its target slot now belongs to somebody else."""
        leg, piece, of, source, target, _ = flight
        _, place = self._slots(self.jobs[number], leg, source, target)
        if place.holder != (number, self.legs[leg][1]):
            place.bad |= place.bits & self._bits(piece, of)

    # --- instructions ---------------------------------------------------------------------

    def feed(self, number: int, event: voc.Event) -> None:
        machine = self.jobs[number].machine
        before = machine.outcome
        states = tuple(machine.states)
        try:
            answer = machine.handle(event, self.now_s)
        except InvalidTransition as error:
            self.violate("I7", str(error))
            raise
        if self.covered is not None:
            self.covered.update(
                (part, state, event.key) for part, state in zip(PARTS, states, strict=True)
            )
        if before is not None and machine.outcome != before:
            self.violate("I7", f"request {number} ended as {before}, then as {machine.outcome}")
        self._execute(number, answer)
        machine.check()
        if machine.flying + machine.getting != len(self.jobs[number].flights):
            self.violate("I3", f"request {number}: the machine has lost count of its transfers")
        for block_set in PARTS:
            held = block_set in self.jobs[number].grants
            if held != (machine.owner(block_set) is not None):
                self.violate(
                    "I3", f"request {number}: {block_set} in {machine.state}, held: {held}"
                )

    def _execute(self, number: int, answer: Instructions) -> None:
        for step in answer:
            RUN[step.op](self, number, step)

    def violate(self, name: str, why: str) -> None:
        """Take note of the first violation of each invariant."""
        self.violations.setdefault(name, why)

    # --- the end --------------------------------------------------------------------------

    def settle(self, limit: int = 600) -> None:
        """Let everything that is pending come to its end, without further faults."""
        self.stalled.clear()
        timers = 0
        for _ in range(limit):
            found = self.usual()
            if not found:
                break
            if found[0][0] == "timer":
                timers += 1
                # Nothing but beats is left when the same timers fire again and again.
                if timers > 60:
                    break
            else:
                timers = timers if found[0][0] == "timer" else max(0, timers - 1)
            self.do(found[0])
        self._audit()

    def _audit(self) -> None:
        for number, job in enumerate(self.jobs):
            machine = job.machine
            if machine.outcome is None:
                self.violate("I2", f"request {number} never ends: {machine.state}")
            elif not machine.resting:
                self.violate("I2", f"request {number} holds on: {machine.state}")

    @property
    def ended(self) -> bool:
        """Whether every request has ended."""
        return all(job.machine.outcome is not None for job in self.jobs)


_TASK: dict[str, Callable[..., None]] = {
    "arrive": World._arrive,
    "prefill": World._prefill,
    "produce": World._produce,
    "grant": World._grant,
    "convert": World._convert,
    "decode": World._decode,
    "quiet": World._quiet,
    "start": lambda world, number: world.feed(number, voc.TRANSFER_STARTED),
    "dispatch": lambda world, number: world.feed(number, voc.CONSUMER_SEEN),
    "note": lambda world, number, name: world.feed(number, voc.notice(name)),
    "cancelled": lambda world, number, side: world.feed(number, voc.cancelled(side)),
}

ACTIONS: dict[str, Callable[..., None]] = {
    "do": World._do,
    "land": World._land,
    "timer": World._timer,
}
"""What :meth:`World.do` can do; ``_mishaps.py`` adds what goes wrong."""
