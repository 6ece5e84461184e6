"""Errors survive being rebuilt from their arguments, and say what to do; units are read exactly."""

from __future__ import annotations

import pytest
import simpy

from hetsim.errors import (
    HetsimError,
    InfeasibleError,
    InvalidTransition,
    InvariantViolated,
    Problem,
    ScenarioError,
)
from hetsim.units import format_bytes, format_quantity, format_seconds, parse_quantity

ERRORS = [
    ScenarioError([Problem("is wrong", "a.b", "f.yaml", 3), Problem("is missing", "c")]),
    InfeasibleError("does not fit", [("weights", "141 GB")]),
    InvalidTransition("pull_lease", "reading", "finished", ["0 s: arrived"]),
    InvariantViolated("L2", "blocks do not add up", ["take 3"]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
def test_an_error_raised_in_a_process_arrives_whole(error: HetsimError):
    env = simpy.Environment()

    def fail():
        yield env.timeout(1)
        raise error

    env.process(fail())
    with pytest.raises(type(error)) as caught:
        env.run()
    assert str(caught.value) == str(error)


def test_problems_are_counted_and_placed():
    text = str(ERRORS[0])
    assert text.splitlines() == [
        "f.yaml:3: a.b: is wrong",
        "c: is missing",
        "2 problems; nothing was run.",
    ]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("400 Gbit/s", "byte/second", 50e9),
        ("400 GB/s", "byte/second", 400e9),
        ("1 GiB", "byte", 2.0**30),
        ("989 TFLOP/s", "FLOP/second", 989e12),
        ("2.5 USD/h", "USD/hour", 2.5),
        ("1.5 kW", "watt", 1500.0),
        ("5 us", "second", 5e-6),
        ("2 min", "second", 120.0),
    ],
)
def test_units(text, unit, value):
    assert parse_quantity(text, unit) == pytest.approx(value, rel=1e-15)


def test_text_of_a_quantity_is_read_back_exactly():
    for value in (0.1, 1 / 3, 5e-324, 1.7e308):
        assert parse_quantity(format_quantity(value, "second"), "second") == value


def test_text_for_people():
    assert format_bytes(141.2e9) == "141.2 GB" and format_bytes(12) == "12 B"
    assert format_seconds(0.0123) == "12.3 ms" and format_seconds(float("nan")) == "-"
