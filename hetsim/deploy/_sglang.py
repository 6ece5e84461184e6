"""The words of SGLang: options and environment.

Source: SGLang 0.5.23, ``python -m sglang.launch_server --help``;
docs/advanced_features/pd_disaggregation.md (modes, transfer back ends, timeouts);
docs/advanced_features/server_arguments.md (every option of an engine; read 2026-11-24);
docs/advanced_features/hicache.md (host tier); docs/advanced_features/router.md (policies).
"""

from __future__ import annotations

from hetsim.deploy._abilities import Abilities
from hetsim.deploy._choices import address, devices_setting, longest_tokens, memory, scheduling
from hetsim.deploy._design import Design, Part
from hetsim.deploy._gateway import EXACT, NEAR
from hetsim.deploy._script import Setting

__all__ = [
    "ABILITIES",
    "backend",
    "environment",
    "options",
]

VERSION = "0.5.23"
BOOTSTRAP_PORT, INIT_PORT = 8998, 5000
_BEAT_S, _FAILURES = 5.0, 2
_RANKS = "of all attention DP ranks together; the engine divides it"

ABILITIES = Abilities(
    title=f"SGLang {VERSION}",
    protocols={"rendezvous_chunk_push/early": "its default"},
    preset={"rendezvous_chunk_push": "sglang_early"},
    granularity="chunk",
    kv={
        "bf16": "auto",
        "fp16": "auto",
        "fp8_e4m3": "fp8_e4m3",
        "fp8_e5m2": "fp8_e5m2",
        "mxfp8": "mxfp8",
        "nvfp4": "nvfp4",
    },
    weights={"fp8_e4m3": "fp8"},
    routers=EXACT,
    near=NEAR,
    makers={
        "NVIDIA": "",
        "AMD": "needs the ROCm build; the transfer back end mori is AMD's own",
        "Intel": "needs the CPU or XPU build; no hand-off is documented there",
        "Huawei": "needs the Ascend build and its transfer back end, which is written",
    },
    cpu="needs the CPU build; no hand-off between CPUs is documented",
    on_error=("fail",),
    on_error_does="a failed hand-off fails the request with HTTP 500; nothing is computed again",
    swap=True,
    partial_ep=True,
    queue_limit=True,
    tiers={"dram": "HiCache"},
    timers={
        "bootstrap_s": "SGLANG_DISAGGREGATION_BOOTSTRAP_TIMEOUT",
        "waiting_s": "SGLANG_DISAGGREGATION_WAITING_TIMEOUT",
        "drain_s": "SGLANG_DISAGGREGATION_DEFERRED_DECODE_KV_RELEASE_TIMEOUT",
    },
)


def backend(design: Design) -> tuple[str, str]:
    """Return the transfer back end, and why."""
    makers = [plan.accelerator.vendor for _, _, plan in design.pools]
    if "Huawei" in makers:
        return "ascend", "Ascend devices"
    stated = design.scenario.boundary.transfer_engine if design.scenario.boundary else None
    if stated is not None and "nixl" in stated:
        return "nixl", f"boundary.transfer_engine is {stated}"
    return "mooncake", "the default"


def environment(design: Design, part: Part) -> list[Setting]:
    """Return the variables of one part: devices, and the timers of the hand-off."""
    found = devices_setting(design, part)
    boundary = design.plan.boundary
    if boundary is None:
        return found
    timers, own = boundary.plan.variant.timers, boundary.plan.kind == "rendezvous_chunk_push"
    note = "the protocol's timer" if own else "left at the default: another protocol was asked"
    usual = {"bootstrap_s": 300.0, "waiting_s": 300.0, "drain_s": 30.0}
    for timer, variable in ABILITIES.timers.items():
        value = getattr(timers, timer) if own else None
        text = f"{value if value is not None else usual[timer]:g}"
        found.append(Setting(words=(variable, text), field="boundary.variant", note=note))
    health = timers.health_s if own and timers.health_s else _BEAT_S * _FAILURES
    beat = ("SGLANG_DISAGGREGATION_HEARTBEAT_INTERVAL", f"{health / _FAILURES:g}")
    fail = ("SGLANG_DISAGGREGATION_HEARTBEAT_MAX_FAILURE", str(_FAILURES))
    return [
        *found,
        Setting(words=beat, field="boundary.variant", note="interval x failures is the timer"),
        Setting(words=fail, field="boundary.variant"),
    ]


def options(design: Design, part: Part) -> list[Setting]:
    """Return the options of one part."""
    return [
        *_layout(design, part),
        *_formats(design, part),
        *_scheduler(design, part),
        *_hand_off(design, part),
        *_tiers(design, part),
    ]


def _layout(design: Design, part: Part) -> list[Setting]:
    pool, _ = design.pool(part.pool)
    cut, path = pool.parallel, f"pools.{part.pool}.parallel"
    note = "all ranks of a stage: attention tp x dp"
    found = [Setting(words=("--tp-size", str(cut.tp * cut.dp)), field=f"{path}.tp", note=note)]
    found.append(Setting(words=("--pp-size", str(cut.pp)), field=f"{path}.pp"))
    if cut.dp > 1:
        found.append(Setting(words=("--dp-size", str(cut.dp)), field=f"{path}.dp"))
        found.append(Setting(words=("--enable-dp-attention",), field=f"{path}.dp"))
    if cut.ep > 1:
        found.append(Setting(words=("--ep-size", str(cut.ep)), field=f"{path}.ep"))
        moe = ("--moe-a2a-backend", "deepep")
        found.append(Setting(words=moe, field=f"{path}.ep", note="assumed: the exchange"))
    if pool.two_batch_overlap:
        halves = f"pools.{part.pool}.two_batch_overlap"
        found.append(Setting(words=("--enable-two-batch-overlap",), field=halves))
    if part.nodes > 1:
        field = f"pools.{part.pool}.devices_per_node"
        head = f'"{address(part.head)}:{INIT_PORT + part.slot}"'
        found += [
            Setting(words=("--nnodes", str(part.nodes)), field=field),
            Setting(words=("--node-rank", str(part.rank)), field=field),
            Setting(words=("--dist-init-addr", head), field=field, raw=True),
        ]
    return found


def _formats(design: Design, part: Part) -> list[Setting]:
    pool, _ = design.pool(part.pool)
    precision, path = pool.precision, f"pools.{part.pool}.precision"
    dtype = "float16" if "fp16" in (precision.weights, precision.compute) else "bfloat16"
    found = [Setting(words=("--dtype", dtype), field=f"{path}.compute", note="activations")]
    word = ABILITIES.weights.get(precision.weights)
    if word is not None and design.model.weight_format != precision.weights:
        note = "made of a 16-bit checkpoint at load; leave it out where MODEL holds this format"
        found.append(Setting(words=("--quantization", word), field=f"{path}.weights", note=note))
    kv = ABILITIES.kv.get(precision.kv)
    if kv is not None:
        found.append(Setting(words=("--kv-cache-dtype", kv), field=f"{path}.kv", note=precision.kv))
    return found


def _scheduler(design: Design, part: Part) -> list[Setting]:
    name = part.pool
    pool, _ = design.pool(name)
    path, run, dp = f"pools.{name}", scheduling(design, name, "sglang"), pool.parallel.dp
    tokens, seqs = run["max_batched_tokens"], run["max_seqs"]
    whole = ("--max-running-requests", str(int(seqs.value) * dp))
    chunk = ("--chunked-prefill-size", str(int(tokens.value) * dp))
    notes = _joined(seqs.note, f"{seqs.value} per attention DP rank")
    found = [
        run["block_tokens"].setting("--page-size", "must be equal on both sides"),
        Setting(words=chunk, field=tokens.field, note=_joined(tokens.note, _RANKS * (dp > 1))),
        tokens.setting("--max-prefill-tokens"),
        Setting(words=whole, field=seqs.field, note=notes),
        memory(design, name, "weights_and_kv").setting("--mem-fraction-static"),
        longest_tokens(design, name).setting("--context-length"),
    ]
    if not pool.prefix_caching:
        found.append(Setting(words=("--disable-radix-cache",), field=f"{path}.prefix_caching"))
    if pool.queue_limit is not None and not design.apart:
        limit = ("--max-queued-requests", str(pool.queue_limit))
        found.append(Setting(words=limit, field=f"{path}.queue_limit"))
    return found


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _hand_off(design: Design, part: Part) -> list[Setting]:
    if not design.apart:
        return []
    word, why = backend(design)
    found = [
        Setting(words=("--disaggregation-mode", part.role), field=f"pools.{part.pool}.role"),
        Setting(
            words=("--disaggregation-transfer-backend", word),
            field="boundary.transfer_engine",
            note=why,
        ),
    ]
    if part.role == "prefill":
        port = ("--disaggregation-bootstrap-port", str(BOOTSTRAP_PORT + part.slot))
        found.append(Setting(words=port, field="boundary.ownership"))
    return found


def _tiers(design: Design, part: Part) -> list[Setting]:
    residency = design.scenario.residency
    if residency is None or residency.dram is None or part.role == "decode":
        return []
    pool, plan = design.pool(part.pool)
    dram, path = residency.dram, "residency.dram"
    holders = plan.devices if dram.share == "instance" else pool.devices_per_node or 8
    size = max(1, round(dram.capacity / holders / 1e9))
    return [
        Setting(words=("--enable-hierarchical-cache",), field=path),
        Setting(
            words=("--hicache-size", str(size)),
            field=f"{path}.capacity",
            note=f"GB per rank: {dram.capacity / 1e9:g} GB over {holders} ranks",
        ),
        Setting(words=("--hicache-write-policy", dram.write), field=f"{path}.write"),
    ]
