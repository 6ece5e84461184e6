"""Where the nodes of a small graph stand."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin

__all__ = ["ring"]


def ring(names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return places on the unit circle, clockwise from the top.

    >>> ring(["a", "b"])["a"]
    (0.0, 1.0)
    """
    turn = 2.0 * pi / max(1, len(names))
    return {
        name: (round(sin(i * turn), 6), round(cos(i * turn), 6)) for i, name in enumerate(names)
    }
