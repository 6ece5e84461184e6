"""The run-length rule: the longest byte run that is contiguous on both sides of a hand-off.

A layout gives every axis (layer, head, token slot, K or V) a byte stride. Starting from the piece
that both sides keep whole, an axis extends the run when its stride equals the run on *both* sides.
Block ids are free, so a run never spans two blocks unless a runtime merges consecutive ids.
"""

from __future__ import annotations

from math import gcd
from typing import NamedTuple

from hetsim.representation._descriptor import Representation

__all__ = ["Family", "Strides", "families", "strides", "token_unit"]

_FRACTAL_RUN_BYTES = 32.0
"""A fractal tile keeps 32 bytes of a row together."""


class Family(NamedTuple):
    """Descriptors of one kind between one pair of ranks."""

    name: str
    run_bytes: float
    unit_tokens: int
    """Tokens in one run; 1 where a run holds (part of) one token."""
    bytes_per_token: float
    mergeable: bool
    """Whether consecutive block ids extend the run."""


class Strides(NamedTuple):
    """Byte strides of one part (k, v, kv or scale) of a cache on one rank.

    ``axes`` holds the axes inside a block; ``block`` steps to the next block id, ``plane`` from the
    K plane to the V plane (0 = none), and ``whole`` is the part's share of one page and layer.
    """

    axes: dict[str, float]
    block: float
    plane: float
    whole: float


def token_unit(p: Representation, c: Representation) -> int:
    """Return the tokens that lie together in pages on both sides."""
    unit = gcd(p.page_tokens, c.page_tokens)
    for side in (p, c):
        if side.seq_shard and side.seq_shard.size > 1:
            unit = gcd(unit, side.seq_shard.interleave_tokens)
    return unit


def is_merged(rep: Representation) -> bool:
    """Whether keys and values of a token and head are one piece."""
    return rep.kv_pack in ("merged_row", "head_interleaved", "latent")


def side_by_side(rep: Representation) -> bool:
    """Whether the values of a token and head follow its keys at once.

    Planes degenerate to this where a plane holds one token of one head.
    """
    return is_merged(rep) or (rep.kv_pack == "planes" and strides(rep, "k").plane == rep.key_bytes)


def own_buffer(rep: Representation, part: str) -> bool:
    """Whether the part lies in a buffer of its own (separate K and V, side tensor of scales)."""
    if part == "scale":
        return rep.scale_loc == "side_tensor"
    return rep.kv_pack in ("separate", "slot") and part in ("k", "v")


def strides(rep: Representation, part: str) -> Strides:
    """Return where the pieces of ``part`` lie on this rank."""
    both = rep.key_bytes + rep.value_bytes
    piece = {"k": rep.key_bytes, "v": rep.value_bytes}.get(part, both)
    if part == "scale":
        piece = both = rep.outside_scale_bytes
    elif is_merged(rep):
        piece = both
    inner = rep.order[rep.order.index("B") + 1 :]
    planes = rep.kv_pack == "planes" and part in ("k", "v")
    if planes:
        at = inner.index("L") + 1 if "L" in inner else 0
        inner = f"{inner[:at]}T{inner[at:]}"
    axes: dict[str, float] = {}
    step, plane, whole = piece, 0.0, 0.0
    extents = {"N": rep.page_tokens, "H": rep.heads_per_rank, "L": len(rep.layers)}
    for axis in reversed(inner):
        if axis == "T":
            plane = step * rep.key_bytes / piece
            step *= both / piece
            continue
        if axis == "L" and rep.order[:2] == "BL":
            whole = step
            step = step if own_buffer(rep, part) else _page(rep)
        axes[axis] = step
        step *= extents[axis]
    if "L" not in inner and not own_buffer(rep, part):
        whole, step = step, _page(rep) / (rep.heads_per_rank if rep.order == "LHBN" else 1)
    return Strides(axes, step, plane, whole or step)


def _page(rep: Representation) -> float:
    """Bytes of one page of one layer in the buffer of the rows."""
    if rep.scale_loc == "side_tensor":
        return rep.page_tokens * rep.heads_per_rank * (rep.key_bytes + rep.value_bytes)
    return rep.page_bytes


def families(p: Representation, c: Representation, heads: int, layers: int) -> tuple[Family, ...]:
    """Return the descriptor families between two ranks that share ``heads`` and ``layers``.

    Both sides must have the same encoding: a conversion comes before or after.
    """
    if p.row_bytes == 0:
        return ()
    broken = _broken_run(p, c)
    if broken:
        per_token = heads * layers * (p.key_bytes + p.value_bytes + p.outside_scale_bytes)
        return (Family("tile", broken, 1, per_token, False),)
    return _Walk(p, c, heads, layers).families()


def _broken_run(p: Representation, c: Representation) -> float:
    """Return the run where the two sides cut elements or tiles differently, else 0."""
    if (p.kv_pack == "head_interleaved") != (c.kv_pack == "head_interleaved"):
        # A 32-bit sublane of a TPU tile holds an element of K beside one of V.
        return p.element_bytes
    if p.tile == c.tile == "linear" or _same_page(p, c):
        return 0.0
    # Vectorized values keep one element of a token together, fractal rows keep 32 bytes.
    vectorized = "vectorized_5d" in (p.tile, c.tile)
    return p.element_bytes if vectorized else _FRACTAL_RUN_BYTES


def _same_page(p: Representation, c: Representation) -> bool:
    words = [(r.tile, r.order, r.kv_pack, r.page_tokens, r.heads_per_rank) for r in (p, c)]
    return words[0] == words[1]


class _Walk:
    """Extends runs over the axes of one rank pair."""

    def __init__(self, p: Representation, c: Representation, heads: int, layers: int) -> None:
        self.p, self.c = p, c
        self.heads, self.layers = heads, layers
        self.unit = token_unit(p, c)

    def families(self) -> tuple[Family, ...]:
        k, v, scale = self.p.key_bytes, self.p.value_bytes, self.p.outside_scale_bytes
        if side_by_side(self.p) and side_by_side(self.c):
            made = [self.family("kv", k + v)]
        else:
            made = [self.family(name, size) for name, size in (("k", k), ("v", v)) if size]
            made = self.join_planes(made)
        if scale:
            made.append(self.family("scale", scale))
        if self.p.scale_loc == self.c.scale_loc == "page_tail":
            made = self.join_tail(made)
        return tuple(made)

    def family(self, part: str, piece: float) -> Family:
        """Extend one piece over tokens, heads and layers."""
        p, c = strides(self.p, part), strides(self.c, part)
        left = {"N": self.unit, "H": self.heads, "L": self.layers}
        run = _extend(piece, left, p, c)
        # Only a run that took the token axis holds several tokens.
        unit = 1 if "N" in left else self.unit
        merge = self.mergeable(run, p, c)
        return Family(part, run, unit, piece * self.heads * self.layers, merge)

    def mergeable(self, run: float, p: Strides, c: Strides) -> bool:
        """Whether the next tokens lie right behind the run, on both sides, at consecutive ids."""
        return all(
            (side.block if rep.page_tokens == self.unit else side.axes["N"] * self.unit) == run
            for rep, side in ((self.p, p), (self.c, c))
        )

    def join_planes(self, made: list[Family]) -> list[Family]:
        """Join a whole K plane and the V plane behind it, where both sides have planes."""
        if len(made) < 2:
            return made
        planes = {strides(rep, "k").plane for rep in (self.p, self.c)}
        return [self.joined("kv", made)] if planes == {made[0].run_bytes} else made

    def join_tail(self, made: list[Family]) -> list[Family]:
        """Join the data of a page and its tail of scales, where both are whole on both sides."""
        if len(made) != 2:
            return made
        for rep in (self.p, self.c):
            whole = tuple(strides(rep, family.name).whole for family in made)
            if whole != (made[0].run_bytes, made[1].run_bytes):
                return made
        return [self.joined("page", made)]

    def joined(self, name: str, parts: list[Family]) -> Family:
        """Return one family for parts that lie side by side, extended over packed layers."""
        p, c = strides(self.p, "kv"), strides(self.c, "kv")
        left = {"H": self.heads, "L": self.layers}
        run = _extend(sum(part.run_bytes for part in parts), left, p, c)
        total = sum(part.bytes_per_token for part in parts)
        return Family(name, run, self.unit, total, self.mergeable(run, p, c))


def _extend(run: float, left: dict[str, int], p: Strides, c: Strides) -> float:
    """Grow a run axis by axis, taking from ``left`` every axis that it covers."""
    axis = _next_axis(left, run, p, c)
    while axis is not None:
        run *= left.pop(axis)
        axis = _next_axis(left, run, p, c)
    return run


def _next_axis(left: dict[str, int], run: float, p: Strides, c: Strides) -> str | None:
    for axis, extent in left.items():
        if extent > 1 and p.axes.get(axis) == run == c.axes.get(axis):
            return axis
    return None
