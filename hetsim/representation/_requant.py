"""Whether values must change between two encodings of the same KV, and whether they survive."""

from __future__ import annotations

from typing import Literal

from hetsim.precision import conversion
from hetsim.representation._descriptor import STATIC, Representation
from hetsim.representation._words import ENCODINGS

__all__ = ["Requant", "requant"]

Requant = Literal["none", "exact", "lossy", "impossible"]


def requant(p: Representation, c: Representation) -> tuple[Requant, str]:
    """Return what happens to the values when ``p``'s content becomes ``c``'s, and why.

    Static scales differ in value only: then codes must be rescaled. This is exact only for float
    codes, a power-of-two ratio, and neither saturation at the top nor underflow among the
    subnormals; a descriptor cannot promise that, so it counts as lossy.
    """
    if _lost_scales(p):
        return "impossible", "dynamic scales in a side tensor are not part of the transfer"
    if (p.enc, p.scale_gran) != (c.enc, c.scale_gran):
        return _recode(p, c)
    if p.scale_gran in STATIC and p.scale_id != c.scale_id:
        return "lossy", f"static scales {p.scale_id!r} and {c.scale_id!r} differ"
    return "none", ""


def _lost_scales(p: Representation) -> bool:
    return p.scale_loc == "side_tensor" and not p.side_shipped


def _recode(p: Representation, c: Representation) -> tuple[Requant, str]:
    source, target = ENCODINGS[p.enc], ENCODINGS[c.enc]
    words = f"{p.enc} ({p.scale_gran}) to {c.enc} ({c.scale_gran})"
    if not (source.format and target.format):
        return "lossy", f"{words}: composed rows are rebuilt"
    made = conversion(source.format, target.format)
    if not made.exact or not _scales_survive(p, c):
        return "lossy", words
    return "exact", f"{words}, if {made.condition}" if made.condition else words


def _scales_survive(p: Representation, c: Representation) -> bool:
    """Whether the scales of ``p`` can be carried into ``c`` without rounding."""
    if p.scale_gran in STATIC and c.scale_gran == p.scale_gran:
        # The consumer applies the producer's scales, times a power of two.
        return p.scale_id == c.scale_id
    if c.scale_gran != "none":
        return False
    # Scales are multiplied out: those of mx blocks are powers of two, others round unless one.
    return p.scale_gran in ("none", "block32") or p.scale_id == "unit"
