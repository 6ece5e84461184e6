"""A protocol of one's own: derived from another by replacing a move, outside the package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

import hetsim
from hetsim.ownership import (
    Instructions,
    Machine,
    Move,
    Options,
    Protocol,
    Run,
    Table,
    Variant,
    get_protocol,
    protocol,
    protocol_names,
    vocabulary,
)
from hetsim.spec._decorator import _FAMILIES

GRACE_S = 60.0
STALLED = "boundary/stalled_beats_faulty"


def patient(usual: Move) -> Run:
    def expire(machine: Machine, event: vocabulary.Event, at_s: float) -> Instructions:
        left_s = machine.deadline_s + GRACE_S - at_s
        if left_s > 1e-9:
            return (vocabulary.SetTimer("lease", left_s, "P", "wall"),)
        assert usual.run is not None
        return usual.run(machine, event, at_s)

    return expire


def build(variant: Variant, options: Options) -> Table:
    table = get_protocol("pull_lease").build(variant, options)
    table.instead("Ps", "leased", "timer:lease", patient)
    return table


@pytest.fixture
def pull_grace() -> Iterator[str]:
    variant = replace(get_protocol("pull_lease").variant(), name="grace")
    protocol(Protocol("pull_grace", "a lease with grace", build, (variant,)))
    yield "pull_grace"
    _FAMILIES["ownership"].pop("pull_grace")
    assert "pull_grace" not in protocol_names()


def test_it_runs_and_cures_what_the_usual_one_corrupts(pull_grace: str) -> None:
    usual = hetsim.run(STALLED)
    mine = hetsim.run(STALLED, sets=[f"boundary.ownership={pull_grace}"])
    assert usual.summary["ok_corrupt"] > 0 == mine.summary["ok_corrupt"]
    assert mine.transfers["protocol"].unique().tolist() == ["pull_grace"]


def test_a_row_of_the_ownership_table_names_its_own_cause() -> None:
    """Leases end in two ways there: the reader is done, or time runs out."""
    result = hetsim.run(STALLED)
    moves = result.ownership
    freed = moves[(moves["block_set"] == "Ps") & (moves["state_from"] == "leased")]
    causes = freed["cause"].value_counts()
    assert causes["timer:lease"] == result.summary["ok_corrupt"]
    assert causes.sum() == len(result.requests)
    early = freed[freed["cause"] == "timer:lease"].merge(moves, on="request_id")
    early = early[early["cause_y"] == "produced:last"]
    assert ((early["time_s_x"] - early["time_s_y"]) >= 30.0 - 1e-9).all()
