"""Data becomes typed objects, and every problem is named where it stands."""

from __future__ import annotations

from typing import Literal

import pytest

from hetsim.errors import ScenarioError
from hetsim.spec import kinds, lookup, register, spec
from hetsim.spec._check import BytesPerSecond, Seconds, build, json_schema
from hetsim.spec._yaml import parse_yaml


@spec
class Leg:
    kind: Literal["leg"] = "leg"
    rate: BytesPerSecond


@spec
class Trip:
    name: str
    legs: tuple[Leg, ...]
    wait: Seconds | None = None
    hops: int = 0


def problems(text: str) -> list[str]:
    data, marks = parse_yaml(text, "t.yaml")
    with pytest.raises(ScenarioError) as caught:
        build(Trip, data, marks, "t.yaml")
    return [str(problem) for problem in caught.value.problems]


def test_quantities_become_si():
    data, marks = parse_yaml("name: x\nlegs: [{rate: 400 Gbit/s}]\nwait: 5 ms\n")
    trip = build(Trip, data, marks)
    assert trip.legs[0].rate == 50e9 and trip.wait == 0.005


def test_every_problem_is_reported_at_once_with_line_path_and_remedy():
    found = problems("nam: x\nlegs:\n- {rate: 4e9}\n- {rat: 1 GB/s}\nwait: 3 GB\nhops: 1.5\n")
    text = "\n".join(found)
    assert "t.yaml:1: nam: unknown key; did you mean 'name'?" in text
    assert "t.yaml:1: name: is missing" in text
    assert "t.yaml:3: legs[0].rate: needs a unit; write for example '400 Gbit/s'" in text
    assert "t.yaml:4: legs[1].rat: unknown key; did you mean 'rate'?" in text
    assert "t.yaml:5: wait: '3 GB' has the wrong dimension" in text
    assert "t.yaml:6: hops:" in text and "1.5" in text
    assert len(found) == 7


@pytest.mark.parametrize("value", ["-1 s", "1 m/s", "s", "1e400 s", "nan s", "1 s s", "9**9**9 s"])
def test_impossible_quantities_are_refused(value):
    assert "wait" in problems(f'name: x\nlegs: []\nwait: "{value}"\n')[0]


def test_numbers_stay_strict():
    assert "hops" in problems('name: x\nlegs: []\nhops: "7"\n')[0]
    assert "hops" in problems("name: x\nlegs: []\nhops: true\n")[0]


def test_specs_are_frozen_and_slotted():
    leg = build(Leg, {"rate": "1 GB/s"})
    with pytest.raises(AttributeError):
        leg.rate = 2.0  # type: ignore[misc]
    assert not hasattr(leg, "__dict__")


def test_the_schema_names_every_field():
    assert set(json_schema(Trip)["properties"]) == {"name", "legs", "wait", "hops"}


def test_families_find_members_by_kind_and_refuse_twins():
    @spec(kind="only", family="test_family")
    class Only:
        x: int

    assert lookup("test_family", "only") is Only and kinds("test_family") == ("only",)
    assert isinstance(Only(x=1), Only)
    with pytest.raises(ValueError, match="registered twice"):
        register("test_family", "only")(object())
    with pytest.raises(ScenarioError, match="did you mean 'only'"):
        lookup("test_family", "onli")
