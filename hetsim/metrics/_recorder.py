"""Rows while a run goes on: packed as plain numbers, closed in blocks, kept or written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.metrics._schema import RAW, RunInfo, build_batch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "TABLES",
    "Recorder",
    "pack_gap",
    "pack_move",
    "pack_request",
    "pack_step",
    "pack_transfer",
]

_OCCUPIED = ("pool", "instance", "start_s", "blocks_used", "blocks_total")

TABLES = ("requests", "steps", "transfers", "ownership", "occupancy", "gaps")

# Bytes of a block: large enough that closing it is vectorised, small enough that a run's memory
# does not grow with its length.
_BLOCK_BYTES = 1 << 22

# What is written is kept beside the files while it is small, so that it is not read back.
_KEPT_BYTES = 1 << 26


def _packer(name: str) -> Any:
    """Return the function that turns the values of a row into bytes."""
    return Struct(f"{len(RAW[name])}d").pack


pack_request = _packer("requests")
pack_step = _packer("steps")
pack_transfer = _packer("transfers")
pack_move = _packer("ownership")
pack_gap = _packer("gaps")


class Recorder:
    """Collects the rows of every table.

    ``recorder.steps(pack_step(...))`` and so on append a row, its values in the order of ``RAW``.
    Rows are packed at once, while their numbers are in the cache of the processor: a number is 8
    bytes from then on, and a block of rows is an array without being walked. :meth:`flush` turns
    what has been collected into Arrow record batches; they stay in memory, or go to Parquet files
    in ``folder`` as they come.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._packed: dict[str, bytearray] = {name: bytearray() for name in RAW}
        self.requests = self._packed["requests"].extend
        self.steps = self._packed["steps"].extend
        self.transfers = self._packed["transfers"].extend
        self.ownership = self._packed["ownership"].extend
        self.gaps = self._packed["gaps"].extend
        self._folder = folder
        self._batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in TABLES}
        self._writers: dict[str, Any] = {}
        self._kept_bytes = 0

    def maybe_flush(self, info: RunInfo) -> None:
        """Close a block of each table that has grown large."""
        for name, packed in self._packed.items():
            if len(packed) >= _BLOCK_BYTES:
                self._close(name, info)

    def flush(self, info: RunInfo) -> None:
        """Close what has been collected, empty tables included."""
        for name in self._packed:
            self._close(name, info)

    def _close(self, name: str, info: RunInfo) -> None:
        packed = self._packed[name]
        raw = np.frombuffer(bytes(packed), np.float64).reshape(-1, len(RAW[name]))
        packed.clear()
        self._keep(name, build_batch(name, raw, info))
        if name == "steps":
            self._keep("occupancy", build_batch("occupancy", raw, info))

    def occupied_at_end(
        self, rows: Sequence[tuple[int, int, float, int, int]], info: RunInfo
    ) -> None:
        """Close ``occupancy`` with a row per instance: pool, instance, time, blocks used and total.

        Its other rows are ends of steps; what the last requests held is freed after those.
        """
        raw = np.zeros((len(rows), len(RAW["steps"])))
        places = [RAW["steps"].index(name) for name in _OCCUPIED]
        raw[:, places] = np.array(rows, np.float64).reshape(-1, len(places))
        self._keep("occupancy", build_batch("occupancy", raw, info))

    def _keep(self, name: str, batch: pa.RecordBatch) -> None:
        kept = self._batches.get(name)
        if kept is not None and (batch.num_rows or not kept):
            kept.append(batch)
        if self._folder is None:
            return
        self._kept_bytes += batch.nbytes
        if self._kept_bytes > _KEPT_BYTES:
            self._batches.clear()
        self._write(self._folder, name, batch)

    def _write(self, folder: Path, name: str, batch: pa.RecordBatch) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        writer = self._writers.get(name)
        if writer is None:
            # Only words are worth a dictionary: looking for equal floats is most of the cost of a
            # file and makes it larger. Without the Arrow schema, words are read as plain strings.
            # LZ4 takes half of Zstandard's time for a fifth more bytes.
            words = [f.name for f in batch.schema if pa.types.is_dictionary(f.type)]
            writer = self._writers[name] = pq.ParquetWriter(
                folder / f"{name}.parquet",
                batch.schema,
                compression="lz4",
                use_dictionary=words,
                write_statistics=False,
                store_schema=False,
            )
        if batch.num_rows:
            writer.write_batch(batch)

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers = {}

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Return a table (or some of its columns); from disk if it was written."""
        import pyarrow as pa

        if self._folder is not None:
            import pyarrow.parquet as pq

            return pq.read_table(self._folder / f"{name}.parquet", columns=columns)
        made = pa.Table.from_batches([_plain(batch) for batch in self._batches[name]])
        return made.select(columns) if columns else made

    def coded(self, name: str) -> pa.Table:
        """Return a table for figures: words may be codes, and a small one is not read back."""
        import pyarrow as pa

        if name not in self._batches:
            return self.table(name)
        return pa.Table.from_batches(self._batches[name]).unify_dictionaries()


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with dictionary columns decoded, as they are read from a file."""
    import pyarrow as pa

    columns = [
        column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
