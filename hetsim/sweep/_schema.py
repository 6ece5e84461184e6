"""JSON Schema of a sweep, for editors."""

from __future__ import annotations

from typing import Any

from hetsim.spec._schema import described_schema
from hetsim.sweep._types import SweepSpec

__all__ = ["sweep_schema"]

EXAMPLES: dict[str, Any] = {
    "SweepSpec.name": "which pair",
    "SweepSpec.description": "Which accelerator for which stage, at two rates.",
    "base": "quickstart",
    "axes": [{"name": "decode", "path": "pools.decode.accelerator", "levels": ["h100", "h200"]}],
    "Axis.name": "decode",
    "Axis.path": "pools.decode.accelerator",
    "Axis.paths": ["pools.prefill.precision.kv", "pools.decode.precision.kv"],
    "levels": ["h100", "h200"],
    "labels": ["H100", "H200"],
    "fraction": 2,
    "samples": 256,
    "Listed.points": [{"decode": "h100"}, {"decode": "h200"}],
    "supply": {"h200-sxm": 16},
    "Constraints.budget": "100 USD/h",
    "Constraints.power": "20 kW",
    "accelerators_at_least": 4,
    "accelerators_at_most": 16,
    "replications": {"seeds": [1, 2, 3]},
    "seeds": [1, 2, 3],
    "calibration_interval": 0.9,
}
"""What to write, by field; a class before the dot where it depends on it."""


def sweep_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sweep.

    >>> sorted(sweep_schema()["required"])
    ['axes', 'base', 'name']
    """
    return described_schema(SweepSpec, EXAMPLES)
