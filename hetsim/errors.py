"""The error tree.

::

    HetsimError
    ├── ScenarioError       the user's file or command line is wrong (exit 2); carries every problem
    ├── InfeasibleError     a legal scenario that cannot run (exit 3): need, have, short by
    ├── InvalidTransition   a life cycle took a step that its table does not hold (exit 4, ours)
    └── InvariantViolated   a law of the simulation was broken (exit 4, ours)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

__all__ = [
    "HetsimError",
    "InfeasibleError",
    "InvalidTransition",
    "InvariantViolated",
    "Problem",
    "ScenarioError",
    "nearest",
]


class HetsimError(Exception):
    """Root of every error that hetsim raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a user's input, and what to do about it."""

    message: str
    path: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place = f"{place}:{self.line}"
        parts = [part for part in (place, self.path) if part]
        return ": ".join([*parts, self.message])


class ScenarioError(HetsimError):
    """The input is wrong. Every problem is listed, so that one try is enough to mend them all.

    Positional fields only: SimPy rebuilds exceptions from their ``args``.
    """

    def __init__(self, problems: Sequence[Problem] | Problem | str) -> None:
        if isinstance(problems, str):
            problems = (Problem(problems),)
        elif isinstance(problems, Problem):
            problems = (problems,)
        super().__init__(tuple(problems))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The problems, in the order in which they were found."""
        return tuple(self.args[0])

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.problems]
        count = len(lines)
        noun = "problem" if count == 1 else "problems"
        return "\n".join([*lines, f"{count} {noun}; nothing was run."])


class InfeasibleError(HetsimError):
    """A legal scenario that cannot run: what it needs, what there is, and the largest terms."""

    def __init__(self, message: str, terms: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(message, tuple(terms))

    def __str__(self) -> str:
        message, terms = self.args
        return "\n".join([message, *(f"  {name}: {value}" for name, value in terms)])


class InvalidTransition(HetsimError):
    """A state machine was sent an event that its table does not hold in this state."""

    def __init__(self, machine: str, state: str, event: str, story: Sequence[str] = ()) -> None:
        super().__init__(machine, state, event, tuple(story))

    def __str__(self) -> str:
        machine, state, event, story = self.args
        head = f"{machine}: event {event} is not allowed in state {state}"
        return "\n".join([head, "the story so far:", *(f"  {line}" for line in story)])


class InvariantViolated(HetsimError):
    """A law does not hold. This is a defect of hetsim: please report it with the story."""

    def __init__(self, law: str, detail: str, story: Iterable[str] = ()) -> None:
        super().__init__(law, detail, tuple(story))

    def __str__(self) -> str:
        law, detail, story = self.args
        return "\n".join([f"law {law} is violated: {detail}", *(f"  {line}" for line in story)])


def nearest(word: str, allowed: Iterable[str], aliases: Iterable[str] = ()) -> str:
    """Return a hint that names the allowed words, the nearest first.

    ``aliases`` are allowed as well; one is named only where it is near.

    >>> nearest("gpq", ["gqa", "mla"])
    "allowed: 'gqa', 'mla'"
    >>> nearest("bandwith", ["bandwidth", "latency"])
    "did you mean 'bandwidth'? allowed: 'bandwidth', 'latency'"
    >>> nearest("fp8", ["fp8_e4m3", "fp8_e5m2", "mxfp8"])
    "did you mean 'fp8_e4m3' or 'fp8_e5m2'? allowed: 'fp8_e4m3', 'fp8_e5m2', 'mxfp8'"
    >>> nearest("h1000", ["b200-sxm", "h100-sxm"], aliases=["h100"])
    "did you mean 'h100'? allowed: 'b200-sxm', 'h100-sxm'"
    """
    names = sorted(allowed)
    begins = [name for name in names if len(word) >= 3 and name.startswith(word)]
    close = begins[:3] or get_close_matches(word, [*names, *aliases], n=1, cutoff=0.7)
    listed = ", ".join(repr(name) for name in names[:24])
    more = f" and {len(names) - 24} more" if len(names) > 24 else ""
    hint = f"allowed: {listed}{more}"
    return f"did you mean {' or '.join(map(repr, close))}? {hint}" if close else hint
