"""JSON Schema with what the source says of every field, its unit, an example and its default."""

from __future__ import annotations

import ast
import inspect
import math
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from hetsim.units import format_bytes, format_quantity, format_seconds, parse_quantity

__all__ = ["described_schema", "field_docs"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_UNIT = "a quantity in "

Examples = Mapping[str, Any]
Entry = dict[str, Any]


def described_schema(cls: Any, examples: Examples) -> dict[str, Any]:
    """Return the JSON Schema of ``cls``, for editors and for people.

    ``examples`` gives one by ``Class.field`` or, for all classes, by ``field``, for fields whose
    default, choices or unit do not already show what to write.
    """
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    class Described(GenerateJsonSchema):
        """Adds to every property the line that stands under its field."""

        def dataclass_schema(self, schema: Any) -> dict[str, Any]:
            made: dict[str, Any] = super().dataclass_schema(schema)
            docs = field_docs(schema["cls"])
            for name, entry in made.get("properties", {}).items():
                if name in docs:
                    entry["description"] = _joined(docs[name], entry.get("description"))
            made["description"] = _first(schema["cls"].__doc__ or "")
            return made

    made = TypeAdapter(cls).json_schema(schema_generator=Described, mode="validation")
    sections = [made, *made.get("$defs", {}).values()]
    for section in sections:
        for name, entry in section.get("properties", {}).items():
            _complete(entry, name, section, examples)
    for section in sections:
        for entry in section.get("properties", {}).values():
            _default_of_a_section(entry, made)
    return {"$schema": _DIALECT, **made}


# -- one field -----------------------------------------------------------------------------------


def _complete(entry: Entry, name: str, section: Mapping[str, Any], examples: Examples) -> None:
    if "const" in entry:
        entry.setdefault("description", f"{entry['const']}: {_sentence(section['description'])}")
        return
    unit, shown = _quantity_in(entry)
    if unit is not None:
        if _UNIT not in entry.get("description", ""):
            entry["description"] = _joined(entry.get("description", ""), _UNIT + unit)
        if isinstance(entry.get("default"), float):
            entry["default"] = _said(entry["default"], unit)
    example = examples.get(f"{section['title']}.{name}", examples.get(name))
    if shown and "examples" not in entry and "additionalProperties" not in entry:
        entry["examples"] = shown
    if example is not None and (unit is None or f"{section['title']}.{name}" in examples):
        entry["examples"] = [example]


def _quantity_in(entry: Entry) -> tuple[str | None, list[Any]]:
    """Return the unit of a field that takes a quantity, perhaps among others, and examples."""
    for part in _parts(entry):
        unit = str(part.get("description", "")).rpartition(_UNIT)[2].rstrip(")")
        if _UNIT in part.get("description", ""):
            return unit, list(part.get("examples", ()))
    return None, []


def _parts(entry: Entry) -> Iterator[Entry]:
    yield entry
    yield from entry.get("anyOf", ())
    inner = entry.get("additionalProperties")
    if isinstance(inner, dict):
        yield inner


def _said(value: float, unit: str) -> str:
    """Return a default as one would write it.

    >>> _said(5e-6, "second"), _said(213e9, "byte/second"), _said(0.25, "watt")
    ('5 us', '213 GB/s', '0.25 watt')
    """
    short = {
        "second": format_seconds(value),
        "byte": format_bytes(value),
        "byte/second": f"{format_bytes(value)}/s",
    }.get(unit)
    if short is not None and math.isclose(parse_quantity(short, unit), value, rel_tol=1e-12):
        return short
    return format_quantity(value, unit)


def _default_of_a_section(entry: Entry, made: Mapping[str, Any]) -> None:
    """Write the default of a whole section as its fields' defaults are written."""
    if "$ref" in entry and isinstance(entry.get("default"), dict):
        fields = made["$defs"][entry["$ref"].rpartition("/")[2]]["properties"]
        entry["default"] = {
            name: fields[name].get("default", value) for name, value in entry["default"].items()
        }


def _joined(doc: str, unit: str | None) -> str:
    if not doc or not unit or unit == doc:
        return doc or unit or ""
    return f"{doc} ({unit})"


def _first(doc: str) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(doc).split("\n\n")[0].split()).replace("``", "")


def _sentence(text: str) -> str:
    return text.partition(". ")[0].rstrip(".") + "."


# -- the lines under fields ----------------------------------------------------------------------


@cache
def field_docs(cls: type) -> dict[str, str]:
    """Return the doc of every field of a dataclass: the string that stands under it.

    Those of the classes it is made from count as well. Where there is no source, there is none.

    >>> from hetsim.scenario import Parallel
    >>> field_docs(Parallel)["dp"]
    'Attention data parallel inside one engine.'
    """
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        module = sys.modules.get(base.__module__)
        if module is not None and module.__name__.startswith("hetsim."):
            written_as = base.__dict__.get("written_as", base.__name__)
            found.update(_module_docs(module.__name__).get(written_as, {}))
    return found


@cache
def _module_docs(module: str) -> dict[str, dict[str, str]]:
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except (OSError, TypeError):
        return {}
    classes = (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    return {node.name: _class_docs(node) for node in classes}


def _class_docs(node: ast.ClassDef) -> dict[str, str]:
    docs = {}
    for field, after in zip(node.body, node.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            docs[field.target.id] = _first(str(after.value.value))
    return docs
