"""The shipped lessons of the boundary: each shows its defect, and its sound pair does not have it.

A leak proper is what nobody ever gives back (``never``, ``stuck``); blocks that wait for a deadline
or a drain are given back, and how long they waited is bounded beside each pair.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any, NamedTuple

import pytest

import hetsim
from hetsim.scenario import load_scenario, scenario_names


class Lesson(NamedTuple):
    """What a pair shows."""

    defect: str
    """``corrupt``, ``leak`` (for ever) or ``late`` (blocks held to a deadline)."""
    invariant: str = ""
    """What names the defect among the violations of the faulty one."""
    at_least: float = 1
    """Corrupt answers, or page-seconds."""
    waits_page_s: float = 0.0
    """Page-seconds that the sound one may hold to a deadline or until drained."""
    why: str = ""
    """What those are."""
    breaks: tuple[str, ...] = ()
    """Invariants that the sound one breaks without harm."""


PAIRS = {
    "unrenewed_lease": Lesson("corrupt", "I16", 100),
    "stalled_beats": Lesson("corrupt", "I16", 100),
    "partition": Lesson("corrupt", "I16", 100, 60_000, "releases lost in the partition: 30 s each"),
    "early_release": Lesson("corrupt", "I1", 1, 1_000, "writes that are drained"),
    "first_error": Lesson("corrupt", "I1", 10),
    "free_at_finish": Lesson("corrupt", "I1", 50),
    "timer_order": Lesson("corrupt", "I1", 10),
    "fnuz": Lesson("corrupt", "I13", 200),
    "page_size": Lesson("corrupt", "I13", 200),
    "head_order": Lesson("corrupt", "I13", 200),
    "static_scales": Lesson("corrupt", "I13", 200),
    "pool_key": Lesson("corrupt", "I14", 10),
    "pool_lease": Lesson("corrupt", "I16", 1, breaks=("I1",)),
    "lost_notice": Lesson("leak", "", 10_000, 1, "one round of messages after the deadline"),
    "dead_producer": Lesson("leak", "I2", 10_000, 40_000, "10 s until the death is noticed"),
    "hung_transfer": Lesson("leak", "", 100_000),
    "late_registration": Lesson("leak", "", 100_000),
    "deadlock": Lesson("leak", "I12", 100_000),
    "transit_leak": Lesson("late", "", 20_000, 5_000, "copies whose release was lost: 30 s each"),
}
ALONE = ("duplicate_request", "preemption", "stale_incarnation")
NAMES = [f"{stem}_{word}" for stem in PAIRS for word in ("faulty", "sound")] + list(ALONE)


@cache
def ran(name: str) -> tuple[dict[str, Any], float]:
    began = time.perf_counter()
    summary = hetsim.run(f"boundary/{name}", check_laws=True).summary
    return summary, time.perf_counter() - began


def for_ever(summary: dict[str, Any]) -> float:
    causes = summary["leak_page_s_by_cause"]
    return sum(amount for cause, amount in causes.items() if cause.endswith((":never", ":stuck")))


def test_every_shipped_lesson_has_its_expectation():
    shipped = {name.removeprefix("boundary/") for name in scenario_names() if "/" in name}
    assert shipped == set(NAMES)
    assert len(PAIRS) + len(ALONE) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("stem", PAIRS)
def test_the_faulty_one_shows_its_defect(stem: str):
    lesson, (found, wall_s) = PAIRS[stem], ran(f"{stem}_faulty")
    assert wall_s < 10.0
    shown = {
        "corrupt": found["ok_corrupt"],
        "leak": for_ever(found),
        "late": found["leak_page_s"],
    }
    assert shown[lesson.defect] >= lesson.at_least
    assert not lesson.invariant or found["violations"][lesson.invariant] > 0


@pytest.mark.slow
@pytest.mark.parametrize("stem", PAIRS)
def test_the_sound_one_has_none(stem: str):
    lesson, (found, wall_s) = PAIRS[stem], ran(f"{stem}_sound")
    assert wall_s < 10.0
    assert found["ok_corrupt"] == 0 and set(found["violations"]) <= set(lesson.breaks)
    assert for_ever(found) == 0.0 and found["requests"]["unfinished"] == 0
    assert found["leak_page_s"] <= lesson.waits_page_s
    assert not found.get("deadlocks")


@pytest.mark.slow
@pytest.mark.parametrize("stem", PAIRS)
def test_a_pair_is_the_same_load(stem: str):
    faulty, sound = (
        load_scenario(f"boundary/{stem}_{word}").scenario for word in ("faulty", "sound")
    )
    assert faulty.workload == sound.workload and faulty.seed == sound.seed


@pytest.mark.slow
def test_duplicates_are_requests_of_their_own():
    found, _ = ran("duplicate_request")
    (row,) = found["faults"]
    assert found["requests"]["finished"] == 200 + row["strokes"] > 220
    assert found["ok_corrupt"] == 0 == found["leak_page_s"] and not found["violations"]


@pytest.mark.slow
def test_what_is_preempted_is_computed_again_on_the_decode_side():
    found, _ = ran("preemption")
    assert found["faults"][0]["touched"] >= 10 and found["requests"]["finished"] == 200
    assert found["stages"]["decode"]["prefill_tok_s"] > 0
    assert found["ok_corrupt"] == 0 == found["leak_page_s"] and not found["violations"]


@pytest.mark.slow
def test_an_earlier_incarnation_is_refused():
    found, _ = ran("stale_incarnation")
    (row,) = found["faults"]
    assert row["refused_stale"] >= row["failed"] == found["requests"]["failed"] > 10
    assert found["ok_corrupt"] == 0 and not found["violations"]


@pytest.mark.parametrize("name", NAMES)
def test_check_prints_its_boundary_card(name: str):
    said = str(hetsim.check(f"boundary/{name}"))
    assert "ownership: " in said and "verdict: " in said
