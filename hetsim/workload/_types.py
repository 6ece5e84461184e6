"""Field types of workload specs: quantities with their unit, checked whole numbers and ratios."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Seconds = float
    RequestsPerSecond = float
    Count = int
    Tokens = int
    Positive = float
    Fraction = float
else:
    from hetsim.spec._check import RequestsPerSecond, Seconds, real, whole

    Count = whole(at_least=1, at_most=10**9)
    Tokens = whole(at_least=1, at_most=2**31 - 1)
    Positive = real(above=0.0)
    Fraction = real(above=0.0, at_most=1.0)

__all__ = ["Count", "Fraction", "Positive", "RequestsPerSecond", "Seconds", "Tokens", "refuse"]


def refuse(*checks: tuple[bool, str]) -> None:
    """Raise one ValueError with every message whose check is true; pydantic gives it a place."""
    wrong: list[Any] = [message for bad, message in checks if bad]
    if wrong:
        raise ValueError("; ".join(wrong))
