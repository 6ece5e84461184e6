"""Observation without intrusion: an unused hook costs one comparison with None."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hetsim.errors import HetsimError

if TYPE_CHECKING:
    from hetsim.engine._flow import Flow

__all__ = ["HOOKS", "Instruments"]

HOOKS = ("flow_started", "flow_landed", "flow_cancelled")


class Instruments:
    """Who watches what. An instrument is any object with one or more methods named in ``HOOKS``.

    Instruments look and do not touch: they must not start, cancel or set anything. What they raise
    stops the run, so that a law is checked at the event that breaks it.

    >>> class Counter:
    ...     seen = 0
    ...     def flow_landed(self, flow): self.seen += 1
    >>> instruments = Instruments(); instruments.add(Counter())
    >>> instruments.flow_started is None, instruments.flow_landed is None
    (True, False)
    """

    __slots__ = HOOKS

    flow_started: Callable[[Flow], Any] | None
    flow_landed: Callable[[Flow], Any] | None
    flow_cancelled: Callable[[Flow], Any] | None

    def __init__(self) -> None:
        for hook in HOOKS:
            setattr(self, hook, None)

    def add(self, instrument: object) -> None:
        """Let ``instrument`` see every event that it has a method for.

        Raises
        ------
        HetsimError
            If it has none, which is a misspelt hook.
        """
        found = [hook for hook in HOOKS if callable(getattr(instrument, hook, None))]
        if not found:
            raise HetsimError(f"{type(instrument).__name__} has none of the hooks {HOOKS}")
        for hook in found:
            method, before = getattr(instrument, hook), getattr(self, hook)
            setattr(self, hook, method if before is None else _both(before, method))


def _both(first: Callable[[Any], Any], second: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def call(subject: Any) -> None:
        first(subject)
        second(subject)

    return call
