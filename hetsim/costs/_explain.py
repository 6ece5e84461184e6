"""The rows behind a step time: every operator on its own, summed by nobody but the reader.

An independent path from operators to a step (no caches, no shared sums): a law test holds its
total to the fast path in ``_step.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from hetsim.costs._attention import AttentionOp
from hetsim.costs._calibration import Grade, worst_grade
from hetsim.costs._operators import BOUNDS, TokenOp
from hetsim.costs._step import StepModel
from hetsim.costs._types import Chunk, OperatorCost, RankLoad

__all__ = ["explain", "grade_of"]

_CARRIES = 0.05
"""An operator below this part of the time does not set the grade."""

Rows = dict[str, OperatorCost]


def explain(
    model: StepModel, chunks: Sequence[Chunk], batch: int, context_sums: Sequence[float]
) -> list[OperatorCost]:
    """Return one row per operator of a step, on the slowest rank; their times add up to the step.

    Under attention DP the load is dealt evenly, as :meth:`StepModel.step` does.
    """
    overheads = model.overheads
    loads = model.deal(chunks, batch, context_sums) if model.dp > 1 else None
    loads = loads or (RankLoad(tuple(chunks), batch, tuple(context_sums)),)
    down, up = overheads.kernel_scale_decode, overheads.kernel_scale_prefill
    if not chunks:
        rows = _scaled(_slowest(model, loads), down)
    else:
        rows = _scaled(_slowest(model, loads), up)
        alone = tuple(RankLoad((), load.batch, load.context_sums) for load in loads)
        if down > up and batch:
            # The decodes of a mixed step pay their own scale.
            for name, row in _slowest(model, alone).items():
                old = rows[name]
                rows[name] = replace(old, time_s=old.time_s + (down - up) * row.time_s)
    return [*rows.values(), *_host(model, loads)]


def _host(model: StepModel, loads: Sequence[RankLoad]) -> list[OperatorCost]:
    overheads = model.overheads
    sequences = max(len(load.chunks) + load.batch for load in loads)
    if not sequences:
        return []
    parts = [
        ("host_step", 1, overheads.host_step_s),
        ("host_sequences", sequences, overheads.host_per_sequence_s * sequences),
    ]
    return [
        OperatorCost(
            name=name,
            kind="host",
            count=count,
            flops=0.0,
            bytes=0.0,
            time_s=time_s,
            bound_by="host",
            format="any",
            grade="fitted",
            source="runtime preset",
        )
        for name, count, time_s in parts
    ]


def _scaled(rows: Rows, scale: float) -> Rows:
    return {name: replace(row, time_s=row.time_s * scale) for name, row in rows.items()}


def _slowest(model: StepModel, loads: Sequence[RankLoad]) -> Rows:
    """Return unscaled rows of the slowest rank, with what all ranks share."""
    passes = model.passes(max(len(load.chunks) + load.batch for load in loads))
    if not any(load.chunks or load.batch for load in loads):
        return {}
    # Even deals differ by one sequence, whose chunk decides: compare the ranks' totals.
    ranks = [_rank_rows(model, load, passes) for load in loads]
    rows = max(ranks, key=lambda found: sum(row.time_s for row in found.values()))
    tokens = sum(sum(new for new, _ in load.chunks) + load.batch for load in loads)
    for op in model.sums.stage.shared:
        _put(rows, _token_row(model, op, tokens / passes))
    return rows


def _rank_rows(model: StepModel, load: RankLoad, passes: int) -> Rows:
    tokens = sum(new for new, _ in load.chunks) + load.batch
    sequences = len(load.chunks) + load.batch
    rows: Rows = {}
    for op in model.sums.stage.rank:
        _put(rows, _token_row(model, op, ceil(tokens / passes)))
    for op in model.sums.stage.logits:
        _put(rows, _token_row(model, op, ceil(sequences / passes)))
    for attention in model.sums.attention:
        if load.chunks:
            _put(rows, _prefill_row(model, attention, load, passes))
        if load.batch:
            _put(rows, _decode_row(model, attention, load, passes))
    return rows


def _put(rows: Rows, row: OperatorCost) -> None:
    """Enter a row; operators of one name (layers of other shape) are numbered."""
    name, number = row.name, 1
    while name in rows:
        number += 1
        name = f"{row.name}_{number}"
    rows[name] = replace(row, name=name)


def _token_row(model: StepModel, op: TokenOp, tokens: float) -> OperatorCost:
    found = op.evaluate(tokens)
    times = op.count * model.layout.pp
    return OperatorCost(
        name=op.name,
        kind=op.kind,
        count=op.count,
        flops=op.count * found.flops,
        bytes=op.count * found.bytes,
        time_s=times * found.time_s,
        bound_by=BOUNDS[found.bound],
        format=op.format,
        grade=op.grade,
        source=op.source,
    )


def _prefill_row(model: StepModel, op: AttentionOp, load: RankLoad, passes: int) -> OperatorCost:
    work, flops = op.prompts(load.chunks)
    moved = op.kv_bytes * sum(new + past for new, past in load.chunks)
    body = work / passes
    return OperatorCost(
        name=f"attention_prefill_{op.name}",
        kind="attention_prefill",
        count=op.count,
        flops=op.count * flops,
        bytes=op.count * moved,
        time_s=op.count * model.layout.pp * (op.prefill_t0 + body),
        bound_by="latency" if op.prefill_t0 > body else "compute",
        format=op.prefill_format,
        grade=op.prefill.grade,
        source=op.prefill.source,
    )


def _decode_row(model: StepModel, op: AttentionOp, load: RankLoad, passes: int) -> OperatorCost:
    micro = ceil(load.batch / passes)
    body, bound = micro * op.sequence_s, op.sequence_bound
    flops = op.sequence_flops * load.batch
    moved = op.sequence_bytes * load.batch
    for slope in op.slopes:
        total = load.context_sums[slope.window]
        body += slope.time_s * total / passes
        flops += slope.flops * total
        moved += slope.bytes * total
        bound = slope.bound
    return OperatorCost(
        name=f"attention_decode_{op.name}",
        kind="attention_decode",
        count=op.count,
        flops=op.count * flops,
        bytes=op.count * moved,
        time_s=op.count * model.layout.pp * (op.decode_t0 + body),
        bound_by="latency" if op.decode_t0 > body else BOUNDS[bound],
        format=op.decode_format,
        grade=op.decode.grade,
        source=op.decode.source,
    )


def grade_of(rows: Sequence[OperatorCost]) -> Grade:
    """Return the worst grade among operators that carry more than 5 % of the time.

    >>> def row(time_s, grade):
    ...     return OperatorCost(name="", kind="", count=1, flops=0, bytes=0, time_s=time_s,
    ...                         bound_by="", format="", grade=grade, source="")
    >>> grade_of([row(0.97, "fitted"), row(0.03, "datasheet")])
    'fitted'
    """
    total = sum(row.time_s for row in rows)
    return worst_grade([row.grade for row in rows if row.time_s > _CARRIES * total])
