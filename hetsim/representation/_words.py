"""The vocabulary of KV representations, and what each encoding weighs."""

from __future__ import annotations

from typing import Literal, NamedTuple

from hetsim.errors import Problem, ScenarioError, nearest

__all__ = [
    "ENCODINGS",
    "Enc",
    "Encoding",
    "GroupKind",
    "Mem",
    "Order",
    "Pack",
    "ScaleGran",
    "ScaleLoc",
    "Tile",
    "encoding_of",
]

GroupKind = Literal["mha_gqa", "mla", "swa", "ssm_state", "indexer", "draft"]
Order = Literal["LBHN", "LBNH", "LHBN", "BLHN", "BLNH", "BHLN"]
"""Axes from the outermost: layer, block, head, token slot. LBHN is what kernels call HND."""
Pack = Literal["separate", "planes", "merged_row", "head_interleaved", "latent", "slot"]
"""Where K and V lie: own buffers, two planes of a block, one row, interleaved by head, one latent
row, or one slot per sequence."""
Tile = Literal["linear", "nz_fractal", "vectorized_5d"]
Enc = Literal[
    "fp32",
    "bf16",
    "fp16",
    "e4m3fn",
    "e4m3fnuz",
    "e5m2",
    "e5m2fnuz",
    "int8",
    "int4",
    "mxint8",
    "mxfp8",
    "mxfp4",
    "nvfp4",
    "ds_mla_v32",
    "ds_mla_v4",
    "ds_mla_v41",
    "ds_mla_nvfp4",
]
ScaleGran = Literal[
    "none", "tensor_static", "channel_static", "token_head_dyn", "block16", "block32", "block128"
]
ScaleLoc = Literal["none", "checkpoint", "inline_row", "page_tail", "side_tensor"]
Mem = Literal["vram_rdma", "vram_no_rdma", "host_pinned", "pool"]


class Encoding(NamedTuple):
    """What one encoding weighs and where its scales usually are."""

    name: Enc
    bits: int
    format: str
    """The :mod:`hetsim.precision` format of its codes; empty for composed latent rows."""
    gran: ScaleGran
    loc: ScaleLoc
    row_bytes: int = 0
    """Bytes of a composed MLA row with its scales; 0 where the row follows from bits and dims."""
    latent: int = 0
    """Latent dims of a composed MLA row."""
    page_multiple: int = 1
    """Page strides of a composed row are rounded up to this."""


# Source of the composed rows: the sparse FlashMLA backend of vLLM 0.33.0 (byte composition of
# fp8_ds_mla for V3.2, V4, V4.1 and nvfp4_ds_mla). The name fp8_ds_mla means three byte formats.
ENCODINGS: dict[str, Encoding] = {
    made.name: made
    for made in (
        Encoding("fp32", 32, "fp32", "none", "none"),
        Encoding("bf16", 16, "bf16", "none", "none"),
        Encoding("fp16", 16, "fp16", "none", "none"),
        Encoding("e4m3fn", 8, "fp8_e4m3", "tensor_static", "checkpoint"),
        Encoding("e4m3fnuz", 8, "fp8_e4m3fnuz", "tensor_static", "checkpoint"),
        Encoding("e5m2", 8, "fp8_e5m2", "tensor_static", "checkpoint"),
        Encoding("e5m2fnuz", 8, "fp8_e5m2fnuz", "tensor_static", "checkpoint"),
        Encoding("int8", 8, "int8", "channel_static", "checkpoint"),
        Encoding("int4", 4, "int4", "token_head_dyn", "inline_row"),
        Encoding("mxint8", 8, "mxint8", "block32", "side_tensor"),
        Encoding("mxfp8", 8, "mxfp8", "block32", "side_tensor"),
        Encoding("mxfp4", 4, "mxfp4", "block32", "side_tensor"),
        Encoding("nvfp4", 4, "nvfp4", "block16", "page_tail"),
        Encoding("ds_mla_v32", 8, "", "block128", "inline_row", 656, 512),
        Encoding("ds_mla_v4", 8, "", "block32", "page_tail", 584, 448, 576),
        Encoding("ds_mla_v41", 8, "", "block32", "inline_row", 528, 512),
        Encoding("ds_mla_nvfp4", 4, "", "block16", "inline_row", 352, 512),
    )
}

_BY_FORMAT = {made.format: made.name for made in ENCODINGS.values() if made.format}
# KV formats that name a weight or block convention rather than the codes of a cache.
_BY_FORMAT["fp8_block"] = "e4m3fn"
_FNUZ = {"fp8_e4m3": "fp8_e4m3fnuz", "fp8_e5m2": "fp8_e5m2fnuz"}


def encoding_of(format_name: str, native: tuple[str, ...] = (), path: str = "") -> Encoding:
    """Return the encoding in which a device stores KV of ``format_name``.

    A device whose only native 8-bit float has the fnuz bias stores that, whatever the runtime
    calls it: this is how two caches both named fp8_e4m3 come to differ by a factor of two.

    Raises
    ------
    ScenarioError
        If no KV encoding stores the format.

    >>> encoding_of("fp8_e4m3").name, encoding_of("fp8_e4m3", ("bf16", "fp8_e4m3fnuz")).name
    ('e4m3fn', 'e4m3fnuz')
    """
    if format_name in ENCODINGS:
        return ENCODINGS[format_name]
    twin = _FNUZ.get(format_name)
    if twin in native and format_name not in native:
        format_name = str(twin)
    name = _BY_FORMAT.get(format_name)
    if name is None:
        known = [*_BY_FORMAT, *(key for key in ENCODINGS if key not in _BY_FORMAT)]
        raise ScenarioError(
            Problem(f"{format_name!r} cannot store KV; {nearest(format_name, known)}", path)
        )
    return ENCODINGS[name]
