"""The equations that calibration files parametrise: seconds from shapes, as pure functions.

These are the reference: fits minimise their misfit, and whoever evaluates a calibration file must
agree with them. Arguments are numbers or numpy arrays alike. ``peak`` is the nominal FLOP/s of
the format's roof, ``bandwidth`` the nominal byte/s; ``e_c`` and ``e_m`` are fractions of them.

Every form has a plain version, which a file states in its main keys, and a shaped one under
``shaped``. The plain version is the shaped one with all further terms at zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = [
    "attention_decode_s",
    "attention_prefill_s",
    "collective_s",
    "elementwise_s",
    "gemm_s",
    "grouped_gemm_s",
    "head_factor",
    "lone_factor",
    "p_norm",
    "stair_elements",
]

Number = Any
"""A float, or a numpy array of floats."""
Parameters = Mapping[str, float]

_TINY = 1e-30


def p_norm(p: float, first: Number, *others: Number) -> Number:
    """Return ``(a^p + b^p + ...)^(1/p)``: at least the largest part, at most their sum.

    >>> float(p_norm(1.0, 3.0, 4.0)), float(p_norm(2.0, 3.0, 4.0))
    (7.0, 5.0)
    """
    largest = first + _TINY
    for other in others:
        largest = _larger(largest, other)
    total = (first / largest) ** p
    for other in others:
        total = total + (other / largest) ** p
    return largest * total ** (1.0 / p)


def _larger(a: Number, b: Number) -> Number:
    import numpy as np

    return np.maximum(a, b)


def gemm_s(
    parameters: Parameters,
    m: Number,
    n: Number,
    k: Number,
    memory_bytes: Number,
    peak: float,
    bandwidth: float,
) -> Number:
    """Return the seconds of one projection ``[m, k] x [k, n]``.

    ``t0 + m (row + k token) + norm_p(bytes / (bw e_m), 2 E (k + k0) / (peak e_c), k walk)``

    ``E`` is :func:`stair_elements` where the parameters state ``blocks``, the number of
    multiprocessors; else ``(m + m0)(n + n0)``, elements lost to tiles that are not full. ``k0`` is
    what filling and emptying a tile costs, in elements of k; ``walk_ps`` the time that one block
    needs per element of k, which bounds GEMMs with few blocks; ``row_ns`` and ``token_ps`` the pass
    that quantises activations, per row and per element. Zero in the plain form.

    >>> one = {"t0_us": 1.0, "e_c": 0.5, "e_m": 1.0, "p": 8.0}
    >>> round(float(gemm_s(one, 1e3, 1e3, 1e3, 0.0, 4e15, 1e12)) * 1e6, 6)
    2.0
    """
    if parameters.get("blocks"):
        elements = stair_elements(parameters, m, n)
    else:
        elements = (m + parameters.get("m0", 0.0)) * (n + parameters.get("n0", 0.0))
    work = 2.0 * elements * (k + parameters.get("k0", 0.0))
    compute = work / (peak * parameters["e_c"])
    memory = memory_bytes / (bandwidth * parameters["e_m"])
    walk = k * parameters.get("walk_ps", 0.0) * 1e-12
    row = parameters.get("row_ns", 0.0) * 1e-9 + k * parameters.get("token_ps", 0.0) * 1e-12
    fixed = parameters["t0_us"] * 1e-6 + m * row
    return fixed + p_norm(parameters["p"], compute, memory, walk)


def stair_elements(parameters: Parameters, m: Number, n: Number) -> Number:
    """Return the elements of output that a device works on where ``m n`` are asked for.

    The least over tiles of ``weight rows columns blocks (u + wave (ceil(u) - u))``, with
    ``u = ceil(m / rows) ceil(n / columns) / blocks`` waves and the weight of
    :func:`hetsim.costs.tile_weight`.

    >>> full = {"blocks": 4.0, "wave": 1.0}
    >>> [float(stair_elements(full, m, 512.0)) for m in (16.0, 17.0, 1024.0)]
    [8192.0, 16384.0, 524288.0]
    """
    import numpy as np

    from hetsim.costs import TILES, tile_weight

    blocks, wave = parameters["blocks"], parameters.get("wave", 0.0)
    feed = parameters.get("feed", 0.0)
    least: Number = np.inf
    for rows, columns in TILES:
        waves = np.ceil(m / rows) * np.ceil(n / columns) / blocks
        each = rows * columns * tile_weight(rows, columns, feed)
        least = np.minimum(least, (waves + wave * (np.ceil(waves) - waves)) * each)
    return blocks * least


def grouped_gemm_s(
    parameters: Parameters,
    tokens: Number,
    hidden: Number,
    inter: Number,
    rows: Number,
    distinct: Number,
    memory_bytes: Number,
    peak: float,
    bandwidth: float,
    top_k: Number = 1.0,
    local: Number = 1.0,
) -> Number:
    """Return the seconds of the routed experts of one MoE layer on one rank.

    ``t0 + tokens hidden token_ps + passes pass_ps + tile (hidden + inter) tile_walk_ps +
    norm_p(bytes / (bw e_m), work / (peak e_c))`` with
    ``work = 2 padded ((2 inter + n0) hidden + (hidden + n0) inter)``.

    ``tokens`` enter the exchange group, ``rows = tokens k / EP`` token copies are computed here,
    by ``distinct`` experts of ``local`` ones, of width ``inter`` (already divided by the experts'
    TP). An expert's rows are computed in tiles of :func:`hetsim.costs.expert_tile` rows, at most
    ``tile_rows``: ``padded = hypot(rows, distinct tile)`` is about the larger of what there is and
    one tile per expert. A tile walks along k of both projections whatever runs beside it.
    ``passes`` are :func:`hetsim.costs.expert_passes`. Without ``tile_rows`` the padded rows are
    ``rows + distinct m0``; with all terms zero the work is ``6 rows hidden inter``.
    """
    import numpy as np

    from hetsim.costs import expert_passes, expert_tile

    n0 = parameters.get("n0", 0.0)
    per_row = (2.0 * inter + n0) * hidden + (hidden + n0) * inter
    fixed = parameters["t0_us"] * 1e-6
    fixed = fixed + tokens * hidden * parameters.get("token_ps", 0.0) * 1e-12
    passes = expert_passes(tokens, top_k, hidden, inter)
    fixed = fixed + passes * parameters.get("pass_ps", 0.0) * 1e-12
    if parameters.get("tile_rows"):
        copies = tokens * top_k / local
        tile = expert_tile(parameters["tile_rows"], parameters.get("tile_half", 0.0), copies)
        padded = np.hypot(rows, distinct * tile)
        walk = tile * (hidden + inter)
        fixed = fixed + walk * parameters.get("tile_walk_ps", 0.0) * 1e-12
    else:
        padded = rows + distinct * parameters.get("m0", 0.0)
    compute = 2.0 * padded * per_row / (peak * parameters["e_c"])
    memory = memory_bytes / (bandwidth * parameters["e_m"])
    return fixed + p_norm(parameters["p"], compute, memory)


def attention_prefill_s(
    parameters: Parameters,
    new: Number,
    past: Number,
    heads: Number,
    qk_plus_v: Number,
    memory_bytes: Number,
    peak: float,
    bandwidth: float,
    batch: Number = 1.0,
    kv_heads: Number = 0.0,
) -> Number:
    """Return the seconds of causal attention of ``batch`` prompts of equal length, one layer.

    ``t0 + norm_p(bytes / (bw e_m), norm_fill(W, W q0/(h batch new)) / (peak e_c))`` with
    ``W = 2 (h d + g kv0) (C + batch new s0/2) f``, where ``d = qk_plus_v`` is the sum of the
    query-key and the value head size and ``C = batch new (past + (new + 1)/2)`` the context that
    the new tokens read. For past 0 the term of s0 is the familiar factor ``1 + s0/s``. ``f`` is
    :func:`head_factor` of ``d / 2``. ``kv0`` are the elements that finding, loading and converting
    the context of a KV head is worth, done once for all query heads that share it. ``q0`` query
    rows fill the device; with fewer, the time is that of a single wave of blocks. The exponent
    ``fill_p`` says whether that comes on top (1) or instead (large).
    """
    context = batch * new * (past + 0.5 * (new + 1.0))
    context = context + 0.5 * batch * new * parameters.get("s0_tokens", 0.0)
    each = heads * qk_plus_v + kv_heads * parameters.get("kv0", 0.0)
    work = 2.0 * each * context
    if "head_64" in parameters or "head_256" in parameters:
        work = work * head_factor(parameters, 0.5 * qk_plus_v)
    few = work * parameters.get("q0", 0.0) / (heads * batch * new)
    work = p_norm(parameters.get("fill_p", 1.0), work, few)
    compute = work / (peak * parameters["e_c"])
    memory = memory_bytes / (bandwidth * parameters["e_m"])
    return parameters["t0_us"] * 1e-6 + p_norm(parameters["p"], compute, memory)


def head_factor(parameters: Parameters, head_dim: Number) -> Number:
    """Return how much longer heads of this size take per FLOP or byte than those of size 128.

    Linear in the logarithm of the size between the measured 64, 128 and 256, constant outside.

    >>> [float(head_factor({"head_64": 1.5, "head_256": 0.8}, d)) for d in (32.0, 64.0, 128.0)]
    [1.5, 1.5, 1.0]
    """
    import numpy as np

    at = (parameters.get("head_64", 1.0), 1.0, parameters.get("head_256", 1.0))
    return np.interp(np.log2(head_dim), (6.0, 7.0, 8.0), at)


def lone_factor(parameters: Parameters, heads: Number, kv_heads: Number) -> Number:
    """Return ``lone_head`` where there are as many KV heads as query heads, else one.

    >>> [float(lone_factor({"lone_head": 1.5}, heads, 8.0)) for heads in (8.0, 16.0)]
    [1.5, 1.0]
    """
    import numpy as np

    return np.where(np.asarray(heads) <= kv_heads, parameters.get("lone_head", 1.0), 1.0)


def attention_decode_s(
    parameters: Parameters,
    batch: Number,
    context_sum: Number,
    heads: Number,
    kv_heads: Number,
    flops_per_context: Number,
    bytes_per_context: Number,
    peak: float,
    bandwidth: float,
    head_dim: Number = 128.0,
) -> Number:
    """Return the seconds of decode attention, one layer: affine in the context at fixed batch.

    ``t0 + batch (kv_heads per_kv_head + heads per_head) + context_sum slope`` with
    ``slope = norm_p(c flops_per_context / (peak e_c), norm_walk_p(f bytes_per_context / (bw e_m),
    walk / batch))``. ``f`` is :func:`head_factor` of the head size, times ``lone_head`` where every
    KV head serves one query head alone: no second query then waits beside the first for the same
    KV, and kernels for grouped queries convert narrow KV once for all of them.

    ``walk_ps`` is the time that one block needs per token of a sequence's context. Blocks of other
    sequences walk beside it, so that sequences of one length take ``length walk`` together: next
    to nothing where kernels split a context over the device, most of all where one block walks the
    whole of it. ``c`` is ``max(heads, head_tile) / heads``: query heads of absorbed latent
    attention are the rows of matrix tiles, which are computed whole.

    ``flops_per_context`` and ``bytes_per_context`` are per token of context of one sequence:
    ``4 h d`` and ``2 g d`` elements for grouped queries, ``2 h (2 latent + rope)`` and
    ``latent + rope`` elements for absorbed latent attention.
    """
    memory = bytes_per_context / (bandwidth * parameters["e_m"])
    if "head_64" in parameters or "head_256" in parameters:
        memory = memory * head_factor(parameters, head_dim)
    if "lone_head" in parameters:
        memory = memory * lone_factor(parameters, heads, kv_heads)
    walk = parameters.get("walk_ps", 0.0) * 1e-12 / batch
    memory = p_norm(parameters.get("walk_p", 1.0), memory, walk)
    padded = _larger(heads, parameters.get("head_tile", 0.0)) / heads
    compute = padded * flops_per_context / (peak * parameters["e_c"])
    slope = p_norm(parameters["p"], compute, memory)
    fixed = parameters["t0_us"] * 1e-6
    fixed = fixed + batch * kv_heads * parameters.get("per_kv_head_ns", 0.0) * 1e-9
    fixed = fixed + batch * heads * parameters.get("per_head_ns", 0.0) * 1e-9
    return fixed + context_sum * slope


def elementwise_s(parameters: Parameters, memory_bytes: Number, bandwidth: float) -> Number:
    """Return the seconds of one pass over memory: ``t0 + bytes / (bw e_m)``.

    >>> elementwise_s({"t0_us": 1.0, "e_m": 0.5}, 1e6, 1e12) * 1e6
    3.0
    """
    return parameters["t0_us"] * 1e-6 + memory_bytes / (bandwidth * parameters["e_m"])


def collective_s(pieces: list[tuple[float, float]], message_bytes: Number) -> Number:
    """Return the seconds of a collective: the fastest of its pieces ``(t0_us, bytes_per_s)``.

    >>> round(float(collective_s([(1.0, 1e9), (5.0, 1e12)], 1e6)) * 1e6, 6)
    6.0
    """
    import numpy as np

    times = [t0_us * 1e-6 + message_bytes / rate for t0_us, rate in pieces]
    return np.minimum.reduce(times)
