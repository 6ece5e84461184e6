"""SGLang: ``sglang.launch_server`` per instance, its router in front.

Source: SGLang 0.5.23 (see :mod:`hetsim.deploy._sglang`), docs/advanced_features/router.md.
"""

from __future__ import annotations

from dataclasses import replace

from hetsim.deploy import _sglang
from hetsim.deploy._abilities import Abilities
from hetsim.deploy._choices import API_PORT, ROUTER_PORT, address, head_lines, site_env
from hetsim.deploy._design import Design, Part
from hetsim.deploy._gateway import policy
from hetsim.deploy._script import Setting, script

__all__ = ["abilities", "files", "notes"]


def abilities(design: Design) -> Abilities:
    """Return what SGLang can be told."""
    # docs/advanced_features/server_arguments.md: max-queued-requests is ignored with a
    # disaggregation mode.
    return replace(_sglang.ABILITIES, queue_limit=not design.apart)


def files(design: Design) -> dict[str, str]:
    """Return one script per instance and node, and the router."""
    found = {"site.env": site_env(design)}
    for part in design.parts:
        found[f"{part.name}.sh"] = _engine(design, part)
    if design.apart or len(design.heads("serve")) > 1:
        found["router.sh"] = _router(design)
    return found


def notes(design: Design) -> list[str]:
    """Return what must be installed beside, and what has no option."""
    found = ["the router: pip install sglang-router"] if "router.sh" in files(design) else []
    if design.apart:
        word, _ = _sglang.backend(design)
        library = {"nixl": "nixl", "mooncake": "mooncake-transfer-engine"}.get(word)
        if library is not None:
            found.append(f"the transfer library on every node: pip install {library}")
        found.append(
            "name the NICs with --disaggregation-ib-device, such as `./prefill-0.sh "
            "--disaggregation-ib-device mlx5_0`; left out, the library chooses"
        )
    return found


def _engine(design: Design, part: Part) -> str:
    model = f'"${design.model_variable(part.role)}"'
    settings = [
        Setting(words=("--model-path", model), field="model", raw=True),
        Setting(words=("--host", "0.0.0.0"), field="network", note="assumed"),
        Setting(
            words=("--port", str(API_PORT + part.slot)),
            field="network",
            note="assumed: the first free port of the node",
        ),
        Setting(words=("--enable-metrics",), field="slo", note="so that /metrics can be observed"),
        *_sglang.options(design, part),
    ]
    return script(
        head_lines(design, part, _sglang.ABILITIES.title),
        _sglang.environment(design, part),
        settings,
        "python3 -m sglang.launch_server",
    )


def _router(design: Design) -> str:
    settings = []
    if design.apart:
        settings.append(Setting(words=("--pd-disaggregation",), field="pools", note="roles apart"))
        for part in design.heads("prefill"):
            place = f"{_url(part)} {_sglang.BOOTSTRAP_PORT + part.slot}"
            settings.append(_worker("--prefill", place, part))
        settings += [_worker("--decode", _url(part), part) for part in design.heads("decode")]
        for name, pool, plan in design.pools:
            words = (f"--{plan.role}-policy", policy(pool.router))
            settings.append(Setting(words=words, field=f"pools.{name}.router", note=pool.router))
    else:
        name, pool, _ = design.pools[0]
        urls = " ".join(_url(part) for part in design.heads("serve"))
        settings.append(
            Setting(words=("--worker-urls", urls), field=f"pools.{name}.instances", raw=True)
        )
        words = ("--policy", policy(pool.router))
        settings.append(Setting(words=words, field=f"pools.{name}.router", note=pool.router))
    settings += [
        Setting(words=("--host", "0.0.0.0"), field="network", note="assumed"),
        Setting(words=("--port", str(ROUTER_PORT)), field="network", note="assumed"),
    ]
    title = [f"{design.scenario.name}: the router; sglang-router. Written by hetsim export."]
    return script(title, [], settings, "python3 -m sglang_router.launch_router")


def _url(part: Part) -> str:
    return f'"http://{address(part.node)}:{API_PORT + part.slot}"'


def _worker(option: str, place: str, part: Part) -> Setting:
    return Setting(words=(option, place), field=f"pools.{part.pool}.instances", raw=True)
