"""The words of TensorRT-LLM: the YAML that a worker reads, a comment per choice.

Source: TensorRT-LLM 1.x, docs/source/features/disagg-serving.md (``cache_transceiver_config``, the
overlap scheduler of context servers, attention DP) and the arguments of its LLM API; the engine
configurations of ai-dynamo/dynamo 1.6.1, examples/backends/trtllm/engine_configs.
"""

from __future__ import annotations

from collections.abc import Iterable

from hetsim.deploy._abilities import Abilities
from hetsim.deploy._choices import devices_setting, longest_tokens, memory, scheduling
from hetsim.deploy._design import Design, Part
from hetsim.deploy._script import Setting

__all__ = ["ABILITIES", "engine_yaml", "environment", "options"]

ABILITIES = Abilities(
    title="TensorRT-LLM 1.x",
    protocols={"consumer_triggered_push/in_doubt": "its default"},
    preset={"consumer_triggered_push": "trtllm_cpp"},
    granularity="request",
    kv={"bf16": "auto", "fp16": "auto", "fp8_e4m3": "fp8", "nvfp4": "nvfp4"},
    weights={},
    routers={"round_robin": "round_robin"},
    makers={"NVIDIA": ""},
    cpu="runs on NVIDIA devices alone",
    on_error=("fail",),
    on_error_does="if one rank fails, the hand-off fails on all; a router may try again",
    partial_ep=True,
    timers={"lease_s": "kv_transfer_timeout_ms"},
)


def environment(design: Design, part: Part) -> list[Setting]:
    """Return the variables of one part."""
    return devices_setting(design, part)


def options(design: Design, part: Part) -> list[Setting]:
    """Return the options of a worker; the engine's own choices are in its YAML."""
    file = f'"$here/{part.name}.engine.yaml"'
    return [
        Setting(words=("--extra-engine-args", file), field="pools", note="see there", raw=True),
        Setting(words=("--modality", "text"), field="model", note="assumed"),
    ]


def engine_yaml(design: Design, part: Part) -> str:
    """Return the engine's YAML."""
    lines = [f"# {design.scenario.name}: {part.name}. Written by hetsim export."]
    lines += _rows([*_layout(design, part), *_scheduler(design, part)])
    lines += ["kv_cache_config:", *_rows(_cache(design, part), "  ")]
    if design.apart:
        lines += ["cache_transceiver_config:", *_rows(_transceiver(design), "  ")]
    return "\n".join([*lines, ""])


def _rows(settings: Iterable[Setting], indent: str = "") -> list[str]:
    return [f"{indent}{one.words[0]}: {one.words[1]}  # {one.comment}" for one in settings]


def _layout(design: Design, part: Part) -> list[Setting]:
    pool, _ = design.pool(part.pool)
    cut, path = pool.parallel, f"pools.{part.pool}.parallel"
    ranks = cut.tp * cut.dp
    found = [Setting(words=("tensor_parallel_size", str(ranks)), field=f"{path}.tp")]
    found.append(Setting(words=("pipeline_parallel_size", str(cut.pp)), field=f"{path}.pp"))
    if cut.ep > 1:
        words = ("moe_expert_parallel_size", str(cut.ep))
        found.append(Setting(words=words, field=f"{path}.ep"))
    if cut.dp > 1:
        note = "attention is then whole on every rank"
        words = ("enable_attention_dp", "true")
        found.append(Setting(words=words, field=f"{path}.dp", note=note))
    return found


def _scheduler(design: Design, part: Part) -> list[Setting]:
    name = part.pool
    _, plan = design.pool(name)
    run = scheduling(design, name, "trtllm")
    chunked = str(plan.rules.chunked).lower()
    found = [
        run["max_batched_tokens"].setting("max_num_tokens"),
        run["max_seqs"].setting("max_batch_size", "per attention DP rank"),
        longest_tokens(design, name).setting("max_seq_len"),
        Setting(words=("enable_chunked_prefill", chunked), field=f"pools.{name}.runtime"),
    ]
    if part.role == "prefill":
        words = ("disable_overlap_scheduler", "true")
        note = "context servers do not support it"
        found.append(Setting(words=words, field=f"pools.{name}.role", note=note))
    return found


def _cache(design: Design, part: Part) -> list[Setting]:
    name = part.pool
    pool, _ = design.pool(name)
    path, kv = f"pools.{name}", ABILITIES.kv.get(pool.precision.kv)
    found = [
        scheduling(design, name, "trtllm")["block_tokens"].setting("tokens_per_block"),
        memory(design, name, "of_free").setting("free_gpu_memory_fraction"),
        Setting(
            words=("enable_block_reuse", str(pool.prefix_caching).lower()),
            field=f"{path}.prefix_caching",
        ),
    ]
    if kv is not None:
        words = ("dtype", kv)
        found.append(Setting(words=words, field=f"{path}.precision.kv", note=pool.precision.kv))
    # What products run in follows from the checkpoint.
    return found


def _transceiver(design: Design) -> list[Setting]:
    boundary = design.plan.boundary
    assert boundary is not None
    found = [Setting(words=("backend", "DEFAULT"), field="boundary.ownership", note="NIXL")]
    lease = boundary.plan.variant.timers.lease_s
    if lease is not None and boundary.plan.kind in ABILITIES.preset:
        words = ("kv_transfer_timeout_ms", str(max(1, round(1e3 * lease))))
        found.append(Setting(words=words, field="boundary.lease", note="both sides"))
    return found
