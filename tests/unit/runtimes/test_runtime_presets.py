"""Runtime presets: all there, all sourced, tied to the protocols that they name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.ownership import Timers, get_protocol
from hetsim.runtimes import describe, get_runtime, load_runtime_file, runtime_names

SPECIFIED = {
    "vllm_nixl_pull": ("pull_lease", "lease", 16),
    "vllm_nixl_pull_legacy": ("pull_lease", "legacy", 16),
    "vllm_nixl_push": ("registered_push", "push", 16),
    "vllm_mooncake": ("consumer_triggered_push", "mooncake", 16),
    "trtllm_cpp": ("consumer_triggered_push", "in_doubt", 32),
    "trtllm_v2": ("consumer_triggered_push", "in_doubt", 32),
    "sglang_early": ("rendezvous_chunk_push", "early", 1),
    "sglang_prefill_complete": ("rendezvous_chunk_push", "prefill_complete", 1),
    "ascend_pull": ("pull_lease", "fixed", 128),
    "ascend_layerwise": ("layerwise_push", "ascend", 128),
    "lmdeploy_dlslime": ("pull_lease", "no_timer", 64),
    "tpu": ("copy_out", "tpu", 128),
    "mooncake_store": ("pool_lease", "store", 16),
    "qaic_shm": ("copy_out", "shared_memory", 16),
}
COLOCATED = {"vllm", "sglang", "trtllm"}
NUMBERS = [
    "page_tokens",
    "max_batched_tokens",
    "prefill_chunk_tokens",
    "max_seqs",
    "memory_utilisation",
    "reserve_bytes",
    "host_step_s",
    "host_per_sequence_s",
    "request_overhead_s",
    "request_overhead_moe_ratio",
    "handoff_overhead_s",
    "handoff_steps",
    "admission_steps",
    "kernel_scale_decode",
    "kernel_scale_prefill",
    "floor_scale",
    "floor_scale_moe",
]


def test_every_specified_preset_is_there() -> None:
    assert set(runtime_names()) >= set(SPECIFIED) | COLOCATED | {"ideal"}


@pytest.mark.parametrize("name", sorted(SPECIFIED))
def test_preset_has_the_protocol_of_the_specification(name: str) -> None:
    runtime = get_runtime(name)
    assert runtime.protocol is not None and runtime.use == "disaggregated"
    assert (runtime.protocol.kind, runtime.protocol.variant, runtime.page_tokens) == SPECIFIED[name]


@pytest.mark.parametrize("name", sorted(SPECIFIED))
def test_timers_of_a_preset_are_those_of_its_variant(name: str) -> None:
    runtime = get_runtime(name)
    assert runtime.protocol is not None
    variant = get_protocol(runtime.protocol.kind).variant(runtime.protocol.variant)
    assert runtime.timers == variant.timers
    assert runtime.plan().variant == variant
    assert runtime.granularity == variant.facts.granularity


@pytest.mark.parametrize("name", sorted(COLOCATED))
def test_co_located_preset_hands_nothing_over(name: str) -> None:
    runtime = get_runtime(name)
    assert runtime.protocol is None and runtime.first_token_from == "prefill"
    with pytest.raises(ScenarioError, match="never hands KV over"):
        runtime.plan()
    assert runtime.plan(kind="pull_lease").variant.name == "lease"


@pytest.mark.parametrize("name", runtime_names())
def test_every_number_has_a_source_of_its_own(name: str) -> None:
    runtime = get_runtime(name)
    if name == "ideal":  # zero by definition, and it says so
        assert "not measured" in runtime.source("host_step_s")
        return
    assert [field for field in NUMBERS if field not in runtime.sources] == []
    if runtime.protocol is not None:
        assert "timers" in runtime.sources


@pytest.mark.parametrize("name", runtime_names())
def test_description_has_a_source_in_every_row(name: str) -> None:
    rows = describe(name)
    assert {row[0] for row in rows} >= set(NUMBERS)
    assert all(source for _, _, source in rows)


def test_ideal_costs_nothing_and_says_that_it_is_a_test() -> None:
    ideal = get_runtime("ideal")
    assert ideal.use == "test" and ideal.title.startswith("TEST ONLY")
    costs = ("host_step_s", "host_per_sequence_s", "request_overhead_s", "handoff_overhead_s")
    assert [getattr(ideal, name) for name in (*costs, "admission_steps", "reserve_bytes")] == [
        0
    ] * 6
    assert ideal.kernel_scale_decode == ideal.kernel_scale_prefill == ideal.floor_scale == 1


@pytest.mark.parametrize("name", [name for name in runtime_names() if name != "ideal"])
def test_engine_constants_are_in_the_range_of_real_engines(name: str) -> None:
    """A slip of a unit (ms for s) or a sign leaves these ranges; a new fit does not."""
    runtime = get_runtime(name)
    assert 1e-4 <= runtime.host_step_s <= 1e-2
    assert 1e-6 <= runtime.host_per_sequence_s <= 1e-4
    assert 1e-3 <= runtime.request_overhead_s <= 0.2
    assert 0.7 <= runtime.kernel_scale_decode <= 1.3
    assert 0.7 <= runtime.kernel_scale_prefill <= 1.3
    assert 1 <= runtime.admission_steps <= 30
    assert (runtime.handoff_overhead_s > 0) == (runtime.use == "disaggregated")
    assert (runtime.handoff_steps > 0) == (runtime.use == "disaggregated")


def test_first_token_comes_from_where_the_engine_samples_it() -> None:
    assert get_runtime("vllm_nixl_pull").first_token_from == "decode"
    assert get_runtime("sglang_early").first_token_from == "decode_on_join"
    assert get_runtime("trtllm_cpp").first_token_from == "decode_on_join"


@pytest.mark.parametrize(
    ("memory_gib", "device", "limits"),
    [(80, "h100-sxm", (8192, 1024)), (70, "x", (8192, 1024)), (69.9, "x", (2048, 256)),
     (80, "a100-sxm4-80", (2048, 256)), (48, "l40s", (2048, 256))],
)  # fmt: skip
def test_vllm_chooses_its_step_limits_by_device(
    memory_gib: float, device: str, limits: tuple[int, int]
) -> None:
    found = get_runtime("vllm").limits(memory_gib * 2**30, device)
    assert (found.max_batched_tokens, found.max_seqs) == limits


def test_names_fold_case_and_dashes_and_unknown_ones_get_a_hint() -> None:
    assert get_runtime("vLLM-NIXL-pull") is get_runtime("vLLM-NIXL-pull")
    assert get_runtime("vLLM-NIXL-pull").name == "vllm_nixl_pull"
    with pytest.raises(ScenarioError, match="did you mean 'sglang_early'"):
        get_runtime("sglang_erly")


def test_scenario_may_change_protocol_and_timers() -> None:
    runtime = get_runtime("vllm_nixl_pull")
    assert runtime.plan(timers=Timers(lease_s=1.0)).variant.timers == Timers(lease_s=1.0)
    other = runtime.plan(kind="rendezvous_chunk_push")
    assert other.variant.name == "early" and other.variant.timers.lease_s is None
    sound = runtime.plan(variant="sound")
    assert sound.variant.sound and sound.variant.timers.transfer_s == 60.0


def test_on_preempt_of_the_preset_reaches_the_plan() -> None:
    assert get_runtime("sglang_early").plan().options.on_preempt == "retract"
    assert get_runtime("mooncake_store").plan().options.on_preempt == "reload"


def test_own_file_builds_on_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("base: vllm\nname: mine\ntitle: mine\nmax_seqs: 7\nsources: {max_seqs: me}\n")
    mine = load_runtime_file(path)
    assert (mine.max_seqs, mine.source("max_seqs")) == (7, "me")
    changed = {"name", "title", "max_seqs", "sources", "doubts"}
    for field in fields(mine):
        if field.name not in changed:
            assert getattr(mine, field.name) == getattr(get_runtime("vllm"), field.name)


def test_every_problem_of_a_file_is_named_at_its_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "base: vllm\nname: bad\ntitle: bad\nmax_sqs: 7\nscheduler: vlm\npage_tokens: 1.5\n"
    )
    with pytest.raises(ScenarioError) as caught:
        load_runtime_file(path)
    text = str(caught.value)
    assert "bad.yaml:4: max_sqs: unknown key; did you mean 'max_seqs'" in text
    assert "bad.yaml:5: scheduler: is 'vlm'; did you mean 'vllm'" in text
    assert "bad.yaml:6: page_tokens" in text and "3 problems" in text


def test_impossible_values_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "base: vllm_nixl_pull\nname: bad\ntitle: bad\nmax_seqs: 0\nmemory_utilisation: 1.2\n"
        "protocol: {kind: pull_lease, variant: lesse}\nsources: {max_sqs: me}\n"
    )
    with pytest.raises(ScenarioError) as caught:
        load_runtime_file(path)
    text = str(caught.value)
    for words in (
        "must be at least 1; seen 0",
        "must be in (0, 1]; seen 1.2",
        "no variant 'lesse'; did you mean 'lease'",
        "a source for a field that does not",
    ):
        assert words in text, text


def test_unknown_base_and_empty_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("base: vlm\n")
    with pytest.raises(ScenarioError, match=r"bad.yaml:1: base: no runtime 'vlm'; did you mean"):
        load_runtime_file(path)
    path.write_text("")
    with pytest.raises(ScenarioError, match="must be a mapping"):
        load_runtime_file(path)
