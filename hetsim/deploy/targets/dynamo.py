"""NVIDIA Dynamo: a worker per instance around an engine, its frontend as the router.

Source: ai-dynamo/dynamo 1.6.1, examples/backends/{vllm,sglang,trtllm}/launch (workers, modes,
events), docs/components/router (modes), docs/design-docs/disaggregated-serving.md (the frontend
finds prefill workers by itself, and falls back to decode workers where there are none).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hetsim.deploy import _sglang, _trtllm, _vllm
from hetsim.deploy._abilities import Abilities
from hetsim.deploy._choices import ROUTER_PORT, head_lines, scheduling, site_env
from hetsim.deploy._design import Design, Part
from hetsim.deploy._script import Setting, json_text, script

__all__ = ["abilities", "files", "notes"]

VERSION = "1.6.1"
SYSTEM_PORT, EVENT_PORT = 9090, 20080
_NIXL = "NixlConnector"
_ENGINES = {"vllm": _vllm, "sglang": _sglang, "tensorrt_llm": _trtllm}
_MODE = {
    "round_robin": "round-robin",
    "least_load": "least-loaded",
    "prefix_aware": "kv",
    "kv_aware": "kv",
}
_OWN: dict[str, Any] = {
    "routers": {name: _MODE[name] for name in ("round_robin", "least_load", "kv_aware")},
    "near": {
        "prefix_aware": "kv: prefix overlap and load together",
        "shared_queue": "no shared queue; least-loaded is written",
    },
    "recovery": {
        "recompute": "only where the prefill stage fails: the decode worker computes the prompt"
    },
}


def engine(design: Design) -> Any:
    """Return the words of the engine inside: that of the pools where they agree, else vLLM."""
    engines = {plan.runtime.engine for _, _, plan in design.pools}
    return _ENGINES.get(engines.pop(), _vllm) if len(engines) == 1 else _vllm


def word(design: Design) -> str:
    """Return what that engine is called in commands."""
    return {_sglang: "sglang", _trtllm: "trtllm"}.get(engine(design), "vllm")


def abilities(design: Design) -> Abilities:
    """Return what Dynamo can be told: the engine's choices, and its own routing."""
    inner: Abilities = engine(design).ABILITIES
    made: Abilities = replace(inner, title=f"Dynamo {VERSION} with {inner.title}", **_OWN)
    if engine(design) is _vllm:
        # Its frontend hands on the transfer parameters of NIXL's pull.
        made = replace(made, protocols={"pull_lease/lease": _NIXL})
    others = {
        maker: text or "needs an image of one's own; published ones are for NVIDIA"
        for maker, text in inner.makers.items()
        if maker != "NVIDIA"
    }
    return replace(made, makers={"NVIDIA": "", **others})


def files(design: Design) -> dict[str, str]:
    """Return one worker script per instance and node, and the frontend."""
    found = {"site.env": site_env(design)}
    for part in design.parts:
        if engine(design) is _vllm and design.apart:
            found[f"{part.name}.kv-transfer-config.json"] = json_text(
                _vllm.kv_config(design, part, _NIXL)
            )
        if engine(design) is not _trtllm and _events(design, part):
            found[f"{part.name}.kv-events-config.json"] = json_text(_event_config(design, part))
        if engine(design) is _trtllm:
            found[f"{part.name}.engine.yaml"] = _trtllm.engine_yaml(design, part)
        found[f"{part.name}.sh"] = _worker(design, part)
    found["router.sh"] = _frontend(design)
    return found


def notes(design: Design) -> list[str]:
    """Return what must run beside."""
    several = any(part.nodes > 1 for part in design.parts)
    launched = several and engine(design) is _trtllm
    return [
        f'the packages on every node: pip install "ai-dynamo[{word(design)}]"',
        *(["an instance of several nodes: start its scripts under srun or mpirun"] * launched),
        "discovery: etcd where ETCD_ENDPOINTS points to, and NATS where NATS_SERVER does, for the "
        "events of the router mode kv",
        "the frontend finds workers by itself: start order does not matter",
        "one router mode holds for both stages; decode workers are never chosen by prefix",
    ]


def _events(design: Design, part: Part) -> bool:
    pool, _ = design.pool(part.pool)
    return part.role != "decode" and pool.prefix_caching


def _event_config(design: Design, part: Part) -> dict[str, Any]:
    width = max(pool.parallel.dp for _, pool, _ in design.pools)
    config: dict[str, Any] = {
        "publisher": "zmq",
        "topic": "kv-events",
        "endpoint": f"tcp://*:{EVENT_PORT + part.slot * width}",
    }
    return {**config, "enable_kv_cache_events": True} if engine(design) is _vllm else config


def _worker(design: Design, part: Part) -> str:
    inner = engine(design)
    model = f'"${design.model_variable(part.role)}"'
    settings = [
        Setting(words=(_model_option(design), model), field="model", raw=True),
        Setting(
            words=("--served-model-name", '"$MODEL"'),
            field="model",
            note="one name for both stages, or the frontend does not join them",
            raw=True,
        ),
        *inner.options(design, part),
    ]
    settings += _own_words(design, part)
    environment = [
        *_environment(design, part),
        Setting(
            words=("DYN_SYSTEM_PORT", str(SYSTEM_PORT + part.slot)),
            field="slo",
            note="health and /metrics, which can be observed",
        ),
    ]
    title = head_lines(design, part, abilities(design).title)
    command = f"python3 -m dynamo.{word(design)}"
    if inner is _trtllm and part.nodes > 1:
        command = f"trtllm-llmapi-launch {command}"
    return script(title, environment, settings, command)


def _model_option(design: Design) -> str:
    return "--model" if engine(design) is _vllm else "--model-path"


def _environment(design: Design, part: Part) -> list[Setting]:
    inner = engine(design)
    if inner is not _vllm:
        found: list[Setting] = inner.environment(design, part)
        return found
    return _vllm.environment(design, part, _NIXL if design.apart else "")


def _own_words(design: Design, part: Part) -> list[Setting]:
    """Return what the wrapper is told beside the engine's options."""
    inner, found = engine(design), []
    if inner is _sglang:
        host = ("--host", "0.0.0.0")
        found.append(Setting(words=host, field="network", note="assumed"))
        found.append(Setting(words=("--enable-metrics",), field="slo", note="to be observed"))
    elif design.apart:
        mode = ("--disaggregation-mode", part.role)
        found.append(Setting(words=mode, field=f"pools.{part.pool}.role"))
    if inner is _vllm and design.apart:
        file = f'"$(cat "$here/{part.name}.kv-transfer-config.json")"'
        note = "connector from ownership, kv_load_failure_policy from on_error, lease from lease"
        words = ("--kv-transfer-config", file)
        found.append(Setting(words=words, field="boundary", note=note, raw=True))
    return [*found, *_event_words(design, part)]


def _event_words(design: Design, part: Part) -> list[Setting]:
    if not _events(design, part):
        return []
    field, note = f"pools.{part.pool}.prefix_caching", "for the router mode kv"
    if engine(design) is _trtllm:
        return [Setting(words=("--publish-events-and-metrics",), field=field, note=note)]
    file = f'"$(cat "$here/{part.name}.kv-events-config.json")"'
    return [Setting(words=("--kv-events-config", file), field=field, note=note, raw=True)]


def _frontend(design: Design) -> str:
    name, pool, _ = design.pools[0]
    settings = [
        Setting(
            words=("--router-mode", _MODE.get(pool.router, "least-loaded")),
            field=f"pools.{name}.router",
            note=pool.router,
        )
    ]
    if _MODE.get(pool.router) == "kv":
        size = scheduling(design, name, word(design))["block_tokens"]
        settings.append(size.setting("--kv-cache-block-size"))
    port = ("--http-port", str(ROUTER_PORT))
    settings.append(Setting(words=port, field="network", note="assumed"))
    title = [f"{design.scenario.name}: the frontend; Dynamo {VERSION}. Written by hetsim export."]
    return script(title, [], settings, "python3 -m dynamo.frontend")
