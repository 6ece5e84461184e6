"""What editors show: every field of a scenario and of a sweep is explained, with what to write."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hetsim.ownership import protocol_names, variant_names
from hetsim.scenario import scenario_schema
from hetsim.spec import data_root
from hetsim.sweep import sweep_schema
from hetsim.transfer import transfer_engine_names
from hetsim.units import parse_quantity

SCHEMAS = {"scenario": scenario_schema(), "sweep": sweep_schema()}
UNIT = re.compile(r"a quantity in (\S+?)\)?$")
NAMED = {
    "ownership": protocol_names(),
    "transfer_engine": transfer_engine_names(),
    "variant": tuple(v for name in protocol_names() for v in variant_names(name)),
}

Entry = Mapping[str, Any]


def fields_of(schema: Entry) -> Iterator[tuple[str, Entry]]:
    for section in (schema, *schema["$defs"].values()):
        for name, entry in section.get("properties", {}).items():
            yield f"{section['title']}.{name}", entry


FIELDS = [
    pytest.param(entry, id=f"{kind}:{name}")
    for kind, schema in SCHEMAS.items()
    for name, entry in fields_of(schema)
]


def offers(entry: Entry) -> bool:
    """Whether a field's type says by itself what may be written."""
    if {"const", "enum", "$ref", "oneOf"} & set(entry) or entry.get("type") == "boolean":
        return True
    inner = [*entry.get("anyOf", ()), entry.get("items"), entry.get("additionalProperties")]
    return any(offers(one) for one in inner if isinstance(one, dict))


@pytest.mark.parametrize("entry", FIELDS)
def test_a_field_says_what_it_means(entry: Entry) -> None:
    said = entry.get("description", "")
    assert len(said.split()) >= 2
    assert not said.startswith("a quantity in ")
    assert ":func:" not in said
    assert "``" not in said


@pytest.mark.parametrize("entry", FIELDS)
def test_a_field_shows_what_to_write(entry: Entry) -> None:
    empty = (None, "", [], {})
    assert "examples" in entry or offers(entry) or entry.get("default") not in empty


@pytest.mark.parametrize("entry", FIELDS)
def test_examples_and_defaults_of_quantities_carry_the_unit(entry: Entry) -> None:
    unit = UNIT.search(entry.get("description", ""))
    if unit is None:
        return
    shown = [*entry.get("examples", ()), entry.get("default")]
    texts = [one for one in shown if one is not None and not isinstance(one, dict)]
    assert all(parse_quantity(one, unit[1]) >= 0 for one in texts)


@pytest.mark.parametrize("entry", FIELDS)
def test_an_example_keeps_the_bounds_of_its_field(entry: Entry) -> None:
    for part in (entry, *entry.get("anyOf", ())):
        for one in (x for x in entry.get("examples", ()) if isinstance(x, int | float)):
            assert one >= part.get("minimum", one)
            assert one > part.get("exclusiveMinimum", one - 1)
            assert one <= part.get("maximum", one)


@pytest.mark.parametrize("field", NAMED)
def test_an_example_of_a_name_is_one(field: str) -> None:
    shown = SCHEMAS["scenario"]["$defs"]["Boundary"]["properties"][field]["examples"]
    assert set(shown) <= set(NAMED[field])


def test_a_default_is_told_as_it_is_written() -> None:
    limits = SCHEMAS["scenario"]["properties"]["limits"]["default"]
    latency = SCHEMAS["scenario"]["$defs"]["SingleSwitch"]["properties"]["latency"]
    assert limits["memory"] == "8 GB"
    assert latency["default"] == "5 us"


def test_the_schema_of_sweeps_is_the_one_of_the_code() -> None:
    """Else: hetsim schema sweep > scenarios/sweeps/sweep.schema.json."""
    path = data_root("scenarios") / "sweeps" / "sweep.schema.json"
    assert json.loads(path.read_text(encoding="utf-8")) == SCHEMAS["sweep"]


FILES = sorted(data_root("scenarios").rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(data_root("scenarios"))))
def test_an_editor_finds_the_schema_of_every_shipped_file(path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
    assert found is not None
    assert (path.parent / found[1]).is_file()
