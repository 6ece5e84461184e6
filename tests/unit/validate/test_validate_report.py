"""From tables to the report: small tables through the real engine."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from hetsim.cli import invoke
from hetsim.errors import ScenarioError
from hetsim.validate import METRICS, validate

OFFLINE = {"load_type": "max_throughput_offline", "num_requests": "40", "concurrency": ""}
STATIC = {"load_type": "static_batch", "batch_size": "4", "concurrency": ""}
BURST = {"load_type": "burst_all_at_once", "num_requests": "20", "concurrency": ""}
OPEN = {"load_type": "open_loop", "request_rate": "2", "num_requests": "20", "concurrency": ""}
STAGED = {"load_type": "open_loop_staged", "request_rate": "2->4 (2 stages x 5 s)"}
APART = {
    "mode": "disagg", "tp": "", "n_accel": "2", "p_tp": "1", "p_workers": "1", "d_tp": "1",
    "d_workers": "1",
}  # fmt: skip


@pytest.mark.parametrize("changes", [{}, OFFLINE, STATIC, BURST, OPEN, STAGED, APART, {"tp": ""}])
def test_every_load_type_gives_figures(table, changes: dict[str, str]) -> None:
    (found,) = validate([table(changes)]).to_dict()["per_row"]
    assert found["status"] == "ok", found["reason"]
    assert 1 < found["ttft_ms"] < 1e5 and 0.1 < found["tpot_ms"] < 1e3
    assert found["out_tok_s"] >= found["out_tok_s_per_accel"] > 0


def test_more_users_are_slower_and_give_more(table) -> None:
    few, many = validate([table({}, {"concurrency": "64"})]).to_dict()["per_row"]
    assert many["tpot_ms"] > few["tpot_ms"] and many["ttft_ms"] > few["ttft_ms"]
    assert many["out_tok_s"] > 4 * few["out_tok_s"]


def test_json_has_exactly_the_promised_shape(table, capsys) -> None:
    path = table({}, {"model": "nobody-9b"}, {"model": "Llama 3.1 405B"}, {"mine": "x"})
    assert invoke(["validate", str(path), "--json", "--workers", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"rows", "simulated", "failed", "metrics", "groups", "per_row"}
    assert found["rows"] == 4 and found["simulated"] == 2
    assert [set(item) for item in found["failed"]] == [{"row_id", "reason"}] * 2
    assert set(found["metrics"]) == set(METRICS)
    for metric in found["metrics"].values():
        assert set(metric) == {"n", "median_ape", "p90_ape", "bias"}
    assert [row["status"] for row in found["per_row"]] == ["ok", "failed", "does_not_fit", "ok"]
    for row in found["per_row"]:
        assert set(row) == {
            "row_id", "status", "reason", "ttft_ms", "tpot_ms", "out_tok_s", "out_tok_s_per_accel",
        }  # fmt: skip
    assert "nobody-9b" in found["failed"][0]["reason"]
    assert found["groups"][0]["rows"] == 4


def test_a_table_without_columns_is_refused(tmp_path: Path, capsys) -> None:
    path = tmp_path / "t.csv"
    path.write_text("row_id,accelerator\nR1,h100\n")
    assert invoke(["validate", str(path), "--workers", "1"]) == 2
    assert "missing" in (text := capsys.readouterr().err) or "lacks" in text
    assert not list(tmp_path.glob("*.json"))


def test_a_table_without_rows_is_no_error(table) -> None:
    path = table({})
    path.write_text(path.read_text().splitlines()[0] + "\n")
    found = validate([path]).to_dict()
    assert found["rows"] == 0 and found["metrics"]["tpot"]["n"] == 0


def test_out_holds_every_row_and_every_column(table, tmp_path: Path) -> None:
    path = table({"mine": "kept"}, {"engine": "abacus"})
    report = validate([path])
    report.write(tmp_path / "out")
    with (tmp_path / "out" / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["mine"] for row in rows] == ["kept", ""]
    assert rows[0]["hetsim_status"] == "ok" and float(rows[0]["hetsim_tpot"]) > -100
    assert rows[1]["hetsim_status"] == "failed" and "abacus" in rows[1]["hetsim_reason"]
    assert json.loads((tmp_path / "out" / "validation.json").read_text())["rows"] == 2
    assert "2 rows, 1 simulated" in report.to_text()


@pytest.mark.slow
def test_processes_change_nothing(table) -> None:
    path = table(*[{"concurrency": str(1 + i % 5)} for i in range(30)])
    alone, together = validate([path]), validate([path], workers=2)
    assert alone.to_dict() == together.to_dict()


def test_other_kinds_of_tables(table) -> None:
    phase = {
        "accelerator": "H100", "model": "Llama-2-7B", "engine": "vLLM", "weight_dtype": "fp16",
        "tp": "1", "phase": "prefill", "metric": "ttft", "value": "36", "batch_size": "1",
        "isl": "2048", "osl": "1",
    }  # fmt: skip
    mlperf = {
        "accelerator": "H100", "n_accel": "2", "model": "llama3.1-8b", "scenario": "Offline",
        "weight_dtype": "fp8", "engine": "TensorRT 10.14", "tok_s": "10000",
        "tok_s_per_accel": "5000", "osl_mean": "60", "isl_mean": "300",
    }  # fmt: skip
    transfer = {
        "src_accel": "H800", "dst_accel": "H800", "link": "8x CX-7", "line_rate_gbytes": "200",
        "engine": "vLLM MooncakeConnector", "kv_bytes": "1000000000", "bandwidth_gbs": "120",
    }  # fmt: skip
    scale = {
        "accelerator": "H200", "n_accel_phase": "16", "phase": "decode", "model": "DeepSeek-R1",
        "weight_dtype": "fp8", "parallelism": "EP16 DP16", "engine": "vLLM", "isl": "500",
        "osl": "20", "tok_s_per_accel": "2000",
    }  # fmt: skip
    scored = ("ttft", "throughput", "throughput", "throughput")
    for base, metric in zip((phase, mlperf, transfer, scale), scored, strict=True):
        report = validate([table({"grade": "B"}, base=base)])
        (found,) = report.to_dict()["per_row"]
        assert found["status"] == "ok", found["reason"]
        assert report.to_dict()["metrics"][metric]["n"] == 1
    assert "best of 2 layouts" in validate([table({}, base=mlperf)]).outcomes[0].reason


@pytest.mark.slow
def test_measured_results_are_met_within_loose_bounds(shared_data: Path) -> None:
    path = shared_data / "validation" / "serving.csv"
    if not path.is_file():
        pytest.skip(f"measured serving results absent: {path}")
    report = validate([path], every=23)
    found = report.to_dict()
    metrics = found["metrics"]
    assert report.groups()[0]["coverage"] > 0.97
    assert metrics["tpot"]["n"] > 60 and metrics["tpot"]["median_ape"] < 20
    assert metrics["ttft"]["median_ape"] < 40 and metrics["throughput"]["median_ape"] < 20


def test_a_page_gets_a_section_per_kind_of_table(table, tmp_path: Path) -> None:
    transfer = {
        "src_accel": "H800", "dst_accel": "H800", "link": "8x CX-7", "line_rate_gbytes": "200",
        "engine": "vLLM MooncakeConnector", "kv_bytes": "1000000000", "bandwidth_gbs": "120",
    }  # fmt: skip
    unknown = {**transfer, "engine": "pigeon 7"}
    page = tmp_path / "page.md"
    page.write_text("# Validation\n\nWords.\n")
    report = validate([table({}, unknown, base=transfer)])
    report.write_section(page)
    first = page.read_text()
    assert first.startswith("# Validation\n\nWords.\n") and "## KV transfers, by group" in first
    assert "2 rows, 1 simulated" in first and "- 1: engine: is 'pigeon #'" in first
    # A later edition takes the place of the earlier one, and what follows it stays.
    page.write_text(first + "\nAfter.\n")
    report.write_section(page)
    assert page.read_text() == first + "\nAfter.\n"
    with pytest.raises(ScenarioError, match="one kind"):
        both = [table({}, name="a.csv"), table({}, base=transfer, name="b.csv")]
        validate(both).write_section(page)
