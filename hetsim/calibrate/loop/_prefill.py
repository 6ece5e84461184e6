"""The prefill process: prompts one by one, KV converted if the producer converts, and sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from hetsim.calibrate.loop._cache import Codec, octets, torch_dtype
from hetsim.calibrate.loop._cases import Case, ModelKey
from hetsim.calibrate.loop._shapes import config_of, dims_of
from hetsim.calibrate.loop._transformer import Transformer
from hetsim.calibrate.loop._wire import Sender

if TYPE_CHECKING:
    import torch

__all__ = ["Prefill", "prompt_of"]

_COLD_BYTES = 96 * 2**20
"""More than the last-level cache of a machine on which this runs."""
_PASSES = 2


def prompt_of(vocab: int, isl: int, seed: int) -> torch.Tensor:
    """Return the prompt that a request's seed stands for."""
    import torch

    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocab, (isl,), generator=draw)


class Prefill:
    """Answers the orders of the parent, in the prefill process."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._models: dict[ModelKey, Transformer] = {}
        self._codecs: dict[tuple[ModelKey, str], Codec] = {}
        self._buffers: dict[tuple[ModelKey, str], torch.Tensor] = {}
        self._sender: Sender | None = None
        self._cold: torch.Tensor

    def connect(self, port: int, segment: str) -> None:
        """Connect to the decode process."""
        self._sender = Sender(port, segment, self._limit_s)

    def load(self, model: ModelKey, wires: tuple[str, ...], room: int) -> None:
        """Make a model, its codecs and send buffers; warm them."""
        import torch

        dims = dims_of(config_of(model.size))
        made = self._models[model] = Transformer(dims, model.format)
        for wire in wires:
            codec = self._codecs[model, wire] = made.codec(wire)
            size = dims.kv_elements(room)
            self._buffers[model, wire] = torch.zeros(size, dtype=torch.float32).to(codec.dtype)
        made.prefill(prompt_of(dims.vocab, 64, 0))
        self._cold = torch.zeros(_COLD_BYTES, dtype=torch.uint8)

    def run(self, case: Case, start_s: float) -> list[dict[str, Any]]:
        """Serve the requests of a case in the order of their arrival; return what they took."""
        return [self._one(case, index, start_s) for index in range(len(case.asks))]

    def probe(self, case: Case) -> int:
        """Hand over KV that no prompt made, the caches as cold as a prefill leaves them.

        Returns how many bytes crossed.
        """
        import torch

        dims, isl = self._models[case.model].dims, case.asks[0].isl
        kv = torch.zeros(dims.kv_elements(isl), dtype=torch_dtype(case.model.format))
        for _ in range(_PASSES):
            self._cold.add_(1)
        payload = octets(kv)
        assert self._sender is not None
        self._sender.send({"request": 0, "first": 0, "tokens": isl}, payload, case.handoff.through)
        return len(payload)

    def _one(self, case: Case, index: int, start_s: float) -> dict[str, Any]:
        ask, model = case.asks[index], self._models[case.model]
        prompt = prompt_of(model.dims.vocab, ask.isl, ask.seed)
        time.sleep(max(0.0, start_s + ask.arrival_s - time.perf_counter()))
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        first, kv = model.prefill(prompt)
        ended_s, ended_cpu_s = time.perf_counter(), time.thread_time()
        payload, convert_s = self._converted(case, kv)
        assert self._sender is not None
        self._sender.send(
            {"request": index, "first": first, "tokens": ask.isl}, payload, case.handoff.through
        )
        return {
            "request": index,
            "prefill_start_s": began_s - start_s,
            "prefill_end_s": ended_s - start_s,
            "prefill_wall_s": ended_s - began_s,
            "prefill_cpu_s": ended_cpu_s - began_cpu_s,
            "producer_convert_s": convert_s,
            "bytes": len(payload),
        }

    def _converted(self, case: Case, kv: torch.Tensor) -> tuple[memoryview, float]:
        """Return the bytes to send, and the CPU seconds that converting them took."""
        if case.handoff.wire == case.model.format:
            return octets(kv.flatten()), 0.0
        key = case.model, case.handoff.wire
        into = self._buffers[key][: kv.numel()].view(kv.shape)
        began_s = time.thread_time()
        self._codecs[key].encode_all(kv, into)
        return octets(into.flatten()), time.thread_time() - began_s
