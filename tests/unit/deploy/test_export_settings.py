"""Values of exported settings, against the scenario by hand."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

from hetsim.deploy import export, export_design
from hetsim.errors import ScenarioError
from hetsim.scenario import load_scenario


def files_of(scenario: str, to: str, *sets: str) -> dict[str, str]:
    return export_design(load_scenario(scenario, sets=list(sets)), to).files


def gaps_of(scenario: str, to: str, *sets: str) -> dict[str, str]:
    found = export_design(load_scenario(scenario, sets=list(sets)), to).gaps
    return {gap.field: f"{gap.asks}: {gap.does}" for gap in found}


def words_of(text: str) -> list[str]:
    return shlex.split(text, comments=True)


def value(text: str, option: str) -> str:
    words = words_of(text)
    return words[words.index(option) + 1]


def test_lease_and_policy_reach_the_transfer_configuration() -> None:
    sets = ["boundary.lease='45 s'", "boundary.on_error=recompute"]
    files = files_of("quickstart", "vllm", *sets)
    for name in ("prefill-0", "decode-0"):
        config = json.loads(files[f"{name}.kv-transfer-config.json"])
        assert config == {
            "kv_connector": "NixlConnector",
            "kv_role": "kv_both",
            "kv_load_failure_policy": "recompute",
            "kv_connector_extra_config": {"kv_lease_duration": 45},
        }


def test_a_lease_that_is_no_whole_number_of_seconds_is_said() -> None:
    files = files_of("quickstart", "vllm", "boundary.lease='2.5 s'")
    config = json.loads(files["prefill-0.kv-transfer-config.json"])
    assert config["kv_connector_extra_config"]["kv_lease_duration"] == 2
    assert (
        "whole seconds" in gaps_of("quickstart", "vllm", "boundary.lease='2.5 s'")["boundary.lease"]
    )
    assert "boundary.lease" not in gaps_of("quickstart", "vllm", "boundary.lease='3 s'")


def test_mooncake_has_roles_and_its_own_variable() -> None:
    sets = [f"pools.{pool}.runtime=vllm_mooncake" for pool in ("prefill", "decode")]
    files = files_of("quickstart", "vllm", *sets)
    roles = [
        json.loads(files[f"{name}-0.kv-transfer-config.json"])["kv_role"]
        for name in ("prefill", "decode")
    ]
    assert roles == ["kv_producer", "kv_consumer"]
    assert "VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT=480" in files["prefill-0.sh"]
    assert value(files["router.sh"], "--kv-connector") == "mooncake"


def test_a_read_lease_of_a_pool_is_not_written_as_the_lease_of_a_connector() -> None:
    files = files_of("boundary/pool_lease_sound", "vllm")
    config = json.loads(files["prefill-0.kv-transfer-config.json"])
    assert "kv_connector_extra_config" not in config


def test_stated_limits_reach_vllm() -> None:
    sets = ["max_seqs=77", "max_batched_tokens=4096", "block_tokens=32", "prefix_caching=true"]
    sets += ["memory_utilisation=0.8", "parallel.tp=2"]
    text = files_of("quickstart", "vllm", *(f"pools.decode.{one}" for one in sets))["decode-0.sh"]
    assert value(text, "--max-num-seqs") == "77"
    assert value(text, "--max-num-batched-tokens") == "4096"
    assert value(text, "--block-size") == "32"
    assert value(text, "--gpu-memory-utilization") == "0.8"
    assert value(text, "--tensor-parallel-size") == "2"
    assert "--enable-prefix-caching" in words_of(text)
    assert "CUDA_VISIBLE_DEVICES=0,1" in text
    other = files_of("quickstart", "vllm")["decode-0.sh"]
    assert "--no-enable-prefix-caching" in words_of(other)
    assert "left out there" in other and "left out there" not in text


def test_a_block_of_another_engine_is_not_forced_on_an_engine() -> None:
    assert value(files_of("sglang_pair", "vllm")["decode-0.sh"], "--block-size") == "16"
    assert value(files_of("quickstart", "sglang")["decode-0.sh"], "--page-size") == "1"
    stated = files_of("sglang_pair", "vllm", "pools.decode.block_tokens=64")
    assert value(stated["decode-0.sh"], "--block-size") == "64"


def test_a_folder_of_weights_is_the_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "my $model }"
    folder.mkdir()
    config = {
        "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "vocab_size": 100, "max_position_embeddings": 8192,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    site = files_of("quickstart", "vllm", f"model='{folder}/config.json'")["site.env"]
    shown = subprocess.run(
        ["bash", "-c", f'{site}\nprintf %s "$MODEL_DECODE"'],
        capture_output=True,
        text=True,
        check=True,
        env={},
    )
    assert shown.stdout == str(folder)


def test_attention_dp_of_sglang_counts_all_ranks() -> None:
    files = files_of("moe_wide_ep", "sglang", "pools.prefill.max_seqs=100")
    text = files["prefill-0-node-1.sh"]
    assert value(text, "--tp-size") == "32"
    assert value(text, "--dp-size") == "32"
    assert value(text, "--ep-size") == "32"
    assert value(text, "--max-running-requests") == "3200"
    assert (value(text, "--nnodes"), value(text, "--node-rank")) == ("4", "1")
    assert value(text, "--dist-init-addr") == "$NODE_0:5000"


def test_attention_dp_of_vllm_over_nodes() -> None:
    files = files_of("moe_wide_ep", "vllm")
    head, second = files["decode-0-node-0.sh"], files["decode-0-node-1.sh"]
    assert value(head, "--data-parallel-size") == "128"
    assert value(head, "--data-parallel-size-local") == "8"
    assert "--headless" not in words_of(head) and "--headless" in words_of(second)
    assert value(second, "--data-parallel-start-rank") == "8"
    assert "--enable-expert-parallel" in words_of(head)


def test_timers_of_sglang() -> None:
    text = files_of("sglang_pair", "sglang")["decode-0.sh"]
    for line in (
        "SGLANG_DISAGGREGATION_WAITING_TIMEOUT=300",
        "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT=300",
        "SGLANG_DISAGGREGATION_HEARTBEAT_INTERVAL=5",
        "SGLANG_DISAGGREGATION_HEARTBEAT_MAX_FAILURE=2",
        "SGLANG_DISAGGREGATION_DEFERRED_DECODE_KV_RELEASE_TIMEOUT=30",
    ):
        assert line in text
    assert value(text, "--disaggregation-mode") == "decode"
    assert value(text, "--page-size") == "1"


def test_a_tier_of_host_memory_reaches_sglang_and_no_other() -> None:
    text = files_of("residency_tiers", "sglang")["prefill-0.sh"]
    assert value(text, "--hicache-size") == "16"  # 64 GB over 4 ranks
    assert value(text, "--hicache-write-policy") == "write_through"
    assert "residency.dram" not in gaps_of("residency_tiers", "sglang")
    assert {"residency.dram", "residency.ssd", "residency.remote"} <= set(
        gaps_of("residency_tiers", "vllm")
    )


def test_dynamo_takes_the_engine_of_the_scenario() -> None:
    assert "exec python3 -m dynamo.sglang" in files_of("sglang_pair", "dynamo")["decode-0.sh"]
    text = files_of("agentic_prefix", "dynamo")["prefill-0.sh"]
    assert "exec python3 -m dynamo.vllm" in text
    assert value(text, "--disaggregation-mode") == "prefill"
    assert value(files_of("agentic_prefix", "dynamo")["router.sh"], "--router-mode") == "kv"


def test_tensorrt_llm_gets_its_yaml() -> None:
    sets = [f"pools.{pool}.runtime=trtllm_cpp" for pool in ("prefill", "decode")]
    sets += ["boundary.lease='20 s'", "pools.decode.parallel.tp=2"]
    sets += ["pools.prefill.block_tokens=64", "pools.decode.max_seqs=99"]
    files = files_of("quickstart", "dynamo", *sets)
    prefill, decode = (
        yaml.safe_load(files[f"{name}-0.engine.yaml"]) for name in ("prefill", "decode")
    )
    assert prefill["disable_overlap_scheduler"] is True
    assert "disable_overlap_scheduler" not in decode
    assert prefill["kv_cache_config"]["tokens_per_block"] == 64
    assert decode["tensor_parallel_size"] == 2 and decode["max_batch_size"] == 99
    assert decode["cache_transceiver_config"] == {
        "backend": "DEFAULT",
        "kv_transfer_timeout_ms": 20000,
    }
    assert "exec python3 -m dynamo.trtllm" in files["decode-0.sh"]
    assert value(files["decode-0.sh"], "--disaggregation-mode") == "decode"
    gaps = gaps_of("quickstart", "dynamo", *sets)
    assert "boundary.ownership" not in gaps and "pools.decode.runtime" not in gaps
    assert gaps["boundary"].startswith("page size")


@pytest.mark.parametrize("runtime", ["vllm_nixl_pull", "sglang_early", "trtllm_cpp"])
def test_a_router_that_looks_at_kv_is_told_what_prefill_workers_hold(runtime: str) -> None:
    sets = [f"pools.{pool}.runtime={runtime}" for pool in ("prefill", "decode")]
    sets += ["pools.prefill.prefix_caching=true", "pools.prefill.router=kv_aware"]
    files = files_of("quickstart", "dynamo", *sets)
    option = "--publish-events-and-metrics" if "trtllm" in runtime else "--kv-events-config"
    assert option in words_of(files["prefill-0.sh"])
    assert option not in words_of(files["decode-0.sh"])
    assert value(files["router.sh"], "--router-mode") == "kv"
    if "trtllm" not in runtime:
        events = json.loads(files["prefill-0.kv-events-config.json"])
        assert events["topic"] == "kv-events"


@pytest.mark.parametrize(
    ("scenario", "to", "sets", "field", "word"),
    [
        ("hetero_nvidia", "vllm", [], "boundary.wire", "converts KV at neither side"),
        ("hetero_nvidia", "vllm", [], "boundary", "refuses to connect"),
        ("hetero_nvidia", "sglang", [], "boundary.on_error", "HTTP 500"),
        ("quickstart", "sglang", [], "boundary.granularity", "a chunk crosses"),
        ("quickstart", "vllm", ["boundary.variant=sound"], "boundary.ownership", "no such"),
        ("cross_vendor_h100_mi300x", "vllm", [], "pools", "NVIDIA to AMD"),
        ("ascend910b_to_h20", "sglang", [], "boundary", "page size"),
        ("quickstart", "vllm", ["placement.bypass_below=64"], "placement.bypass_below", "whole"),
        ("quickstart", "vllm", ["pools.prefill.queue_limit=9"], "pools.prefill.queue_limit", "9"),
        ("colocated_baseline", "vllm", [], "pools.serve.router", "power_of_two"),
        ("queue_md1", "dynamo", [], "pools.serve.estimator", "no device"),
        ("quickstart", "vllm", ["pools.decode.precision.weights=nvfp4"],
         "pools.decode.precision.weights", "needs a checkpoint"),
        ("quickstart", "vllm", ["pools.prefill.runtime=sglang_early",
         "pools.decode.runtime=sglang_early"], "pools.prefill.runtime", "in its own way"),
    ],
)  # fmt: skip
def test_what_the_runtime_cannot_do_is_said(
    scenario: str, to: str, sets: list[str], field: str, word: str
) -> None:
    gaps = export_design(load_scenario(scenario, sets=sets), to).gaps
    texts = [f"{gap.asks}: {gap.does}" for gap in gaps if gap.field == field]
    assert any(word in text for text in texts), gaps
    readme = export_design(load_scenario(scenario, sets=sets), to).files["README.md"]
    assert f"| `{field}` |" in readme


def test_a_plain_pair_has_no_gap_where_the_runtime_is_its_own() -> None:
    assert gaps_of("quickstart", "vllm") == {}
    assert gaps_of("sglang_pair", "dynamo") == {}
    one = ["pools.prefill.queue_limit=9"]
    # SGLang has such a limit, and ignores it where it is told a disaggregation mode.
    assert "pools.prefill.queue_limit" in gaps_of("sglang_pair", "sglang", *one)
    alone = ["pools.serve.runtime=sglang", "pools.serve.queue_limit=9"]
    assert "pools.serve.queue_limit" not in gaps_of("colocated_baseline", "sglang", *alone)
    text = export_design(load_scenario("sglang_pair", sets=one), "sglang").files
    assert not any("--max-queued-requests" in script for script in text.values())


def test_a_directory_is_whole_and_never_overwritten_unasked(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    made = export("quickstart", "vllm", out)
    assert sorted(path.name for path in out.iterdir()) == sorted(made.files)
    assert (out / "router.sh").stat().st_mode & 0o111
    with pytest.raises(ScenarioError, match="--overwrite"):
        export("quickstart", "sglang", out)
    export("quickstart", "sglang", out, overwrite=True)
    assert json.loads((out / "export.json").read_text())["target"] == "sglang"
    assert not list(out.glob("*.kv-transfer-config.json"))
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_what_is_not_ours_is_never_deleted(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ScenarioError, match="not written by hetsim export"):
        export("quickstart", "vllm", tmp_path, overwrite=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    file = tmp_path / "mine.txt"
    with pytest.raises(ScenarioError, match="is a file"):
        export("quickstart", "vllm", file, overwrite=True)


def test_unknown_targets_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="did you mean 'vllm'"):
        export("quickstart", "vlm")
    with pytest.raises(ScenarioError, match="not a run directory"):
        export(tmp_path, "vllm")


def test_a_run_directory_can_be_exported(tmp_path: Path) -> None:
    text = files_of("quickstart", "vllm", "pools.decode.max_seqs=55")["scenario.resolved.yaml"]
    (tmp_path / "scenario.resolved.yaml").write_text(text, encoding="utf-8")
    found = export(tmp_path, "vllm").files["decode-0.sh"]
    assert value(found, "--max-num-seqs") == "55"


def test_names_with_quotes_do_not_break_out_of_a_comment() -> None:
    files = files_of("quickstart", "vllm", """name='a "b" `c` $(d) | e'""")
    assert words_of(files["router.sh"])[-1] == "$@"
    assert "`c`" not in files["README.md"]
