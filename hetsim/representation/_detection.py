"""Detection: what a runtime notices when two representations meet, apart from what is right."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Literal, cast, get_args

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.representation._descriptor import STATIC, Representation
from hetsim.representation._detection_table import (
    COLUMNS,
    DECLARED_CHECKS,
    TABLE,
    Cell,
    Mismatch,
)
from hetsim.representation._words import ENCODINGS
from hetsim.spec import spec

__all__ = [
    "MISMATCHES",
    "Detection",
    "Finding",
    "Outcome",
    "detect",
    "mismatches",
    "outcome_of",
]

MISMATCHES: tuple[str, ...] = get_args(Mismatch)
"""Every difference that a runtime may notice or miss."""

Outcome = Literal["accept", "convert", "silent", "reject_request", "reject_connect"]

_OUTCOMES: dict[str, Outcome] = {
    "R": "reject_connect",
    "r": "reject_request",
    "S": "silent",
    "?": "silent",
    "C": "convert",
    "-": "reject_connect",
    "ok": "accept",
}
# A check that refuses comes before any byte moves; a wrong byte outweighs a right conversion.
_ORDER: tuple[Outcome, ...] = ("reject_connect", "reject_request", "silent", "convert", "accept")
_TWINS = ({"e4m3fn", "e4m3fnuz"}, {"e5m2", "e5m2fnuz"})


@spec
class Finding:
    """One mismatch and what the runtime does about it."""

    mismatch: str
    outcome: Outcome
    established: bool
    """False where the behaviour is unknown and the worst is assumed."""
    note: str = ""


@spec
class Detection:
    """What happens when the pair meets."""

    outcome: Outcome
    findings: tuple[Finding, ...]


def detect(
    p: Representation | Sequence[Representation],
    c: Representation | Sequence[Representation],
    runtime: str,
    *,
    options: Collection[str] = (),
) -> Detection:
    """Return what ``runtime`` does when a producer of ``p`` meets a consumer of ``c``.

    ``options``: ``permute_local_kv``, ``host_buffer``, ``no_compat_check`` (vLLM NIXL). A sequence
    stands for all cache groups of an instance; groups are matched by kind and layers.

    Raises
    ------
    ScenarioError
        If the runtime is not known; the message lists those that are.
    """
    column = _column(runtime)
    first, second = _groups(p), _groups(c)
    found = [_declared(a, b, column, options) for a, b in _matched(first, second)]
    findings = [finding for part in found for finding in part]
    for a, b in _matched(first, second):
        for mismatch in mismatches(a, b):
            findings.append(_finding(mismatch, column, a, b, options))
    if ({a.group_kind for a in first} ^ {b.group_kind for b in second}) & {"draft"}:
        findings.append(_finding("draft_group", column, first[0], second[0], options))
    unique = tuple(dict.fromkeys(findings))
    outcome: Outcome = min((f.outcome for f in unique), key=_ORDER.index, default="accept")
    return Detection(outcome=outcome, findings=unique)


def outcome_of(mismatch: str, runtime: str) -> Outcome:
    """Return what ``runtime`` does about one mismatch, its optional checks and aids left out.

    >>> outcome_of("static_scales", "vllm_nixl_pull"), outcome_of("page_size", "sglang_early")
    ('silent', 'reject_connect')

    Raises
    ------
    ScenarioError
        If the runtime is not known.
    """
    cell = TABLE[_column(runtime)][cast("Mismatch", mismatch)]
    return _OUTCOMES[cell if isinstance(cell, str) else cell[-1][1]]


def _column(runtime: str) -> str:
    column = COLUMNS.get(runtime, runtime)
    if column not in TABLE:
        raise ScenarioError(Problem(f"no runtime {runtime!r}; {nearest(runtime, COLUMNS)}"))
    return column


def _groups(rep: Representation | Sequence[Representation]) -> Sequence[Representation]:
    return (rep,) if isinstance(rep, Representation) else rep


def _matched(
    first: Sequence[Representation], second: Sequence[Representation]
) -> Iterator[tuple[Representation, Representation]]:
    if len(first) == len(second) == 1:
        yield first[0], second[0]
        return
    for a in first:
        for b in second:
            if a.group_kind == b.group_kind and set(a.group_layers) & set(b.group_layers):
                yield a, b


def _declared(
    p: Representation, c: Representation, column: str, options: Collection[str]
) -> list[Finding]:
    """Compare the words that the two sides state about themselves, as a handshake does."""
    if "no_compat_check" in options:
        return []
    found = []
    for word in DECLARED_CHECKS.get(column, ()):
        said = _said(p, word), _said(c, word)
        if said[0] != said[1]:
            note = f"{said[0]!r} and {said[1]!r}"
            found.append(
                Finding(
                    mismatch=f"declared_{word}",
                    outcome="reject_connect",
                    established=True,
                    note=note,
                )
            )
    return found


def _said(rep: Representation, word: str) -> str:
    stated = str(getattr(rep.declared, word))
    if stated or word != "dtype":
        return stated
    # Runtimes call both biases fp8_e4m3, and all three composed rows fp8_ds_mla.
    if rep.enc.startswith("ds_mla") and rep.enc != "ds_mla_nvfp4":
        return "fp8_ds_mla"
    return rep.enc.removesuffix("fnuz").removesuffix("fn")


def mismatches(p: Representation, c: Representation) -> Iterator[Mismatch]:
    """Give every difference between two representations that a runtime may notice or miss."""
    if _shape(p) != _shape(c):
        yield "shape"
    elif p.semantics_id != c.semantics_id:
        yield "fine_tune"
    if p.weight_precision != c.weight_precision:
        yield "weight_precision"
    yield from _content_mismatches(p, c)
    yield from _layout_mismatches(p, c)


def _shape(rep: Representation) -> tuple[object, ...]:
    latent = rep.dim_k if not rep.enc.startswith("ds_mla") else 0
    return rep.group_kind, rep.kv_heads_total, latent, rep.dim_v, len(rep.group_layers)


def _content_mismatches(p: Representation, c: Representation) -> Iterator[Mismatch]:
    if p.enc != c.enc:
        yield _enc_mismatch(p, c)
    elif p.scale_gran in STATIC and p.scale_id != c.scale_id:
        yield "static_scales"
    if any(side.scale_loc == "side_tensor" and not side.side_shipped for side in (p, c)):
        yield "side_scales"


def _enc_mismatch(p: Representation, c: Representation) -> Mismatch:
    if {p.enc, c.enc} in _TWINS:
        return "fn_vs_fnuz"
    if p.enc.startswith("ds_mla") and c.enc.startswith("ds_mla"):
        return "ds_mla_revision"
    same = p.row_bytes * p.tp == c.row_bytes * c.tp if p.tp == c.tp else _bits(p) == _bits(c)
    return "same_width_dtype" if same else "different_width_dtype"


def _bits(rep: Representation) -> int:
    return ENCODINGS[rep.enc].bits


def _layout_mismatches(p: Representation, c: Representation) -> Iterator[Mismatch]:
    if p.page_tokens != c.page_tokens:
        yield "page_size"
    if (p.order, p.kv_pack, p.tile) != (c.order, c.kv_pack, c.tile):
        yield "order"
    if p.tp != c.tp and p.group_kind not in ("mla", "indexer"):
        outside = {p.scale_loc, c.scale_loc} & {"page_tail", "side_tensor"}
        yield "tp_block_scales" if outside else "tp_gqa"
    if p.pp != c.pp:
        yield "pp"


_CONDITIONS: dict[str, Callable[[Representation, Representation, Collection[str]], bool]] = {
    "else": lambda p, c, options: True,
    "no_compat_check": lambda p, c, options: "no_compat_check" in options,
    "host_buffer": lambda p, c, options: "host_buffer" in options,
    "tiled_page_multiple": lambda p, c, options: (
        p.tile != "linear" and c.page_tokens % p.page_tokens == 0
    ),
    "page_multiple": lambda p, c, options: c.page_tokens % p.page_tokens == 0,
    "producer_tp_larger": lambda p, c, options: p.tp > c.tp,
    "tp_differs": lambda p, c, options: p.tp != c.tp,
    "permute_to_nhd": lambda p, c, options: (
        "permute_local_kv" in options and (p.order, c.order) == ("LBHN", "LBNH")
    ),
    "heads_not_contiguous": lambda p, c, options: p.order.index("H") > p.order.index("N"),
    "replicated_producer_tp_larger": lambda p, c, options: p.tp > c.tp and p.replicated,
    "consumer_pp_one": lambda p, c, options: c.pp == 1,
    "bf16_to_int8": lambda p, c, options: (p.enc, c.enc) == ("bf16", "int8"),
    "producer_tp_multiple": lambda p, c, options: p.tp % c.tp == 0,
}


def _finding(
    mismatch: Mismatch,
    column: str,
    p: Representation,
    c: Representation,
    options: Collection[str],
) -> Finding:
    cell = _resolve(TABLE[column][mismatch], p, c, options)
    note = "not offered by this runtime" if cell == "-" else ""
    return Finding(mismatch=mismatch, outcome=_OUTCOMES[cell], established=cell != "?", note=note)


def _resolve(cell: Cell, p: Representation, c: Representation, options: Collection[str]) -> str:
    if isinstance(cell, str):
        return cell
    return next(value for name, value in cell if _CONDITIONS[name](p, c, options))
