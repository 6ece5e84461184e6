"""KV bytes from one process to the other: a TCP stream on the loopback, or a shared segment.

A hand-off is a small head (JSON) and a payload. The start is stamped by the sender and the end by
the receiver, on the one monotonic clock of the machine.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterable
from multiprocessing.shared_memory import SharedMemory
from typing import Any

from hetsim.calibrate.loop._cases import Through
from hetsim.errors import InfeasibleError

__all__ = ["Listener", "Receiver", "Sender", "room_of"]

_LOOPBACK = "127.0.0.1"
_LENGTH = struct.Struct("!I")
_DONE = b"\x06"


def room_of(segment: SharedMemory) -> memoryview:
    """Return the bytes of an open segment."""
    room = segment.buf
    assert room is not None
    return room


class Listener:
    """Waits for the one sender on a free port of the loopback."""

    def __init__(self, limit_s: float) -> None:
        self._socket = socket.create_server((_LOOPBACK, 0))
        self._socket.settimeout(limit_s)
        self.port: int = self._socket.getsockname()[1]

    def accept(self, segment: str) -> Receiver:
        """Return the receiving end, once the sender has connected."""
        stream, _ = self._socket.accept()
        self._socket.close()
        return Receiver(stream, segment)


class Sender:
    """The sending end; one hand-off at a time."""

    def __init__(self, port: int, segment: str, limit_s: float) -> None:
        self._stream = socket.create_connection((_LOOPBACK, port), timeout=limit_s)
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._segment = SharedMemory(segment)
        self._taken = False

    def send(self, head: dict[str, Any], payload: memoryview, through: Through) -> None:
        """Hand over ``payload``; returns when the segment is filled or the stream has taken all."""
        if through == "shared_memory" and self._taken:
            self._stream.recv(1)  # the receiver has copied the last payload out
            self._taken = False
        head = {**head, "through": through, "start_s": time.perf_counter()}
        if through == "shared_memory":
            room_of(self._segment)[: len(payload)] = payload
            self._taken = True
        text = json.dumps(head).encode()
        self._stream.sendall(_LENGTH.pack(len(text)) + text)
        if through == "tcp":
            self._stream.sendall(payload)

    def close(self) -> None:
        """Close both ways."""
        self._stream.close()
        self._segment.close()


class Receiver:
    """The receiving end."""

    def __init__(self, stream: socket.socket, segment: str) -> None:
        self._stream = stream
        self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._segment = SharedMemory(segment)

    def limit(self, seconds: float) -> None:
        """Set how long the sender may be silent."""
        self._stream.settimeout(seconds)

    def head(self) -> dict[str, Any]:
        """Return the next head."""
        length = bytearray(_LENGTH.size)
        self._fill(memoryview(length))
        text = bytearray(_LENGTH.unpack(length)[0])
        self._fill(memoryview(text))
        found: dict[str, Any] = json.loads(text)
        return found

    def payload(self, pieces: Iterable[memoryview], through: Through) -> float:
        """Put the payload where ``pieces`` lie and return when the last byte was there."""
        if through == "tcp":
            for piece in pieces:
                self._fill(piece)
            return time.perf_counter()
        at, buffer = 0, room_of(self._segment)
        for piece in pieces:
            piece[:] = buffer[at : at + len(piece)]
            at += len(piece)
        ended = time.perf_counter()
        self._stream.sendall(_DONE)
        return ended

    def _fill(self, piece: memoryview) -> None:
        while piece:
            got = self._stream.recv_into(piece)
            if not got:
                raise InfeasibleError(
                    "the prefill process closed the stream in the middle of a piece"
                )
            piece = piece[got:]

    def close(self) -> None:
        """Close both ways."""
        self._stream.close()
        self._segment.close()
