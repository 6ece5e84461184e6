"""vLLM: ``vllm serve`` per instance, vllm-router in front.

Source: vLLM 0.33 (see :mod:`hetsim.deploy._vllm`); README of vllm-project/router 0.1.16.
"""

from __future__ import annotations

from hetsim.deploy import _vllm
from hetsim.deploy._abilities import Abilities
from hetsim.deploy._choices import API_PORT, ROUTER_PORT, address, head_lines, site_env
from hetsim.deploy._design import Design, Part
from hetsim.deploy._gateway import policy
from hetsim.deploy._script import Setting, json_text, script

__all__ = ["abilities", "files", "notes"]


def abilities(design: Design) -> Abilities:
    """Return what vLLM can be told."""
    return _vllm.ABILITIES


def files(design: Design) -> dict[str, str]:
    """Return one script per instance and node, its transfer configuration, and the router."""
    found = {"site.env": site_env(design)}
    for part in design.parts:
        if design.apart:
            found[f"{part.name}.kv-transfer-config.json"] = json_text(
                _vllm.kv_config(design, part, _vllm.connector(design))
            )
        found[f"{part.name}.sh"] = _engine(design, part)
    if design.apart or len(design.heads("serve")) > 1:
        found["router.sh"] = _router(design)
    return found


def notes(design: Design) -> list[str]:
    """Return what must be installed beside."""
    if not design.apart:
        return ["vllm-router, where there are several instances: pip install vllm-router"]
    library = {
        "MooncakeConnector": "mooncake-transfer-engine",
    }.get(_vllm.connector(design), "nixl")
    return [
        f"the transfer library on every node: pip install {library}",
        "the router: pip install vllm-router",
        "one version of vLLM on every node: NIXL's first contact compares it exactly",
        "the heartbeat is a sixth of kv_lease_duration and its extension two thirds; neither is a "
        "setting of its own",
    ]


def _engine(design: Design, part: Part) -> str:
    model = f'"${design.model_variable(part.role)}"'
    settings = [Setting(words=(model,), field="model", raw=True)]
    if part.rank == 0:
        settings += [
            Setting(words=("--host", "0.0.0.0"), field="network", note="assumed"),
            Setting(
                words=("--port", str(API_PORT + part.slot)),
                field="network",
                note="assumed: the first free port of the node",
            ),
        ]
    settings += _vllm.options(design, part)
    if design.apart:
        file = f'"$(cat "$here/{part.name}.kv-transfer-config.json")"'
        settings.append(
            Setting(words=("--kv-transfer-config", file), field="boundary", note=_kv(), raw=True)
        )
    return script(
        head_lines(design, part, _vllm.ABILITIES.title),
        _vllm.environment(design, part, _vllm.connector(design)),
        settings,
        "vllm serve",
    )


def _kv() -> str:
    return "connector from ownership, kv_load_failure_policy from on_error, lease from lease"


def _router(design: Design) -> str:
    first, _, _ = design.pools[0]
    router = design.scenario.pools[first].router
    settings = [
        Setting(words=("--policy", policy(router)), field=f"pools.{first}.router", note=router)
    ]
    if design.apart:
        settings.append(
            Setting(words=("--vllm-pd-disaggregation",), field="pools", note="roles apart")
        )
        for name, pool, plan in design.pools:
            option = f"--{plan.role}-policy"
            words = (option, policy(pool.router))
            settings.append(Setting(words=words, field=f"pools.{name}.router", note=pool.router))
        if _vllm.connector(design) == "MooncakeConnector":
            words = ("--kv-connector", "mooncake")
            settings.append(Setting(words=words, field="boundary.ownership"))
        for role in ("prefill", "decode"):
            settings += [_worker(f"--{role}", part) for part in design.heads(role)]
    else:
        urls = [_url(part) for part in design.heads("serve")]
        words = ("--worker-urls", " ".join(urls))
        settings.append(Setting(words=words, field=f"pools.{first}.instances", raw=True))
    width = max(pool.parallel.dp for _, pool, _ in design.pools)
    dp = ("--intra-node-data-parallel-size", "1")
    settings += [
        Setting(words=dp, field="pools", note=f"dp is up to {width}; an engine balances its own"),
        Setting(words=("--host", "0.0.0.0"), field="network", note="assumed"),
        Setting(words=("--port", str(ROUTER_PORT)), field="network", note="assumed"),
    ]
    title = [f"{design.scenario.name}: the router; vllm-router 0.1.16. Written by hetsim export."]
    return script(title, [], settings, "vllm-router")


def _url(part: Part) -> str:
    return f'"http://{address(part.node)}:{API_PORT + part.slot}"'


def _worker(option: str, part: Part) -> Setting:
    return Setting(words=(option, _url(part)), field=f"pools.{part.pool}.instances", raw=True)
