"""Memory that two processes share: one copies in, the other copies out.

``copy_in_out`` repeats itself from one buffer into one buffer; ``copy_in_out_cold`` takes bytes
that lie in no cache to a place that does not, and wakes a reader that slept, as a hand-off of KV
does. The segment between them is the same each time, as it is in a server.
"""

from __future__ import annotations

import time
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from hetsim.calibrate.links._peer import Peer, touched
from hetsim.calibrate.links._types import COLD, IDLE_S, Ring, Setting

__all__ = ["SharedLink", "open_link"]


def open_link(setting: Setting) -> SharedLink:
    """Return a segment that a process of its own reads."""
    return SharedLink(setting.largest_bytes, setting.ring_bytes)


class SharedLink:
    """The writing end. A transfer ends when the other side has copied all bytes out."""

    ops = ("copy_in_out", f"copy_in_out{COLD}")

    def __init__(self, largest: int, room: int) -> None:
        started = time.perf_counter()
        self._memory = SharedMemory(create=True, size=largest)
        # Touched once, so that no transfer pays for the first use of a page.
        _fill(_view(self._memory))
        self.connect_s = time.perf_counter() - started
        self._data = memoryview(touched(room))
        self._ring = Ring(room)
        self._peer = Peer(_copy_out, self._memory.name, room)

    def transfer(self, op: str, size: int, pieces: int) -> float:
        """Copy in, tell the other side, and wait for it."""
        base, each = self._ring.next(op, 2 * size), size // pieces
        shared, data = _view(self._memory), self._data
        if op.endswith(COLD):
            time.sleep(IDLE_S)
        started = time.perf_counter()
        for i in range(pieces):
            start = base + 2 * i * each
            shared[i * each : (i + 1) * each] = data[start : start + each]
        self._peer.pipe.send((size, pieces, base))
        self._peer.wait()
        return time.perf_counter() - started

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


def _copy_out(pipe: Any, name: str, room: int) -> None:
    memory = SharedMemory(name=name)
    data, shared = memoryview(touched(room)), _view(memory)
    pipe.send("ready")
    while True:
        try:
            word = pipe.recv()
        except EOFError:
            break
        if word is None:
            break
        size, pieces, base = word
        each = size // pieces
        for i in range(pieces):
            start = base + 2 * i * each
            data[start : start + each] = shared[i * each : (i + 1) * each]
        pipe.send("!")
    del shared
    memory.close()
