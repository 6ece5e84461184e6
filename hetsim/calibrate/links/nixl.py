"""NIXL between two agents, host memory to host memory: a transfer engine that servers use."""

from __future__ import annotations

import logging
import time
from importlib import import_module
from typing import Any

from hetsim.calibrate.links._types import Setting
from hetsim.calibrate.measure._types import NotAvailable

__all__ = ["NixlLink", "open_link"]


def open_link(setting: Setting) -> NixlLink:
    """Return two agents that know each other's memory."""
    try:
        library = import_module("nixl._api")
    except ImportError:
        raise NotAvailable("nixl is not installed: pip install 'hetsim[transfer]'") from None
    logging.getLogger("nixl").setLevel(logging.WARNING)
    return NixlLink(library, setting.largest_bytes)


class NixlLink:
    """The reading agent; a transfer ends when the engine says that it is done."""

    ops = ("read",)

    def __init__(self, library: Any, largest: int) -> None:
        import numpy as np

        self._agents = [library.nixl_agent(name) for name in ("producer", "consumer")]
        self._memory = [np.zeros(2 * largest, dtype=np.uint8) for _ in self._agents]
        self._registered = []
        for agent, memory in zip(self._agents, self._memory, strict=True):
            memory[:] = 1  # touched
            place = [(memory.ctypes.data, memory.nbytes, 0, "")]
            self._registered.append(agent.register_memory(place, "DRAM"))
        self._prepared: dict[tuple[int, int], Any] = {}
        started = time.perf_counter()
        metadata = self._agents[0].get_agent_metadata()
        self._peer = self._agents[1].add_remote_agent(metadata)
        self._move(4096, 1)
        self.connect_s = time.perf_counter() - started

    def transfer(self, op: str, size: int, pieces: int) -> float:
        """Read; describing the pieces is part of what is timed, as it is in a server."""
        started = time.perf_counter()
        self._move(size, pieces)
        return time.perf_counter() - started

    def _move(self, size: int, pieces: int) -> None:
        each, agent = size // pieces, self._agents[1]
        lists = [
            agent.get_xfer_descs(
                [(memory.ctypes.data + 2 * i * each, each, 0) for i in range(pieces)], "DRAM"
            )
            for memory in self._memory
        ]
        handle = agent.initialize_xfer("READ", lists[1], lists[0], self._peer)
        state = agent.transfer(handle)
        while state == "PROC":
            state = agent.check_xfer_state(handle)
        agent.release_xfer_handle(handle)
        if state != "DONE":
            raise TimeoutError(f"the transfer ended as {state}")

    def close(self) -> None:
        """Forget memory and agents."""
        for agent, place in zip(self._agents, self._registered, strict=True):
            agent.deregister_memory(place)
        self._agents.clear()
        self._memory.clear()
