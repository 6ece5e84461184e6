"""The generated pages: commands, fields, devices, runtimes, validation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
CALL = "import sys; from hetsim.cli import main; sys.argv[0] = 'hetsim'; main()"

Schema = Mapping[str, Any]


def hetsim(*args: str) -> str:
    """Return what a command prints."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, *args], capture_output=True, text=True, check=True
    )
    return done.stdout


# -- commands ----------------------------------------------------------------------------------


def commands() -> str:
    """Return the page of all commands: their own help."""
    import typer

    from hetsim.cli import app

    group: Any = typer.main.get_command(app)
    names = list(group.commands)
    parts = ["# Commands\n", "Every command, as `--help` prints it.\n"]
    for name in names:
        inner = getattr(group.commands[name], "commands", None)
        parts.append(f"## hetsim {name}\n\n```text\n{hetsim(name, '--help').strip()}\n```\n")
        for sub in inner or ():
            parts.append(
                f"### hetsim {name} {sub}\n\n```text\n{hetsim(name, sub, '--help').strip()}\n```\n"
            )
    return "\n".join(parts)


# -- fields ------------------------------------------------------------------------------------


def fields(kind: str, title: str, lead: str) -> Callable[[], str]:
    """Return the maker of a page of all fields of a schema."""

    def make() -> str:
        schema = json.loads(hetsim("schema", kind))
        parts = [f"# {title}\n", lead + "\n", "## At the top\n", *_table(schema, schema)]
        for name in sorted(schema.get("$defs", {}), key=_short):
            one = schema["$defs"][name]
            if one.get("properties"):
                parts += [f"## {_short(name)}\n", one.get("description", "") + "\n"]
                parts += _table(one, schema)
        return "\n".join(parts)

    return make


def _short(name: str) -> str:
    words = name.split("__")
    return words[-1] if len(words) == 1 else f"{words[-1]} ({words[-3]})"


def _table(one: Schema, schema: Schema) -> Iterator[str]:
    required = set(one.get("required", ()))
    yield "| field | what it takes | left out | meaning |"
    yield "|---|---|---|---|"
    for name, field in one["properties"].items():
        default = "**required**" if name in required else _default(field)
        yield f"| `{name}` | {_type(field, schema)} | {default} | {_cell(_text(field, schema))} |"
    yield ""


def _text(field: Schema, schema: Schema) -> str:
    text = str(field.get("description", ""))
    if text.startswith("a quantity in "):
        text = ""
    if not text and "$ref" in field:
        text = str(schema["$defs"][field["$ref"].rpartition("/")[2]].get("description", ""))
    return text


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _default(field: Schema) -> str:
    value = field.get("default")
    if value is None or value == {} or value == [] or value == "":
        return "nothing"
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def _type(field: Schema, schema: Schema) -> str:
    if "$ref" in field:
        name = _short(field["$ref"].rpartition("/")[2])
        return f"[{name}](#{_anchor(name)})"
    for key in ("anyOf", "oneOf"):
        if key in field:
            kinds = [_type(one, schema) for one in field[key] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    return _plain_type(field, schema)


def _plain_type(field: Schema, schema: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if field.get("type") == "array":
        items = field.get("items") or (field.get("prefixItems") or [{}])[0]
        return f"list of {_type(items, schema)}"
    if field.get("type") == "object":
        inner = field.get("additionalProperties")
        return f"names to {_type(inner, schema)}" if isinstance(inner, dict) else "mapping"
    if field.get("examples"):
        return ", ".join(f"`{value}`" for value in field["examples"])
    return str(field.get("type", "any value"))


def _anchor(name: str) -> str:
    kept = "".join(c for c in name.lower() if c.isalnum() or c in " -_")
    return kept.replace(" ", "-")


# -- catalogue ---------------------------------------------------------------------------------


def accelerators() -> str:
    """Return the table of accelerators."""
    from hetsim.hardware import accelerator_names, get_accelerator
    from hetsim.units import format_bytes

    lines = [
        "# Accelerators\n",
        "Peaks are nominal and dense. `hetsim profiles NAME` shows every figure with its source.\n",
        "| name | maker | memory | bandwidth | bf16 peak | formats |",
        "|---|---|---|---|---|---|",
    ]
    for name in accelerator_names():
        one = get_accelerator(name)
        peak = one.peaks_flop_per_s.get("bf16")
        lines.append(
            f"| `{name}` | {one.vendor} | "
            f"{format_bytes(one.memory_bytes) if one.memory_bytes else 'not known'} | "
            f"{_tera(one.memory_bytes_per_s)}B/s | {_tera(peak)}FLOP/s | "
            f"{', '.join(sorted(one.native_formats))} |"
        )
    return "\n".join(lines) + "\n"


def _tera(value: float | None) -> str:
    return "- T" if value is None else f"{value / 1e12:.4g} T"


def runtimes() -> str:
    """Return the page of runtime presets: their figures, each with its source."""
    from dataclasses import fields as fields_of

    from hetsim.runtimes import get_runtime, runtime_names

    parts = [
        "# Runtime presets\n",
        "What `runtime:` of a pool may name, with the source of every figure. The files lie in "
        "`hardware_profiles/runtimes/`.\n",
    ]
    left_out = ("name", "title", "engine", "version", "sources", "doubts", "rse", "correlation")
    for name in runtime_names():
        one = get_runtime(name)
        parts.append(f"## {name}\n\n{one.title}. Engine: {one.engine} {one.version}.\n")
        parts += ["| field | value | source |", "|---|---|---|"]
        for field in fields_of(one):
            if field.name not in left_out:
                source = one.sources.get(field.name) or one.sources.get("default", "")
                value = _cell(str(getattr(one, field.name)))
                parts.append(f"| `{field.name}` | {value} | {_cell(source)} |")
        parts += ["", *[f"- Doubt: {text}" for text in one.doubts], ""]
    return "\n".join(parts)


def faults() -> str:
    """Return the page of all kinds of faults."""
    from hetsim.faults import CATALOGUE, fields_of

    lines = [
        "# Kinds of faults\n",
        "What `kind:` of a fault may be. Every kind takes the fields that say when it strikes "
        "(`at`, `when` with `nth`, `per_hour`, and `probability` for messages, transfers and "
        "requests); the last column has the others, those in bold required. "
        "[Inject faults](../guides/faults.md) shows how.\n",
        "| kind | class | strikes | what happens | fields |",
        "|---|---|---|---|---|",
    ]
    for kind in CATALOGUE.values():
        when = ("at", "when", "nth", "per_hour", "probability")
        names = [name for name in fields_of(kind) if name not in when]
        said = ", ".join(f"**`{n}`**" if n in kind.needs else f"`{n}`" for n in names)
        lines.append(
            f"| `{kind.name}` | {kind.group} | {kind.strikes} | {_cell(kind.title)} | {said} |"
        )
    return "\n".join(lines) + "\n"


def protocols() -> str:
    """Return the page of ownership protocols: their variants and what each guarantees."""
    from hetsim.ownership import INVARIANT_TEXT, PROTOCOL_INVARIANTS, get_protocol, protocol_names

    parts = [
        "# Ownership protocols\n",
        "What `boundary.ownership` and `boundary.variant` may name. A variant that guarantees "
        "every invariant is `sound`; of the others a run counts what is broken.\n",
    ]
    for name in protocol_names():
        parts += [f"## {name}\n", "| variant | what it is | not guaranteed |", "|---|---|---|"]
        for variant in get_protocol(name).variants:
            held = set(variant.guarantees)
            lacks = [one for one in PROTOCOL_INVARIANTS if one not in held]
            parts.append(
                f"| `{variant.name}` | {_cell(variant.title)} | {', '.join(lacks) or 'nothing'} |"
            )
        parts.append("")
    parts += ["## The invariants\n", "| | |", "|---|---|"]
    parts += [f"| {name} | {_cell(text)} |" for name, text in INVARIANT_TEXT.items()]
    return "\n".join(parts) + "\n"


def document(path: str) -> Callable[[], str]:
    """Return the maker of a page that is a document of the repository."""
    return lambda: (ROOT / path).read_text(encoding="utf-8")


PAGES: dict[str, Callable[[], str]] = {
    "reference/cli.md": commands,
    "reference/scenario.md": fields(
        "scenario",
        "Scenario fields",
        "Every key of a scenario file. Quantities are text with a unit (`4 req/s`, `80 GB`, "
        "`30 ms`). Made from the JSON Schema that `hetsim schema scenario` prints.",
    ),
    "reference/sweep.md": fields(
        "sweep",
        "Sweep fields",
        "Every key of a sweep file. Made from the JSON Schema that `hetsim schema sweep` prints.",
    ),
    "reference/accelerators.md": accelerators,
    "reference/runtimes.md": runtimes,
    "reference/faults.md": faults,
    "reference/protocols.md": protocols,
    "background/validation.md": document("calibration/VALIDATION.md"),
    "background/kernels.md": document("calibration/KERNELS.md"),
    "background/contributing.md": document("CONTRIBUTING.md"),
    "background/changes.md": document("CHANGELOG.md"),
}
