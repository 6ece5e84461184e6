"""Layouts to try where a row names none."""

from __future__ import annotations

from hetsim.model import Model

__all__ = ["layouts_of"]

Layouts = list[tuple[dict[str, int], int]]


def layouts_of(model: Model, devices: int, node: int) -> Layouts:
    """Return (degrees, replicas) that use all ``devices``: tensor parallel in powers of two.

    Mixture-of-experts models are also tried with expert parallelism over the same devices, and
    models whose KV cannot be cut by heads (MLA) with attention data parallelism.
    """
    moe = any(group.mlp.kind == "moe" for group in model.layers)
    latent = any(group.attention.kind == "mla" for group in model.layers)
    found: Layouts = []
    tp = 1
    while tp <= min(devices, max(node, 8)):
        if devices % tp == 0:
            found += _at(tp, devices // tp, moe and tp > 1, latent and tp > 1)
        tp *= 2
    return found


def _at(size: int, copies: int, moe: bool, latent: bool) -> Layouts:
    made: Layouts = [({"tp": size, "pp": 1, "dp": 1, "ep": 1}, copies)]
    if moe:
        made.append(({"tp": size, "pp": 1, "dp": 1, "ep": size}, copies))
    if latent:
        made.append(({"tp": 1, "pp": 1, "dp": size, "ep": size}, copies))
    return made
