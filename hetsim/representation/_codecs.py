"""Encodings on real arrays: values to codes and scales, and back.

Needs ``ml_dtypes`` (a development dependency), which is imported when first used.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.errors import InfeasibleError
from hetsim.representation._descriptor import Representation

__all__ = ["Coded", "decode", "encode", "twin_codes"]

Floats = npt.NDArray[np.float32]
Octets = npt.NDArray[np.uint8]

_PLAIN: dict[str, type[np.floating[Any]]] = {"fp32": np.float32, "fp16": np.float16}
_DTYPES = {
    "bf16": "bfloat16",
    "e4m3fn": "float8_e4m3fn",
    "e4m3fnuz": "float8_e4m3fnuz",
    "e5m2": "float8_e5m2",
    "e5m2fnuz": "float8_e5m2fnuz",
}
_TOP = {
    "e4m3fn": 448.0,
    # Not 240: the codes of 240 are NaN in e4m3fn, so runtimes clip one step lower.
    "e4m3fnuz": 224.0,
    "e5m2": 57344.0,
    "e5m2fnuz": 57344.0,
    "int8": 127.0,
    "int4": 7.0,
}
_BLOCK = {"mxfp8": 32, "mxfp4": 32, "mxint8": 32, "nvfp4": 16}
_ELEMENT_TOP_EXPONENT = {"mxfp8": 8, "mxfp4": 2, "mxint8": 0}


class Coded(NamedTuple):
    """Codes and scales of an array ``[..., dim]``."""

    codes: Octets
    """``[..., bytes]``; two 4-bit codes share a byte, the first one low."""
    scales: Octets
    """``[..., bytes]`` of dynamic or block scales; empty where there are none."""
    static: Floats
    """Static scale: one number, or one per channel; one where there is none."""


def _ml() -> Any:
    try:
        import ml_dtypes
    except ImportError as error:
        raise InfeasibleError(
            "conversions of real arrays need the package ml_dtypes",
            [("install", "pip install ml_dtypes")],
        ) from error
    return ml_dtypes


def _octets(array: npt.NDArray[Any]) -> Octets:
    """Return the bytes of an array, those of the last axis side by side."""
    packed = np.ascontiguousarray(array)
    if packed.shape[-1] == 0:
        return np.zeros(packed.shape, np.uint8)
    return packed.view(np.uint8)


def encode(values: Floats, rep: Representation, static: Floats | None = None) -> Coded:
    """Return ``values`` ``[..., tokens, heads, dim]`` in the encoding and scales of ``rep``.

    ``static`` states the static scale; without it the scale fits the largest value.
    """
    none = np.zeros((*values.shape[:-1], 0), np.uint8)
    one = np.ones(1, np.float32)
    if rep.enc in _PLAIN:
        return Coded(_octets(values.astype(_PLAIN[rep.enc])), none, one)
    if rep.enc == "bf16":
        return Coded(_octets(values.astype(_ml().bfloat16)), none, one)
    if rep.enc in _BLOCK:
        return _encode_blocks(values, rep.enc)
    scale = static if static is not None else _scale(values, rep)
    codes = _codes(values / scale, rep.enc)
    if rep.scale_gran == "token_head_dyn":
        return Coded(codes, _octets(scale.astype(np.float32)), one)
    return Coded(codes, none, np.asarray(scale, np.float32))


def _scale(values: Floats, rep: Representation) -> Floats:
    """Return the smallest scale that lets every value fit."""
    size = np.abs(values)
    if rep.scale_gran == "token_head_dyn":
        top = size.max(axis=-1, keepdims=True)
    elif rep.scale_gran == "channel_static":
        top = size.reshape(-1, *values.shape[-2:]).max(axis=0)
    else:
        top = size.max().reshape(1)
    scale: Floats = (np.maximum(top, 1e-30) / _TOP[rep.enc]).astype(np.float32)
    return scale


def _codes(scaled: Floats, enc: str) -> Octets:
    top = _TOP[enc]
    clipped = np.clip(scaled, -top, top)
    if enc == "int8":
        return _octets(np.rint(clipped).astype(np.int8))
    if enc == "int4":
        return _pack(np.rint(clipped).astype(np.int8))
    codes = _octets(clipped.astype(getattr(_ml(), _DTYPES[enc])))
    return codes


def _pack(codes: npt.NDArray[Any]) -> Octets:
    """Put two 4-bit codes into a byte."""
    low = codes.view(np.uint8) & np.uint8(15)
    return np.asarray(low[..., 0::2] | (low[..., 1::2] << np.uint8(4)), np.uint8)


def _unpack(packed: Octets) -> Octets:
    codes = np.empty((*packed.shape[:-1], 2 * packed.shape[-1]), np.uint8)
    codes[..., 0::2] = packed & 15
    codes[..., 1::2] = packed >> 4
    return codes


def _encode_blocks(values: Floats, enc: str) -> Coded:
    """Encode with one scale per block of channels (OCP MX, and nvfp4 with a tensor scale)."""
    block = _BLOCK[enc]
    parts = values.reshape(*values.shape[:-1], -1, block)
    top = np.maximum(np.abs(parts).max(axis=-1, keepdims=True), 1e-30)
    tensor = np.ones(1, np.float32)
    if enc == "nvfp4":
        tensor = (np.abs(values).max().reshape(1) / (6.0 * 448.0)).astype(np.float32)
        scale = (top / 6.0 / tensor).astype(_ml().float8_e4m3fn)
        factor = np.maximum(scale.astype(np.float32), 2.0**-9) * tensor
    else:
        exponent = np.floor(np.log2(top)) - _ELEMENT_TOP_EXPONENT[enc]
        scale = np.exp2(exponent).astype(_ml().float8_e8m0fnu)
        factor = scale.astype(np.float32)
    codes = _block_codes((parts / factor).reshape(values.shape), enc)
    return Coded(codes, _octets(scale[..., 0]), tensor)


def _block_codes(scaled: Floats, enc: str) -> Octets:
    if enc == "mxfp8":
        return _codes(scaled, "e4m3fn")
    if enc == "mxint8":
        return _octets(np.rint(np.clip(scaled * 64.0, -127, 127)).astype(np.int8))
    made = np.clip(scaled, -6.0, 6.0).astype(_ml().float4_e2m1fn)
    return _pack(made.view(np.uint8))


def decode(coded: Coded, rep: Representation) -> Floats:
    """Return the values that codes and scales mean under the encoding of ``rep``."""
    if rep.enc in _PLAIN:
        return coded.codes.view(_PLAIN[rep.enc]).astype(np.float32)
    if rep.enc in _BLOCK:
        return _decode_blocks(coded, rep.enc)
    raw = _raw(coded.codes, rep.enc)
    if rep.scale_gran == "token_head_dyn":
        return raw * coded.scales.view(np.float32)
    result: Floats = (raw * coded.static).astype(np.float32)
    return result


def _raw(codes: Octets, enc: str) -> Floats:
    if enc == "int8":
        return codes.view(np.int8).astype(np.float32)
    if enc == "int4":
        signed = ((_unpack(codes).astype(np.int8) ^ 8) - 8).astype(np.float32)
        return signed
    found: Floats = codes.view(getattr(_ml(), _DTYPES[enc])).astype(np.float32)
    return found


def _decode_blocks(coded: Coded, enc: str) -> Floats:
    ml = _ml()
    if enc == "mxfp8":
        raw = _raw(coded.codes, "e4m3fn")
    elif enc == "mxint8":
        raw = _raw(coded.codes, "int8") / np.float32(64.0)
    else:
        raw = _unpack(coded.codes).view(ml.float4_e2m1fn).astype(np.float32)
    kind = ml.float8_e4m3fn if enc == "nvfp4" else ml.float8_e8m0fnu
    factor = coded.scales.view(kind).astype(np.float32)
    if enc == "nvfp4":
        factor = np.maximum(factor, np.float32(2.0**-9)) * coded.static
    wide: Floats = (raw * np.repeat(factor, _BLOCK[enc], axis=-1)).astype(np.float32)
    return wide


def twin_codes(codes: Octets, source: str, target: str) -> Octets:
    """Return the codes of one e4m3 bias as codes of the other; the scale changes by two.

    Source: enumeration of all 256 codes. From fn to fnuz only minus zero moves (0x80 is NaN in
    fnuz); from fnuz to fn the two codes of 240 are clipped to those of 224.
    """
    if (source, target) == ("e4m3fn", "e4m3fnuz"):
        return np.where(codes == 0x80, 0, codes).astype(np.uint8)
    return np.where((codes & 0x7F) == 0x7F, codes & 0xFE, codes).astype(np.uint8)
