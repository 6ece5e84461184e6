"""Values that every engine is told, each with the field that it comes from."""

from __future__ import annotations

from hetsim.deploy._design import Design, Part
from hetsim.deploy._script import Setting, one_line, shell_name
from hetsim.hardware import Accelerator
from hetsim.runtimes import get_runtime
from hetsim.spec import spec

__all__ = [
    "API_PORT",
    "ROUTER_PORT",
    "Choice",
    "address",
    "devices_setting",
    "head_lines",
    "is_cpu",
    "longest_tokens",
    "memory",
    "scheduling",
    "site_env",
]

API_PORT, ROUTER_PORT = 8100, 8000
_VISIBLE = {
    "NVIDIA": "CUDA_VISIBLE_DEVICES",
    "AMD": "HIP_VISIBLE_DEVICES",
    "Huawei": "ASCEND_RT_VISIBLE_DEVICES",
    "Intel": "ZE_AFFINITY_MASK",
    "MetaX": "CUDA_VISIBLE_DEVICES",
    "Iluvatar": "CUDA_VISIBLE_DEVICES",
}


@spec
class Choice:
    """One value, where it was stated, and what was assumed where it was not."""

    value: str
    field: str
    note: str = ""

    def setting(self, option: str, note: str = "") -> Setting:
        """Return the setting of a command-line option."""
        notes = "; ".join(text for text in (self.note, note) if text)
        return Setting(words=(option, self.value), field=self.field, note=notes)


def _left_out(stated: object, preset: str) -> str:
    return "" if stated is not None else f"left out there: the preset {preset}'s"


def scheduling(design: Design, name: str, own: str) -> dict[str, Choice]:
    """Return token budget, sequences and block size of a pool.

    ``own`` is the co-located preset of the engine that is told: a block size that another engine's
    preset has, and nobody stated, means nothing there.
    """
    pool, plan = design.pool(name)
    path, preset = f"pools.{name}", plan.runtime.name
    values = {
        "max_batched_tokens": plan.rules.max_tokens,
        "max_seqs": plan.rules.max_seqs,
        "block_tokens": plan.rules.block_tokens,
    }
    found = {
        field: Choice(
            value=str(value),
            field=f"{path}.{field}",
            note=_left_out(getattr(pool, field), preset),
        )
        for field, value in values.items()
    }
    engine = get_runtime(own)
    if pool.block_tokens is None and plan.runtime.engine != engine.engine:
        size = str(engine.page_tokens)
        other = f"the preset {preset} has {values['block_tokens']}"
        note = f"left out there: {engine.engine}'s own; {other}"
        found["block_tokens"] = Choice(value=size, field=f"{path}.block_tokens", note=note)
    return found


def memory(design: Design, name: str, rule: str) -> Choice:
    """Return the part of the memory that the engine uses; ``rule`` is what its own means."""
    pool, plan = design.pool(name)
    runtime = plan.runtime
    note = _left_out(pool.memory_utilisation, runtime.name)
    if runtime.memory_rule != rule:
        other = f"that preset counts it otherwise ({runtime.memory_rule}, here {rule})"
        note = f"{note}; {other}" if note else other
    return Choice(
        value=f"{pool.memory_utilisation or runtime.memory_utilisation:g}",
        field=f"pools.{name}.memory_utilisation",
        note=note,
    )


def longest_tokens(design: Design, name: str) -> Choice:
    """Return the longest request: the model's context, or what the KV blocks of a rank hold."""
    _, plan = design.pool(name)
    held = (plan.blocks - plan.rules.fixed_blocks) * plan.rules.block_tokens
    value = max(1, min(design.plan.max_context, held))
    why = "the model's context" if value == design.plan.max_context else "what its KV blocks hold"
    return Choice(value=str(value), field="model", note=f"assumed: {why}")


def is_cpu(accelerator: Accelerator) -> bool:
    """Return whether a profile is that of a CPU."""
    return accelerator.name.startswith("cpu-")


def devices_setting(design: Design, part: Part) -> list[Setting]:
    """Return the variable that names the devices of a part; nothing where none is known."""
    _, plan = design.pool(part.pool)
    variable = _VISIBLE.get(plan.accelerator.vendor)
    device = plan.accelerator
    if variable is None or is_cpu(device) or device.name.startswith("gaudi"):
        return []
    return [
        Setting(
            words=(variable, ",".join(map(str, part.devices))),
            field=f"pools.{part.pool}.parallel",
            note=f"{plan.accelerator.name}, placed as in the simulation",
        )
    ]


def address(node: int) -> str:
    """Return the shell text of a node's address."""
    return f"$NODE_{node}"


def head_lines(design: Design, part: Part, engine: str) -> list[str]:
    """Return what stands above a script."""
    where = f"node {part.node}" + (f", part {part.rank + 1} of {part.nodes}" * (part.nodes > 1))
    return [
        f"{design.scenario.name}: instance {part.index} of pool {part.pool}, on {where}; {engine}",
        "Every line names the field of the scenario that it comes from. Written by hetsim export.",
    ]


def site_env(design: Design) -> str:
    """Return what only the site knows: addresses and checkpoints, each with a default."""
    nodes: dict[int, list[str]] = {}
    for part in design.parts:
        nodes.setdefault(part.node, []).append(part.name)
    lines = [
        "# What only you know. Set a variable outside, or edit its default here.",
        f"# model: {one_line(design.scenario.model)}",
    ]
    if design.checkpoint is None:
        lines.append("# no public checkpoint of this model is known: set MODEL yourself")
    lines.append(f'MODEL="${{MODEL:-{_plain(design.checkpoint or "SET-MODEL")}}}"')
    for role in dict.fromkeys(part.role for part in design.parts):
        variable = f"MODEL_{shell_name(role)}"
        lines.append(f'{variable}="${{{variable}:-$MODEL}}"')
    for node, names in sorted(nodes.items()):
        lines.append(f"# runs {', '.join(names)}")
        lines.append(f'NODE_{node}="${{NODE_{node}:-127.0.0.1}}"')
    lines += ["# Where the router runs.", 'ROUTER="${ROUTER:-$NODE_0}"']
    return "\n".join([*lines, ""])


def _plain(text: str) -> str:
    """Return text that is safe between double quotes of a shell."""
    return "".join(f"\\{char}" if char in '\\"$`}' else char for char in text)
