"""The verdict: may the bytes of a producer serve a consumer, and what stands between them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

from hetsim.representation._descriptor import Representation
from hetsim.representation._drivers import (
    BoundaryPolicy,
    CostDrivers,
    Side,
    drivers,
    with_content,
)
from hetsim.representation._error_table import KvError, kv_error
from hetsim.representation._pairs import rank_pairs
from hetsim.representation._requant import Requant, requant
from hetsim.representation._runs import token_unit
from hetsim.representation._words import ENCODINGS
from hetsim.spec import html_table, spec

__all__ = [
    "SEVERITY",
    "Verdict",
    "VerdictKind",
    "run_bytes",
    "verdict",
    "verdict_groups",
    "wire_representation",
]

VerdictKind = Literal[
    "identical", "byte_compatible", "relayout", "requant_exact", "requant_lossy", "incompatible"
]
SEVERITY: tuple[VerdictKind, ...] = (
    "identical",
    "byte_compatible",
    "relayout",
    "requant_exact",
    "requant_lossy",
    "incompatible",
)


@spec
class Verdict:
    """How one cache group of a producer relates to the same group of a consumer."""

    kind: VerdictKind
    relayout: bool
    """Bytes must be permuted; may stand beside a requantisation and then shares its pass."""
    requant: Requant
    reasons: tuple[str, ...]
    drivers: CostDrivers | None
    """What the hand-off costs; None where it is impossible."""
    kv_error: KvError | None = None
    """Measured error of the requantisation on reference tensors; None where values survive."""

    @property
    def convert_sides(self) -> tuple[Side, ...]:
        """Sides that run a conversion pass, in the order of the hand-off."""
        return self.drivers.convert_sides if self.drivers else ()

    def _repr_html_(self) -> str:
        rows = [
            ("relayout", "yes" if self.relayout else "no"),
            ("requantisation", str(self.requant)),
            ("because", "; ".join(self.reasons) or "nothing differs"),
            ("converted by", ", ".join(self.convert_sides) or "nobody"),
        ]
        if self.kv_error is not None:
            rows.append(("relative error, Gaussian", f"{self.kv_error.gaussian_ratio:.2%}"))
        return html_table(self.kind, rows)


def verdict(p: Representation, c: Representation, policy: BoundaryPolicy | None = None) -> Verdict:
    """Compare a producer with a consumer: meaning, then encoding, then structure.

    Source: KV boundary study, section 6.2. The most severe finding is the ``kind``; ``relayout``
    stays a flag beside it, since both kinds of conversion may share one pass.
    """
    policy = policy or BoundaryPolicy()
    foreign = _meaning(p, c)
    if foreign:
        return _incompatible(foreign)
    wire = wire_representation(p, c, policy)
    found = [(requant(p, wire), wire), (requant(wire, c), c)]
    lost = [reason for (kind, reason), _ in found if kind == "impossible"]
    if lost:
        return _incompatible(lost)
    kind, reasons = _worst([step for step, _ in found])
    structure, why = _structure(p, c, wire, policy)
    moved = structure == "relayout"
    return Verdict(
        kind=_kind(kind, structure),
        relayout=moved,
        requant=kind,
        reasons=(*reasons, *why),
        drivers=drivers(p, c, wire, policy, relayout=moved),
        kv_error=kv_error([made for (step, _), made in found if step == "lossy"]),
    )


def verdict_groups(
    p: Sequence[Representation],
    c: Sequence[Representation],
    policy: BoundaryPolicy | None = None,
    *,
    recompute: Collection[str] = (),
) -> tuple[tuple[Representation, Verdict], ...]:
    """Compare all cache groups of two instances: one verdict per group of the consumer.

    A group that no producer has is incompatible, unless its kind is in ``recompute``: then the
    consumer builds it anew and it is left out. Groups that only the producer has stay behind.
    """
    made = []
    for target in c:
        source = next((group for group in p if _same_group(group, target)), None)
        if source is not None:
            made.append((target, verdict(source, target, policy)))
        elif target.group_kind not in recompute:
            made.append((target, _incompatible([f"no producer group {target.group_kind!r}"])))
    return tuple(made)


def _same_group(p: Representation, c: Representation) -> bool:
    return p.group_kind == c.group_kind and set(c.group_layers) <= set(p.group_layers)


def run_bytes(p: Representation, c: Representation) -> float:
    """Return the shortest run that is contiguous on both sides, over all rank pairs.

    The two sides are compared in the encoding of the producer. 0 if they share nothing.
    """
    flows = drivers(p, with_content(c, p), p, BoundaryPolicy(), relayout=False).flows
    return min((flow.run_bytes for flow in flows), default=0.0)


def wire_representation(
    p: Representation, c: Representation, policy: BoundaryPolicy
) -> Representation:
    """Return the producer's cache in the encoding that crosses the wire."""
    if policy.wire_enc in (None, p.enc, c.enc):
        consumer_first = policy.convert_at == "producer" and policy.wire_enc != p.enc
        return with_content(p, c if consumer_first or policy.wire_enc == c.enc else p)
    encoding = ENCODINGS[str(policy.wire_enc)]
    return replace(
        p,
        enc=policy.wire_enc,
        scale_gran=encoding.gran,
        scale_loc="inline_row" if encoding.loc in ("side_tensor", "page_tail") else encoding.loc,
        scale_id="wire",
        side_shipped=False,
    )


def _meaning(p: Representation, c: Representation) -> list[str]:
    words = ("semantics_id", "group_kind", "kv_heads_total", "dim_k", "dim_v", "window")
    found = [
        f"{word} differs: {getattr(p, word)!r} and {getattr(c, word)!r}"
        for word in words
        if getattr(p, word) != getattr(c, word)
    ]
    missing = sorted(set(c.group_layers) - set(p.group_layers))
    if missing:
        found.append(f"no producer rank owns layers {missing[:8]} ({len(missing)} in all)")
    return found


def _incompatible(reasons: Sequence[str]) -> Verdict:
    return Verdict(
        kind="incompatible", relayout=False, requant="none", reasons=tuple(reasons), drivers=None
    )


def _worst(found: list[tuple[Requant, str]]) -> tuple[Requant, list[str]]:
    order: tuple[Requant, ...] = ("none", "exact", "lossy")
    kind = max((kind for kind, _ in found), key=order.index)
    return kind, [reason for _, reason in found if reason]


def _kind(kind: Requant, structure: VerdictKind) -> VerdictKind:
    if kind == "exact":
        return "requant_exact"
    return "requant_lossy" if kind == "lossy" else structure


def _structure(
    p: Representation, c: Representation, wire: Representation, policy: BoundaryPolicy
) -> tuple[VerdictKind, list[str]]:
    """Compare where the bytes lie, as if both sides held what crosses the wire."""
    if p.enc == c.enc and p.scale_loc != c.scale_loc:
        return "relayout", [f"scales lie elsewhere: {p.scale_loc} and {c.scale_loc}"]
    p, c = with_content(p, wire), with_content(c, wire)
    if same_structure(p, c):
        return "identical", []
    if p.group_kind == "ssm_state":
        return "byte_compatible", ["states of other tensor ranks are cut or joined whole"]
    if policy.force_scatter:
        return "byte_compatible", ["policy scatters every run"]
    hard = _hard_relayout(p, c)
    if hard:
        return "relayout", hard
    run = run_bytes(p, c)
    if run < policy.run_min_bytes:
        return "relayout", [f"runs of {run:g} B are below {policy.run_min_bytes:g} B"]
    return "byte_compatible", [f"runs of {run:g} B"]


def same_structure(p: Representation, c: Representation) -> bool:
    """Whether every rank of the consumer finds its bytes in one producer rank, in place."""
    if p.group_kind == "ssm_state" and p.tp != c.tp:
        return False
    if {_place(rank) for rank in p.ranks()} != {_place(rank) for rank in c.ranks()}:
        return False
    pairs = rank_pairs(p, c)
    return len(pairs) == len({pair.consumer for pair in pairs})


def _place(rank: Representation) -> tuple[object, ...]:
    """Return everything that fixes where the bytes of a rank lie."""
    shard = rank.seq_shard
    return (
        *(rank.order, rank.kv_pack, rank.tile, rank.page_tokens, rank.page_bytes),
        *(rank.layers, rank.heads),
        (shard.size, shard.rank, shard.interleave_tokens) if shard else None,
    )


def _hard_relayout(p: Representation, c: Representation) -> list[str]:
    """Return the reasons for a relayout that no run length excuses."""
    found = []
    if p.tile != c.tile:
        found.append(f"tiles differ: {p.tile} and {c.tile}")
    if p.scale_loc == "page_tail" and p.heads_per_rank != c.heads_per_rank:
        found.append("scales behind the heads of a page cannot be cut with the heads")
    small, large = sorted((p.page_tokens, c.page_tokens))
    if large % small:
        found.append(f"pages of {small} and {large} tokens do not divide")
    if _interleave(p) != _interleave(c) and token_unit(p, c) < small:
        found.append("context-parallel runs are shorter than a page")
    return found


def _interleave(rep: Representation) -> tuple[int, int]:
    shard = rep.seq_shard
    return (shard.size, shard.interleave_tokens) if shard else (1, 0)
