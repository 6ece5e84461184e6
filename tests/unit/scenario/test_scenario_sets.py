"""Dotted paths into plain data."""

from __future__ import annotations

from typing import Any

import pytest

from hetsim.errors import ScenarioError
from hetsim.scenario import apply_set, parse_key, parse_set


def refusal(data: Any, key: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        apply_set(data, key, 1)
    return str(caught.value.problems[0].message)


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("seed", ("seed",)),
        ("faults[2].at", ("faults", 2, "at")),
        ("faults.2.at", ("faults", "2", "at")),
        ("a[0][1]", ("a", 0, 1)),
    ],
)
def test_keys_are_taken_apart(key: str, parts: tuple[Any, ...]) -> None:
    assert parse_key(key) == parts


@pytest.mark.parametrize("key", ["", ".a", "a..b", "a.", "a[", "a[x]", "a]"])
def test_what_is_no_path_is_refused(key: str) -> None:
    with pytest.raises(ScenarioError, match="not a path"):
        parse_key(key)


@pytest.mark.parametrize(
    ("text", "value"),
    [("k=1", 1), ("k=1e3", 1e3), ("k=2 req/s", "2 req/s"), ("k=[1, 2]", [1, 2]), ("k=", None),
     ("k=a=b", "a=b"), ("k=no", "no"), ("k={a: 1}", {"a": 1})],
)  # fmt: skip
def test_values_are_yaml(text: str, value: Any) -> None:
    assert parse_set(text) == ("k", value)


@pytest.mark.parametrize("text", ["k", "k=[", "k={a: 1, a: 2}", "k='"])
def test_a_set_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ScenarioError):
        parse_set(text)


def test_values_are_put_where_a_scenario_has_them(pair: Any) -> None:
    apply_set(pair, "network.pools.prefill.nic", "200 Gbit/s")
    apply_set(pair, "boundary.lease", "3 s")
    apply_set(pair, "faults.0", {"kind": "decode_crash"})
    apply_set(pair, "faults[1].kind", "link_slow")
    apply_set(pair, "pools.prefill.estimator.kind", "constant")
    assert pair["network"]["pools"] == {"prefill": {"nic": "200 Gbit/s"}}
    assert pair["boundary"] == {"lease": "3 s"}
    assert pair["faults"] == [{"kind": "decode_crash"}, {"kind": "link_slow"}]
    assert pair["pools"]["prefill"]["estimator"] == {"kind": "constant"}


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("sed", "did you mean 'seed'"),
        ("pools.prefil.instances", "did you mean 'prefill'"),
        ("pools.prefill.paralel.tp", "did you mean 'parallel'"),
        ("workload.burst_ratio", "allowed: 'input'"),
        ("network.oversubscription", "allowed: 'efficiency'"),
        ("seed.x", "unknown key"),
        ("workload.rate.x", "'5 req/s', which holds no keys"),
        ("faults[1].at", "a list of 0"),
        ("faults.at", "a list of 0"),
        ("[0]", "unknown key"),
    ],
)
def test_unknown_places_name_the_near_ones(pair: Any, key: str, hint: str) -> None:
    pair["faults"] = []
    pair["seed"] = {}
    assert hint in refusal(pair, key)


def test_keys_follow_the_kind_that_was_set(pair: Any) -> None:
    apply_set(pair, "workload.kind", "mmpp")
    apply_set(pair, "workload.burst_ratio", 3.0)
    apply_set(pair, "network.fabric", "two_tier")
    apply_set(pair, "network.oversubscription", 2.0)
    assert pair["workload"]["burst_ratio"] == 3.0


def test_a_new_pool_comes_whole_or_not_at_all(pair: Any) -> None:
    apply_set(pair, "pools.third", {"role": "both"})
    assert "third" in pair["pools"]
    assert "unknown key" in refusal(pair, "pools.fourth.role")


def test_nothing_can_be_set_in_what_is_no_mapping() -> None:
    assert "not a mapping" in refusal([], "seed")
