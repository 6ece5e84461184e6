"""The shipped lessons of the boundary: each shows its defect, and its sound pair does not have it.

A leak for ever is what nobody gives back (``never``, ``stuck``); blocks held to a deadline after
their request has ended are one too (``late``). A sound one has neither, not a page-second of them,
no corrupt answer, and no broken invariant.
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


PAIRS = {
    "unrenewed_lease": Lesson("corrupt", "I16", 100),
    "stalled_beats": Lesson("corrupt", "I16", 100),
    "partition": Lesson("corrupt", "I16", 100),
    "early_release": Lesson("corrupt", "I1", 1),
    "first_error": Lesson("corrupt", "I1", 10),
    "free_at_finish": Lesson("corrupt", "I1", 50),
    "timer_order": Lesson("corrupt", "I1", 10),
    "fnuz": Lesson("corrupt", "I13", 200),
    "page_size": Lesson("corrupt", "I13", 200),
    "head_order": Lesson("corrupt", "I13", 200),
    "static_scales": Lesson("corrupt", "I13", 200),
    "pool_key": Lesson("corrupt", "I14", 10),
    "pool_lease": Lesson("corrupt", "I16", 1),
    "duplicate_id": Lesson("corrupt", "I5", 10),
    "router_pressure": Lesson("corrupt", "I16", 100),
    "evicted_before_read": Lesson("corrupt", "I5", 40),
    "zombie_put": Lesson("corrupt", "I1", 5),
    "preempted_in_flight": Lesson("corrupt", "I1", 10),
    "refused_after_prefill": Lesson("late", "", 100_000),
    "lost_notice": Lesson("leak", "", 10_000),
    "dead_producer": Lesson("leak", "I2", 10_000),
    "hung_transfer": Lesson("leak", "", 100_000),
    "late_registration": Lesson("leak", "", 100_000),
    "deadlock": Lesson("leak", "I12", 100_000),
    "transit_deadlock": Lesson("leak", "I12", 100_000),
    "transit_leak": Lesson("late", "", 20_000),
}
ALONE = ("duplicate_request", "pool_lease_checked", "preemption", "stale_incarnation")
CURED_BY_AGREEMENT = ("fnuz", "page_size", "head_order", "static_scales")
"""Pairs in which the fault is the mismatch itself, and the cure that both sides agree."""
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
    found, wall_s = ran(f"{stem}_sound")
    assert wall_s < 10.0
    assert found["ok_corrupt"] == 0 and not found["violations"]
    assert found["leak_page_s"] == 0.0 and not any(found["leak_page_s_by_cause"].values())
    assert found["requests"]["unfinished"] == 0 and not found.get("deadlocks")


@pytest.mark.slow
@pytest.mark.parametrize("stem", PAIRS)
def test_a_pair_is_the_same_load(stem: str):
    faulty, sound = (
        load_scenario(f"boundary/{stem}_{word}").scenario for word in ("faulty", "sound")
    )
    assert faulty.workload == sound.workload and faulty.seed == sound.seed
    if stem not in CURED_BY_AGREEMENT:
        assert faulty.faults == sound.faults


@pytest.mark.slow
def test_duplicates_are_requests_of_their_own():
    found, _ = ran("duplicate_request")
    (row,) = found["faults"]
    assert found["requests"]["finished"] == 200 + row["strokes"] > 220
    assert found["ok_corrupt"] == 0 == found["leak_page_s"] and not found["violations"]


@pytest.mark.slow
def test_a_read_that_is_checked_afterwards_harms_nobody_though_its_room_was_given_away():
    found, _ = ran("pool_lease_checked")
    assert found["ok_corrupt"] == 0 == found["leak_page_s"] and set(found["violations"]) == {"I1"}
    assert found["transit"]["recomputed_requests"] > 0 == found["requests"]["failed"]


@pytest.mark.slow
def test_a_second_delivery_is_refused_where_messages_name_the_attempt():
    found, faulty = (ran(f"duplicate_id_{word}")[0] for word in ("sound", "faulty"))
    (row,) = found["faults"]
    assert found["requests"]["finished"] == found["requests"]["arrived"] == 200
    assert row["refused_stale"] == row["strokes"] > 10
    assert faulty["requests"]["arrived"] == 200 + row["strokes"]
    assert faulty["requests"]["failed"] > 0 and faulty["leak_page_s"] > 100_000


@pytest.mark.slow
def test_a_router_that_heeds_decode_lets_prompts_wait_outside():
    found, _ = ran("router_pressure_sound")
    assert found["pressure"]["held"] > 100 and found["pressure"]["mean_held_s"] > 1.0
    assert found["requests"]["finished"] == 300


@pytest.mark.slow
def test_a_circle_over_the_stores_names_both_and_back_pressure_is_none():
    faulty, sound = (ran(f"transit_deadlock_{word}")[0] for word in ("faulty", "sound"))
    assert {"decode/0", "transit/0"} <= set(faulty["deadlocks"][0]["cycle"])
    assert sound["transit"]["waits_for_room"] > 50 and sound["deadlocks"] == []


@pytest.mark.slow
def test_what_is_refused_after_its_prefill_was_computed_in_vain():
    (row,) = ran("refused_after_prefill_sound")[0]["faults"]
    assert row["failed"] == row["strokes"] > 5 and row["lost_prefill_tokens"] > 1_000


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
