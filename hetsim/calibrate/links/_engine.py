"""A measured link as a transfer engine: what a scenario takes as ``boundary.transfer_engine``."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.calibrate.links._fit import LinkFit
from hetsim.calibrate.links._types import COLD

__all__ = ["carriers", "engine_text"]

_CARRIERS = {
    "tcp": ("send", "TCP between two processes of one machine"),
    "shared_memory": ("copy_in_out", "shared memory between two processes of one machine"),
    "nixl": ("read", "NIXL between two agents of one machine"),
}
"""Kinds that can hand KV over: their operation, and a title."""


def carriers(fits: Sequence[LinkFit]) -> dict[str, LinkFit]:
    """Return the fit of every kind that can hand KV over: the cold one where there is one.

    A hand-off's KV lies in no cache, and its receiver slept; the hot fit is a bound.
    """
    found = {(fit.kind, fit.op): fit for fit in fits}
    made = {}
    for kind, (op, _) in _CARRIERS.items():
        fit = found.get((kind, f"{op}{COLD}"), found.get((kind, op)))
        if fit is not None:
            made[kind] = fit
    return made


def engine_text(fit: LinkFit, date: str) -> str:
    """Return the YAML text of a transfer engine; the scenario states the line rate itself."""
    beyond = fit.s_per_byte_beyond if fit.knee_bytes else fit.s_per_byte
    source = f"hetsim calibrate links, {date or 'undated'}: {fit.kind} {fit.op}"
    near = (
        f"; up to {fit.knee_bytes:.0f} bytes, {1.0 / fit.s_per_byte:.0f}" if fit.knee_bytes else ""
    )
    return "\n".join(
        [
            "# A hand-off through this engine: boundary.transfer_engine names this file, and",
            f'# network.link is "{1.0 / beyond:.0f} byte/s" (large transfers{near}).',
            f'title: "{_CARRIERS[fit.kind][1]}"',
            f"control_s: {fit.t0_s:.4g}",
            f"post_s: {fit.s_per_piece:.4g}",
            "descriptors_per_s: null",
            "ceiling_ratio: 1.0",
            f"connect_s: {fit.connect_s:.4g}",
            "grade: measured",
            f"rse: {max(fit.median_error_ratio, 0.01):.3g}",
            f"fit_error_ratio: {fit.median_error_ratio:.3g}",
            f'sources: {{default: "{source}"}}',
            "",
        ]
    )
