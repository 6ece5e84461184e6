"""When the pieces of a transfer are ready, and how much of it prefill cannot hide."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["exposed_after_prefill_s", "exposed_layerwise_s", "layer_ready_s"]


def layer_ready_s(prefill_s: float, layers: int) -> tuple[float, ...]:
    """Return when each layer's KV is ready, from the start of a prefill of ``prefill_s``.

    Layers take equal time, those of all pipeline stages in order: one request passes the stages
    one after the other.

    >>> layer_ready_s(4.0, 4)
    (1.0, 2.0, 3.0, 4.0)
    """
    return tuple(prefill_s * (index + 1) / layers for index in range(layers))


def exposed_after_prefill_s(
    ready_s: Sequence[float], piece_s: Sequence[float], prefill_s: float
) -> float:
    """Return the seconds between the end of prefill and the last piece's arrival.

    Pieces go one after the other: each starts when it is ready and its forerunner has landed.

    >>> exposed_after_prefill_s([1.0, 2.0], [0.5, 0.5], 2.0)
    0.5
    >>> exposed_after_prefill_s([1.0, 2.0], [3.0, 3.0], 2.0)
    5.0
    """
    landed = 0.0
    for ready, seconds in zip(ready_s, piece_s, strict=True):
        landed = max(landed, ready) + seconds
    return max(0.0, landed - prefill_s)


def exposed_layerwise_s(prefill_s: float, transfer_s: float, pieces: int) -> float:
    """Return the exposed seconds of ``pieces`` equal pieces that become ready at equal steps.

    One piece if the wire keeps up with compute, else the backlog behind the first piece::

        max(transfer / n, transfer - prefill * (n - 1) / n)

    Source: KV boundary study, section 6.3 E. Valid for: one request alone on its wire.

    >>> exposed_layerwise_s(2.0, 1.0, 2), exposed_layerwise_s(2.0, 6.0, 2)
    (0.5, 5.0)
    """
    return max(transfer_s / pieces, transfer_s - prefill_s * (pieces - 1) / pieces)
