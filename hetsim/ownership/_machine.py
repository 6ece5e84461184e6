"""The machine that every protocol shares: a table of moves per block set, and one ``handle``.

A protocol file fills a :class:`Table`; :class:`Plan` is the compiled table of one variant with its
timers; a :class:`Machine` is one request under a plan, a few slots large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal

from hetsim.errors import InvalidTransition, InvariantViolated
from hetsim.ownership._vocabulary import Abort, Event, Fail, Instruction

if TYPE_CHECKING:
    from hetsim.ownership._spec import Facts, Options, Variant

__all__ = ["PARTS", "Instructions", "Machine", "Move", "Plan", "Run", "Table", "abort", "fail"]

Instructions = tuple[Instruction, ...]
Run = Callable[["Machine", Event, float], Instructions]

PARTS = ("Ps", "Ds", "X")
PS, DS, X = 0, 1, 2
_MANY = -1

RESTING = frozenset({"free", "gone", "lost", "none", "complete"})
"""States in which the request holds nothing and waits for nothing (a complete object is the
pool's)."""


class Move:
    """What one event does in one state: go to ``to`` and answer ``instructions``, or ``run``."""

    __slots__ = ("instructions", "run", "to")

    def __init__(self, to: str | None, instructions: Instructions, run: Run | None) -> None:
        self.to = to
        self.instructions = instructions
        self.run = run


IGNORED = Move(None, (), None)
"""Idempotent control (I7): the event is late, repeated or reordered, and changes nothing."""

Row = tuple[int, Mapping[str, Move]]


class Table:
    """Moves by (block set, state, event key), and who owns and computes on what in each state."""

    def __init__(self, start: Mapping[str, str]) -> None:
        self.start = tuple(start.get(part, "none") for part in PARTS)
        self.moves: dict[str, dict[str, dict[str, Move]]] = {}
        self.owners: dict[str, dict[str, str]] = {part: {} for part in PARTS}
        self.workers: dict[str, dict[str, str]] = {part: {} for part in PARTS}
        self.states: dict[str, list[str]] = {part: [] for part in PARTS}

    def state(self, part: str, names: str, owner: str = "", worker: str = "") -> None:
        """Declare states of a block set: who must release it, and who computes on it."""
        for name in names.split():
            if name not in self.states[part]:
                self.states[part].append(name)
            if owner:
                self.owners[part][name] = owner
            if worker:
                self.workers[part][name] = worker

    def on(
        self,
        part: str,
        states: str,
        keys: str,
        to: str | None = None,
        *instructions: Instruction,
        run: Run | None = None,
    ) -> None:
        """Enter one move for each of ``states`` and ``keys`` (words parted by blanks)."""
        move = Move(to, instructions, run)
        for key in keys.split():
            for state in states.split():
                self._enter(part, state, key, move)

    def ignore(self, part: str, states: str, keys: str) -> None:
        """Say that ``keys`` change nothing in ``states``."""
        for key in keys.split():
            for state in states.split():
                self._enter(part, state, key, IGNORED)

    def instead(self, part: str, state: str, key: str, run: Callable[[Move], Run]) -> None:
        """Replace a move by what ``run`` makes of it: how a protocol is derived from another."""
        usual = self.moves[key][part][state]
        self.moves[key][part][state] = Move(None, (), run(usual))

    def ends(
        self,
        outcome: Literal["ok", "failed", "aborted"],
        part: str,
        states: str,
        keys: str,
        to: str,
        *instructions: Instruction,
        cause: str = "",
        quiet: Literal["", "flying", "getting"] = "",
    ) -> None:
        """Enter a move that also ends the request, once (I16): later ends only free blocks.

        ``quiet``: the party that posts these transfers died, and its DMA with it.
        """
        place = PARTS.index(part)
        last: Instructions = ()
        if outcome != "ok":
            last = (Fail(cause) if outcome == "failed" else Abort(cause),)
        first = instructions + last

        def run(machine: Machine, event: Event, at_s: float) -> Instructions:
            machine.states[place] = to
            if quiet:
                setattr(machine, quiet, 0)
            if machine.outcome is not None:
                return instructions
            machine.outcome = outcome
            return first

        self.on(part, states, keys, to, run=run)

    def ignore_rest(self, part: str, states: str, keys: Iterable[str] | None = None) -> None:
        """Ignore, in ``states``, every key of ``part`` (or ``keys``) that has no move there yet."""
        for key in list(self.moves) if keys is None else keys:
            rows = (
                self.moves.get(key, {}) if keys is None else self.moves.setdefault(key, {part: {}})
            )
            if part in rows:
                for state in states.split():
                    rows[part].setdefault(state, IGNORED)

    def _enter(self, part: str, state: str, key: str, move: Move) -> None:
        if state not in self.states[part]:
            raise ValueError(f"{part} has no state {state!r}")
        row = self.moves.setdefault(key, {}).setdefault(part, {})
        if state in row:
            raise ValueError(f"two moves for {part} {state} {key}")
        row[state] = move


class Plan:
    """A protocol variant with its timers and options, compiled; shared by all its machines."""

    __slots__ = ("kind", "options", "rows", "several", "start", "table", "variant")

    def __init__(self, kind: str, variant: Variant, options: Options, table: Table) -> None:
        self.kind = kind
        self.variant = variant
        self.options = options
        self.table = table
        self.start = table.start
        self.rows: dict[str, Row] = {}
        self.several: dict[str, tuple[Row, ...]] = {}
        for key, by_part in table.moves.items():
            rows = tuple((PARTS.index(part), moves) for part, moves in by_part.items())
            self.rows[key] = rows[0] if len(rows) == 1 else (_MANY, {})
            if len(rows) > 1:
                self.several[key] = rows

    @property
    def facts(self) -> Facts:
        """When D reserves, the unit of transfer, who posts, what frees P."""
        return self.variant.facts

    def machine(self, name: object = "", *, record: bool = False) -> Machine:
        """Return a new machine for one request; ``record`` keeps its story."""
        return Machine(self, name, record)

    def knows(self, event: Event) -> bool:
        """Whether the protocol has any move for an event (a pool's death concerns few)."""
        return event.key in self.rows

    def classify(self, part: str, state: str, key: str) -> Literal["legal", "ignored", "illegal"]:
        """Return what event ``key`` is in ``state`` of ``part``."""
        move = self.table.moves.get(key, {}).get(part, {}).get(state)
        if move is None:
            return "illegal"
        return "ignored" if move is IGNORED else "legal"

    def legal(self) -> list[tuple[str, str, str]]:
        """Return every legal (part, state, key), sorted."""
        return sorted(
            (part, state, key)
            for key, by_part in self.table.moves.items()
            for part, moves in by_part.items()
            for state, move in moves.items()
            if move is not IGNORED
        )


class Machine:
    """One request under a protocol: change it only through :meth:`handle`."""

    __slots__ = (
        "addressed",
        "corrupt",
        "count",
        "deadline_s",
        "fenced",
        "flying",
        "getting",
        "mark",
        "name",
        "outcome",
        "plan",
        "rows",
        "states",
        "story",
    )

    def __init__(self, plan: Plan, name: object = "", record: bool = False) -> None:
        self.plan = plan
        self.rows = plan.rows
        self.name = name
        #: State of each block set, in the order of ``PARTS``.
        self.states = [*plan.start]
        #: Transfers posted whose DMA may not be over; ``getting``: those of the second leg.
        self.flying = 0
        self.getting = 0
        #: P knows where D's blocks are.
        self.addressed = False
        #: Pieces landed.
        self.count = 0
        #: Transfers were stopped for good: a later post is refused.
        self.fenced = False
        #: When the lease ends.
        self.deadline_s = 0.0
        #: None until the request ended: ok, failed or aborted.
        self.outcome: str | None = None
        #: Whether wrong KV may have been used, unseen.
        self.corrupt = False
        #: Cause of a failure that waits for the DMA to be over.
        self.mark = ""
        self.story: list[tuple[float, str, str]] | None = [] if record else None

    def handle(self, event: Event, at_s: float) -> Instructions:
        """Take one event; return what the driver shall do, in order.

        Raises
        ------
        InvalidTransition
            If the event is not allowed here; nothing has changed then.
        """
        if self.story is not None:
            self.story.append((at_s, event.key, self.state))
        try:
            part, moves = self.rows[event.key]
            move = moves[self.states[part]] if part >= 0 else None
        except KeyError:
            raise self._illegal(event) from None
        if move is None:
            return self._several(event, at_s)
        run, to = move.run, move.to
        if run is not None:
            return run(self, event, at_s)
        if to is not None:
            self.states[part] = to
        return move.instructions

    def _several(self, event: Event, at_s: float) -> Instructions:
        """Take an event that concerns more than one block set, against the states before it."""
        states = self.states
        found = [
            (part, moves[states[part]])
            for part, moves in self.plan.several[event.key]
            if states[part] in moves
        ]
        if not found:
            raise self._illegal(event)
        answer: Instructions = ()
        for part, move in found:
            if move.run is not None:
                answer += move.run(self, event, at_s)
            else:
                if move.to is not None:
                    states[part] = move.to
                answer += move.instructions
        return answer

    def _illegal(self, event: Event) -> InvalidTransition:
        name = f"{self.plan.kind}/{self.plan.variant.name} {self.name}".strip()
        return InvalidTransition(name, self.state, event.key, self.told())

    def told(self) -> tuple[str, ...]:
        """Return the story so far, a line per event (empty unless recorded)."""
        return tuple(f"{at_s:.6f} s: {key} in {state}" for at_s, key, state in self.story or ())

    @property
    def state(self) -> str:
        """The states of the block sets, joined: ``leased/reading``."""
        return "/".join(state for state in self.states if state != "none")

    def part(self, block_set: str) -> str:
        """Return the state of one block set."""
        return self.states[PARTS.index(block_set)]

    def owner(self, block_set: str) -> str | None:
        """Return the one party that must release ``block_set``, or None where nothing is held."""
        table = self.plan.table
        return table.owners[block_set].get(self.states[PARTS.index(block_set)])

    def access(self, block_set: str) -> tuple[str, ...]:
        """Return the parties whose compute or DMA may still touch ``block_set``."""
        table = self.plan.table
        worker = table.workers[block_set].get(self.states[PARTS.index(block_set)])
        parties = (worker,) if worker else ()
        facts = self.plan.facts
        if (self.flying and block_set in facts.flight) or (
            self.getting and block_set in facts.second_flight
        ):
            return (*parties, f"{facts.initiator}.nic")
        return parties

    @property
    def resting(self) -> bool:
        """Whether the request has ended, nothing is held and no event is awaited."""
        if self.outcome is None:
            return False
        # A side that never saw the request has nothing to do for it.
        return all(
            state in RESTING or state in ("absent", "idle", "empty") for state in self.states
        )

    def check(self) -> None:
        """Assert what must hold in every variant.

        Raises
        ------
        InvariantViolated
            With the story.
        """
        if self.flying < 0 or self.getting < 0:
            raise InvariantViolated("I3", f"{self.name}: more landings than posts", self.told())
        known = self.plan.table.states
        for part, state in zip(PARTS, self.states, strict=True):
            if state != "none" and state not in known[part]:
                raise InvariantViolated("I3", f"{self.name}: {part} in {state!r}", self.told())
        if self.outcome == "ok" and self.plan.variant.sound and self.corrupt:
            raise InvariantViolated("I16", f"{self.name}: ok with corrupt KV", self.told())


def fail(machine: Machine, cause: str) -> Instructions:
    """End the request as failed, unless it has ended."""
    if machine.outcome is not None:
        return ()
    machine.outcome = "failed"
    return (Fail(cause),)


def abort(machine: Machine, cause: str = "client") -> Instructions:
    """End the request as aborted, unless it has ended."""
    if machine.outcome is not None:
        return ()
    machine.outcome = "aborted"
    return (Abort(cause),)
