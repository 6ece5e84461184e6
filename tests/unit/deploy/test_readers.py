"""Readers of measured files, each on a small file in the documented shape.

Shapes: vllm/benchmarks/serve.py (vLLM 0.15 to 0.33); python/sglang/bench_serving.py (SGLang 0.4 to
0.5); docs/reference/json-export-schema.md (AIPerf, schema 1.5); GenerativeMetrics (GuideLLM 0.3 to
0.7); the Prometheus text format with the names of vLLM's and SGLang's metrics pages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hetsim.deploy import read_measured, reader_names
from hetsim.deploy.readers.prometheus import quantile
from hetsim.errors import ScenarioError

VLLM: dict[str, Any] = {
    "date": "20261124-101500", "backend": "vllm", "model_id": "m", "num_prompts": 10,
    "request_rate": 4.0, "burstiness": 1.0, "max_concurrency": None, "duration": 5.0,
    "completed": 10, "failed": 1, "total_input_tokens": 10000, "total_output_tokens": 2000,
    "request_throughput": 2.0, "output_throughput": 400.0, "total_token_throughput": 2400.0,
    "mean_ttft_ms": 100.0, "median_ttft_ms": 90.0, "std_ttft_ms": 9.0, "p99_ttft_ms": 200.0,
    "mean_tpot_ms": 8.0, "median_tpot_ms": 7.5, "p99_tpot_ms": 9.0,
    "mean_itl_ms": 8.1, "median_itl_ms": 7.6, "p99_itl_ms": 20.0,
    "mean_e2el_ms": 1700.0, "median_e2el_ms": 1600.0, "p90_e2el_ms": 1800.0,
}  # fmt: skip
SGLANG: dict[str, Any] = {
    "backend": "sglang", "dataset_name": "random", "request_rate": 4.0, "max_concurrency": None,
    "duration": 5.0, "completed": 10, "total_input_tokens": 10000, "total_output_tokens": 2000,
    "request_throughput": 2.0, "input_throughput": 2000.0, "output_throughput": 400.0,
    "mean_e2e_latency_ms": 1700.0, "median_e2e_latency_ms": 1600.0, "p99_e2e_latency_ms": 2000.0,
    "mean_ttft_ms": 100.0, "median_ttft_ms": 90.0, "p99_ttft_ms": 200.0,
    "mean_tpot_ms": 8.0, "median_tpot_ms": 7.5, "p99_tpot_ms": 9.0,
    "mean_itl_ms": 8.1, "median_itl_ms": 7.6, "p95_itl_ms": 15.0, "p99_itl_ms": 20.0,
    "concurrency": 3.4,
}  # fmt: skip
AIPERF: dict[str, Any] = {
    "schema_version": "1.5", "aiperf_version": "0.13.0", "was_cancelled": False,
    "time_to_first_token": {"unit": "ms", "avg": 100.0, "p50": 90.0, "p99": 200.0, "count": 10},
    "inter_token_latency": {"unit": "us", "avg": 8000.0, "p50": 7500.0, "p90": 8500.0},
    "request_latency": {"unit": "s", "avg": 1.7, "p50": 1.6, "p99": 2.0},
    "request_throughput": {"unit": "requests/sec", "avg": 2.0},
    "output_token_throughput": {"unit": "tokens/sec", "avg": 400.0},
    "input_sequence_length": {"unit": "tokens", "avg": 1000.0},
    "output_sequence_length": {"unit": "tokens", "avg": 200.0},
    "request_count": {"unit": "requests", "avg": 10.0},
}  # fmt: skip


def guidellm(*rates: float) -> dict[str, Any]:
    def block(mean: float, **quantiles: float) -> dict[str, Any]:
        return {"successful": {"mean": mean, "median": mean, "percentiles": quantiles}}

    runs = [
        {
            "config": {"strategy": {"type_": "constant", "rate": rate}},
            "metrics": {
                "request_totals": {"successful": 10, "incomplete": 0, "errored": 1, "total": 11},
                "requests_per_second": block(rate),
                "output_tokens_per_second": block(200.0 * rate),
                "time_to_first_token_ms": block(100.0, p50=90.0, p90=150.0, p99=200.0),
                "inter_token_latency_ms": block(8.0, p99=9.0),
                "time_per_output_token_ms": block(8.5),
                "request_latency": block(1.7, p99=2.0),
                "prompt_token_count": block(1000.0),
                "output_token_count": block(200.0),
            },
        }
        for rate in rates
    ]
    return {"metadata": {"version": 2, "guidellm_version": "0.7.0"}, "benchmarks": runs}


def histogram(name: str, total: float, counts: dict[str, float], labels: str = "") -> str:
    rows = [f'{name}_bucket{{le="{le}"{labels}}} {count}' for le, count in counts.items()]
    last = list(counts.values())[-1]
    head = [f"# HELP {name} of requests", f"# TYPE {name} histogram"]
    return "\n".join([*head, *rows, f'{name}_sum{{m="x"{labels}}} {total}',
                      f'{name}_count{{m="x"{labels}}} {last}', ""])  # fmt: skip


PROMETHEUS = (
    histogram("vllm:time_to_first_token_seconds", 2.0, {"0.1": 5.0, "0.5": 10.0, "+Inf": 10.0})
    + histogram("vllm:inter_token_latency_seconds", 8.0, {"0.01": 1000.0, "+Inf": 1000.0})
    + histogram("vllm:request_prompt_tokens", 10000.0, {"2000": 10.0, "+Inf": 10.0})
    + 'vllm:num_requests_running{engine="0",model_name="m"} 30.0\n'
    + 'vllm:num_requests_running{engine="1",model_name="m"} 20.0\n'
    + 'vllm:num_requests_waiting{engine="0",model_name="m"} 4.0\n'
    + 'vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.2\n'
    + 'vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.4\n'
)

EXPECTED = {
    "ttft_s.mean": 0.1,
    "ttft_s.p50": 0.09,
    "ttft_s.p99": 0.2,
    "tpot_s.mean": 0.008,
    "e2e_s.mean": 1.7,
    "throughput.req_s": 2.0,
    "throughput.output_tok_s": 400.0,
}


def saved(folder: Path, content: Any, name: str = "measured") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return path


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (VLLM, "vllm_bench"),
        (json.dumps(SGLANG) + "\n", "sglang_bench"),
        (AIPERF, "aiperf"),
        (guidellm(2.0), "guidellm"),
    ],
)
def test_clients_all_say_the_same(content: Any, name: str, tmp_path: Path) -> None:
    """One measurement in four shapes: units and definitions must meet."""
    (found,) = read_measured(saved(tmp_path, content))
    assert found.format == name
    for figure, value in EXPECTED.items():
        assert found.figures[figure] == pytest.approx(value), figure
    assert found.workload["input_tokens"] == pytest.approx(1000.0)
    assert found.workload["output_tokens"] == pytest.approx(200.0)
    assert found.workload["requests"] == 10.0
    assert not found.server_side


def test_every_reader_is_tested_here() -> None:
    assert set(reader_names()) == {
        "aiperf", "guidellm", "prometheus", "sglang_bench", "vllm_bench",
    }  # fmt: skip


def test_an_infinite_rate_is_no_rate(tmp_path: Path) -> None:
    for rate in ("inf", float("inf")):
        (found,) = read_measured(saved(tmp_path, {**VLLM, "request_rate": rate}))
        assert "rate_req_s" not in found.workload


def test_every_line_of_sglang_and_every_rate_of_guidellm_is_a_run(tmp_path: Path) -> None:
    lines = "".join(json.dumps({**SGLANG, "request_throughput": r}) + "\n" for r in (1.0, 3.0))
    found = read_measured(saved(tmp_path, lines))
    assert [one.figures["throughput.req_s"] for one in found] == [1.0, 3.0]
    found = read_measured(saved(tmp_path, guidellm(1.0, 5.0)))
    assert [one.figures["throughput.req_s"] for one in found] == [1.0, 5.0]


def test_a_zero_means_not_measured(tmp_path: Path) -> None:
    (found,) = read_measured(saved(tmp_path, {**VLLM, "mean_tpot_ms": 0.0}))
    assert "tpot_s.mean" not in found.figures


def test_a_snapshot_gives_means_quantiles_and_levels(tmp_path: Path) -> None:
    (found,) = read_measured(saved(tmp_path, PROMETHEUS))
    assert found.format == "prometheus" and found.server_side
    assert found.figures["ttft_s.mean"] == pytest.approx(0.2)
    assert found.figures["ttft_s.p50"] == pytest.approx(0.1)
    assert found.figures["ttft_s.p90"] == pytest.approx(0.1 + 0.4 * 4.0 / 5.0)
    assert found.figures["itl_s.mean"] == pytest.approx(0.008)
    assert found.workload["input_tokens"] == pytest.approx(1000.0)
    assert found.gauges == pytest.approx({"running": 50.0, "waiting": 4.0, "kv_occupancy": 0.3})


def test_ranks_of_one_sglang_engine_are_not_added_up(tmp_path: Path) -> None:
    text = histogram("sglang:time_to_first_token_seconds", 2.0, {"1.0": 10.0, "+Inf": 10.0})
    text += "".join(f'sglang:num_running_reqs{{tp_rank="{rank}"}} 7.0\n' for rank in range(4))
    (found,) = read_measured(saved(tmp_path, text))
    assert found.gauges["running"] == 7.0


def test_a_quantile_beyond_the_last_bucket_is_unknown() -> None:
    inf = float("inf")
    assert quantile({1.0: 1.0, inf: 10.0}, 0.9) is None
    assert quantile({}, 0.5) is None
    assert quantile({1.0: 0.0, inf: 0.0}, 0.5) is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["is empty", "measure again"]),
        ("hello\n", ["no known format", "--save-result", "aiperf"]),
        ("[1, 2]", ["no known format"]),
        ('{"a": 1}', ["no known format"]),
        ('{\n"request_throughput": 2.0,\n"total', ["measured:3", "is no JSON", "cut off"]),
        (json.dumps(SGLANG) + '\n{"a": \n', ["measured:2", "is no JSON"]),
        ({**VLLM, "mean_ttft_ms": "fast"}, ["mean_ttft_ms", "must be a number", "'fast'"]),
        ({**VLLM, "p99_tpot_ms": -1.0}, ["p99_tpot_ms", "at least 0", "-1.0"]),
        ({**VLLM, "mean_itl_ms": float("nan")}, ["mean_itl_ms", "finite"]),
        ({"request_throughput": 0.0, "total_input_tokens": 1, "x": 1}, []),
        ({**AIPERF, "request_latency": {"unit": "hours", "avg": 1.0}}, ["request_latency.unit",
                                                                        "'hours'", "ms"]),
        ({"benchmarks": []}, ["benchmarks", "no benchmark"]),
        ({"benchmarks": [guidellm(1.0)["benchmarks"][0], {}]}, ["benchmarks[1]", "no metrics"]),
        ("vllm:num_requests_running{} many\n", ["measured:1", "no sample", "many"]),
        ('vllm:num_requests_running{a="b"} 3\n', ["no latency yet", "send requests"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_place(
    content: Any, words: list[str], tmp_path: Path
) -> None:
    path = saved(tmp_path, content)
    if not words:
        assert read_measured(path)[0].figures == {}
        return
    with pytest.raises(ScenarioError) as caught:
        read_measured(path)
    for word in words:
        assert word in str(caught.value)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_measured(saved(tmp_path, {**VLLM, "mean_ttft_ms": [], "p99_ttft_ms": True}))
    assert len(caught.value.problems) == 2


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_measured(tmp_path / "absent.json")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_measured(tmp_path)
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8"):
        read_measured(tmp_path / "bytes")
    with pytest.raises(ScenarioError, match="nested too deeply"):
        read_measured(saved(tmp_path, "[" * 100_000))


def test_a_file_that_vllm_itself_has_written_is_read_unchanged() -> None:
    """vLLM 0.32.0 on one CPU core, a model of random weights, 40 requests at 2 req/s."""
    (found,) = read_measured(Path(__file__).with_name("data") / "vllm_bench.json")
    raw = json.loads((Path(__file__).with_name("data") / "vllm_bench.json").read_text())
    assert found.format == "vllm_bench"
    assert found.workload == pytest.approx(
        {
            "requests": 40.0,
            "failed": 0.0,
            "rate_req_s": 2.0,
            "input_tokens": 200.0,
            "output_tokens": 32.0,
        }
    )
    for family in ("ttft", "tpot", "itl", "e2el"):
        name = {"e2el": "e2e"}.get(family, family)
        for word, key in (("mean", "mean"), ("p50", "p50"), ("p90", "p90"), ("p99", "p99")):
            assert found.figures[f"{name}_s.{key}"] == pytest.approx(
                1e-3 * raw[f"{word}_{family}_ms"]
            )
    assert found.figures["throughput.req_s"] == pytest.approx(40 / raw["duration"], rel=1e-4)
