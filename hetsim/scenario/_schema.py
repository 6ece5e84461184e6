"""JSON Schema of a scenario, with what the source says of every field."""

from __future__ import annotations

import ast
import inspect
import sys
from functools import cache
from typing import Any

from hetsim.scenario._types import Scenario

__all__ = ["field_docs", "scenario_schema"]


def scenario_schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario, for editors and for people.

    >>> scenario_schema()["properties"]["seed"]["description"]
    'Every random draw follows from it.'
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

    made = TypeAdapter(Scenario).json_schema(schema_generator=Described, mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _joined(doc: str, unit: str | None) -> str:
    return f"{doc} ({unit})" if unit and unit != doc else doc


def _first(doc: str) -> str:
    """Return the first paragraph of a docstring on one line."""
    return " ".join(inspect.cleandoc(doc).split("\n\n")[0].split()).replace("``", "")


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
            found.update(_module_docs(module.__name__).get(base.__name__, {}))
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
