"""Steps of prompt chunks alone: nearly all steps of a prefill pool, by a shorter way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hetsim.costs._operators import BOUNDS
from hetsim.costs._types import Chunk, StepCost

if TYPE_CHECKING:
    from hetsim.costs._step import StepModel

__all__ = ["only_prompts"]


def only_prompts(model: StepModel, chunks: Sequence[Chunk]) -> StepCost:
    """Return the cost of prompt chunks without decodes, on one stage and one DP rank.

    What :class:`~hetsim.costs.StepModel` adds up for a mixed step, term by term, with all that is
    zero or one left out. Prompts are as different as their lengths, so that few steps are seen
    twice.
    """
    sums, overheads, devices = model.sums, model.overheads, model.rank_devices
    tokens, count = 0, len(chunks)
    for new, _ in chunks:
        tokens += new
    body_s, body_bytes, body = sums.rank_part(tokens)
    head_s, head_bytes, head = sums.head_part(count)
    shared_s, shared_bytes, shared = sums.shared_part(tokens)
    fixed, work, flops, moved = sums.prompts(chunks)
    scale = overheads.kernel_scale_prefill
    host = overheads.host_step_s + overheads.host_per_sequence_s * count
    flops = flops * devices + model.model_flops.per_logit * count
    moved = (moved + (body_bytes + head_bytes)) * devices
    by_bound = (
        scale * (body[0] + head[0]) + scale * work + scale * shared[0],
        scale * (body[1] + head[1]) + scale * shared[1],
        scale * (body[2] + head[2]) + scale * shared[2],
        scale * (body[3] + head[3]) + scale * fixed + scale * shared[3],
        scale * (body[4] + head[4]) + host + scale * shared[4],
    )
    return StepCost(
        scale * (body_s + head_s + fixed + work) + host + scale * shared_s,
        flops + model.model_flops.per_token * tokens,
        moved + shared_bytes * devices,
        BOUNDS[by_bound.index(max(by_bound))],
    )
