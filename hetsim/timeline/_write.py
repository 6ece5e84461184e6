"""The trace file of a run."""

from __future__ import annotations

import gzip
from pathlib import Path

from hetsim.run import Result
from hetsim.timeline._tracks import Tracks

__all__ = ["FILE", "MOST_REQUESTS", "write_trace"]

FILE = "trace.json.gz"
MOST_REQUESTS = 50_000
"""Requests that a trace shows; more would not open in a browser."""


def write_trace(result: Result, path: str | Path, most: int = MOST_REQUESTS) -> Path:
    """Write what happened in a run as a Chrome trace, compressed; equal runs give equal bytes.

    Groups of tracks: each pool (a track per instance, counters of blocks and queue), links (a track
    per pair of instances, a counter of bandwidth), KV ownership (a slice per owner of a request's
    blocks), requests (one track each, its stages as slices). An arrow leads from the prefill of a
    request through its transfer to its decode.

    Only the first ``most`` requests are shown, and steps until the last of them ended; a request
    track is shared by requests that follow each other where there are more than 2,000.
    """
    target = Path(path)
    tracks = Tracks(result, most)
    with (
        open(target, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as out,
    ):
        for line in tracks.made().lines():
            out.write(line.encode())
    return target
