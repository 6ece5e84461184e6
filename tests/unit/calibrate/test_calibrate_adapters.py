"""Adapters turn foreign columns and units into the common table; checked on tiny made-up files."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from hetsim.calibrate import adapter_names, get_adapter
from hetsim.calibrate._table import SHAPES
from hetsim.errors import ScenarioError
from hetsim.hardware import accelerator_names

PACKAGE = find_spec("aiconfigurator_core") is not None


def _by_kind(adapter: str, accelerator: str, root: Path) -> dict[str, pd.DataFrame]:
    found: dict[str, list[pd.DataFrame]] = {}
    for frame in get_adapter(adapter).read(accelerator, root):
        if len(frame):
            found.setdefault(str(frame.kind.iloc[0]), []).append(frame)
    return {kind: pd.concat(frames, ignore_index=True) for kind, frames in found.items()}


def _parquet(root: Path, where: str, **columns: object) -> None:
    path = root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(columns).to_parquet(path)


def test_every_adapter_keeps_the_contract() -> None:
    known = set(accelerator_names())
    for name in adapter_names():
        adapter = get_adapter(name)
        assert set(adapter.DEVICES) <= known, name
        assert adapter.SOURCE, name
        assert adapter.PROVIDER, name
        assert callable(adapter.read), name


def test_an_unknown_adapter_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'vidur'"):
        get_adapter("vidar")


def test_gemm_of_aiconfigurator_is_in_milliseconds(tmp_path: Path) -> None:
    _parquet(
        tmp_path,
        "h100_sxm/gemm/vllm/1.0/gemm_perf.parquet",
        gemm_dtype=["bfloat16", "fp8", "int4_wo", "unheard_of"],
        m=[1, 2, 3, 4],
        n=[512] * 4,
        k=[1024] * 4,
        latency=[0.5, 0.25, 0.125, 0.1],
    )
    table = _by_kind("aiconfigurator", "h100-sxm", tmp_path)["gemm"]
    assert table.format.tolist() == ["bf16", "bf16_w_int4", "fp8_e4m3"]
    assert table.time_s.tolist() == [0.5e-3, 0.125e-3, 0.25e-3]
    assert set(table.framework) == {"vllm"}


def test_messages_of_aiconfigurator_count_two_byte_elements(tmp_path: Path) -> None:
    _parquet(
        tmp_path,
        "h100_sxm/comm/nccl/2.0/nccl_perf.parquet",
        nccl_dtype=["half", "half", "int8"],
        op_name=["all_reduce", "alltoall", "all_reduce"],
        kernel_source=["NCCL"] * 3,
        num_gpus=[8, 4, 8],
        message_size=[1000, 2000, 1000],
        latency=[0.01, 0.02, 0.03],
    )
    found = _by_kind("aiconfigurator", "h100-sxm", tmp_path)
    assert found["all_reduce"].message_bytes.tolist() == [2000.0]
    assert found["all_to_all"].message_bytes.tolist() == [4000.0]


def test_eager_collectives_are_left_out(tmp_path: Path) -> None:
    _parquet(
        tmp_path,
        "h100_sxm/comm/vllm/1.0/custom_allreduce_perf.parquet",
        allreduce_dtype=["bfloat16"] * 2,
        op_name=["all_reduce"] * 2,
        kernel_source=["custom_eager", "custom_graph"],
        num_gpus=[8, 8],
        message_size=[1000, 1000],
        latency=[0.02, 0.005],
    )
    table = _by_kind("aiconfigurator", "h100-sxm", tmp_path)["all_reduce"]
    assert table.time_s.tolist() == [5e-6]


def test_only_evenly_loaded_gated_experts_are_read(tmp_path: Path) -> None:
    rows = {
        "num_tokens": [16, 16, 4096, 4096, 16, 16],
        "distribution": ["balanced", *["power_law_1.01"] * 3, "balanced", "balanced"],
        "moe_ep_size": [8, 1, 1, 8, 1, 1],
        "kernel_source": ["k"] * 5 + ["moe_nongated"],
        "topk": [8, 8, 8, 8, 22, 8],
    }
    count = len(rows["topk"])
    same = {"hidden_size": 4096, "inter_size": 1536, "num_experts": 128, "moe_tp_size": 1}
    _parquet(
        tmp_path,
        "b200_sxm/moe/trtllm/1.0/moe_perf.parquet",
        moe_dtype=["nvfp4"] * count,
        latency=[0.1] * count,
        **rows,
        **{name: [value] * count for name, value in same.items()},
    )
    table = _by_kind("aiconfigurator", "b200-sxm", tmp_path)["grouped_gemm"]
    assert table[["tokens", "moe_ep"]].to_numpy().tolist() == [[16, 8], [4096, 1]]


def test_attention_formats_name_a_narrower_cache_and_windows_are_left_out(tmp_path: Path) -> None:
    _parquet(
        tmp_path,
        "h100_sxm/attention/vllm/1.0/context_attention_perf.parquet",
        batch_size=[1] * 4,
        isl=[1024] * 4,
        step=[0] * 4,
        num_heads=[32] * 4,
        num_key_value_heads=[8] * 4,
        head_dim=[128] * 4,
        window_size=[0, 0, 0, 128],
        attn_dtype=["bfloat16", "bfloat16", "fp8", "bfloat16"],
        kv_cache_dtype=["bfloat16", "fp8", "fp8", "bfloat16"],
        latency=[0.1, 0.2, 0.3, 0.4],
    )
    table = _by_kind("aiconfigurator", "h100-sxm", tmp_path)["attention_prefill"]
    assert sorted(table.format) == ["bf16", "bf16_kv_fp8_e4m3", "fp8_e4m3"]
    assert table[table.format == "bf16"].flops.item() == 4 * 32 * 128 * 1024 * 1025 / 2


def test_a_parquet_file_without_a_column_is_refused(tmp_path: Path) -> None:
    _parquet(tmp_path, "h100_sxm/gemm/vllm/1.0/gemm_perf.parquet", gemm_dtype=["fp8"], m=[1], n=[1])
    with pytest.raises(ScenarioError, match=r"gemm_perf.parquet.*column 'k' is missing"):
        _by_kind("aiconfigurator", "h100-sxm", tmp_path)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "h100_sxm/gemm/vllm/1.0/gemm_perf.parquet"
    path.parent.mkdir(parents=True)
    path.write_text("no such thing")
    with pytest.raises(ScenarioError, match="cannot be read"):
        _by_kind("aiconfigurator", "h100-sxm", tmp_path)


def test_a_device_that_is_not_in_the_package(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="has no 'gaudi3'"):
        _by_kind("aiconfigurator", "gaudi3", tmp_path)


def test_tuned_tables_of_rocm(tmp_path: Path) -> None:
    (tmp_path / "gemm_tuned.csv").write_text(
        "device,kind,dtype,M,N,K,us\n"
        "MI300X,a8w8_blockscale,,16,4096,7168,20.5\n"
        "MI300X,a8w8,torch.int8,16,4096,7168,19\n"
        "MI300X,a8w8,torch.float8_e4m3fnuz,16,4096,7168,18\n"
        "MI355X,a4w4,,16,4096,7168,9\n"
    )
    row = "MI300X,{},7168,256,257,9,torch.float8_e4m3fnuz,torch.float8_e4m3fnuz,{}\n"
    (tmp_path / "fmoe_tuned.csv").write_text(
        "device,token,model_dim,inter_dim,expert,topk,q_dtype_a,q_dtype_w,us\n"
        + "".join(row.format(tokens, 359.5) for tokens in (1024, 2048, 4096))
        + row.format(16, 100.25)
    )
    found = _by_kind("aiter", "mi300x", tmp_path)
    assert sorted(found["gemm"].format) == ["fp8_block", "fp8_e4m3", "int8"]
    assert found["gemm"].time_s.max() == pytest.approx(20.5e-6)
    # One time copied over three token counts was not measured at each of them.
    assert found["grouped_gemm"].tokens.tolist() == [16]


def test_vidur_shapes_are_per_tensor_parallel_rank(tmp_path: Path) -> None:
    operators = (
        "attn_pre_proj",
        "attn_post_proj",
        "mlp_up_proj",
        "mlp_down_proj",
        "mlp_act",
        "add",
    )
    times = {f"time_stats.{name}.median": 0.01 for name in operators}
    shape = {"n_head": 64, "n_kv_head": 8, "n_embd": 8192, "n_expanded_embd": 28672}
    more = {"use_gated_mlp": True, "num_tokens": 32, "num_tensor_parallel_workers": 4}
    path = tmp_path / "compute/a40/x/y/mlp.csv"
    path.parent.mkdir(parents=True)
    pd.DataFrame([shape | more | times]).to_csv(path, index=False)
    table = _by_kind("vidur", "a40", tmp_path)["gemm"]
    expected = [[2560, 8192], [8192, 2048], [14336, 8192], [8192, 7168]]
    assert table[["n", "k"]].to_numpy().tolist() == expected
    assert set(table.time_s) == {1e-5}


def test_attention_without_a_mask_counts_the_whole_rectangle(tmp_path: Path) -> None:
    (tmp_path / "pto_isa_table1.csv").write_text(
        "S0,S1,fused_us,jit_us,jit_tflops\n128,8192,73.4,68.8,7.8\n"
    )
    row = _by_kind("ascend", "ascend-910b", tmp_path)["attention_prefill"].iloc[0]
    assert row.flops == 4 * 128 * 128 * 8192
    assert row.time_s == pytest.approx(68.8e-6)


def test_tables_outside_packages_need_a_folder() -> None:
    with pytest.raises(ScenarioError, match="give the folder"):
        list(get_adapter("aiter").read("mi300x", None))


@pytest.mark.slow
@pytest.mark.skipif(not PACKAGE, reason="aiconfigurator-core is not installed")
@pytest.mark.parametrize("accelerator", sorted(get_adapter("aiconfigurator").DEVICES))
def test_the_installed_package_is_read_whole(accelerator: str) -> None:
    found: dict[str, int] = {}
    for frame in get_adapter("aiconfigurator").read(accelerator):
        assert {"flops", "bytes"} <= set(frame.columns)
        for kind in set(frame.kind):
            assert set(SHAPES[kind]) <= set(frame.columns)
            found[kind] = found.get(kind, 0) + len(frame)
    assert {"gemm", "grouped_gemm", "attention_prefill", "attention_decode", "all_reduce"} <= set(
        found
    )
    assert found["gemm"] > 10_000


@pytest.mark.slow
def test_the_measured_tables_are_read(shared_data: Path) -> None:
    root = shared_data / "kernels"
    if not root.is_dir():
        pytest.skip("kernel tables absent")
    for name in adapter_names():
        if name != "aiconfigurator":
            for accelerator in get_adapter(name).DEVICES:
                assert isinstance(_by_kind(name, accelerator, root), dict)


def test_the_exchange_of_a_rack_is_the_faster_of_two_kernels(tmp_path: Path) -> None:
    rows = {
        "alltoall_prepare": {"Two": 0.010},
        "alltoall_dispatch": {"One": 0.025, "Two": 0.012},
        "alltoall_combine": {"One": 0.016, "Two": 0.030},
    }
    _parquet(
        tmp_path,
        "gb200/comm/trtllm/1.0/trtllm_alltoall_perf.parquet",
        **{
            name: [
                {"op_name": op, "kernel_source": f"NVLink{side}Sided", "latency": ms}[name]
                for op, sides in rows.items()
                for side, ms in sides.items()
            ]
            for name in ("op_name", "kernel_source", "latency")
        },
        moe_dtype=["nvfp4"] * 5,
        num_tokens=[4] * 5,
        hidden_size=[7168] * 5,
        topk=[8] * 5,
        moe_ep_size=[16] * 5,
    )
    found = _by_kind("aiconfigurator", "gb200", tmp_path)
    dispatch, combine = found["moe_dispatch"], found["moe_combine"]
    # The two-sided way out with its preparation, the one-sided way back.
    assert dispatch.time_s.tolist() == pytest.approx([22e-6])
    assert combine.time_s.tolist() == pytest.approx([16e-6])
    assert dispatch.ranks.tolist() == combine.ranks.tolist() == [16]
    assert dispatch.message_bytes.tolist() == [4 * 8 * 7168 * 0.5625]
    assert combine.message_bytes.tolist() == [4 * 8 * 7168 * 2.0]
