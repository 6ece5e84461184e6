"""Rows while a run goes on: appended as plain numbers, closed in blocks, kept or written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hetsim.metrics._schema import RAW, RunInfo, build_batch

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Recorder", "TABLES"]

TABLES = ("requests", "steps", "transfers", "ownership", "occupancy", "gaps")

# Rows of a block: large enough that closing it is vectorised, small enough that a run's memory
# does not grow with its length.
_BLOCK_VALUES = 1 << 20


class Recorder:
    """Collects the rows of every table.

    ``recorder.steps(row)`` and so on are the ``extend`` of a flat list: the cheapest append there
    is. :meth:`flush` turns what has been collected into Arrow record batches; they stay in memory,
    or go to Parquet files in ``folder`` as they come.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._flat: dict[str, list[float]] = {name: [] for name in RAW}
        self.requests = self._flat["requests"].extend
        self.steps = self._flat["steps"].extend
        self.transfers = self._flat["transfers"].extend
        self.ownership = self._flat["ownership"].extend
        self.gaps = self._flat["gaps"].extend
        self._folder = folder
        self._batches: dict[str, list[pa.RecordBatch]] = {name: [] for name in TABLES}
        self._writers: dict[str, Any] = {}

    def maybe_flush(self, info: RunInfo) -> None:
        """Close a block of each table that has grown large."""
        for name, flat in self._flat.items():
            if len(flat) >= _BLOCK_VALUES:
                self._close(name, info)

    def flush(self, info: RunInfo) -> None:
        """Close what has been collected, empty tables included."""
        for name in self._flat:
            self._close(name, info)

    def _close(self, name: str, info: RunInfo) -> None:
        flat = self._flat[name]
        raw = np.array(flat, np.float64).reshape(-1, len(RAW[name]))
        flat.clear()
        self._keep(name, build_batch(name, raw, info))
        if name == "steps":
            self._keep("occupancy", build_batch("occupancy", raw, info))

    def _keep(self, name: str, batch: pa.RecordBatch) -> None:
        if self._folder is None:
            if batch.num_rows or not self._batches[name]:
                self._batches[name].append(batch)
            return
        import pyarrow.parquet as pq

        # Dictionaries may grow between blocks, and a Parquet file has one type per column anyway.
        batch = _plain(batch)
        writer = self._writers.get(name)
        if writer is None:
            path = self._folder / f"{name}.parquet"
            writer = self._writers[name] = pq.ParquetWriter(path, batch.schema, compression="zstd")
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


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with dictionary columns decoded; Parquet encodes them again by itself."""
    import pyarrow as pa

    columns = [
        column.dictionary_decode() if isinstance(column, pa.DictionaryArray) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
