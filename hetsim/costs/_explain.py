"""The rows behind a step time: every operator on its own, summed by nobody but the reader.

An independent path from operators to a step (no caches, no shared sums): a law test holds its
total to the fast path in ``_step.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from hetsim.costs._attention import AttentionOp
from hetsim.costs._calibration import Grade, Parameters, worst_grade
from hetsim.costs._operators import BOUNDS, TokenOp
from hetsim.costs._overlap import OverlappedStepModel, halves_of
from hetsim.costs._step import StepModel
from hetsim.costs._types import Chunk, OperatorCost, RankLoad

__all__ = ["explain", "grade_of"]

_CARRIES = 0.05
"""An operator below this part of the time does not set the grade."""

_BEYOND = "extrapolated beyond what was measured"

Rows = dict[str, OperatorCost]


def explain(
    model: StepModel, chunks: Sequence[Chunk], batch: int, context_sums: Sequence[float]
) -> list[OperatorCost]:
    """Return one row per operator of a step, on the slowest rank; their times add up to the step.

    Under attention DP the load is dealt evenly, as :meth:`StepModel.step` does.
    """
    overheads = model.overheads
    loads: Sequence[RankLoad] = (RankLoad(tuple(chunks), batch, tuple(context_sums)),)
    if model.dp > 1:
        loads = model.deal(chunks, batch, context_sums)
    down, up = overheads.kernel_scale_decode, overheads.kernel_scale_prefill
    rows = _slowest(model, loads, up if chunks else down, host=True)
    if chunks and batch and down > up:
        # The decodes of a mixed step pay their own scale.
        alone = [RankLoad((), load.batch, load.context_sums) for load in loads]
        for name, row in _slowest(model, alone, down - up, host=False).items():
            old = rows.get(name)
            rows[name] = replace(old, time_s=old.time_s + row.time_s) if old else row
    return list(rows.values())


def _slowest(model: StepModel, loads: Sequence[RankLoad], scale: float, *, host: bool) -> Rows:
    """Return scaled rows of the slowest rank, with what all ranks share."""
    if not any(load.chunks or load.batch for load in loads):
        return {}
    passes = model.passes(max(len(load.chunks) + load.batch for load in loads))
    tokens = [sum(new for new, _ in load.chunks) + load.batch for load in loads]
    # The decodes of a mixed step pay what they would uncut; there is no host time with that.
    halves = 2 if host and _is_cut(model, ceil(max(tokens) / passes)) else 1
    shared: Rows = {}
    prompts = any(load.chunks for load in loads)
    # The rank with the most tokens sets the pace of the exchange.
    whole, sent = sum(tokens) / passes, model.dp * ceil(max(tokens) / passes)
    for op in model.sums.stage.shared if prompts else model.sums.decode_shared:
        together = sent if op.kind == "all_to_all" else whole
        _put(shared, _token_row(model, op, *[together / halves] * halves))
    ranks = []
    for load in loads:
        rows = _rank_rows(model, load, passes, halves)
        if halves == 2:
            rows.update(_hidden_row(model, rows, (whole, sent, prompts)))
        rows = {name: replace(row, time_s=row.time_s * scale) for name, row in rows.items()}
        ranks.append({**rows, **(_host_rows(model, load, passes) if host else {})})
    rows = max(ranks, key=lambda found: sum(row.time_s for row in found.values()))
    for row in shared.values():
        _put(rows, replace(row, time_s=row.time_s * scale))
    return rows


def _is_cut(model: StepModel, most: int) -> bool:
    return isinstance(model, OverlappedStepModel) and model.cut(most)


def _hidden_row(model: StepModel, rows: Rows, step: tuple[float, float, bool]) -> Rows:
    """Return what two-batch overlap takes off a rank's rows and the shared ones: less than zero."""
    assert isinstance(model, OverlappedStepModel)
    pp = model.layout.pp
    outside = {op.name for op in model.sums.stage.logits}
    body = sum(row.time_s for name, row in rows.items() if name not in outside) / pp
    beats = model.beats(*step)
    exchange = 2.0 * beats.layers * (beats.dispatch_s + beats.combine_s)
    experts = 2.0 * beats.layers * beats.experts_s
    time_s = max(line.slope * body + line.fixed_s for line in model.lines(*step))
    row = OperatorCost(
        name="two_batch_overlap",
        kind="overlap",
        count=2.0,
        flops=0.0,
        bytes=0.0,
        time_s=pp * (time_s - body - experts - exchange),
        bound_by="link" if exchange > body + experts else "compute",
        format="any",
        grade="fitted",
        source=f"layers of both halves: compute {1e3 * (body + experts):.4g} ms, exchange "
        f"{1e3 * exchange:.4g} ms, together {1e3 * time_s:.4g} ms (before the engine's scale)",
    )
    return {row.name: row}


def _host_rows(model: StepModel, load: RankLoad, passes: int) -> Rows:
    overheads, sequences = model.overheads, len(load.chunks) + load.batch
    parts = (
        ("host_step", passes, overheads.host_step_s * passes),
        ("host_sequences", sequences, overheads.host_per_sequence_s * sequences),
    )
    return {
        name: OperatorCost(
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
    }


def _rank_rows(model: StepModel, load: RankLoad, passes: int, halves: int = 1) -> Rows:
    tokens = sum(new for new, _ in load.chunks) + load.batch
    sequences = len(load.chunks) + load.batch
    micro = ceil(tokens / passes)
    parts = halves_of(micro) if halves == 2 else (micro,)
    rows: Rows = {}
    for op in model.sums.stage.rank:
        _put(rows, _token_row(model, op, *parts))
    for op in model.sums.stage.logits:
        _put(rows, _token_row(model, op, ceil(sequences / passes)))
    again = 1 if halves == 2 and micro > 1 else 0
    for attention in model.sums.attention:
        more_s = attention.count * model.layout.pp * again
        if load.chunks:
            row = _prefill_row(model, attention, load, passes)
            _put(rows, replace(row, time_s=row.time_s + more_s * attention.prefill_t0))
        if load.batch:
            row = _decode_row(model, attention, load, passes)
            _put(rows, replace(row, time_s=row.time_s + more_s * attention.decode_t0))
    return rows


def _put(rows: Rows, row: OperatorCost) -> None:
    """Enter a row; operators of one name (layers of other shape) are numbered."""
    name, number = row.name, 1
    while name in rows:
        number += 1
        name = f"{row.name}_{number}"
    rows[name] = replace(row, name=name)


def _token_row(model: StepModel, op: TokenOp, tokens: float, more: float = 0.0) -> OperatorCost:
    """Return the row of an operator over ``tokens``, and over a second half of ``more``."""
    time_s, bound, flops, moved, _ = op.evaluate(tokens)
    if more:
        again = op.evaluate(more)
        time_s, flops, moved = time_s + again[0], flops + again[2], moved + again[3]
    times = op.count * model.layout.pp
    grade, source = _said(op.grade, op.source, tokens <= 0 or op.measured(tokens))
    return OperatorCost(
        name=op.name,
        kind=op.kind,
        count=op.count,
        flops=op.count * flops,
        bytes=op.count * moved,
        time_s=times * time_s,
        bound_by=BOUNDS[bound],
        format=op.format,
        grade=grade,
        source=source,
    )


def _said(grade: Grade, source: str, inside: bool) -> tuple[Grade, str]:
    """Return grade and source; what lies outside of the measured range was not measured."""
    if inside:
        return grade, source
    return worst_grade([grade, "fitted"]), f"{source}; {_BEYOND}"


def _inside(parameters: Parameters, size: float) -> bool:
    found = parameters.measured
    return found is None or found[0] <= size <= found[1]


def _prefill_row(model: StepModel, op: AttentionOp, load: RankLoad, passes: int) -> OperatorCost:
    work, flops = op.prompts(load.chunks)
    moved = op.kv_bytes * sum(new + past for new, past in load.chunks)
    body = work / passes
    longest = max(new for new, _ in load.chunks)
    grade, source = _said(op.prefill.grade, op.prefill.source, _inside(op.prefill, longest))
    return OperatorCost(
        name=f"attention_prefill_{op.name}",
        kind="attention_prefill",
        count=op.count,
        flops=op.count * flops,
        bytes=op.count * moved,
        time_s=op.count * model.layout.pp * (op.prefill_t0 + body),
        bound_by="latency" if op.prefill_t0 > body else "compute",
        format=op.prefill_format,
        grade=grade,
        source=source,
    )


def _decode_row(model: StepModel, op: AttentionOp, load: RankLoad, passes: int) -> OperatorCost:
    micro = ceil(load.batch / passes)
    body, bound = micro * op.sequence_s, op.sequence_bound
    flops = op.sequence_flops * load.batch
    moved = op.sequence_bytes * load.batch
    for slope in op.slopes:
        total = load.context_sums[slope.window]
        body += op.slope_s(slope, micro) * total / passes
        flops += slope.flops * total
        moved += slope.bytes * total
        bound = slope.bound
    mean = max((load.context_sums[s.window] for s in op.slopes), default=0.0) / load.batch
    known = not op.slopes or _inside(op.decode, mean)
    grade, source = _said(op.decode.grade, op.decode.source, known)
    return OperatorCost(
        name=f"attention_decode_{op.name}",
        kind="attention_decode",
        count=op.count,
        flops=op.count * flops,
        bytes=op.count * moved,
        time_s=op.count * model.layout.pp * (op.decode_t0 + body),
        bound_by="latency" if op.decode_t0 > body else BOUNDS[bound],
        format=op.decode_format,
        grade=grade,
        source=source,
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
