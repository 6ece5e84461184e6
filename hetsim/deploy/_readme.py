"""README.md of an exported directory: how to start, what is not done, how to compare."""

from __future__ import annotations

from collections.abc import Sequence

from hetsim.deploy._abilities import Abilities, Gap
from hetsim.deploy._choices import ROUTER_PORT
from hetsim.deploy._design import Design
from hetsim.deploy._script import one_line
from hetsim.run import demand_of

__all__ = ["readme"]


def readme(design: Design, can: Abilities, found: Sequence[Gap], notes: Sequence[str]) -> str:
    """Return the text of README.md."""
    parts = [
        *_head(design, can),
        *_start(design, notes),
        *_gaps(can, found),
        *_assumed(design),
        *_compare(design),
    ]
    return "\n".join([*parts, ""])


def _head(design: Design, can: Abilities) -> list[str]:
    pools = [
        f"- pool `{_plain(name)}`: {plan.instances} x {plan.devices} {plan.accelerator.name}, "
        f"weights {pool.precision.weights}, KV {pool.precision.kv}"
        for name, pool, plan in design.pools
    ]
    return [
        f"# {_plain(design.scenario.name)} on {can.title}",
        "",
        "Written by `hetsim export` from `scenario.resolved.yaml`, which lies beside.",
        "Nothing here was run on devices.",
        "",
        *pools,
        "",
    ]


def _start(design: Design, notes: Sequence[str]) -> list[str]:
    lines = ["## Start", "", "1. Edit `site.env`: addresses of the nodes, the checkpoint."]
    nodes: dict[int, list[str]] = {}
    for part in design.parts:
        nodes.setdefault(part.node, []).append(f"`{part.name}.sh`")
    lines.append("2. Copy this folder to every node and start there:")
    lines += [f"   - node {node}: {', '.join(names)}" for node, names in sorted(nodes.items())]
    lines.append("3. Start `router.sh` where `ROUTER` is, if it is there.")
    return [*lines, "", "Beside:", "", *(f"- {note}" for note in notes), ""]


def _gaps(can: Abilities, found: Sequence[Gap]) -> list[str]:
    head = [f"## What {can.title} cannot do", ""]
    if not found:
        return [*head, "Everything that the scenario asks has a setting here.", ""]
    rows = [f"| `{_cell(g.field)}` | {_cell(g.asks)} | {_cell(g.does)} |" for g in found]
    return [
        *head,
        "| field | the scenario asks | the runtime |",
        "|---|---|---|",
        *rows,
        "",
        "The prediction holds for the scenario, not for what differs here. Change the scenario "
        "until this table is short, and run it again.",
        "",
    ]


def _assumed(design: Design) -> list[str]:
    lines = [
        "- ports, and that every node is reached by one address",
        "- `--max-model-len` and its like: the model's context, or what the KV blocks hold",
        "- devices are numbered as the simulation placed them: the first free ones of a node",
    ]
    network = design.scenario.network
    if network is not None:
        fabric = getattr(network, "fabric", "")
        lines.append(
            f"- network {fabric}: its rate and latency are the cluster's and are set nowhere; "
            "which NICs are used is left to the transfer library"
        )
    if design.apart:
        lines.append("- `boundary.control_latency`: follows from network and router")
    lines.append(
        "- arrivals, lengths and objectives (`workload`, `slo`, `horizon`) are the client's"
    )
    return ["## What was assumed", "", *lines, ""]


def _compare(design: Design) -> list[str]:
    demand = demand_of(design.plan.workload)
    rate = f"--request-rate {demand.rate_req_s:.4g}" if demand.rate_req_s else "--request-rate inf"
    if design.plan.workload.loop is not None:
        rate = f"--max-concurrency {design.plan.workload.loop.users}"
    port = ROUTER_PORT if design.apart or len(design.heads("serve")) > 1 else 8100
    return [
        "## Measured against predicted",
        "",
        "```bash",
        "source ./site.env",
        "# the mean lengths of the workload; for its whole distribution, replay a trace of it",
        f'vllm bench serve --base-url "http://$ROUTER:{port}" --model "$MODEL" \\',
        f"  --dataset-name random --random-input-len {round(demand.input_tokens)} "
        f"--random-output-len {max(1, round(demand.output_tokens))} \\",
        f"  --num-prompts {design.plan.workload.requests} {rate} --save-result \\",
        "  --percentile-metrics ttft,tpot,itl,e2el --metric-percentiles 50,90,99 "
        "--result-filename measured.json",
        "hetsim observe measured.json --scenario scenario.resolved.yaml",
        "```",
        "",
        "`hetsim observe` also reads SGLang, AIPerf and GuideLLM results and `/metrics` of an "
        "engine. It prints predicted against observed and the parameter most likely wrong.",
    ]


def _plain(text: str) -> str:
    return one_line(text).replace("`", "'")


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")
