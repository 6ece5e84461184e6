"""A row becomes the scenario that was measured."""

from __future__ import annotations

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.validate import Row
from hetsim.validate._figures import figures
from hetsim.validate._serving import serving_jobs
from hetsim.validate._tables import mlperf_jobs, phase_jobs, scale_jobs
from hetsim.workload.lengths.lognormal import Lognormal


@pytest.fixture
def job(serving):
    """Return a function from changes of the plain serving row to its job."""

    def make(**changes: str):
        (made,) = serving_jobs(Row("serving", "R", {**serving, **changes}))
        return made

    return make


def test_inferencex_sends_ten_per_user_the_first_at_once(job) -> None:
    made = job(length_dist="uniform 0.8-1.0 x nominal (InferenceX)")
    assert made.data["workload"] == {
        "kind": "inferencex",
        "concurrency": 4,
        "input": 512,
        "output": 64,
        "requests": 40,
    }
    assert made.waves == 10


def test_a_long_closed_loop_is_cut_and_says_how_long_it_was(job) -> None:
    made = job(concurrency="1000", length_dist="uniform 0.8-1.0 x nominal")
    assert made.data["workload"]["requests"] == 3000
    assert made.waves == 10


def test_replicas_share_the_users_and_one_is_simulated(job) -> None:
    made = job(replicas="4", n_accel="4", concurrency="64")
    assert made.copies == 4 and made.users == 16
    assert made.data["pools"]["serve"]["instances"] == 1
    uneven = job(replicas="4", n_accel="4", concurrency="6")
    assert uneven.copies == 1 and uneven.data["pools"]["serve"]["instances"] == 4


def test_pools_apart_take_their_own_degrees_and_a_network(job) -> None:
    made = job(
        mode="disagg", p_tp="2", p_dp="1", p_ep="1", p_workers="3", d_tp="4", d_workers="1", tp=""
    )
    prefill, decode = made.data["pools"]["prefill"], made.data["pools"]["decode"]
    assert (prefill["instances"], prefill["parallel"]["tp"]) == (3, 2)
    assert (decode["instances"], decode["parallel"]["tp"]) == (1, 4)
    assert made.data["network"] and made.data["boundary"] == {}


APART = {
    "mode": "disagg",
    "model": "DeepSeek-V3",
    "model_family": "deepseek-v3",
    "engine": "TensorRT-LLM",
    "engine_version": "0.8.1.post2",
    "accelerator": "GB200-NVL72",
    "weight_dtype": "fp8",
    "length_dist": "uniform 0.8-1.0 x nominal",
    "isl": "8192",
    "osl": "1024",
    "p_dp": "8",
    "p_ep": "8",
    "p_workers": "1",
    "tp": "",
}


@pytest.mark.parametrize(
    ("changes", "slots"),
    [
        ({"d_tp": "8", "d_workers": "3", "concurrency": "63"}, 16),
        ({"d_tp": "8", "d_workers": "3", "concurrency": "64"}, None),
        ({"d_dp": "32", "d_workers": "1", "concurrency": "666"}, 16),
        ({"d_tp": "8", "d_workers": "3", "concurrency": "63", "length_dist": "fixed"}, None),
        ({"d_tp": "8", "d_workers": "3", "concurrency": "63", "engine": "SGLang"}, None),
    ],
)
def test_decode_slots_are_those_of_a_published_recipe(job, changes, slots) -> None:
    pools = job(**{**APART, **changes}).data["pools"]
    assert pools["decode"].get("max_seqs") == slots
    assert "max_seqs" not in pools["prefill"]
    assert {pool["router"] for pool in pools.values()} == {"round_robin"}


@pytest.mark.parametrize(
    ("changes", "prefill", "decode"),
    [
        ({"d_dp": "4", "p_dp": "4"}, (4, 1, 1), (4, 1, 1)),
        ({"d_dp": "32"}, (1, 8, 8), (1, 32, 32)),
        ({"d_dp": "32", "engine_version": "0.5.8"}, (1, 8, 1), (1, 32, 1)),
    ],
)
def test_rows_of_an_old_export_get_the_layout_of_their_recipes(
    job, changes, prefill, decode
) -> None:
    odd = {**APART, "engine": "SGLang", "engine_version": "0.5.5.post2", "p_ep": "1"}
    pools = job(**{**odd, "d_workers": "1", **changes}).data["pools"]
    cuts = [tuple(pool["parallel"][name] for name in ("tp", "dp", "ep")) for pool in pools.values()]
    assert cuts == [prefill, decode]


@pytest.mark.parametrize(
    ("changes", "kind", "load"),
    [
        (
            {"load_type": "open_loop", "request_rate": "2", "num_requests": "50"},
            "vllm_bench",
            "open",
        ),
        (
            {"load_type": "open_loop", "request_rate": "inf", "num_requests": "50"},
            "mlperf_offline",
            "burst",
        ),
        ({"load_type": "burst_all_at_once", "num_requests": "50"}, "mlperf_offline", "burst"),
        ({"load_type": "static_batch", "batch_size": "8"}, "mlperf_offline", "static"),
        (
            {"load_type": "max_throughput_offline", "num_requests": "500"},
            "mlperf_offline",
            "offline",
        ),
        (
            {"load_type": "open_loop_staged", "request_rate": "8->20 (2 stages x 600 s)"},
            "poisson",
            "open",
        ),
    ],
)
def test_load_types(job, changes: dict[str, str], kind: str, load: str) -> None:
    made = job(**changes)
    assert made.data["workload"]["kind"] == kind and made.load == load


def test_stages_are_read(job) -> None:
    made = job(load_type="open_loop_staged", request_rate="8->20 (2 stages x 600 s)")
    assert made.stages == ((8.0, 600.0), (20.0, 600.0))
    assert made.requests == 28 * 600


def test_without_a_layout_all_that_use_every_device_are_tried(serving) -> None:
    jobs = serving_jobs(Row("serving", "R", {**serving, "tp": "", "n_accel": "4"}))
    cuts = [(j.data["pools"]["serve"]["parallel"]["tp"], j.copies) for j in jobs]
    assert cuts == [(1, 4), (2, 2), (4, 1)]
    assert all("layout searched" in j.notes for j in jobs)


FP8 = {"weight_dtype": "fp8", "act_dtype": "fp8", "kv_dtype": "fp8"}
LAB = {"source": "aiconfigurator-lab (x)", "kv_dtype": "", "engine": "TensorRT-LLM",
       "engine_version": "1.0.0rc3"}  # fmt: skip
MXFP4 = {"weight_dtype": "mxfp4", "act_dtype": "nvfp4", "kv_dtype": "", "model": "gpt-oss-120b"}


@pytest.mark.parametrize(
    ("changes", "weights", "compute", "kv"),
    [
        ({}, "bf16", "bf16", "bf16"),
        (FP8 | {"kv_dtype": "auto"}, "fp8_e4m3", "fp8_e4m3", "bf16"),
        (FP8 | {"act_dtype": "fp8_block"}, "fp8_block", "fp8_block", "fp8_e4m3"),
        ({"weight_dtype": "int4-awq", "act_dtype": "fp16"}, "int4", "bf16", "bf16"),
        # Unstated KV: the recipes of Llama set fp8, a laboratory's rows fit 16 bit.
        (FP8 | {"kv_dtype": ""}, "fp8_e4m3", "fp8_e4m3", "fp8_e4m3"),
        (FP8 | {"kv_dtype": "", "source": "x-lab"}, "fp8_e4m3", "fp8_e4m3", "bf16"),
        (FP8 | {"kv_dtype": "", "engine": "SGLang"}, "fp8_e4m3", "fp8_e4m3", "bf16"),
        # A laboratory's checkpoints with one scale per tensor say fp8 of the KV cache too.
        (FP8 | LAB, "fp8_e4m3", "fp8_e4m3", "fp8_e4m3"),
        (FP8 | LAB | {"act_dtype": "fp8_block"}, "fp8_block", "fp8_block", "bf16"),
        (FP8 | LAB | {"engine": "vLLM"}, "fp8_e4m3", "fp8_e4m3", "bf16"),
        (FP8 | {"model": "DeepSeek-R1"}, "fp8_block", "fp8_block", "fp8_e4m3"),
        (MXFP4, "mxfp4", "bf16", "bf16"),
        (MXFP4 | {"accelerator": "B200"}, "mxfp4", "mxfp8", "fp8_e4m3"),
    ],
)  # fmt: skip
def test_formats(job, changes: dict[str, str], weights: str, compute: str, kv: str) -> None:
    made = job(**changes).data["pools"]["serve"]["precision"]
    assert (made["weights"], made["compute"], made["kv"]) == (weights, compute, kv)


@pytest.mark.parametrize(
    ("changes", "tokens"),
    [
        (LAB, 64 + 4096 + 1500),
        (LAB | {"engine": "vLLM"}, 64 + 4096 + 1500),
        (LAB | {"engine": "SGLang"}, None),
        (LAB | {"source": "another-lab"}, None),
    ],
)
def test_a_laboratory_gives_a_step_one_prompt_and_some_room(job, changes, tokens) -> None:
    made = job(isl="4096", osl="256", concurrency="64", **changes)
    assert made.data["pools"]["serve"].get("max_batched_tokens") == tokens


def test_limits_that_a_row_states_are_taken(job) -> None:
    said = "--max-num-batched-tokens 4096; cmd: vllm serve x --max-num-batched-tokens 8192"
    pool = job(notes=f"{said} --max-num-seqs 512 --gpu-memory-utilization=0.85").data["pools"][
        "serve"
    ]
    taken = (pool["max_batched_tokens"], pool["max_seqs"], pool["memory_utilisation"])
    assert taken == (4096, 512, 0.85)
    default = job(notes="max_batched=default max_seqs soon").data["pools"]["serve"]
    assert not {"max_batched_tokens", "max_seqs", "memory_utilisation"} & set(default)


def test_sharegpt_ends_where_the_client_cuts_it_and_keeps_its_means(job) -> None:
    load = job(isl="217", osl="201", length_dist="ShareGPT (means)").data["workload"]
    assert (load["input"]["max"], load["output"]["max"]) == (1024, 2048 - 217)
    for name, mean in (("input", 217), ("output", 201)):
        law = Lognormal(**{k: v for k, v in load[name].items() if k != "kind"})
        lengths = law.quantile((np.arange(4000) + 0.5) / 4000)
        assert lengths.mean() == pytest.approx(mean, rel=5e-3)
    # Lengths that no such filter can have left are drawn as of any other set.
    long = job(isl="1500", osl="900", length_dist="ShareGPT (means)").data["workload"]
    assert long["output"] == {"kind": "lognormal", "mean": 900.0, "cv": 1.0, "max": 7200}


def test_answers_of_nominal_length_spread_behind_mixed_steps(job) -> None:
    def answers(**changes):
        return job(osl="200", length_dist="nominal", **changes).data["workload"]["output"]

    assert answers() == {"kind": "uniform", "min": 180, "max": 220}
    assert answers(engine="SGLang") == {"kind": "fixed", "tokens": 200}


def test_recipes_set_what_moves_a_result(job) -> None:
    drawn = {"length_dist": "uniform 0.8-1.0", "weight_dtype": "fp8", "act_dtype": "fp8"}
    sglang = job(engine="SGLang", accelerator="B200", concurrency="64", **drawn)
    assert sglang.recipe.admission_steps == pytest.approx(0.75 * 30 + 3)
    llama = job(
        engine="TensorRT-LLM",
        engine_version="1.1",
        model="Llama-3.1-70B",
        isl="1024",
        osl="1024",
        **drawn,
    )
    assert llama.recipe.admission_steps == pytest.approx(18)
    wide = job(
        engine_version="1.1",
        engine="TensorRT-LLM",
        model="Llama-3.1-70B",
        isl="1024",
        osl="1024",
        tp="8",
        **drawn,
    )
    assert wide.recipe.admission_steps is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"accelerator": "Z9", "model": "Nobody-1B", "engine": "abacus"},
            ("Z9", "Nobody-1B", "abacus"),
        ),
        ({"load_type": "sideways"}, ("sideways",)),
        ({"spec_decode": "1"}, ("speculative",)),
        ({"load_type": "open_loop"}, ("request_rate",)),
        ({"load_type": "open_loop_staged", "request_rate": "unknown"}, ("unknown",)),
        ({"weight_dtype": "fp9"}, ("fp9",)),
        ({"isl": ""}, ("isl",)),
        ({"concurrency": ""}, ("concurrency",)),
    ],
)
def test_what_cannot_be_built_says_why(
    job, changes: dict[str, str], words: tuple[str, ...]
) -> None:
    with pytest.raises(ScenarioError) as caught:
        job(**changes)
    assert all(word in str(caught.value) for word in words)


MLPERF = {
    "accelerator": "H100", "n_accel": "8", "model": "llama3.1-8b", "scenario": "Server",
    "weight_dtype": "fp8", "engine": "TensorRT 10.14", "tok_s": "100", "scheduled_qps": "80",
    "osl_mean": "128", "isl_mean": "", "dataset": "CNN-DailyMail 13,368 samples",
}  # fmt: skip


def test_mlperf_takes_inputs_from_the_data_set_and_searches_layouts() -> None:
    jobs = mlperf_jobs(Row("mlperf_llm", "M", MLPERF))
    assert {j.isl for j in jobs} == {778}
    assert [j.copies for j in jobs] == [8, 4, 2, 1]
    assert jobs[0].data["workload"]["rate"] == "10.0 req/s"
    with pytest.raises(ScenarioError, match="isl_mean"):
        mlperf_jobs(Row("mlperf_llm", "M", {**MLPERF, "dataset": "mlperf_gpt_oss_performance"}))


def test_an_assumed_input_length_is_said() -> None:
    jobs = mlperf_jobs(Row("mlperf_llm", "M", {**MLPERF, "dataset": "OpenOrca", "osl_mean": "272"}))
    assert {job.isl for job in jobs} == {272}
    assert all("272 tokens assumed" in " ".join(job.notes) for job in jobs)
    known = mlperf_jobs(Row("mlperf_llm", "M", {**MLPERF, "isl_mean": "700"}))
    assert all("assumed" not in " ".join(job.notes) for job in known)


PHASE = {
    "accelerator": "H100", "model": "Llama-2-7B", "engine": "vLLM", "weight_dtype": "fp16",
    "tp": "1", "pp": "1", "phase": "prefill", "metric": "ttft", "value": "36", "batch_size": "2",
    "isl": "2048", "osl": "1",
}  # fmt: skip


def test_a_phase_is_one_batch_in_one_pass() -> None:
    (made,) = phase_jobs(Row("phase_latency", "P", PHASE))
    assert made.data["workload"]["requests"] == 2
    assert made.data["pools"]["serve"]["max_batched_tokens"] == 4096
    with pytest.raises(ScenarioError, match="coefficient"):
        phase_jobs(Row("phase_latency", "P", {**PHASE, "metric": "coefficients"}))


def test_a_published_phase_reads_its_degrees() -> None:
    row = {
        "accelerator": "H100", "n_accel_phase": "32", "phase": "prefill", "model": "DeepSeek-R1",
        "weight_dtype": "fp8", "parallelism": "4 nodes EP32 DP attention", "engine": "SGLang",
        "isl": "2000", "osl": "",
    }  # fmt: skip
    (made,) = scale_jobs(Row("pd_scale", "D", row))
    assert made.data["pools"]["serve"]["parallel"] == {"tp": 1, "pp": 1, "dp": 32, "ep": 32}
    with pytest.raises(ScenarioError, match="parallelism"):
        scale_jobs(Row("pd_scale", "D", {**row, "parallelism": "many"}))
    # Experts over nodes with no TP named: every rank has tokens of its own.
    (wide,) = scale_jobs(Row("pd_scale", "D", {**row, "parallelism": "4 nodes EP32"}))
    assert wide.data["pools"]["serve"]["parallel"]["dp"] == 32
    assert not wide.data["pools"]["serve"]["two_batch_overlap"]
    (halves,) = scale_jobs(Row("pd_scale", "D", {**row, "source": "sglang-96xH100"}))
    assert halves.data["pools"]["serve"]["two_batch_overlap"]


def test_a_published_decode_phase_computes_no_prompts() -> None:
    row = {
        "accelerator": "H200", "n_accel_phase": "32", "phase": "decode", "model": "DeepSeek-R1",
        "weight_dtype": "fp8", "parallelism": "wide-EP DP+EP", "engine": "vLLM 0.11",
        "isl": "2000", "osl": "2000", "source": "vllm-blog-wide-ep",
    }  # fmt: skip
    (made,) = scale_jobs(Row("pd_scale", "D", row))
    pools = made.data["pools"]
    assert pools["prefill"]["estimator"]["kind"] == "constant"
    assert pools["decode"]["two_batch_overlap"] and "estimator" not in pools["decode"]
    assert (made.load, made.scored_pool, made.requests) == ("decode", "decode", 32 * 128)
    table = {
        "request_id": [0, 1], "status": ["finished"] * 2, "arrival_s": [0.0, 0.0],
        "ttft_s": [9.0, 9.0], "tpot_s": [0.05, 0.05], "last_token_s": [99.0, 99.0],
        "osl_tokens": [2000, 2000], "isl_tokens": [2000, 2000], "prefill_end_s": [1.0, 1.0],
    }  # fmt: skip
    # 4096 requests of 20 tokens a second each over 32 devices, however long they waited to begin.
    assert figures(made, table, 32).out_tok_s_per_accel == pytest.approx(128 * 20)


def test_mlperf_runs_built_engines_under_their_own_limits() -> None:
    (first, *_) = mlperf_jobs(Row("mlperf_llm", "M", MLPERF))
    pool = first.data["pools"]["serve"]
    assert (pool["runtime"], pool["max_seqs"]) == ("trtllm_2024", 2048)
    assert first.steady and first.requests == 1500
    busy = mlperf_jobs(Row("mlperf_llm", "M", {**MLPERF, "scheduled_qps": "800"}))[0]
    # A minute of arrivals, at the rate of one of eight copies.
    assert busy.requests == 6000
    deep = {**MLPERF, "model": "deepseek-r1", "isl_mean": "300", "weight_dtype": "fp4",
            "accelerator": "B200"}  # fmt: skip
    pool = mlperf_jobs(Row("mlperf_llm", "M", deep))[0].data["pools"]["serve"]
    assert (pool["runtime"], pool["max_seqs"]) == ("trtllm", 512)
    with pytest.raises(ScenarioError, match="beam search"):
        mlperf_jobs(Row("mlperf_llm", "M", {**MLPERF, "model": "gptj-99.9"}))


def test_four_bits_are_those_that_the_device_has() -> None:
    amd = {**MLPERF, "accelerator": "MI355X", "weight_dtype": "fp4", "engine": "vLLM 0.14"}
    assert mlperf_jobs(Row("mlperf_llm", "M", amd))[0].data["pools"]["serve"]["precision"] == {
        "weights": "mxfp4", "compute": "mxfp4", "kv": "fp8_e4m3",
    }  # fmt: skip
    own = {**amd, "accelerator": "B200"}
    precision = mlperf_jobs(Row("mlperf_llm", "M", own))[0].data["pools"]["serve"]["precision"]
    assert precision["weights"] == "nvfp4"
