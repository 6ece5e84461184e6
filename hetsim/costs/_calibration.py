"""Efficiencies of one device: where each parameter comes from, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import exp, sqrt
from typing import TYPE_CHECKING, Literal

from hetsim.errors import HetsimError
from hetsim.spec import spec

if TYPE_CHECKING:
    import numpy as np

__all__ = ["GRADES", "Calibration", "Grade", "Layer", "Parameters", "Piece", "worst_grade"]

Grade = Literal["measured", "fitted", "transferred", "datasheet"]
GRADES: tuple[Grade, ...] = ("measured", "fitted", "transferred", "datasheet")
"""Best first."""

_SHARED = 0.7
"""Part of a parameter's variance that all formats of one operator kind share: kernels of one kind
come from one library, so that they err together."""

_NEAR: dict[str, tuple[str, ...]] = {
    "fp16": ("bf16",),
    "bf16": ("fp16",),
    "fp8_e4m3": ("fp8_e4m3fnuz", "fp8_block", "int8"),
    "fp8_e4m3fnuz": ("fp8_e4m3", "fp8_block", "int8"),
    "fp8_e5m2": ("fp8_e4m3", "fp8_e4m3fnuz", "fp8_block"),
    "fp8_e5m2fnuz": ("fp8_e4m3fnuz", "fp8_e4m3"),
    "fp8_block": ("fp8_e4m3", "fp8_e4m3fnuz", "mxfp8"),
    "mxfp8": ("fp8_block", "fp8_e4m3"),
    "mxfp6": ("mxfp8", "fp8_block", "fp8_e4m3"),
    "mxfp4": ("nvfp4",),
    "nvfp4": ("mxfp4",),
    "int8": ("fp8_e4m3", "fp8_block"),
    "mxint8": ("int8", "fp8_e4m3"),
    "int4": ("int8", "nvfp4", "fp8_e4m3"),
}
"""Formats whose kernels stand in for one another on the same device, nearest first."""


def worst_grade(grades: tuple[Grade, ...] | list[Grade]) -> Grade:
    """Return the worst of some grades.

    >>> worst_grade(["fitted", "datasheet", "measured"])
    'datasheet'
    """
    return GRADES[max((GRADES.index(grade) for grade in grades), default=0)]


@spec
class Parameters:
    """Roofline parameters of one operator kind in one format, as fractions of nominal values.

    ``t = t0 + smooth_max(work / (peak e_c), bytes / (bandwidth e_m))``. The further terms say how
    shapes change the work, each where physics has a reason; at their defaults the work is the
    FLOPs. Projections: with ``blocks`` multiprocessors the stair of output tiles (``feed`` products
    as long as one operand, ``wave`` of the last wave that is waited for), else ``m0, n0`` elements
    lost to tiles that are not full; ``k0`` elements of k to fill and empty a tile, ``walk_s`` the
    time of one block per element of k, ``row_s`` and ``token_s`` of quantising activations, per
    row and per element. Experts: ``tile_rows`` rows of the largest tile and the copies per expert
    at which half of it is used (``tile_half``), ``tile_walk_s`` the time of a row of a tile per
    element along k, ``pass_s`` per element that passes by the matrices; or ``m0`` rows lost per
    expert, ``token_s`` per token and hidden element. Prompt attention: ``s0_tokens`` (speed halves
    at that length), ``q0`` query rows that fill the device (``fill_p`` the exponent with which a
    wave that does not joins the work), ``kv0`` elements that a KV head's context is worth beside
    its query heads', ``head_64`` and ``head_256`` the work per FLOP at other head sizes than 128.
    Decode attention: seconds per head of a sequence, ``lone_head`` the work per byte where every
    KV head serves one query head, ``walk_s`` the time of one block per token of context (``walk_p``
    its exponent beside memory), ``head_tile`` query heads that a matrix tile computes at the least.
    """

    t0_s: float
    e_c: float
    e_m: float
    p: float
    s0_tokens: float = 0.0
    m0: float = 0.0
    n0: float = 0.0
    k0: float = 0.0
    walk_s: float = 0.0
    feed: float = 0.0
    wave: float = 0.0
    blocks: float = 0.0
    row_s: float = 0.0
    token_s: float = 0.0
    tile_rows: float = 0.0
    tile_half: float = 0.0
    tile_walk_s: float = 0.0
    pass_s: float = 0.0
    q0: float = 0.0
    fill_p: float = 1.0
    kv0: float = 0.0
    head_tile: float = 0.0
    walk_p: float = 1.0
    head_64: float = 1.0
    head_256: float = 1.0
    lone_head: float = 1.0
    per_kv_head_s: float = 0.0
    per_head_s: float = 0.0
    grade: Grade = "datasheet"
    rse: float = 0.3
    """Relative standard error of a time: how far a shape that was not measured is off."""
    covariance: tuple[tuple[float, ...], ...] | None = None
    """Of the logarithms of ``t0, 1/e_c, 1/e_m`` as estimates; None where no fit states one."""
    table: tuple[tuple[float, float], ...] = ()
    """Projections on the device itself: ``(m, seconds per weight beyond t0)``, never falling."""
    measured: tuple[float, float] | None = None
    """Rows, new tokens or context between which the kernel was measured; None if not stated."""
    source: str = ""


@spec
class Piece:
    """One kernel of a collective: ``t = t0 + bytes * seconds_per_byte``; the fastest piece runs."""

    t0_s: float
    s_per_byte: float
    grade: Grade = "datasheet"
    rse: float = 0.3
    source: str = ""
    network_s_per_byte: float = 0.0
    """Of the seconds per byte, those that the links between nodes take at their full rate."""


@spec
class Layer:
    """Everything one source says; ``best`` caps the grade (a relative's values are transferred)."""

    name: str
    best: Grade
    operators: Mapping[str, Mapping[str, Parameters]]
    collectives: Mapping[str, Mapping[int, tuple[Piece, ...]]]


@spec
class Calibration:
    """The layers of evidence for one device, the best first.

    A look-up takes the first layer that has the operator in the format, else in a format whose
    kernels stand in for it (then it is ``transferred`` at best).
    """

    accelerator: str
    layers: tuple[Layer, ...]
    collective_scale: Mapping[str, float]
    """Factors on derived collectives (no table); 1 unless sampled."""

    def operator(self, kind: str, fmt: str) -> Parameters:
        """Return the parameters of ``kind`` in ``fmt``.

        Raises
        ------
        HetsimError
            If no layer knows the kind at all, which means that the built-in table is broken.
        """
        found = self.find(kind, fmt)
        if found is None:
            raise HetsimError(f"no calibration layer of {self.accelerator} holds {kind!r} {fmt!r}")
        return found

    def find(self, kind: str, fmt: str) -> Parameters | None:
        """Return the parameters of ``kind`` in ``fmt``, or None if no layer has any."""
        for layer in self.layers:
            formats = layer.operators.get(kind)
            if not formats:
                continue
            for rank, name in enumerate((fmt, *_NEAR.get(fmt, ()), "any")):
                if name in formats:
                    stand_in = rank > 0 and name != "any" and {name, fmt} != {"bf16", "fp16"}
                    floor: Grade = "transferred" if stand_in else "measured"
                    return _capped(formats[name], layer, floor)
        return None

    def own(self, kind: str) -> Mapping[str, Parameters]:
        """Return what was measured of ``kind`` on the device itself, by format; empty if nothing.

        For kinds that no other device stands in for, such as conversions between two formats.
        """
        first = self.layers[0] if self.layers else None
        if first is None or first.best != "measured":
            return {}
        return first.operators.get(kind, {})

    def weight_only(self, kind: str, weights: str, compute: str) -> Parameters:
        """Return the parameters of ``kind`` with weights dequantised inside the kernel.

        Measured under ``<compute>_w_<weights>``, else the compute format's with the family's
        losses (kind ``dequantise``: factors on e_c and e_m).
        """
        for name in (weights, *_NEAR.get(weights, ())):
            found = self.find(kind, f"{compute}_w_{name}")
            if found is not None:
                return (
                    found
                    if name == weights
                    else replace(found, grade=worst_grade([found.grade, "transferred"]))
                )
        base, loss = self.operator(kind, compute), self.operator("dequantise", weights)
        return replace(
            base,
            e_c=base.e_c * loss.e_c,
            e_m=base.e_m * loss.e_m,
            p=min(base.p, loss.p),
            grade=worst_grade([base.grade, loss.grade]),
            rse=sqrt(base.rse**2 + loss.rse**2),
            table=(),
            measured=None,
            source=f"{base.source}; dequantisation: {loss.source}",
        )

    def prompt(self, kind: str, compute: str, kv: str) -> Parameters:
        """Return prompt attention in ``compute`` over KV in ``kv`` (``<compute>_kv_<kv>``)."""
        own = self.find(kind, f"{compute}_kv_{kv}") if kv != compute else None
        return own or self.operator(kind, compute)

    def collective(self, kind: str, ranks: int) -> tuple[Piece, ...]:
        """Return the measured pieces of a collective over ``ranks`` devices; empty if none.

        Those of a relative (:meth:`lender`) are seconds on *its* links.
        """
        layer = self._holding(kind, ranks)
        pieces = layer.collectives[kind][ranks] if layer else ()
        best = layer.best if layer else "measured"
        return tuple(replace(piece, grade=worst_grade([piece.grade, best])) for piece in pieces)

    def lender(self, kind: str, ranks: int) -> str:
        """Return the relative that a collective was measured on; empty for the device itself."""
        layer = self._holding(kind, ranks)
        return layer.name if layer and layer.best == "transferred" else ""

    def _holding(self, kind: str, ranks: int) -> Layer | None:
        found = (layer for layer in self.layers if layer.collectives.get(kind, {}).get(ranks))
        return next(found, None)

    def sample(self, rng: np.random.Generator) -> Calibration:
        """Return a calibration whose parameters are drawn around these, lognormally.

        All times of an operator are multiplied by one ``exp(rse z)``, z shared by 70 % of its
        variance among the formats of one operator kind, and floor and slopes besides by a draw from
        the covariance of their fit. Where no fit states one, each has a factor ``exp(rse z)`` of
        its own. Efficiencies never exceed 1.
        """
        kinds = sorted(
            {kind for layer in self.layers for kind in (*layer.operators, *layer.collectives)}
        )
        shared = {kind: float(rng.standard_normal()) for kind in kinds}
        scale = {
            kind: value * exp(0.3 * shared.get(kind, 0.0))
            for kind, value in sorted(self.collective_scale.items())
        }

        def factor(kind: str, rse: float) -> float:
            own = float(rng.standard_normal())
            return exp(rse * (sqrt(_SHARED) * shared[kind] + sqrt(1.0 - _SHARED) * own))

        def operator(kind: str, old: Parameters) -> Parameters:
            if old.covariance is None:
                return _times(old, [factor(kind, old.rse) for _ in range(3)])
            common = factor(kind, old.rse)
            return _times(old, [common * exp(x) for x in _draw(old.covariance, rng)])

        layers = tuple(_scaled(layer, factor, operator) for layer in self.layers)
        return replace(self, layers=layers, collective_scale=scale)

    def shifted(self, z: float) -> Calibration:
        """Return a calibration with every time-like parameter moved by ``z`` standard errors.

        Below zero is the favourable end: every operator is as fast as its interval allows. No
        sample within ``z`` standard errors in each parameter is faster.
        """
        scale = {kind: value * exp(0.3 * z) for kind, value in self.collective_scale.items()}
        layers = tuple(_scaled(layer, lambda _, rse: exp(rse * z)) for layer in self.layers)
        return replace(self, layers=layers, collective_scale=scale)


def _capped(found: Parameters, layer: Layer, floor: Grade) -> Parameters:
    cap = worst_grade([layer.best, floor])
    # A table holds seconds, which carry over neither to another device nor to another format.
    own = cap == "measured"
    return replace(
        found,
        grade=worst_grade([found.grade, cap]),
        table=found.table if own else (),
        measured=found.measured if own else None,
    )


def _draw(covariance: tuple[tuple[float, ...], ...], rng: np.random.Generator) -> list[float]:
    import numpy as np

    values, vectors = np.linalg.eigh(np.array(covariance))
    # Rounded correlations may be a little impossible.
    scale = np.sqrt(np.clip(values, 0.0, None)) * rng.standard_normal(len(values))
    return [float(x) for x in vectors @ scale]


def _times(old: Parameters, factors: Sequence[float]) -> Parameters:
    """Return parameters with floor, compute and memory time multiplied by ``factors``."""
    floor, compute, memory = factors
    return replace(
        old,
        t0_s=old.t0_s * floor,
        e_c=min(1.0, old.e_c / compute),
        e_m=min(1.0, old.e_m / memory),
        table=tuple((m, each * sqrt(compute * memory)) for m, each in old.table),
    )


def _scaled(
    layer: Layer,
    factor: Callable[[str, float], float],
    operator: Callable[[str, Parameters], Parameters] | None = None,
) -> Layer:
    """Return a layer with every time multiplied by ``factor(kind, rse)``, efficiencies divided."""

    def plain(kind: str, old: Parameters) -> Parameters:
        return _times(old, [factor(kind, old.rse) for _ in range(3)])

    def piece(kind: str, old: Piece) -> Piece:
        return replace(
            old,
            t0_s=old.t0_s * factor(kind, old.rse),
            s_per_byte=old.s_per_byte * factor(kind, old.rse),
        )

    change = operator or plain
    return replace(
        layer,
        operators={
            kind: {fmt: change(kind, formats[fmt]) for fmt in sorted(formats)}
            for kind, formats in sorted(layer.operators.items())
        },
        collectives={
            kind: {
                ranks: tuple(piece(kind, part) for part in groups[ranks])
                for ranks in sorted(groups)
            }
            for kind, groups in sorted(layer.collectives.items())
        },
    )
