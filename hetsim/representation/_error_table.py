"""Measured error of storing KV in each encoding, on seeded reference tensors."""

from __future__ import annotations

from math import sqrt

from hetsim.representation._descriptor import Representation
from hetsim.spec import spec

__all__ = ["KV_ERROR", "KvError", "kv_error"]


@spec
class KvError:
    """Relative root-mean-square error of a requantisation, by reference tensor."""

    gaussian_ratio: float
    outlier_ratio: float


# Source: ``measure_kv_errors``, which a test runs again. Static scales fit the tensor itself, so
# a scale calibrated elsewhere does worse. Errors of tensors, not of answers.
KV_ERROR: dict[str, KvError] = {
    "bf16/none": KvError(gaussian_ratio=0.001661, outlier_ratio=0.001658),
    "fp16/none": KvError(gaussian_ratio=0.0002077, outlier_ratio=0.000209),
    "e4m3fn/tensor_static": KvError(gaussian_ratio=0.02644, outlier_ratio=0.02639),
    "e4m3fn/token_head_dyn": KvError(gaussian_ratio=0.02574, outlier_ratio=0.01768),
    "e4m3fnuz/tensor_static": KvError(gaussian_ratio=0.02644, outlier_ratio=0.02639),
    "e5m2/tensor_static": KvError(gaussian_ratio=0.05261, outlier_ratio=0.05252),
    "e5m2fnuz/tensor_static": KvError(gaussian_ratio=0.05261, outlier_ratio=0.05252),
    "int8/tensor_static": KvError(gaussian_ratio=0.01091, outlier_ratio=0.0511),
    "int8/channel_static": KvError(gaussian_ratio=0.007809, outlier_ratio=0.007861),
    "int8/token_head_dyn": KvError(gaussian_ratio=0.006444, outlier_ratio=0.01904),
    "int4/token_head_dyn": KvError(gaussian_ratio=0.117, outlier_ratio=0.2715),
    "mxint8/block32": KvError(gaussian_ratio=0.008237, outlier_ratio=0.01785),
    "mxfp8/block32": KvError(gaussian_ratio=0.02935, outlier_ratio=0.03947),
    "mxfp4/block32": KvError(gaussian_ratio=0.115, outlier_ratio=0.1805),
    "nvfp4/block16": KvError(gaussian_ratio=0.09517, outlier_ratio=0.09212),
}
"""By encoding and scale granularity, ``enc/gran``."""


def kv_error(stages: list[Representation]) -> KvError | None:
    """Return the error of being requantised into each of ``stages``; None if one is not measured.

    Errors of independent roundings add in squares. The error that the first cache already carries
    is not counted: it is the producer's choice, not the boundary's.
    """
    found = [KV_ERROR.get(f"{stage.enc}/{stage.scale_gran}") for stage in stages]
    known = [error for error in found if error is not None]
    if len(known) < len(found) or not known:
        return None
    return KvError(
        gaussian_ratio=sqrt(sum(error.gaussian_ratio**2 for error in known)),
        outlier_ratio=sqrt(sum(error.outlier_ratio**2 for error in known)),
    )
