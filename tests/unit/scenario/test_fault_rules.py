"""Faults that say nothing, too much, or name what is not there are answered, each at its field."""

from __future__ import annotations

import pytest

from hetsim.errors import ScenarioError
from hetsim.scenario import load_scenario

PROBLEMS = [
    ("{kind: layout_miss}", "faults[0].at", "say when it strikes"),
    ("{kind: decode_crash, probability: 0.1}", "faults[0].probability", "means nothing"),
    (
        "{kind: decode_crash, at: 1 s, per_hour: 2, when: 'Ds:reading'}",
        "faults[0].per_hour",
        "more than one way",
    ),
    ("{kind: decode_crash, at: 1 s, when: 'Ds:reading'}", "faults[0].when", "more than one way"),
    ("{kind: decode_crash, at: 1 s, nth: 2}", "faults[0].nth", "without when"),
    ("{kind: decode_crash, when: 'Ds:readin'}", "faults[0].when", "did you mean 'Ds:reading'"),
    ("{kind: decode_crash, when: 'Ds:published'}", "faults[0].when", "no state"),
    ("{kind: notice_lost, at: 1 s, notice: don}", "faults[0].notice", "did you mean 'done'"),
    ("{kind: notice_late, at: 1 s}", "faults[0].delay", "is missing"),
    ("{kind: step_stall, at: 1 s}", "faults[0].duration", "is missing"),
    (
        "{kind: timer_scale, at: 1 s, timer: leas, factor: 2.0}",
        "faults[0].timer",
        "did you mean 'lease'",
    ),
    ("{kind: mismatch, at: 1 s, mismatch: static_scale}", "faults[0].mismatch", "did you mean"),
    ("{kind: memory_short, at: 1 s, factor: 1.5}", "faults[0].factor", "at most 1"),
    ("{kind: router_crash, at: 1 s, duration: 1 s, pool: decode}", "", ""),
    (
        "{kind: partition, at: 1 s, duration: 1 s, instance: 3}",
        "faults[0].instance",
        "has 1 instances",
    ),
    ("{kind: coffee_spill, at: 1 s}", "faults[0].kind", "decode_crash"),
    ("{kind: decode_crash, per_hour: -1.0}", "faults[0].per_hour", "0"),
    ("{kind: transfer_fail, probability: 1.5}", "faults[0].probability", "1"),
]


@pytest.mark.parametrize(("fault", "path", "word"), PROBLEMS)
def test_a_wrong_fault_is_refused_at_its_field(fault: str, path: str, word: str) -> None:
    if not path:
        load_scenario("quickstart", sets=[f"faults=[{fault}]"])
        return
    with pytest.raises(ScenarioError) as caught:
        load_scenario("quickstart", sets=[f"faults=[{fault}]"])
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert path in found, found
    assert word in found[path]


@pytest.mark.parametrize(
    ("name", "value", "path", "word"),
    [
        (
            "quickstart",
            "placement={decode_share: 0.2, decode_tokens: 5}",
            "placement.decode_tokens",
            "not both",
        ),
        ("colocated_baseline", "placement={bypass_below: 5}", "placement", "no effect"),
        ("colocated_baseline", "recovery={policy: reprefill}", "recovery.policy", "two pools"),
        (
            "colocated_baseline",
            "faults=[{kind: partition, at: 1 s, duration: 1 s}]",
            "faults[0].kind",
            "one pool has none",
        ),
        (
            "colocated_baseline",
            "faults=[{kind: decode_crash, when: 'Ds:reading'}]",
            "faults[0].when",
            "one pool has none",
        ),
    ],
)
def test_sections_that_do_not_fit_the_pools_are_refused(
    name: str, value: str, path: str, word: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario(name, sets=[value])
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert word in found[path]


def test_a_share_of_one_leaves_nothing_to_hand_over() -> None:
    with pytest.raises(ScenarioError, match="decode_share"):
        load_scenario("quickstart", sets=["placement={decode_share: 1.0}"])
