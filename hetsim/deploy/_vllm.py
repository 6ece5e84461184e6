"""The words of vLLM: options, environment and ``--kv-transfer-config``.

Source: vLLM 0.33, ``vllm serve --help``; docs/features/nixl_connector_usage.md (side channel,
``kv_lease_duration``, ``kv_load_failure_policy``); docs/features/mooncake_connector_usage.md
(bootstrap port, ``VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT``); docs/serving/parallelism_scaling.md and
docs/serving/data_parallel_deployment.md (several nodes); README of vllm-project/router 0.1.16.
Every option, key and word was also held against the parser and the connectors of an installed
0.32.0 (2026-11-24).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hetsim.deploy._abilities import Abilities
from hetsim.deploy._choices import (
    Choice,
    address,
    devices_setting,
    is_cpu,
    longest_tokens,
    memory,
    scheduling,
)
from hetsim.deploy._design import Design, Part
from hetsim.deploy._gateway import EXACT, NEAR
from hetsim.deploy._script import Setting

__all__ = ["ABILITIES", "connector", "environment", "kv_config", "kv_role", "options"]

VERSION = "0.33.0"
NIXL_PORT, BOOTSTRAP_PORT, DP_PORT = 5600, 8998, 13345

ABILITIES = Abilities(
    title=f"vLLM {VERSION}",
    protocols={
        "pull_lease/lease": "NixlConnector",
        "registered_push/push": "NixlPushConnector",
        "consumer_triggered_push/mooncake": "MooncakeConnector",
    },
    preset={
        "pull_lease": "vllm_nixl_pull",
        "registered_push": "vllm_nixl_push",
        "consumer_triggered_push": "vllm_mooncake",
    },
    granularity="request",
    kv={
        "bf16": "auto",
        "fp16": "auto",
        "fp8_e4m3": "fp8_e4m3",
        "fp8_e5m2": "fp8_e5m2",
        "nvfp4": "nvfp4",
        "int8": "int8_per_token_head",
        "int4": "int4_per_token_head",
    },
    weights={"fp8_e4m3": "fp8"},
    routers=EXACT,
    near=NEAR,
    makers={
        "NVIDIA": "",
        "AMD": "needs the ROCm build, whose NIXL is RIXL",
        "Intel": "needs the XPU or CPU build, or the Gaudi plugin; KV is staged through the host",
        "Huawei": "needs the plugin vllm-ascend, which has connectors of its own in place of these",
        "Google": "needs the plugin tpu-inference, whose connector copies KV out instead",
        "Qualcomm": "needs the plugin vllm-qaic, whose hand-off goes through shared memory",
    },
    cpu="needs the CPU build; its memory is set by VLLM_CPU_KVCACHE_SPACE, and KV goes through it",
    # An installed 0.32.0 refuses others at start: "No common block size for 16 (CPU_ATTN: ...)".
    cpu_pages=32,
    on_error=("fail", "recompute"),
    on_error_does="",
    recovery={"recompute": "only as kv_load_failure_policy: the decode side computes it again"},
    timers={"lease_s": "kv_lease_duration"},
    whole_seconds=True,
)

_KINDS = {
    "pull_lease": "NixlConnector",
    "registered_push": "NixlPushConnector",
    "consumer_triggered_push": "MooncakeConnector",
}
_STAGED = ("Intel", "Google", "Qualcomm")


def connector(design: Design) -> str:
    """Return the connector of the protocol, NIXL's where vLLM has none; "" if nothing crosses."""
    boundary = design.plan.boundary
    if boundary is None:
        return ""
    return _KINDS.get(boundary.plan.kind, "NixlConnector")


def kv_role(role: str, name: str) -> str:
    """Return the role that a connector is told; NIXL's are told apart by the router alone."""
    if name != "MooncakeConnector":
        return "kv_both"
    return "kv_producer" if role == "prefill" else "kv_consumer"


def kv_config(design: Design, part: Part, name: str) -> dict[str, Any]:
    """Return ``--kv-transfer-config`` of one part with the connector ``name``."""
    boundary = design.plan.boundary
    assert boundary is not None
    config: dict[str, Any] = {
        "kv_connector": name,
        "kv_role": kv_role(part.role, name),
        "kv_load_failure_policy": boundary.plan.options.on_error,
    }
    _, plan = design.pool(part.pool)
    if plan.accelerator.vendor in _STAGED or is_cpu(plan.accelerator):
        config["kv_buffer_device"] = "cpu"
    lease = lease_s(design)
    if name != "MooncakeConnector" and lease is not None:
        config["kv_connector_extra_config"] = {"kv_lease_duration": lease}
    return config


def lease_s(design: Design) -> int | None:
    """Return the lease in whole seconds; None where another protocol's timer goes by that name."""
    boundary = design.plan.boundary
    if boundary is None or boundary.plan.kind not in _KINDS:
        return None
    lease = boundary.plan.variant.timers.lease_s
    return max(1, round(lease)) if lease is not None else None


def environment(design: Design, part: Part, name: str) -> list[Setting]:
    """Return the variables of one part with the connector ``name`` ("" where there is none)."""
    found = devices_setting(design, part)
    if not name:
        return found
    field = "boundary.ownership"
    width = max(pool.parallel.dp for _, pool, _ in design.pools)
    if name == "MooncakeConnector":
        port = str(BOOTSTRAP_PORT + part.slot)
        found.append(Setting(words=("VLLM_MOONCAKE_BOOTSTRAP_PORT", port), field=field))
        lease = lease_s(design)
        if lease is not None:
            words = ("VLLM_MOONCAKE_ABORT_REQUEST_TIMEOUT", str(lease))
            note = "in seconds; the decode side waits 60 s longer, which is not a setting"
            found.append(Setting(words=words, field="boundary.lease", note=note))
        return found
    host = f'"{address(part.node)}"'
    port = str(NIXL_PORT + part.slot * width)
    return [
        *found,
        Setting(words=("VLLM_NIXL_SIDE_CHANNEL_HOST", host), field=field, raw=True),
        Setting(
            words=("VLLM_NIXL_SIDE_CHANNEL_PORT", port),
            field=field,
            note="one port for every attention DP rank, from this one on",
        ),
        Setting(
            words=("UCX_NET_DEVICES", "${UCX_NET_DEVICES:-all}"),
            field="network.nic",
            note="assumed: all NICs; name those beside the devices",
            raw=True,
        ),
    ]


def options(design: Design, part: Part) -> list[Setting]:
    """Return the options that vLLM and those who embed it share."""
    name = part.pool
    pool, plan = design.pool(name)
    path, run = f"pools.{name}", scheduling(design, name, "vllm")
    found = [*_layout(design, part), *_formats(design, part)]
    found += [
        _block_size(run["block_tokens"], ABILITIES.pages(plan.accelerator.name)),
        run["max_batched_tokens"].setting("--max-num-batched-tokens"),
        run["max_seqs"].setting("--max-num-seqs", "per attention DP rank"),
        memory(design, name, "of_total").setting("--gpu-memory-utilization"),
        longest_tokens(design, name).setting("--max-model-len"),
        Setting(
            words=(("--no-enable-prefix-caching", "--enable-prefix-caching")[pool.prefix_caching],),
            field=f"{path}.prefix_caching",
        ),
    ]
    if plan.rules.chunked:
        found.append(Setting(words=("--enable-chunked-prefill",), field=f"{path}.runtime"))
    if pool.two_batch_overlap:
        found.append(Setting(words=("--enable-dbo",), field=f"{path}.two_batch_overlap"))
    return found


def _block_size(asked: Choice, pages: int) -> Setting:
    """Return the block size, on a CPU the next that its attention kernels take."""
    size = -(-int(asked.value) // pages) * pages
    note = f"{asked.value} asked; a CPU takes multiples of {pages}"
    return replace(asked, value=str(size)).setting(
        "--block-size", note if str(size) != asked.value else ""
    )


def _layout(design: Design, part: Part) -> list[Setting]:
    pool, _ = design.pool(part.pool)
    cut, path = pool.parallel, f"pools.{part.pool}.parallel"
    found = [Setting(words=("--tensor-parallel-size", str(cut.tp)), field=f"{path}.tp")]
    found.append(Setting(words=("--pipeline-parallel-size", str(cut.pp)), field=f"{path}.pp"))
    if cut.dp > 1:
        found.append(Setting(words=("--data-parallel-size", str(cut.dp)), field=f"{path}.dp"))
    if cut.ep > 1:
        note = f"asked: {cut.ep} ranks; it takes all tp x dp = {cut.tp * cut.dp}"
        found.append(Setting(words=("--enable-expert-parallel",), field=f"{path}.ep", note=note))
    if part.nodes > 1:
        found += _several_nodes(part, cut.dp, f"pools.{part.pool}.devices_per_node")
    return found


def _several_nodes(part: Part, dp: int, field: str) -> list[Setting]:
    head = f'"{address(part.head)}"'
    if dp > 1:
        local = max(1, dp // part.nodes)
        found = [
            Setting(words=("--data-parallel-size-local", str(local)), field=field),
            Setting(words=("--data-parallel-address", head), field=field, raw=True),
            Setting(words=("--data-parallel-rpc-port", str(DP_PORT)), field=field),
        ]
        if part.rank:
            start = ("--data-parallel-start-rank", str(part.rank * local))
            found += [
                Setting(words=("--headless",), field=field),
                Setting(words=start, field=field),
            ]
        return found
    found = [
        Setting(words=("--nnodes", str(part.nodes)), field=field),
        Setting(words=("--node-rank", str(part.rank)), field=field),
        Setting(words=("--master-addr", head), field=field, raw=True),
    ]
    return [*found, Setting(words=("--headless",), field=field)] if part.rank else found


def _formats(design: Design, part: Part) -> list[Setting]:
    pool, _ = design.pool(part.pool)
    precision, path = pool.precision, f"pools.{part.pool}.precision"
    found = []
    dtype = "float16" if "fp16" in (precision.weights, precision.compute) else "bfloat16"
    found.append(Setting(words=("--dtype", dtype), field=f"{path}.compute", note="activations"))
    word = ABILITIES.weights.get(precision.weights)
    if word is not None and design.model.weight_format != precision.weights:
        note = "made of a 16-bit checkpoint at load; leave it out where MODEL holds this format"
        found.append(Setting(words=("--quantization", word), field=f"{path}.weights", note=note))
    kv = ABILITIES.kv.get(precision.kv)
    if kv is not None:
        note = f"{precision.kv}; the same word on both sides, for they are compared as text"
        found.append(Setting(words=("--kv-cache-dtype", kv), field=f"{path}.kv", note=note))
    return found
