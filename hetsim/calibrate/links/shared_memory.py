"""Memory that two processes share: one copies in, the other copies out."""

from __future__ import annotations

import time
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from hetsim.calibrate.links._peer import Peer
from hetsim.calibrate.links._types import Setting

__all__ = ["SharedLink", "open_link"]


def open_link(setting: Setting) -> SharedLink:
    """Return a segment that a process of its own reads."""
    return SharedLink(setting.largest_bytes)


class SharedLink:
    """The writing end. A transfer ends when the other side has copied all bytes out."""

    ops = ("copy_in_out",)

    def __init__(self, largest: int) -> None:
        started = time.perf_counter()
        self._memory = SharedMemory(create=True, size=largest)
        self._data = memoryview(bytearray(2 * largest))
        # Touched once, so that no transfer pays for the first use of a page.
        _fill(_view(self._memory))
        touched = time.perf_counter() - started
        self._peer = Peer(_copy_out, self._memory.name, largest)
        self.connect_s = touched

    def transfer(self, op: str, size: int, pieces: int) -> None:
        """Copy in, tell the other side, and wait for it."""
        each = size // pieces
        shared, data = _view(self._memory), self._data
        for i in range(pieces):
            shared[i * each : (i + 1) * each] = data[2 * i * each : 2 * i * each + each]
        self._peer.pipe.send((size, pieces))
        self._peer.wait()

    def close(self) -> None:
        """End the peer and remove the segment."""
        self._peer.close()
        self._memory.close()
        self._memory.unlink()


def _view(memory: SharedMemory) -> memoryview:
    found = memory.buf
    if found is None:
        raise TimeoutError("the shared segment is closed")
    return found


def _fill(place: memoryview) -> None:
    block = bytes(1 << 20)
    for start in range(0, len(place), len(block)):
        end = min(len(place), start + len(block))
        place[start:end] = block[: end - start]


def _copy_out(pipe: Any, name: str, largest: int) -> None:
    memory = SharedMemory(name=name)
    data, shared = memoryview(bytearray(2 * largest)), _view(memory)
    _fill(data)
    pipe.send("ready")
    while True:
        try:
            word = pipe.recv()
        except EOFError:
            break
        if word is None:
            break
        size, pieces = word
        each = size // pieces
        for i in range(pieces):
            data[2 * i * each : 2 * i * each + each] = shared[i * each : (i + 1) * each]
        pipe.send("!")
    del shared
    memory.close()
