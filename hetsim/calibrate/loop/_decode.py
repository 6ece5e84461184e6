"""The decode process: KV lands in a cache while others decode; requests join at step boundaries."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from hetsim.calibrate.loop._cache import Codec, KvCache, octets
from hetsim.calibrate.loop._cases import Case, ModelKey
from hetsim.calibrate.loop._shapes import config_of, dims_of
from hetsim.calibrate.loop._transformer import Transformer
from hetsim.calibrate.loop._wire import Listener, Receiver
from hetsim.errors import InfeasibleError

if TYPE_CHECKING:
    import torch

__all__ = ["Decode"]

SLOTS = 8
"""Caches of each format: so many requests decode together at most."""


class _Active:
    """One request on the decode side."""

    __slots__ = ("cache", "cpu_s", "osl", "record", "tokens")

    def __init__(self, cache: KvCache, osl: int, first: int, record: dict[str, Any]) -> None:
        self.cache = cache
        self.osl = osl
        self.tokens = [first]
        self.cpu_s = 0.0
        self.record = record


class Decode:
    """Answers the orders of the parent, in the decode process."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._listener = Listener(limit_s)
        self._receiver: Receiver | None = None
        self._models: dict[ModelKey, Transformer] = {}
        self._codecs: dict[tuple[ModelKey, str], Codec] = {}
        self._free: dict[tuple[ModelKey, str], queue.SimpleQueue[KvCache]] = {}
        self._staging: dict[tuple[ModelKey, str], torch.Tensor] = {}
        self._landed: queue.SimpleQueue[_Active | BaseException] = queue.SimpleQueue()

    def port(self) -> int:
        """Return the port on which the prefill process is awaited."""
        return self._listener.port

    def accept(self, segment: str) -> None:
        """Wait for the prefill process."""
        self._receiver = self._listener.accept(segment)
        self._receiver.limit(self._limit_s)

    def load(
        self, model: ModelKey, kvs: tuple[str, ...], wires: tuple[str, ...], room: int
    ) -> None:
        """Make a model, its caches in every format of ``kvs`` and staging for ``wires``."""
        import torch

        dims = dims_of(config_of(model.size))
        made = self._models[model] = Transformer(dims, model.format)
        for fmt in {*kvs, *wires}:
            self._codecs[model, fmt] = made.codec(fmt)
        for fmt in kvs:
            free = self._free[model, fmt] = queue.SimpleQueue()
            for _ in range(SLOTS):
                free.put(KvCache.empty(dims, self._codecs[model, fmt], room))
        for wire in wires:
            size = dims.kv_elements(room)
            dtype = self._codecs[model, wire].dtype
            self._staging[model, wire] = torch.zeros(size, dtype=torch.float32).to(dtype)

    def run(self, case: Case, start_s: float) -> dict[str, Any]:
        """Serve a case; return its requests and the steps that were made."""
        receiver = threading.Thread(target=self._receive_all, args=(case, start_s), daemon=True)
        receiver.start()
        done, steps = self._decode_all(case, start_s)
        receiver.join(self._limit_s)
        return {"requests": sorted(done, key=lambda row: row["request"]), "steps": steps}

    # --- the receiving thread --------------------------------------------------------------------

    def _receive_all(self, case: Case, start_s: float) -> None:
        try:
            for _ in case.asks:
                self._landed.put(self._receive(case, start_s))
        except BaseException as error:  # handed to the thread that can report it
            self._landed.put(error)

    def _receive(self, case: Case, start_s: float) -> _Active:
        receiver, handoff = self._receiver, case.handoff
        assert receiver is not None
        head = receiver.head()
        cache = self._free[case.model, handoff.kv].get(timeout=self._limit_s)
        tokens = int(head["tokens"])
        convert_s = 0.0
        if handoff.kv == handoff.wire:
            landed_s = receiver.payload(cache.planes(tokens), handoff.through)
        else:
            flat = self._staging[case.model, handoff.wire]
            part = flat[: self._models[case.model].dims.kv_elements(tokens)]
            landed_s = receiver.payload([octets(part)], handoff.through)
            began_s = time.thread_time()
            self._convert(case, part, cache, tokens)
            convert_s = time.thread_time() - began_s
        cache.length = tokens
        ready_s = time.perf_counter()
        record = {
            "request": head["request"],
            "sent_s": head["start_s"] - start_s,
            "landed_s": landed_s - start_s,
            "transfer_s": landed_s - head["start_s"],
            "consumer_convert_s": convert_s,
            "first_token_s": ready_s - start_s,
        }
        return _Active(cache, case.asks[head["request"]].osl, int(head["first"]), record)

    def _convert(self, case: Case, part: torch.Tensor, cache: KvCache, tokens: int) -> None:
        head = cache.head(tokens)
        values = part.view(head.shape)
        if case.handoff.kv == case.model.format:
            self._codecs[case.model, case.handoff.wire].decode_all(values, head)
        else:
            cache.codec.encode_all(values, head)

    # --- the decoding thread ---------------------------------------------------------------------

    def _decode_all(
        self, case: Case, start_s: float
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        active: list[_Active] = []
        done: list[dict[str, Any]] = []
        steps: list[dict[str, Any]] = []
        while len(done) < len(case.asks):
            self._join(active, wait=not active)
            if any(len(one.tokens) < one.osl for one in active):
                steps.append(self._step(case.model, active, start_s))
            for one in [one for one in active if len(one.tokens) >= one.osl]:
                active.remove(one)
                self._free[case.model, case.handoff.kv].put(one.cache)
                done.append(self._ended(one, start_s))
        return done, steps

    def _join(self, active: list[_Active], *, wait: bool) -> None:
        """Take in what has landed; with nothing to do, wait for it."""
        while True:
            try:
                found = self._landed.get(block=wait, timeout=self._limit_s if wait else None)
            except queue.Empty:
                if wait:
                    raise InfeasibleError("no KV landed in time") from None
                return
            if isinstance(found, BaseException):
                raise found
            active.append(found)
            wait = False

    def _step(self, key: ModelKey, active: list[_Active], start_s: float) -> dict[str, Any]:
        import torch

        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        context = [one.cache.length for one in active]
        last = torch.tensor([one.tokens[-1] for one in active])
        found = self._models[key].decode(last, [one.cache for one in active])
        cpu_s, ended_s = time.thread_time() - began_cpu_s, time.perf_counter()
        for one, token in zip(active, found, strict=True):
            one.tokens.append(token)
            one.cpu_s += cpu_s
        return {
            "start_s": began_s - start_s,
            "wall_s": ended_s - began_s,
            "cpu_s": cpu_s,
            "requests": [one.record["request"] for one in active],
            "context": context,
        }

    def _ended(self, one: _Active, start_s: float) -> dict[str, Any]:
        last_s = time.perf_counter() - start_s
        gaps = max(1, one.osl - 1)
        return {
            **one.record,
            "last_token_s": last_s,
            "tpot_cpu_s": one.cpu_s / gaps,
            "tpot_wall_s": (last_s - one.record["first_token_s"]) / gaps,
            "output": one.tokens,
        }
