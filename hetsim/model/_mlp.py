"""Feed-forward layers: dense, routed experts, shared experts; shapes and parameters."""

from __future__ import annotations

from hetsim.model._gemm import Gemm, weights
from hetsim.model._types import Mlp

__all__ = [
    "active_mlp_parameters",
    "expert_gemms",
    "mlp_gemms",
    "mlp_parameters",
    "router_gemms",
    "shared_gemms",
]


def _two(inter: float, hidden: float, gated: bool, prefix: str) -> tuple[Gemm, ...]:
    up = (
        Gemm(2 * inter, hidden, f"{prefix}gate_up") if gated else Gemm(inter, hidden, f"{prefix}up")
    )
    return (up, Gemm(hidden, inter, f"{prefix}down"))


def mlp_gemms(mlp: Mlp, hidden: int, tp: int) -> tuple[Gemm, ...]:
    """Return the projections of a dense feed-forward on one of ``tp`` ranks; none for other kinds.

    >>> [(gemm.name, gemm.n, gemm.k) for gemm in mlp_gemms(Mlp(kind="dense", inter=8), 4, 2)]
    [('gate_up', 8.0, 4), ('down', 4, 4.0)]
    """
    return _two(mlp.inter / tp, hidden, mlp.gated, "") if mlp.kind == "dense" else ()


def expert_gemms(mlp: Mlp, hidden: int, tp: int) -> tuple[Gemm, ...]:
    """Return the projections of *one* routed expert cut over ``tp`` ranks (usually 1).

    Experts that work in a latent width (``mlp.latent``) are that narrow outside.
    """
    if mlp.kind != "moe":
        return ()
    return _two(mlp.inter / tp, mlp.latent or hidden, mlp.gated, "expert_")


def shared_gemms(mlp: Mlp, hidden: int, tp: int) -> tuple[Gemm, ...]:
    """Return what every token of a MoE layer passes beside its routed experts, router excluded.

    The shared experts are cut over ``tp``; the projections into and out of a latent width and the
    gate of the shared experts are on every rank.
    """
    if mlp.kind != "moe":
        return ()
    made: tuple[Gemm, ...] = ()
    if mlp.shared_inter:
        made += _two(mlp.shared_inter / tp, hidden, mlp.gated, "shared_")
    if mlp.shared_gate:
        made += (Gemm(1, hidden, "shared_gate"),)
    if mlp.latent:
        made += (Gemm(mlp.latent, hidden, "latent_in"), Gemm(hidden, mlp.latent, "latent_out"))
    return made


def router_gemms(mlp: Mlp, hidden: int) -> tuple[Gemm, ...]:
    """Return the router, which every rank holds whole."""
    return (Gemm(mlp.experts, hidden, "router"),) if mlp.kind == "moe" else ()


def _biases(mlp: Mlp, hidden: int) -> float:
    return mlp.inter * (2 if mlp.gated else 1) + hidden if mlp.bias else 0


def mlp_parameters(mlp: Mlp, hidden: int) -> float:
    """Return all parameters of one feed-forward layer."""
    return _with_experts(mlp, hidden, mlp.experts)


def active_mlp_parameters(mlp: Mlp, hidden: int) -> float:
    """Return the parameters of one feed-forward layer that one token passes."""
    return _with_experts(mlp, hidden, mlp.top_k)


def _with_experts(mlp: Mlp, hidden: int, experts: int) -> float:
    if mlp.kind == "dense":
        return weights(mlp_gemms(mlp, hidden, 1)) + _biases(mlp, hidden)
    if mlp.kind == "none":
        return 0
    one = weights(expert_gemms(mlp, hidden, 1)) + _biases(mlp, hidden)
    always = weights(shared_gemms(mlp, hidden, 1)) + weights(router_gemms(mlp, hidden))
    return experts * one + always + (mlp.experts if mlp.router_bias else 0)
