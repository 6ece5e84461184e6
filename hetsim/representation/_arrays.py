"""Hand-offs on real arrays: lay out a cache, cut it into descriptors, move and convert it.

This is the ground truth that the verdict and the run-length rule are tested against. Layouts are
built here by transposing arrays, not from the strides of ``_runs.py``, so that the two can differ.
Sizes are for tests: every byte has an index.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.representation._codecs import Coded, decode, encode, twin_codes
from hetsim.representation._descriptor import Representation

__all__ = [
    "Content",
    "Descriptor",
    "convert",
    "descriptors_between",
    "encode_content",
    "labels",
    "lay_out",
    "move",
    "values_of",
]

Array = npt.NDArray[Any]
Regions = list[Array]


class Content(NamedTuple):
    """Bytes of a cache without a layout: ``[layers, tokens, heads, bytes]`` of each part."""

    keys: Array
    values: Array
    scales: Array
    """Scales that lie outside the rows; no bytes where there are none."""
    statics: tuple[Array, Array]


class Descriptor(NamedTuple):
    """One contiguous piece on both sides."""

    source: int
    source_at: int
    target: int
    target_at: int
    size: int


def encode_content(rep: Representation, keys: Array, values: Array) -> Content:
    """Return values ``[layers, tokens, heads, dim]`` as the bytes that ``rep`` would hold."""
    k, v = encode(keys, rep), encode(values, rep)
    return _assemble(rep, k, v)


def _assemble(rep: Representation, k: Coded, v: Coded) -> Content:
    """Put scales beside their codes, or apart, as ``rep`` says."""
    if rep.scale_loc == "inline_row":
        rows = [np.concatenate([part.codes, part.scales], axis=-1) for part in (k, v)]
        return Content(rows[0], rows[1], k.codes[..., :0], (k.static, v.static))
    scales = np.concatenate([k.scales, v.scales], axis=-1)
    return Content(k.codes, v.codes, scales, (k.static, v.static))


def values_of(rep: Representation, content: Content) -> tuple[Array, Array]:
    """Return keys and values that a reader who believes in ``rep`` makes of the bytes."""
    found = []
    taken = 0
    for part, dim, static in zip(
        (content.keys, content.values), (rep.dim_k, rep.dim_v), content.statics, strict=True
    ):
        width = round(dim * rep.element_bytes)
        codes = np.ascontiguousarray(part[..., :width])
        if rep.scale_loc == "inline_row":
            scales = np.ascontiguousarray(part[..., width:])
        else:
            own = content.scales.shape[-1] // 2
            scales = np.ascontiguousarray(content.scales[..., taken : taken + own])
            taken += own
        found.append(decode(Coded(codes, scales, static), rep))
    return found[0], found[1]


def convert(p: Representation, c: Representation, content: Content) -> Content:
    """Return the content of ``p`` requantised to the encoding and scales of ``c``."""
    if {p.enc, c.enc} == {"e4m3fn", "e4m3fnuz"} and p.scale_gran == c.scale_gran:
        factor = np.float32(2.0 if p.enc == "e4m3fn" else 0.5)
        k, v = (twin_codes(part, p.enc, c.enc) for part in (content.keys, content.values))
        first, second = content.statics
        return content._replace(keys=k, values=v, statics=(first * factor, second * factor))
    keys, values = values_of(p, content)
    return encode_content(c, keys, values)


def labels(rep: Representation, tokens: int) -> Content:
    """Return a content in which every byte is a number of its own."""
    widths = [round(rep.key_bytes), round(rep.value_bytes), round(rep.outside_scale_bytes)]
    if rep.kv_pack == "head_interleaved":
        widths[:2] = [round(dim * rep.element_bytes) for dim in (rep.dim_k, rep.dim_v)]
    shape = (len(rep.group_layers), tokens, rep.kv_heads_total, sum(widths))
    every = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    parts = np.split(every, np.cumsum(widths)[:2], axis=-1)
    return Content(parts[0], parts[1], parts[2], (np.ones(1), np.ones(1)))


def lay_out(rank: Representation, content: Content, ids: list[int], blocks: int) -> Regions:
    """Return the memory regions of one rank that holds ``content`` in the blocks ``ids``.

    Bytes of other requests and of padding are -1 (labels) or 255 (bytes).
    """
    mine = [rank.group_layers.index(layer) for layer in rank.layers]
    first, after = rank.heads
    parts = [part[mine][:, :, first:after] for part in content[:3]]
    paged = [_pages(part, rank.page_tokens, ids, blocks) for part in parts]
    keys, values, scales = paged
    tail = _ordered(scales, rank.order, "LBNH") if scales.shape[-1] else None
    if rank.kv_pack in ("separate", "slot"):
        rows = [
            _region_split(_tiled(rank, part, value=at), rank) for at, part in enumerate(paged[:2])
        ]
        regions = [region for part in rows for region in part]
    elif rank.scale_loc == "page_tail" and tail is not None:
        regions = _with_tail(rank, keys, values, tail)
    else:
        regions = _region_split(_joined(rank, keys, values), rank)
    if rank.scale_loc == "side_tensor" and tail is not None:
        regions += _region_split(tail, rank)
    return regions


def _pages(part: Array, page: int, ids: list[int], blocks: int) -> Array:
    """Return ``[layers, blocks, page, heads, bytes]`` with the pages at their ids."""
    layers, _, heads, width = part.shape
    paged = np.full((layers, blocks, page, heads, width), -1 if part.dtype == np.int64 else 255)
    paged = paged.astype(part.dtype)
    for place, block in enumerate(ids):
        piece = part[:, place * page : (place + 1) * page]
        paged[:, block, : piece.shape[1]] = piece
    return paged


def _ordered(array: Array, order: str, have: str) -> Array:
    """Transpose the named axes into ``order``; the bytes stay last."""
    return np.transpose(array, [*(have.index(axis) for axis in order), array.ndim - 1])


def _tiled(rank: Representation, part: Array, *, value: int) -> Array:
    """Return the part in its order, its pages cut into tiles where the rank has them."""
    if rank.tile == "nz_fractal":
        layers, blocks, page, heads, width = part.shape
        rows = part.reshape(layers, blocks, page, heads * width // 32, 32)
        return np.swapaxes(rows, 2, 3)
    if rank.tile == "vectorized_5d":
        layers, blocks, page, heads, width = part.shape
        piece = round(rank.element_bytes) if value else 16
        cut = part.reshape(layers, blocks, page, heads, width // piece, piece)
        return np.transpose(cut, (0, 1, 3, 4, 2, 5))
    return _ordered(part, rank.order, "LBNH")


def _joined(rank: Representation, keys: Array, values: Array) -> Array:
    if rank.kv_pack == "planes":
        at = max(rank.order.index("L"), rank.order.index("B")) + 1
        parts = [_ordered(part, rank.order, "LBNH") for part in (keys, values)]
        return np.concatenate([part.reshape(*part.shape[:at], -1) for part in parts], axis=-1)
    if rank.kv_pack == "head_interleaved":
        return _interleaved(rank, keys, values)
    return _ordered(np.concatenate([keys, values], axis=-1), rank.order, "LBNH")


def _interleaved(rank: Representation, keys: Array, values: Array) -> Array:
    """Return 32-bit sublanes: an element of each row that shares a sublane, side by side."""
    size = round(rank.element_bytes)
    pad = -1 if keys.dtype == np.int64 else 255
    lanes = -(-rank.dim_k // 128) * 128 * size
    rows = np.full((*keys.shape[:-1], 2, lanes), pad).astype(keys.dtype)
    rows[..., 0, : keys.shape[-1]], rows[..., 1, : values.shape[-1]] = keys, values
    packing = 4 // size
    layers, blocks, page, heads = keys.shape[:4]
    cut = rows.reshape(layers, blocks, page, 2 * heads // packing, packing, lanes // size, size)
    return np.swapaxes(cut, 4, 5)


def _with_tail(rank: Representation, keys: Array, values: Array, tail: Array) -> Regions:
    """Put the scales of a page behind its rows (orders that keep a page of a layer together)."""
    data = _joined(rank, keys, values)
    flat = [part.reshape(*part.shape[:2], -1) for part in (data, tail)]
    page = np.concatenate(flat, axis=-1)
    missing = round(rank.page_bytes) - page.shape[-1]
    pad = np.full((*page.shape[:2], missing), -1 if page.dtype == np.int64 else 255)
    return _region_split(np.concatenate([page, pad.astype(page.dtype)], axis=-1), rank)


def _region_split(array: Array, rank: Representation) -> Regions:
    """Cut an array into one region per layer where layers come first."""
    if rank.order[0] == "L":
        return [np.ascontiguousarray(layer).reshape(-1) for layer in array]
    return [np.ascontiguousarray(array).reshape(-1)]


def descriptors_between(source: Regions, target: Regions) -> list[Descriptor]:
    """Return the maximal runs of labels that are contiguous in both lists of regions."""
    where: dict[int, tuple[int, int]] = {}
    for index, region in enumerate(source):
        for at in np.flatnonzero(region >= 0).tolist():
            where[int(region[at])] = (index, at)
    made: list[Descriptor] = []
    for index, region in enumerate(target):
        run: list[int] = []
        for at in np.flatnonzero(region >= 0).tolist():
            found = where.get(int(region[at]))
            if found is None:
                continue
            if run and found == (run[0], run[1] + run[3]) and at == run[2] + run[3]:
                run[3] += 1
                continue
            if run:
                made.append(Descriptor(run[0], run[1], index, run[2], run[3]))
            run = [found[0], found[1], at, 1]
        if run:
            made.append(Descriptor(run[0], run[1], index, run[2], run[3]))
    return made


def move(pieces: list[Descriptor], source: Regions, target: Regions) -> None:
    """Copy every piece, as a transfer engine would."""
    for piece in pieces:
        chunk = source[piece.source][piece.source_at : piece.source_at + piece.size]
        target[piece.target][piece.target_at : piece.target_at + piece.size] = chunk
