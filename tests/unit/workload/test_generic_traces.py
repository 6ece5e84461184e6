"""What a file does not say: block sizes and time units read off its values, columns by name."""

import json
from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.workload import ReadOptions, build_workload, read_trace, workload_spec


def jsonl(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def mooncake(at, isl, osl, ids):
    return {"timestamp": at, "input_length": isl, "output_length": osl, "hash_ids": ids}


def written(folder: Path, text: str) -> Path:
    path = folder / "trace"
    path.write_text(text)
    return path


def test_the_block_size_is_read_off_the_lengths(tmp_path):
    rows = [mooncake(k, 100 * k + 1, 1, list(range((100 * k + 1) // 48))) for k in range(9)]
    table = read_trace(written(tmp_path, jsonl(*rows)))
    assert table.hash_block_tokens in range(45, 49)
    assert "full blocks only" in table.notes[-1]


def test_a_row_that_contradicts_the_block_size_is_refused_with_its_line(tmp_path):
    rows = [mooncake(k, 500 * k + 1, 1, list(range(-(-(500 * k + 1) // 512)))) for k in range(30)]
    rows[17]["hash_ids"].append(99)
    with pytest.raises(
        ScenarioError, match="18: 18 hash_ids for an input of 8501 tokens"
    ) as caught:
        read_trace(written(tmp_path, jsonl(*rows)))
    assert len(caught.value.problems) == 1


def test_no_block_size_at_all_is_refused(tmp_path):
    rows = [mooncake(k, 1000, 1, list(range(k))) for k in range(1, 30)]
    with pytest.raises(ScenarioError, match="no block size explains"):
        read_trace(written(tmp_path, jsonl(*rows)))


@pytest.mark.parametrize(
    ("column", "times", "span", "note"),
    [
        ("time (us)", [0, 2e6], 2.0, ""),
        ("timestamp", [0.5, 4.25], 3.75, "read in s"),
        ("timestamp", [0, 900, 1800], 1.8, "read in ms"),
        ("timestamp", [1_700_000_000, 1_700_000_090], 90.0, "read in s"),
        ("timestamp", [1_700_000_000_000, 1_700_000_000_004], 0.004, "read in ms"),
        ("timestamp", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00+00:30"], 1800.0, ""),
    ],
)
def test_units_of_time(column, times, span, note, tmp_path):
    for text in (
        f"{column},input,output\n" + "".join(f"{t},1,1\n" for t in times),
        jsonl(*({column: t, "input": 1, "output": 1} for t in times)),
    ):
        table = read_trace(written(tmp_path, text))
        assert table.arrival_s[-1] == pytest.approx(span)
        assert note in "".join(table.notes)
        assert bool(note) == bool(table.notes)


def test_stated_unit_and_columns(tmp_path):
    path = written(tmp_path, "when,input,prompt_tokens,n\n0,9,1,5\n10,9,2,6\n")
    columns = {"arrival": "when", "isl": "prompt_tokens", "osl": "n"}
    table = read_trace(path, options=ReadOptions("ms", columns), format="generic_csv")
    assert (table.arrival_s[-1], table.isl.tolist(), table.osl.tolist()) == (0.01, [1, 2], [5, 6])
    load = {"kind": "trace", "path": "trace", "format": "generic_csv", "columns": columns}
    again = build_workload(workload_spec({**load, "time_unit": "ms"}), 0, tmp_path).table
    assert again.arrival_s[-1] == 0.01
    with pytest.raises(ScenarioError, match="no column 'gone' for osl"):
        read_trace(path, "generic_csv", options=ReadOptions("ms", {**columns, "osl": "gone"}))


def test_parquet_reads_as_json_lines_do(tmp_path):
    import pandas as pd

    rows = [
        {"arrival_s": 0.5, "isl": 48, "osl": 3, "block_hashes": [5, 6, 7]},
        {"arrival_s": 2, "isl": 70, "osl": 4, "block_hashes": [5, 6, 7, 9]},
        {"arrival_s": 2.5, "isl": 18, "osl": 5, "block_hashes": [5]},
    ]
    path = tmp_path / "trace.any"
    pd.DataFrame(rows).to_parquet(path)
    table = read_trace(path)
    assert table.format == "parquet"
    assert table.arrival_s == pytest.approx([0.0, 1.5, 2.0])
    assert table.hashes(1) == [5, 6, 7, 9]
    assert len(read_trace(path, limit=2)) == 2
    dated = pd.DataFrame({"time": pd.to_datetime(["2026-01-01", "2026-01-02"]), "isl": 1, "osl": 1})
    dated.to_parquet(path)
    assert read_trace(path).arrival_s.tolist() == [0.0, 86400.0]
    dated.assign(isl=[1, 0]).to_parquet(path)
    with pytest.raises(ScenarioError, match="2: isl must be between 1"):
        read_trace(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ScenarioError, match="is not Parquet"):
        read_trace(path)
