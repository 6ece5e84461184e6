"""Which number formats hold the values of which others, and what converting costs in bytes.

Every format is a grid: ``significand`` bits, the exponent of its smallest step, and a largest
value. A grid holds another if it is at least as fine and as wide; where the target keeps a scale
beside the codes, a power of two may be moved into that scale first. No table of pairs.
"""

from __future__ import annotations

from typing import NamedTuple

from hetsim.precision._formats import FORMATS, get_format
from hetsim.spec import spec

__all__ = ["Conversion", "conversion"]


class _Grid(NamedTuple):
    significand: int
    step_exponent: int
    max_value: float
    block_range: bool = False
    """Power-of-two block scales shift the grid over (nearly) the whole range of bf16."""


# Source: the format documents named in FORMATS; checked by enumeration of all codes in the tests.
_GRIDS: dict[str, tuple[int, int]] = {
    "fp32": (24, -149),
    "tf32": (11, -136),
    "bf16": (8, -133),
    "fp16": (11, -24),
    "fp8_e4m3": (4, -9),
    "fp8_e4m3fnuz": (4, -10),
    "fp8_e5m2": (3, -16),
    "fp8_e5m2fnuz": (3, -17),
    "fp8_block": (4, -9),
    "int8": (7, 0),
    "int4": (3, 0),
    "mxfp8": (4, -9),
    "mxfp6": (4, -3),
    "mxfp4": (2, -1),
    "mxint8": (7, -6),
    # A 2-bit code times a 4-bit block scale needs 6 bits, in steps of 2**-1 * 2**-9.
    "nvfp4": (6, -10),
}
_SCALED = ("fp8_e4m3", "fp8_e4m3fnuz", "fp8_e5m2", "fp8_e5m2fnuz", "int8")
_TWINS = {"fp8_e4m3": "fp8_e4m3fnuz", "fp8_e5m2": "fp8_e5m2fnuz"}


@spec
class Conversion:
    """What happens to values when one format becomes another."""

    source: str
    target: str
    exact: bool
    scale_shift: int
    """Power of two that moves from the codes into the scale."""
    condition: str
    """What must hold for an exact conversion; empty if nothing."""
    read_bytes_per_element: float
    write_bytes_per_element: float


def _grid(name: str) -> _Grid:
    made = get_format(name)
    significand, step = _GRIDS[made.name]
    top = made.max_value * (448.0 if made.name == "nvfp4" else 1.0)
    return _Grid(significand, step, top, made.name.startswith("mx"))


def _fits(source: _Grid, target: _Grid, shift: int) -> bool:
    if target.significand < source.significand or target.block_range:
        return False
    if source.block_range:
        # Block exponents reach the range of bf16, far beyond that of fp16.
        return target.max_value > 1e30
    fine = target.step_exponent <= source.step_exponent + shift
    return fine and target.max_value >= source.max_value * 2.0**shift


def conversion(source: str, target: str) -> Conversion:
    """Return what converting ``source`` to ``target`` does to values and costs in bytes.

    Exact means that every finite value survives, with the scale kept or a power of two moved into
    it. A scale that is *not* a power of two and is multiplied out rounds; that is the caller's to
    know, for a format does not know its scales.

    >>> conversion("fp8_e4m3", "bf16").exact, conversion("bf16", "fp8_e4m3").exact
    (True, False)
    >>> made = conversion("fp8_e4m3", "fp8_e4m3fnuz")
    >>> made.exact, made.scale_shift
    (True, -1)
    """
    first, second = get_format(source), get_format(target)
    exact, shift, condition = _exactness(first.name, second.name)
    return Conversion(
        source=first.name,
        target=second.name,
        exact=exact,
        scale_shift=shift,
        condition=condition,
        read_bytes_per_element=first.bytes_per_element,
        write_bytes_per_element=second.bytes_per_element,
    )


def _exactness(source: str, target: str) -> tuple[bool, int, str]:
    if source == target:
        return True, 0, ""
    for shift in (0, -1, 1) if target in _SCALED and source in _SCALED else (0,):
        if _fits(_grid(source), _grid(target), shift):
            return True, shift, ""
    if _TWINS.get(target) == source:
        # Twice the step, but also twice the largest value: only the top half binade is lost.
        limit = FORMATS[target].max_value / 2
        return True, 1, f"the producer clips at {limit:g}"
    return False, 0, ""
