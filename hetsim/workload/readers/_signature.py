"""How a format is told from others: the shape of the file and the names it must hold."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hetsim.spec import kinds, lookup, register

__all__ = ["Signature", "best_match", "declare"]


class Signature(NamedTuple):
    """A format's mark: ``csv`` or ``jsonl``, names that must be there and names that must not."""

    shape: Literal["csv", "jsonl"]
    names: frozenset[str]
    without: frozenset[str] = frozenset()

    def fits(self, shape: str, seen: frozenset[str]) -> bool:
        """Return whether a file of this shape with these names can have the format."""
        return shape == self.shape and self.names <= seen and not self.without & seen


def declare(
    format: str, shape: Literal["csv", "jsonl"], *names: str, without: tuple[str, ...] = ()
) -> None:
    """Enter the mark of a format."""
    register("trace_signature", format)(Signature(shape, frozenset(names), frozenset(without)))


def best_match(shape: str, seen: frozenset[str]) -> str | None:
    """Return the format that fits with the most names, or None."""
    marks = {name: lookup("trace_signature", name) for name in kinds("trace_signature")}
    fitting = [name for name, mark in marks.items() if mark.fits(shape, seen)]
    return max(fitting, key=lambda name: (len(marks[name].names), name), default=None)
