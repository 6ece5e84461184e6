"""Adapters of collectives, expert exchanges and whole steps, on tiny made-up files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetsim.calibrate import get_adapter
from hetsim.errors import ScenarioError


def _write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def test_deepep_counts_what_one_rank_sends(tmp_path: Path) -> None:
    _write(
        tmp_path / "deepep/legacy_low_latency.csv",
        "ep,dispatch_us,dispatch_RDMA_GBps,combine_us,combine_RDMA_GBps",
        "8,70,98,110,127",
        "16,118,63,195,74",
    )
    dispatch, combine = get_adapter("deepep").read("h800-sxm", tmp_path)
    assert dispatch["kind"].unique().tolist() == ["moe_dispatch"]
    assert dispatch["ranks"].tolist() == [8, 16]
    assert dispatch["time_s"].tolist() == pytest.approx([70e-6, 118e-6])
    # 128 tokens x 8 experts x 7168 elements; the combine moves twice the bytes of the dispatch.
    assert dispatch["message_bytes"].tolist() == [7_340_032] * 2
    assert combine["message_bytes"].tolist() == [14_680_064] * 2


def test_azure_turns_rates_into_seconds(tmp_path: Path) -> None:
    _write(
        tmp_path / "azure_nd/ND_H100_v5_results.csv",
        "section,c1,c2,c3,c4",
        "System Specifications,NCCL,2.18.5,,",
        "GEMM CuBLASLt,m,n,k,ND H100 V5 (TFLOPS)",
        "GEMM CuBLASLt,1000,1000,1000,1000",
        "NCCL Bandwidth,Message Size (Bytes),ND H100 V5 (GB/s),,",
        "NCCL Bandwidth,64K,1.75,,",
        "NCCL Bandwidth,1G,400,,",
    )
    products, reduces = get_adapter("azure_nd").read("h100-sxm", tmp_path)
    assert products["time_s"].tolist() == pytest.approx([2e-6])
    assert products["format"].tolist() == ["fp8_e4m3"]
    assert reduces["message_bytes"].tolist() == [64_000.0, 1e9]
    # Bus bandwidth: 2 x 7/8 of the message passes each link.
    assert reduces["time_s"].tolist() == pytest.approx([64e-6, 1.75 / 400])
    assert reduces["ranks"].unique().tolist() == [8]


def test_apex_collectives_keep_to_one_node(tmp_path: Path) -> None:
    _write(
        tmp_path / "comm/V100-PCIE-16GB/all_reduce.csv",
        "gpu,num_nodes,num_gpus_per_node,dtype,size(kb),time(us)",
        "V100-PCIE-16GB,1,4,half,2,30",
        "V100-PCIE-16GB,2,4,half,2,90",
        "V100-PCIE-16GB,1,2,half,0,12",
        "V100-PCIE-16GB,1,4,float,2,31",
    )
    (table,) = get_adapter("apex_comm").read("v100-pcie-16", tmp_path)
    assert table["ranks"].tolist() == [4]
    assert table["message_bytes"].tolist() == [2048.0]
    assert table["time_s"].tolist() == pytest.approx([30e-6])


def _coefficients(**changes: object) -> dict[str, object]:
    found = {
        "decoding_large_small_bs_threshold": 16,
        "prefill": [10.0, 0.1, 0.0],
        "decoding_smallbs": [5.0, 0.0, 1.0],
        "decoding_largebs": [100.0, 0.001, 0.0],
    }
    return {**found, **changes}


def test_distserve_is_evaluated_from_its_coefficients(tmp_path: Path) -> None:
    text = json.dumps({"facebook/opt-13b": {"2": _coefficients()}})
    _write(tmp_path / "distserve/profiler-a100-80g.distserve.json", text)
    prompts, decodes = get_adapter("distserve").read("a100-sxm4-80", tmp_path)
    assert prompts.set_index("new")["time_s"][1024.0] == pytest.approx(0.1124)
    assert prompts["model"].unique().tolist() == ["opt-13b"]
    assert prompts["moe_tp"].unique().tolist() == [2]
    steps = decodes.set_index("batch")["time_s"]
    assert steps[8.0] == pytest.approx(0.013)
    # At the threshold the other coefficients hold: 100 ms and 1 us per token of context.
    assert steps[16.0] == pytest.approx(0.1 + 16 * 512e-6)


def test_distserve_without_a_coefficient_is_refused(tmp_path: Path) -> None:
    short = {k: v for k, v in _coefficients().items() if k != "prefill"}
    text = json.dumps({"facebook/opt-13b": {"1": short}})
    _write(tmp_path / "distserve/profiler-a100-80g.distserve.json", text)
    with pytest.raises(ScenarioError, match="'prefill' is missing"):
        list(get_adapter("distserve").read("a100-sxm4-80", tmp_path))


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    _write(tmp_path / "distserve/profiler-a100-80g.distserve.json", "{")
    with pytest.raises(ScenarioError, match=r"distserve\.json"):
        list(get_adapter("distserve").read("a100-sxm4-80", tmp_path))
