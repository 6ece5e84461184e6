"""A protocol as an automaton that is found while it runs: for drivers of very many requests.

Requests go through the same few configurations. Here a request has no machine of its own: it is
*in* a :class:`Configuration`, shared by all that are in it, and an event takes it to the next one.
What an event does there is asked of a :class:`Machine` once; from then on it is one look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from hetsim.ownership._machine import Instructions, Machine, Plan
from hetsim.ownership._vocabulary import Event

__all__ = ["Automaton", "Configuration", "Moved", "Step"]

T = TypeVar("T")

Moved = tuple[tuple[int, str, str], ...]
"""What changed hands: (place in ``hetsim.ownership.PARTS``, state before, state after)."""

Step = tuple["Configuration", T]
"""(configuration after it, what to do)."""

_FIELDS = ("flying", "getting", "addressed", "count", "fenced", "outcome", "corrupt", "mark")
_LATER_S = 1024.0
_STEPS = 1 << 16
"""Steps remembered at a time: pieces are counted, so a protocol may have very many."""


class Configuration(Machine):
    """All that the answers of a machine depend on, but for its deadline; never changed."""

    __slots__ = ("steps",)

    def __init__(self, plan: Plan, machine: Machine) -> None:
        super().__init__(plan)
        _copy(machine, self)
        #: What is known of events here: by event, since those are shared objects.
        self.steps: dict[Event, Step[Any]] = {}


class _Probe(Machine):
    """A machine that notes whether its deadline is looked at, and what it is set to."""

    __slots__ = ("looked", "set_to")

    looked: bool
    set_to: float | None

    @property
    def deadline_s(self) -> float:
        """Zero; it is observed, not stored."""
        self.looked = True
        return 0.0

    @deadline_s.setter
    def deadline_s(self, at_s: float) -> None:
        self.set_to = at_s


class Automaton(Generic[T]):
    """The configurations of a plan found so far; ``bind`` turns an answer into what to do.

    ``bind`` is told what changed hands, in how many seconds the deadline is from now on (None = as
    it was), the event and the answer.

    >>> from hetsim.ownership import get_plan, vocabulary
    >>> automaton = Automaton(get_plan("pull_lease"), lambda *found: found[-1])
    >>> step, _ = automaton.learn(automaton.start, vocabulary.ARRIVED, 0.0, 0.0, 7)
    >>> step[0].state, [order.op for order in step[1]]
    ('waiting/absent', ['start_prefill'])
    """

    def __init__(
        self, plan: Plan, bind: Callable[[Moved, float | None, Event, Instructions], T]
    ) -> None:
        self.plan = plan
        self._bind = bind
        self._known: dict[tuple[Any, ...], Configuration] = {}
        self._steps = 0
        self.start = self._intern(Machine(plan))

    def learn(
        self, before: Configuration, event: Event, at_s: float, deadline_s: float, name: object
    ) -> tuple[Step[T], float]:
        """Return what ``event`` does, and the request's deadline after it.

        The step is remembered in ``before.steps``, unless the time or the deadline decides.

        Raises
        ------
        InvalidTransition
            If the event is not allowed there; ``name`` is that of the request.
        """
        # Asked at two times without a deadline: equal answers need neither.
        first, answer = self._probe(before, event, 0.0, name)
        later, again = self._probe(before, event, _LATER_S, name)
        lease_s = first.set_to
        moved = None if lease_s is None else _LATER_S + lease_s
        if not (first.looked or later.looked) and (answer, _key(first), moved) == (
            again,
            _key(later),
            later.set_to,
        ):
            step = self._step(before, first, lease_s, event, answer)
            self._remember(before, event, step)
            return step, deadline_s if lease_s is None else at_s + lease_s
        machine = Machine(self.plan, name)
        _copy(before, machine)
        machine.deadline_s = deadline_s
        answer = machine.handle(event, at_s)
        return self._step(before, machine, None, event, answer), machine.deadline_s

    def _probe(
        self, before: Configuration, event: Event, at_s: float, name: object
    ) -> tuple[_Probe, Instructions]:
        probe = _Probe(self.plan, name)
        _copy(before, probe)
        probe.looked, probe.set_to = False, None
        return probe, probe.handle(event, at_s)

    def _step(
        self,
        before: Configuration,
        after: Machine,
        lease_s: float | None,
        event: Event,
        answer: Instructions,
    ) -> Step[T]:
        pairs = zip(before.states, after.states, strict=True)
        moved = tuple([(part, old, new) for part, (old, new) in enumerate(pairs) if old != new])
        return self._intern(after), self._bind(moved, lease_s, event, answer)

    def _remember(self, before: Configuration, event: Event, step: Step[T]) -> None:
        if self._steps >= _STEPS:
            # Requests keep the configurations that they are in; those learn again.
            for known in self._known.values():
                known.steps.clear()
            self._known.clear()
            self._steps = 0
        self._steps += 1
        before.steps[event] = step

    def _intern(self, machine: Machine) -> Configuration:
        key = _key(machine)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Configuration(self.plan, machine)
        return found


def _key(machine: Machine) -> tuple[Any, ...]:
    return (*machine.states, *[getattr(machine, field) for field in _FIELDS])


def _copy(source: Machine, target: Machine) -> None:
    """Give ``target`` all of ``source`` but its name, its story and its deadline."""
    target.states[:] = source.states
    for field in (
        "flying",
        "getting",
        "addressed",
        "count",
        "fenced",
        "outcome",
        "corrupt",
        "mark",
    ):
        setattr(target, field, getattr(source, field))
