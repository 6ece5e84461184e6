"""From a model, a device and a layout to the operators of one pipeline stage."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

from hetsim.costs._attention import AttentionOp, windows_of
from hetsim.costs._calibration import Calibration, Parameters
from hetsim.costs._collectives import Collectives
from hetsim.costs._exchange import ExchangeOp, Routing
from hetsim.costs._grouped import GroupedOp
from hetsim.costs._operators import GemmOp, LinkOp, Roof, TokenOp, TrafficOp
from hetsim.costs._roles import Roles
from hetsim.costs._roofline import expected_ranks
from hetsim.costs._types import Layout
from hetsim.hardware import Accelerator
from hetsim.model import (
    Attention,
    Gemm,
    Mlp,
    Model,
    attention_of,
    expert_gemms,
    mlp_gemms,
    router_gemms,
    shared_gemms,
)
from hetsim.precision import Format

__all__ = ["Stage", "compile_stage"]

_DENSE_KERNELS = 6.0
_MOE_KERNELS = 9.0
_MLA_KERNELS = 4.0
_HIDDEN_PASSES = 14.0
"""Elementwise work of a layer: kernels by kind, and passes over a hidden-size row of 16 bit.

Source: fitted to public kernel tables and serving rows of 2024-26 (norms, rotation, activation,
residual, quantisation, routing).
"""
_WIDE_EXPERT = 8000
"""Experts at least this wide behave like dense GEMMs (Mixtral, 14336) in public MoE tables."""
_SAMPLE_KERNELS = 8.0
_SAMPLE_BYTES = 10.0
"""Sampling per logit: gathered in 16 bit, read and written once in 32 bit."""


class Stage(NamedTuple):
    """The operators of one pipeline stage (the average one), ready to be summed."""

    rank: tuple[TokenOp, ...]
    """Per token of one DP rank."""
    shared: tuple[TokenOp, ...]
    """Per token of all DP ranks: routed experts and their exchange."""
    logits: tuple[TokenOp, ...]
    attention: tuple[AttentionOp, ...]
    windows: tuple[int | None, ...]


class _Builder:
    """Collects operators; layers of equal shape are merged, so that one is timed for all."""

    def __init__(
        self,
        model: Model,
        accelerator: Accelerator,
        layout: Layout,
        roles: Roles,
        calibration: Calibration,
        collectives: Collectives,
        floor_scale: float,
    ) -> None:
        self.model = model
        self.layout = layout
        self.roles = roles
        self.calibration = calibration
        self.collectives = collectives
        self.floor_scale = floor_scale
        self.accelerator = accelerator
        self.bandwidth = accelerator.require("memory_bytes_per_s", "step times")
        layers = model.layer_count
        # The slowest stage holds the layers that are left over, and every other waits for it.
        self.stage_share = ceil(layers / layout.pp) / layers
        self.found: dict[object, TokenOp] = {}

    def add(self, key: object, made: TokenOp) -> None:
        """Enter an operator, or raise the count of its like."""
        old = self.found.get(key)
        if old is None:
            self.found[key] = made
        else:
            old.count += made.count

    def gemm(self, gemm: Gemm, scope: str, count: float, weights: Format, compute: Format) -> None:
        """Add a projection."""
        key = (gemm.name, gemm.n, gemm.k, weights.name, compute.name)
        parameters, fmt = self._projection("gemm", weights, compute)
        roof = self._roof(weights, compute)
        made = GemmOp(gemm.name, "gemm", scope, fmt, count, parameters, (gemm,), roof)
        self.add(key, made)

    def _roof(self, weights: Format, compute: Format) -> Roof:
        return Roof(
            self.accelerator.peaks_flop_per_s[compute.roof],
            self.bandwidth,
            weights.bytes_per_element,
            compute.bytes_per_element,
            self.roles.wide.bytes_per_element,
            self.floor_scale,
        )

    def _projection(self, kind: str, weights: Format, compute: Format) -> tuple[Parameters, str]:
        """Return parameters and label; narrow weights are dequantised in the kernel."""
        if weights.bits >= compute.bits or weights.roof == compute.roof:
            # Block-scaled weights run in block-scaled kernels, whatever the activations are called.
            fmt = weights.name if weights.roof == compute.roof else compute.name
            return self.calibration.operator(kind, fmt), fmt
        label = f"{weights.name}_to_{compute.name}"
        return self.calibration.weight_only(kind, weights.name, compute.name), label

    def traffic(self, name: str, scope: str, count: float, kernels: float, moved: float) -> None:
        """Add memory-bound small kernels."""
        parameters = self.calibration.operator("elementwise", "any")
        made = TrafficOp(
            name,
            scope,
            count,
            parameters,
            kernels=kernels,
            bytes_per_token=moved,
            bandwidth=self.bandwidth,
        )
        self.add((name, kernels, moved), made)

    def link(
        self, name: str, kind: str, ranks: int, scope: str, count: float, moved: float
    ) -> None:
        """Add a collective over ``ranks`` devices, if there is more than one."""
        pieces = self.collectives.pieces(kind, ranks)
        if pieces:
            made = LinkOp(name, kind, scope, count, pieces, moved, ranks)
            self.add((name, kind, ranks, moved), made)

    def attention_projections(self, attention: Attention, count: float) -> None:
        """Add the projections around attention and their all-reduce."""
        roles, hidden, tp = self.roles, self.model.hidden, self.layout.tp
        gemms = attention_of(attention).gemms(hidden, tp)
        for gemm in gemms:
            self.gemm(gemm, "rank", count, roles.attention_weights, roles.attention_compute)
        if gemms:
            self.link("attention_all_reduce", "all_reduce", tp, "rank", count, self.row_bytes)

    @property
    def row_bytes(self) -> float:
        """Bytes of one hidden row in 16 bit."""
        return self.model.hidden * self.roles.wide.bytes_per_element

    def feed_forward(self, mlp: Mlp, count: float) -> None:
        """Add a dense or expert feed-forward and its collectives."""
        roles, hidden, tp = self.roles, self.model.hidden, self.layout.tp
        if mlp.kind == "dense":
            for gemm in mlp_gemms(mlp, hidden, tp):
                self.gemm(gemm, "rank", count, roles.weights, roles.compute)
            self.link("mlp_all_reduce", "all_reduce", tp, "rank", count, self.row_bytes)
        elif mlp.kind == "moe":
            for gemm in router_gemms(mlp, hidden):
                self.gemm(gemm, "rank", count, roles.wide, roles.wide)
            for gemm in shared_gemms(mlp, hidden, tp):
                self.gemm(gemm, "rank", count, roles.weights, roles.compute)
            self._experts(mlp, count)
            self._exchange(mlp, count)

    def _experts(self, mlp: Mlp, count: float) -> None:
        """Add the routed experts of a layer as one grouped GEMM."""
        layout, roles = self.layout, self.roles
        gemms = expert_gemms(mlp, self.model.hidden, layout.expert_tp)
        kind = "gemm" if mlp.inter >= _WIDE_EXPERT else "grouped_gemm"
        parameters, fmt = self._projection(kind, roles.weights, roles.compute)
        # Rows stay in the compute format between the two projections.
        roof = self._roof(roles.weights, roles.compute)
        roof = roof._replace(output_bytes=roof.input_bytes)
        made = GroupedOp("experts", "grouped_gemm", "all", fmt, count, parameters, gemms, roof)
        local, width = mlp.experts / layout.ep, mlp.latent or self.model.hidden
        token_s, pass_s = parameters.token_s, parameters.pass_s
        made.route(local, mlp.experts, mlp.top_k, width, token_s, pass_s)
        self.add(("experts", mlp), made)

    def _exchange(self, mlp: Mlp, count: float) -> None:
        """Add what moves between ranks around the experts.

        Attention ranks that see the same tokens (dp 1) add their parts with an all-reduce.
        Otherwise tokens travel: to their experts and back (EP), or gathered by all ranks and
        scattered again (experts cut by TP over all ranks).
        """
        layout, row = self.layout, self.row_bytes
        if layout.dp == 1:
            self.link("moe_all_reduce", "all_reduce", layout.tp, "all", count, row)
            return
        if layout.ep == 1:
            self.link("moe_gather", "all_gather", layout.ranks, "all", count, row)
            self.link("moe_scatter", "reduce_scatter", layout.ranks, "all", count, row)
            return
        for name, element in (("dispatch", self.roles.moved), ("combine", self.roles.wide)):
            sent = self.model.hidden * element.bytes_per_element / layout.ranks
            if not self._exchange_over_nodes(name, mlp, sent, count):
                self._exchange_link(name, mlp.top_k, sent, count)

    def _exchange_over_nodes(self, name: str, mlp: Mlp, sent: float, count: float) -> bool:
        """Add one direction of an expert exchange over several nodes; False inside one."""
        layout = self.layout
        routing = Routing(mlp.experts, mlp.top_k, mlp.groups, mlp.top_groups)
        pieces = self.collectives.exchange(name, routing, layout.ep, layout.expert_tp)
        if not pieces:
            return False
        key = (name, sent, routing)
        # Pieces are of a device's own tokens, and an operator counts those of all ranks.
        made = ExchangeOp(f"moe_{name}", count, pieces, sent, layout.ranks)
        self.add(key, made)
        return True

    def _exchange_link(self, name: str, top_k: int, sent: float, count: float) -> None:
        """Add one direction of the expert exchange; ``sent`` is a row per token of all ranks."""
        layout = self.layout
        near, pieces = self.collectives.measured_near(f"moe_{name}", layout.ranks)
        copies = expected_ranks(layout.ep, top_k)
        if pieces:
            # The tables count every copy; over more or fewer ranks, as many more or fewer rows.
            same = near == layout.ranks
            copies = float(top_k) * (1.0 if same else copies / expected_ranks(near, top_k))
        else:
            pieces = self.collectives.pieces("all_to_all", layout.ranks)
        moved, ranks = copies * sent, layout.ranks
        made = LinkOp(f"moe_{name}", "all_to_all", "all", count, pieces, moved, ranks)
        self.add((name, sent), made)

    def small_kernels(self, attention: Attention, mlp: Mlp, count: float) -> None:
        """Add norms, rotation, activation, residual, routing and the KV write of a layer."""
        kernels = _MOE_KERNELS if mlp.kind == "moe" else _DENSE_KERNELS
        kernels += _MLA_KERNELS if attention.kind == "mla" else 0.0
        written = attention_of(attention).kv_elements_per_token(self.layout.tp)
        moved = _HIDDEN_PASSES * self.row_bytes + written * self.roles.kv.bytes_per_element
        self.traffic("layer_elementwise", "rank", count, kernels, moved)

    def ends(self) -> None:
        """Add embedding, last norm, head and sampling: once, in the stage that all wait for."""
        layout, wide = self.layout, self.roles.wide
        vocab, hidden = self.model.vocab, self.model.hidden
        self.traffic("embedding", "rank", 1.0, 2.0, 4.0 * self.row_bytes)
        self.gemm(Gemm(vocab / layout.tp, hidden, "lm_head"), "logits", 1.0, wide, wide)
        moved = vocab * wide.bytes_per_element
        self.link("logits_gather", "all_gather", layout.tp, "logits", 1.0, moved)
        self.traffic("sample", "logits", 1.0, _SAMPLE_KERNELS, _SAMPLE_BYTES * vocab)
        if layout.pp > 1:
            pieces = self.collectives.stage_link(layout)
            made = LinkOp("stage_send", "p2p", "rank", 1.0, pieces, self.row_bytes)
            self.add("stage_send", made)

    def attention_ops(self) -> tuple[tuple[AttentionOp, ...], tuple[int | None, ...]]:
        """Return the attention operators, one per kind of layer, and the context limits."""
        counts: dict[Attention, float] = {}
        for group in self.model.layers:
            share = group.count * self.stage_share
            counts[group.attention] = counts.get(group.attention, 0.0) + share
        windows = windows_of(list(counts))
        made = [
            AttentionOp(
                attention,
                count,
                self.layout.tp,
                self.roles,
                windows,
                self.accelerator,
                self.calibration,
                self.floor_scale,
            )
            for attention, count in counts.items()
        ]
        return tuple(op for op in made if op.runs), windows


def compile_stage(
    model: Model,
    accelerator: Accelerator,
    layout: Layout,
    roles: Roles,
    calibration: Calibration,
    collectives: Collectives,
    floor_scale: float,
) -> Stage:
    """Return the operators of one stage of ``model`` on ``accelerator``.

    Raises
    ------
    ScenarioError
        If heads cannot be cut by ``tp``, experts by ``ep``, or a needed rate has no source.
    """
    build = _Builder(model, accelerator, layout, roles, calibration, collectives, floor_scale)
    for group in model.layers:
        count = group.count * build.stage_share
        build.attention_projections(group.attention, count)
        build.feed_forward(group.mlp, count)
        build.small_kernels(group.attention, group.mlp, count)
    build.ends()
    attention, windows = build.attention_ops()
    by_scope: dict[str, list[TokenOp]] = {"rank": [], "all": [], "logits": []}
    for op in build.found.values():
        by_scope[op.scope].append(op)
    return Stage(
        tuple(by_scope["rank"]),
        tuple(by_scope["all"]),
        tuple(by_scope["logits"]),
        attention,
        windows,
    )
