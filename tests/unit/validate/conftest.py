"""Small tables of measured results, written by the test that reads them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

SERVING = {
    "row_id": "R1",
    "grade": "A",
    "source": "somebody",
    "accelerator": "H100-SXM",
    "n_accel": "1",
    "model": "Llama 3.1 8B",
    "model_family": "llama3.1-8b",
    "engine": "vLLM",
    "engine_version": "0.11",
    "weight_dtype": "bf16",
    "act_dtype": "bf16",
    "kv_dtype": "bf16",
    "mode": "agg",
    "tp": "1",
    "pp": "1",
    "dp": "1",
    "ep": "1",
    "replicas": "1",
    "load_type": "closed_loop",
    "concurrency": "4",
    "request_rate": "",
    "batch_size": "",
    "num_requests": "",
    "isl": "512",
    "osl": "64",
    "length_dist": "fixed",
    "spec_decode": "0",
    "ttft_ms_mean": "60",
    "tpot_ms_mean": "8",
    "out_tok_s": "450",
    "out_tok_s_per_accel": "450",
    "notes": "",
}

Write = Callable[..., Path]


@pytest.fixture
def serving() -> dict[str, str]:
    """Return a plain serving row."""
    return dict(SERVING)


@pytest.fixture
def table(tmp_path: Path) -> Write:
    """Return a function that writes rows, each a dict of changes to a plain serving row."""

    def write(
        *rows: dict[str, str], base: dict[str, str] | None = None, name: str = "t.csv"
    ) -> Path:
        plain = SERVING if base is None else base
        full = [{**plain, "row_id": f"R{i}", **row} for i, row in enumerate(rows, 1)]
        columns = dict.fromkeys(column for row in full for column in row)
        path = tmp_path / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(columns))
            writer.writeheader()
            writer.writerows(full)
        return path

    return write
