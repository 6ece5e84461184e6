"""How far a precision policy is from full precision: one composed error, for equal quality."""

from __future__ import annotations

from math import sqrt

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.representation import KV_ERROR
from hetsim.scenario import Scenario, pools_in_order

__all__ = ["composed_error", "format_error"]

_MEASURED = {
    "fp32": "",
    "tf32": "",
    "bf16": "bf16/none",
    "fp16": "fp16/none",
    "fp8_e4m3": "e4m3fn/tensor_static",
    "fp8_e4m3fnuz": "e4m3fnuz/tensor_static",
    "fp8_e5m2": "e5m2/tensor_static",
    "fp8_e5m2fnuz": "e5m2fnuz/tensor_static",
    "fp8_block": "e4m3fn/token_head_dyn",
    "int8": "int8/channel_static",
    "int4": "int4/token_head_dyn",
    "mxfp8": "mxfp8/block32",
    "mxint8": "mxint8/block32",
    "mxfp4": "mxfp4/block32",
    "nvfp4": "nvfp4/block16",
}
"""The measured error that stands for a format, by encoding and granularity of scales."""


def format_error(name: str) -> float:
    """Return the relative RMS error of rounding a Gaussian tensor to a format.

    Measured for KV (``KV_ERROR``). For weights and activations the same number is a proxy: both
    are near Gaussian within a scale, and rounding knows no more of a tensor than that. An error of
    tensors, not of answers; the error of int4 without a method that corrects it (GPTQ, AWQ).

    Raises
    ------
    ScenarioError
        If the error of the format was never measured.

    >>> format_error("fp8_e4m3"), format_error("fp32")
    (0.02644, 0.0)
    """
    if name not in _MEASURED:
        raise ScenarioError(
            Problem(f"the error of {name!r} is not measured; {nearest(name, _MEASURED)}", "quality")
        )
    key = _MEASURED[name]
    return KV_ERROR[key].gaussian_ratio if key else 0.0


def composed_error(scenario: Scenario) -> float:
    """Return the error of a whole policy: all roundings of all roles, added in squares.

    ``e^2 = sum over roles (weights^2 + activations^2) + sum over the roundings of the KV^2``: the
    KV is rounded into the prefill pool's format, the wire's, the decode pool's, a format that
    follows itself only once. A format narrower than bf16 counts; bf16 is the reference. Independent
    errors are assumed, as for a conversion at the boundary. Co-located, there is one role.
    """
    pools = [scenario.pools[name] for name in pools_in_order(scenario) or ()]
    parts = [pool.precision.weights for pool in pools]
    parts += [pool.precision.compute for pool in pools]
    wire = scenario.boundary.wire if scenario.boundary is not None else None
    path = [pools[0].precision.kv, wire or pools[0].precision.kv, pools[-1].precision.kv]
    parts += [fmt for fmt, before in zip(path, ["", *path], strict=False) if fmt != before]
    errors = [format_error(name) for name in parts if name not in _REFERENCE]
    return sqrt(sum(sorted(error * error for error in errors)))


_REFERENCE = ("bf16", "fp16", "fp32", "tf32")
