"""The two processes as their parent sees them: started, ordered, and ended whatever happens."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.shared_memory import SharedMemory
from statistics import median
from typing import Any

from hetsim.calibrate.loop._cases import Case, ModelKey, tokens_room
from hetsim.calibrate.loop._links import LinkSample
from hetsim.calibrate.loop._process import Failure, serve_decode, serve_prefill
from hetsim.calibrate.loop._shapes import config_of, dims_of
from hetsim.calibrate.loop._wire import room_of
from hetsim.errors import InfeasibleError

__all__ = ["Pair", "Served", "cores"]

_START_S = 0.02
"""From the order to time zero of a case, so that both processes have read it."""

PROBES = 3
"""Hand-offs of one probe, of which the median counts."""

Served = dict[str, Any]
"""``requests``: one row each, both sides together; ``steps``: those of D; seconds from zero."""


def cores() -> tuple[int | None, int | None]:
    """Return the cores of P and D: the first two that this process may use."""
    if not hasattr(os, "sched_getaffinity"):
        return None, None
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1 % len(allowed)]


class _Worker:
    """One process and its pipe."""

    def __init__(self, target: Callable[..., None], core: int | None, limit_s: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders, theirs = context.Pipe()
        self._limit_s = limit_s
        self._process = context.Process(target=target, args=(theirs, core, limit_s), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def orders(self) -> Connection:
        """The pipe to the process."""
        return self._orders

    def tell(self, name: str, *arguments: Any) -> None:
        """Give an order; the answer is fetched by :meth:`answer`."""
        try:
            self._orders.send((name, arguments))
        except (BrokenPipeError, OSError) as error:
            raise InfeasibleError(f"the {self._name} process has gone") from error

    def answer(self, limit_s: float | None = None) -> Any:
        """Return the answer to the order.

        Raises
        ------
        InfeasibleError
            If the process failed, died or is late.
        """
        if not self._orders.poll(limit_s or self._limit_s):
            raise InfeasibleError(f"the {self._name} process did not answer in time")
        try:
            found = self._orders.recv()
        except (EOFError, OSError) as error:
            raise InfeasibleError(f"the {self._name} process died") from error
        if isinstance(found, Failure):
            raise InfeasibleError(f"{self._name} process: {found}")
        return found

    @property
    def _name(self) -> str:
        return self._process.name

    def end(self) -> None:
        """End the process: asked first, then by signal."""
        with suppress(BrokenPipeError, OSError):
            self._orders.send(("stop", ()))
        self._process.join(1.0)
        for stop in (self._process.terminate, self._process.kill):
            if self._process.is_alive():
                stop()
                self._process.join(2.0)
        self._orders.close()


class Pair:
    """A prefill process and a decode process, connected; a context manager that leaves neither.

    ``limit_s`` bounds every single order: a process that hears nothing for so long ends by itself.
    """

    def __init__(self, cases: tuple[Case, ...], *, limit_s: float = 120.0) -> None:
        self._cases = cases
        self._limit_s = limit_s
        self._workers: list[_Worker] = []
        self._segment: SharedMemory | None = None

    def __enter__(self) -> Pair:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End both processes and give the segment back."""
        for worker in self._workers:
            worker.end()
        self._workers.clear()
        if self._segment is not None:
            self._segment.close()
            self._segment.unlink()
            self._segment = None

    def _start(self) -> None:
        room = tokens_room(self._cases)
        size = max(dims_of(config_of(c.model.size)).kv_elements(room) for c in self._cases) * 4
        self._segment = SharedMemory(create=True, size=size)
        # Fresh pages would be paid for by the first hand-off.
        room_of(self._segment)[:size] = bytes(size)
        name = self._segment.name
        first, second = cores()
        self._workers = [
            _Worker(serve_prefill, first, self._limit_s),
            _Worker(serve_decode, second, self._limit_s),
        ]
        prefill, decode = self._workers
        port = self._ask(decode, "port")
        decode.tell("accept", name)
        self._ask(prefill, "connect", port, name)
        decode.answer()
        for model in dict.fromkeys(case.model for case in self._cases):
            self._load(model, room)

    def _load(self, model: ModelKey, room: int) -> None:
        prefill, decode = self._workers
        handoffs = [case.handoff for case in self._cases if case.model == model]
        # Probes hand over what the model makes.
        kvs = tuple(sorted({model.format, *(handoff.kv for handoff in handoffs)}))
        wires = tuple(sorted({handoff.wire for handoff in handoffs}))
        prefill.tell("load", model, wires, room)
        decode.tell("load", model, kvs, wires, room)
        prefill.answer()
        decode.answer()

    def _ask(self, worker: _Worker, name: str, *arguments: Any) -> Any:
        worker.tell(name, *arguments)
        return worker.answer()

    def sentinels(self) -> tuple[tuple[float, float], ...]:
        """Return the CPU and wall seconds of the sentinel on P's core and on D's, in turn."""
        prefill, decode = self._workers
        return self._ask(prefill, "sentinel"), self._ask(decode, "sentinel")

    def twin(self, key: ModelKey) -> tuple[float, ...]:
        """Return decode steps of the narrow twin of a model at batch 1 and 4."""
        found: tuple[float, ...] = self._ask(self._workers[0], "twin", key)
        return found

    def probe(self, case: Case, repeats: int = PROBES) -> LinkSample:
        """Hand over KV of no request a few times; return carrier, bytes and the median seconds."""
        prefill, decode = self._workers
        times, size = [], 0
        for _ in range(repeats):
            decode.tell("run", case, time.perf_counter())
            time.sleep(_START_S)  # the receiver waits, as it does while a prompt is computed
            prefill.tell("probe", case)
            size = prefill.answer()
            times.append(decode.answer()["requests"][0]["transfer_s"])
        return case.handoff.through, size, median(times)

    def run(self, case: Case) -> Served:
        """Run a case for real and return what happened."""
        prefill, decode = self._workers
        start_s = time.perf_counter() + _START_S
        decode.tell("run", case, start_s)
        prefill.tell("run", case, start_s)
        sent = prefill.answer()
        got = decode.answer()
        rows = [{**a, **b} for a, b in zip(sent, got["requests"], strict=True)]
        for row, ask in zip(rows, case.asks, strict=True):
            row |= {"arrival_s": ask.arrival_s, "isl": ask.isl, "osl": ask.osl}
            row["ttft_s"] = row["first_token_s"] - ask.arrival_s
        return {"requests": rows, "steps": got["steps"]}
