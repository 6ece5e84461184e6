"""JSON Schema of a sweep, for editors."""

from __future__ import annotations

from typing import Any

from hetsim.sweep._types import SweepSpec

__all__ = ["sweep_schema"]


def sweep_schema() -> dict[str, Any]:
    """Return the JSON Schema of a sweep.

    >>> sorted(sweep_schema()["required"])
    ['axes', 'base', 'name']
    """
    from hetsim.spec._check import json_schema

    made = json_schema(SweepSpec)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}
