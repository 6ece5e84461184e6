"""From a scenario's words to a step model."""

from __future__ import annotations

from typing import Any

from hetsim.costs._calibration import Calibration
from hetsim.costs._collectives import Collectives
from hetsim.costs._compile import compile_stage
from hetsim.costs._memory import memory_of
from hetsim.costs._network import network_use
from hetsim.costs._overlap import OverlappedStepModel
from hetsim.costs._roles import resolve_roles
from hetsim.costs._stage import StageSums
from hetsim.costs._step import ModelFlops, StepModel
from hetsim.costs._types import GroupLinks, Layout, Overheads, Precision
from hetsim.errors import Problem, ScenarioError
from hetsim.hardware import Accelerator
from hetsim.model import (
    Model,
    attention_of,
    expert_gemms,
    mlp_gemms,
    router_gemms,
    shared_gemms,
)

__all__ = ["build_step_model"]


def _model_flops(model: Model) -> ModelFlops:
    """Return the FLOPs of one token outside attention scores, and of one row of logits."""
    total = 0.0
    for group in model.layers:
        mlp, hidden = group.mlp, model.hidden
        gemms = attention_of(group.attention).gemms(hidden, 1) + mlp_gemms(mlp, hidden, 1)
        gemms += shared_gemms(mlp, hidden, 1) + router_gemms(mlp, hidden)
        routed = sum(gemm.n * gemm.k for gemm in expert_gemms(mlp, hidden, 1)) * mlp.top_k
        total += group.count * 2.0 * (sum(gemm.n * gemm.k for gemm in gemms) + routed)
    return ModelFlops(total, 2.0 * model.vocab * model.hidden)


def _check(model: Model, layout: Layout) -> None:
    """Refuse layouts that the model cannot be cut into; every problem at once."""
    problems = []
    if layout.pp > model.layer_count:
        problems.append(
            Problem(f"is {layout.pp}; {model.name} has {model.layer_count} layers", "pp")
        )
    experts = [group.mlp.experts for group in model.layers if group.mlp.kind == "moe"]
    if layout.ep > 1 and not experts:
        problems.append(Problem(f"is {layout.ep}; {model.name} has no experts", "ep"))
    if any(count % layout.ep for count in experts):
        problems.append(Problem(f"is {layout.ep}; must divide {experts[0]} experts", "ep"))
    if problems:
        raise ScenarioError(problems)


def build_step_model(
    model: Model,
    accelerator: Accelerator,
    layout: Layout,
    precision: Precision,
    calibration: Calibration,
    overheads: Overheads,
    links: GroupLinks | None = None,
) -> StepModel:
    """Return the step model of one instance.

    Without ``links`` the instance lies in one scale-up domain (the accelerator's own); a group
    that exceeds it needs them. Two-batch overlap has no effect where no tokens are exchanged.

    Raises
    ------
    ScenarioError
        If the layout does not cut the model, or a number that is needed has no source.
    """
    _check(model, layout)
    if links is None:
        domain = accelerator.scale_up.domain or 1
        links = GroupLinks(devices_per_domain=domain if domain > 1 else layout.devices)
    roles = resolve_roles(accelerator, precision)
    collectives = Collectives(accelerator, calibration, links)
    stage = compile_stage(
        model, accelerator, layout, roles, calibration, collectives, overheads.floor_scale
    )
    peak = accelerator.peaks_flop_per_s[roles.compute.roof]
    bandwidth = accelerator.require("memory_bytes_per_s", "step times")
    overlapped = overheads.two_batch_overlap and any(op.kind == "all_to_all" for op in stage.shared)
    parts: dict[str, Any] = {
        "sums": StageSums(stage),
        "layout": layout,
        "overheads": overheads,
        "memory": memory_of(model, layout, roles, stage.windows),
        "model_flops": _model_flops(model),
        "peak_flop_per_s": peak * layout.devices,
        "peak_bytes_per_s": bandwidth * layout.devices,
        "notes": roles.notes,
        "network": network_use(stage, layout, links, 2 if overlapped else 1),
    }
    if not overlapped:
        return StepModel(**parts)
    routed = sum(group.count for group in model.layers if group.mlp.kind == "moe")
    return OverlappedStepModel(moe_share=routed / model.layer_count, **parts)
