"""Replay of a trace: what is cut, replaced, scaled, and what must be asked for."""

import json
from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.workload import build_workload, workload_spec


def jsonl(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def mooncake(at, isl, osl, ids):
    return {"timestamp": at, "input_length": isl, "output_length": osl, "hash_ids": ids}


def written(folder: Path, text: str) -> Path:
    path = folder / "trace"
    path.write_text(text)
    return path


TEXTS = {
    "azure": "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:15:46.68,374,44\n2023-11-16 18:15:50.99,396,0\n2023-11-16 18:16:51,879,55\n",
    "mooncake": jsonl(
        mooncake(0, 1100, 5, [0, 1, 2]), mooncake(3000, 512, 9, [0]), mooncake(3000, 600, 0, [0, 7])
    ),
    "burstgpt": "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    "5,ChatGPT,472,18,490,x\n45,ChatGPT,1087,0,1087,x\n118,GPT-4,0,0,0,x\n",
    "burstgpt_arrivals": "event_id,Timestamp,Request_tokens_capped1023\n0,5,472\n1,45,9\n2,118,7\n",
}


def replay(folder: Path, format: str, **fields):
    written(folder, TEXTS[format])
    return build_workload(workload_spec({"kind": "trace", "path": "trace", **fields}), 7, folder)


def test_replay_cuts_scales_and_measures(tmp_path):
    load = replay(tmp_path, "mooncake", rate_scale=0.5, warmup="1 s")
    assert load.table.arrival_s.tolist() == [0.0, 6.0, 6.0]
    assert load.measured_from_s == 1.0
    assert load.hash_block_tokens == 512
    late = replay(tmp_path, "mooncake", window={"start": "1 s", "end": "9 s"}, limit=1)
    assert (late.requests, late.table.isl.tolist()) == (1, [512])


def test_replay_without_outputs_asks_for_them(tmp_path):
    with pytest.raises(ScenarioError, match="states no outputs; add 'output:"):
        replay(tmp_path, "burstgpt_arrivals")
    load = replay(tmp_path, "burstgpt_arrivals", output={"kind": "fixed", "tokens": 9})
    assert load.table.osl.tolist() == [9, 9, 9]


def test_replay_without_arrivals_asks_for_them(tmp_path):
    path = written(tmp_path, "num_prefill_tokens,num_decode_tokens\n5,6\n7,8\n")
    spec = {"kind": "trace", "path": str(path)}
    with pytest.raises(ScenarioError, match="states no arrivals; add 'arrivals:"):
        build_workload(workload_spec(spec), 7)
    spec["arrivals"] = {"kind": "uniform", "rate": "2 req/s"}
    assert build_workload(workload_spec(spec), 7).table.arrival_s.tolist() == [0.0, 0.5]


def test_replay_leaves_out_what_holds_no_work_and_says_so(tmp_path):
    load = replay(tmp_path, "burstgpt")
    assert load.table.isl.tolist() == [472, 1087]
    assert load.notes[-1] == "1 rows without input tokens left out"


def test_lengths_of_a_trace_as_a_law(tmp_path):
    written(tmp_path, TEXTS["azure"])
    law = {"kind": "empirical", "path": "trace", "column": "input"}
    spec = {
        "kind": "all_at_once",
        "requests": 300,
        "input": law,
        "output": {"kind": "fixed", "tokens": 1},
    }
    table = build_workload(workload_spec(spec), 7, tmp_path).table
    assert set(table.isl.tolist()) == {374, 396, 879}
