"""The same requests in one process: what a hand-off may not change is the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.calibrate.loop._cache import KvCache
from hetsim.calibrate.loop._cases import Case
from hetsim.calibrate.loop._prefill import prompt_of
from hetsim.calibrate.loop._shapes import config_of, dims_of
from hetsim.calibrate.loop._transformer import Transformer

__all__ = ["reference_tokens"]


def reference_tokens(case: Case, steps: Sequence[dict[str, Any]]) -> list[list[int]]:
    """Return the tokens of every request, computed here with KV that never moved.

    ``steps`` are those that D made: 16-bit sums depend on which rows share a product, so the
    reference batches alike.
    """
    import torch

    dims = dims_of(config_of(case.model.size))
    model = Transformer(dims, case.model.format)
    codec = model.codec(case.handoff.kv)
    caches, outputs = [], []
    for ask in case.asks:
        first, kv = model.prefill(prompt_of(dims.vocab, ask.isl, ask.seed))
        cache = KvCache.empty(dims, codec, ask.isl + ask.osl)
        codec.encode_all(kv, cache.head(ask.isl))
        cache.length = ask.isl
        caches.append(cache)
        outputs.append([first])
    for step in steps:
        rows = step["requests"]
        last = torch.tensor([outputs[row][-1] for row in rows])
        found = model.decode(last, [caches[row] for row in rows])
        for row, token in zip(rows, found, strict=True):
            outputs[row].append(token)
    return outputs
