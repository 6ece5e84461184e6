"""The real files: their figures as published, and a long file in bounded memory."""

import numpy as np
import pytest

from hetsim.workload import read_trace, trace_summary
from hetsim.workload.readers._clients import client_files, read_client
from hetsim.workload.readers._findings import Findings

# As the collection's own description has them; "-" where it has none.
PUBLISHED = """
file format n in_mean in_p50 in_p99 out_mean out_p50 out_p99 span rate cv reuse blocks sessions
azure_2023/AzureLLMInferenceTrace_conv.csv
    azure 19366 1155 1020 4142 211 129 601 3502 5.530 1.09 - - -
mooncake_fast25/conversation_trace.jsonl
    mooncake 12031 12035 6909 85400 343 350 1119 3537 3.401 3.03 37.4 182790 -
lmcache_agent_derived/miniswe.jsonl
    lmcache_agent 402 7838 4983 48418 131 112 353 552 0.728 0.67 93.5 12626 20
lmcache_agent_derived/taubench.jsonl
    lmcache_agent 471 198 122 1004 27 0 252 181 2.603 0.66 82.7 784 24
burstgpt_recovered/burstgpt1_conv_first500_arrivals.csv
    burstgpt_arrivals 500 430 320 1023 - - - 38967 0.013 4.90 - - -
vidur_processed/arxiv_summarization_stats_llama2_tokenizer_filtered_v2.csv
    generic_csv 28257 2588 2730 3933 291 167 3271 - - - - - -
apex_lengths/llama_creation_05.csv
    generic_csv 512 308 309 566 1144 1106 2341 1097 0.467 0.96 - - -
apex_lengths/llama_lmsys_05.csv
    generic_csv 1024 62 17 586 162 117 533 2023 0.506 1.00 - - -
llmservingsim_workloads/sharegpt-llama-3.1-8b-300-sps10.lengths.jsonl
    llmservingsim 300 857 732 2765 653 632 784 29 10.296 0.94 - - -
llmservingsim_workloads/workload_me2_01_mixed.jsonl
    llmservingsim 608 9218 2910 28447 3021 874 15039 61 9.984 0.99 - - -
"""
WORDS = PUBLISHED.split()[15:]
ROWS = [WORDS[start : start + 15] for start in range(0, len(WORDS), 15)]
COLUMNS = (
    "requests",
    "input_tokens_mean",
    "input_tokens_p50",
    "input_tokens_p99",
    "output_tokens_mean",
    "output_tokens_p50",
    "output_tokens_p99",
    "span_s",
    "rate_per_s",
    "interarrival_cv",
    "prefix_reuse_percent",
    "distinct_blocks",
    "sessions",
)
ROUNDED = {"rate_per_s": 5.1e-4, "interarrival_cv": 5.1e-3, "prefix_reuse_percent": 0.051}


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_summaries_agree_with_the_published_figures(row, shared_data):
    file, format, *figures = row
    summary = trace_summary(read_trace(shared_data / "traces" / file))
    assert summary["format"] == format
    for name, due in zip(COLUMNS, figures, strict=True):
        seen = summary[name]
        if due == "-":
            assert seen is None, name
        else:
            assert seen == pytest.approx(float(due), abs=ROUNDED.get(name, 0.51), rel=0), name


def test_tracelab_example(shared_data):
    summary = trace_summary(read_trace(shared_data / "traces/tracelab_example/round_trace.jsonl"))
    assert (summary["requests"], summary["sessions"]) == (19, 2)
    assert summary["input_tokens_mean"] == pytest.approx(27053, abs=0.51)
    assert summary["output_tokens_p99"] == pytest.approx(2419, abs=0.51)
    # 92.1 % were found cached, part of that from outside the trace; whole blocks lose a little.
    assert 80 < summary["prefix_reuse_percent"] < 92.1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "rate", "isl", "osl"),
    [("reason/deepseek-r1", 13.68, 1313, 1606), ("language/m-mid", 84.7, 238, 73)],
)
def test_clients_agree_with_the_published_figures(folder, rate, isl, osl, shared_data):
    path = shared_data / "traces" / "servegen" / folder
    findings = Findings(str(path))
    u = (np.arange(20_000) + 0.5) / 20_000
    rates, means = [], []
    for number in client_files(path, findings):
        client = read_client(number, path, findings)
        rates.append(np.mean([fit.rate for fit in client.windows.values()]))
        spans = [
            [law.draw(column, u).mean() for column in ("input_tokens", "output_tokens")]
            for law in client.spans.values()
        ]
        means.append(np.mean(spans, axis=0))
    assert findings.count == 0
    assert sum(rates) == pytest.approx(rate, rel=1e-3)
    assert np.average(means, axis=0, weights=rates) == pytest.approx([isl, osl], rel=2e-3)


@pytest.mark.slow
def test_a_day_of_clients_has_their_rate(shared_data):
    table = read_trace(shared_data / "traces/servegen/reason/deepseek-r1")
    assert len(table) / 86400 == pytest.approx(13.68, rel=0.01)
    assert table.isl.mean() == pytest.approx(1192, rel=0.02)  # by windows, not by client means
    assert table.osl.mean() == pytest.approx(1639, rel=0.02)
    assert "13.68 req/s; means weighted by their rates: 1313 in, 1606 out" in table.notes[1]


@pytest.mark.nightly
def test_five_million_rows_stream_in_bounded_memory(tmp_path):
    import tracemalloc

    count = 5_000_000
    path = tmp_path / "long.csv"
    with path.open("w") as file:
        file.write("timestamp_ms,input_tokens,output_tokens\n")
        for start in range(0, count, 100_000):
            file.writelines(
                f"{i},{i % 4000 + 1},{i % 300}\n" for i in range(start, start + 100_000)
            )
    read_trace(path, limit=10)
    tracemalloc.start()
    table = read_trace(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(table) == count
    assert int(table.isl[-1]) == (count - 1) % 4000 + 1
    # The columns, their parts before they are joined, and one chunk of text.
    assert peak < 4 * table.nbytes
