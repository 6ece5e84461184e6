"""What is wrong in a trace file: the first twenty places, and how many there are."""

from __future__ import annotations

from hetsim.errors import Problem, ScenarioError

__all__ = ["Findings", "shown"]

_SHOWN = 20


class Findings:
    """Problems of one file, collected row by row."""

    __slots__ = ("count", "file", "first")

    def __init__(self, file: str) -> None:
        self.file = file
        self.first: list[Problem] = []
        self.count = 0

    def add(self, line: int | None, message: str) -> None:
        """Note one problem; beyond the first twenty they are only counted."""
        self.count += 1
        if len(self.first) < _SHOWN:
            self.first.append(Problem(message, "", self.file, line))

    def adopt(self, other: Findings) -> None:
        """Take over the problems of another file that belongs to this one."""
        self.count += other.count
        self.first += other.first[: _SHOWN - len(self.first)]

    def fail(self, line: int | None, message: str) -> ScenarioError:
        """Note one problem and return the error to raise, for a file that cannot be read on."""
        self.add(line, message)
        return self.error()

    def error(self) -> ScenarioError:
        """Return the error that lists what was found."""
        self.first.sort(key=lambda problem: problem.line or 0)
        rest = self.count - len(self.first)
        tail = [Problem(f"and {rest} more problems like these", "", self.file)] if rest else []
        return ScenarioError([*self.first, *tail])

    def check(self) -> None:
        """Raise if anything was found."""
        if self.count:
            raise self.error()


def shown(value: object) -> str:
    """Return a value as a message quotes it: escaped, and short."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
