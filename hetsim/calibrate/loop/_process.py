"""The life of a worker process: pinned, one thread, gone when its parent is gone or silent."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from hetsim.calibrate.loop._cases import ModelKey

__all__ = ["Failure", "serve_decode", "serve_prefill"]


class Failure(str):
    """What went wrong in a worker, in words."""


def _settle(core: int | None) -> None:
    """Use one thread, on one core where the system allows it."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})
    import torch

    torch.set_num_threads(1)


def _sentinel() -> tuple[float, float]:
    from hetsim.calibrate.loop._sentinel import sentinel_s

    return sentinel_s()


def _twin(key: ModelKey) -> tuple[float, ...]:
    from hetsim.calibrate.loop._sentinel import twin_s

    return twin_s(key)


def serve_prefill(orders: Connection, core: int | None, limit_s: float) -> None:
    """Run the prefill process until its parent says so, dies, or is silent for ``limit_s``."""
    _settle(core)
    from hetsim.calibrate.loop._prefill import Prefill

    stage = Prefill(limit_s)
    _serve(
        orders,
        {
            "connect": stage.connect,
            "load": stage.load,
            "run": stage.run,
            "probe": stage.probe,
            "twin": _twin,
        },
        limit_s,
    )


def serve_decode(orders: Connection, core: int | None, limit_s: float) -> None:
    """Run the decode process until its parent says so, dies, or is silent for ``limit_s``."""
    _settle(core)
    from hetsim.calibrate.loop._decode import Decode

    stage = Decode(limit_s)
    _serve(
        orders,
        {"port": stage.port, "accept": stage.accept, "load": stage.load, "run": stage.run},
        limit_s,
    )


def _serve(orders: Connection, handlers: Mapping[str, Callable[..., Any]], limit_s: float) -> None:
    handlers = {**handlers, "sentinel": _sentinel}
    # A dead parent closes the pipe; a parent that forgot us stays silent.
    while orders.poll(limit_s):
        try:
            name, arguments = orders.recv()
        except EOFError:
            return
        if name == "stop":
            return
        try:
            answer = handlers[name](*arguments)
        except Exception as error:  # told to the parent, which decides
            answer = Failure(f"{name}: {type(error).__name__}: {error}")
        try:
            orders.send(answer)
        except (BrokenPipeError, OSError):
            return
