"""Verdicts of claims: pure functions from a table of measurements to a word, and how sure it is.

``_claims_measure.py`` turns a table into outcomes of conditions, ``_claims_settle.py`` those into a
word; here is what a test of each kind means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.decisions._claims_cells import Cell, ClaimTable, Finding, Outcome
from hetsim.decisions._claims_measure import comparison_cells, limit_cells, observation_cells
from hetsim.decisions._claims_settle import few, settle, settle_along
from hetsim.decisions._claims_types import Comparison, Joint, Limit, Observation, Test
from hetsim.decisions._verdicts import CONFIDENCE

__all__ = ["combine", "judge"]


def judge(test: Test, table: ClaimTable) -> Finding:
    """Return the verdict of one test; nothing but the table decides it."""
    if isinstance(test, Comparison):
        return _compare(test, table)
    if isinstance(test, Observation):
        return settle(observation_cells(test, table), "everywhere")
    if isinstance(test, Limit):
        return settle(limit_cells(test, table), "everywhere")
    return _joint(test, table.joint or {"regimes": {}})


def combine(findings: Sequence[Finding]) -> Finding:
    """Return the verdict of a claim whose tests must all hold.

    Supported where every test is, refuted where every test is, else it depends: on what single
    tests depend on, or on which part of the statement is meant.
    """
    words = {one.verdict for one in findings}
    confidence = max(0.0, 1.0 - sum(1.0 - one.confidence for one in findings))
    says = "; ".join(one.says for one in findings)
    if len(words) == 1 and words != {"depends"}:
        return Finding(findings[0].verdict, "", confidence, says)
    on = [one.on for one in findings if one.on]
    refuted = [str(n) for n, one in enumerate(findings, 1) if one.verdict == "refuted"]
    if refuted:
        on.append(f"the part of the statement: part {', '.join(refuted)} is refuted")
    return Finding("depends", "; ".join(dict.fromkeys(on)), confidence, says)


def _compare(test: Comparison, table: ClaimTable) -> Finding:
    cells = comparison_cells(test, table)
    if test.expect in ("rising", "falling"):
        return settle_along(cells, str(test.along), test.expect == "rising")
    return settle(cells, test.expect)


def _joint(test: Joint, found: Mapping[str, Any]) -> Finding:
    """Return whether some pairs of decisions interact and others do not."""
    seen: dict[str, dict[str, str]] = {}
    for regime, one in found["regimes"].items():
        for pair in one["pairs"]:
            seen.setdefault(f"{pair['a']} x {pair['b']}", {})[regime] = pair["verdict"]
    words = [word for by in seen.values() for word in by.values()]
    counts = {word: words.count(word) for word in ("binding", "independent", "undecided")}
    both = [pair for pair, by in seen.items() if {"binding", "independent"} <= set(by.values())]
    short = [
        counts["binding"] < test.binding_at_least,
        counts["independent"] < test.independent_at_least,
        test.differ_by_regime and not both,
    ]
    cells = tuple(
        Cell({"regime": regime, "pair": pair}, _pair_outcome(word), says=word)
        for pair, by in seen.items()
        for regime, word in by.items()
    )
    said = ", ".join(f"{n} {word}" for word, n in counts.items())
    bound = [
        f"{c.condition['pair']} in {c.condition['regime']}" for c in cells if c.says == "binding"
    ]
    says = f"{said}; binding: {few(bound, 6) or 'none'}"
    confidence = float(found.get("confidence", CONFIDENCE))
    if not any(short):
        return Finding("supported", "", confidence, says, cells)
    if counts["undecided"] or not words:
        on = f"the seeds: {counts['undecided']} pairs are undecided"
        return Finding("depends", on, confidence, says, cells)
    if short == [False, False, True]:
        return Finding("depends", "nothing that varies by regime", confidence, says, cells)
    return Finding("refuted", "", confidence, says, cells)


def _pair_outcome(word: str) -> Outcome:
    return "holds" if word == "binding" else "fails" if word == "independent" else "open"
