"""A TCP connection over the loopback interface; every piece is sent and received on its own.

``send`` repeats itself from one buffer into one buffer; ``send_cold`` takes bytes that lie in no
cache to a place that does not, and wakes a receiver that slept, as a hand-off of KV does.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from hetsim.calibrate.links._peer import Peer, touched
from hetsim.calibrate.links._types import COLD, IDLE_S, Ring, Setting

__all__ = ["TcpLink", "open_link"]

_HEAD = struct.Struct("!QQQ")


def open_link(setting: Setting) -> TcpLink:
    """Return a connection to a process of its own."""
    return TcpLink(setting.ring_bytes)


class TcpLink:
    """The sending end. A transfer ends when the other side has all bytes and has said so."""

    ops = ("send", f"send{COLD}")

    def __init__(self, room: int) -> None:
        self._peer = Peer(_receive, room)
        started = time.perf_counter()
        self._socket = socket.create_connection(("127.0.0.1", int(self._peer.ready)))
        self.connect_s = time.perf_counter() - started
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._data = memoryview(touched(room))
        self._ring = Ring(room)

    def transfer(self, op: str, size: int, pieces: int) -> float:
        """Send and wait for the answer."""
        base, each = self._ring.next(op, 2 * size), size // pieces
        if op.endswith(COLD):
            time.sleep(IDLE_S)
        started = time.perf_counter()
        self._socket.sendall(_HEAD.pack(size, pieces, base))
        for i in range(pieces):
            start = base + 2 * i * each
            self._socket.sendall(self._data[start : start + each])
        if not self._socket.recv(1):
            raise TimeoutError("the other end of the connection is gone")
        return time.perf_counter() - started

    def close(self) -> None:
        """Close the connection and end the peer."""
        self._socket.close()
        self._peer.close()


def _receive(pipe: Any, room: int) -> None:
    data = memoryview(touched(room))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(1)
        pipe.send(listening.getsockname()[1])
        connection, _ = listening.accept()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        head = bytearray(_HEAD.size)
        while _fill(connection, memoryview(head)):
            size, pieces, base = _HEAD.unpack(head)
            each = size // pieces
            for i in range(pieces):
                start = base + 2 * i * each
                _fill(connection, data[start : start + each])
            connection.sendall(b"!")


def _fill(connection: socket.socket, place: memoryview) -> bool:
    done = 0
    while done < len(place):
        count = connection.recv_into(place[done:])
        if not count:
            return False
        done += count
    return True
