"""Verdicts of claims, for people: pages that fit 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.cli._page import Page

__all__ = ["print_claims", "print_published"]

Found = Mapping[str, Any]


def print_claims(found: Found) -> None:
    """Print a line per claim, then what each says and rests on."""
    page = Page()
    rows = [[one["name"], one["verdict"], f"{one['confidence']:.2f}"] for one in found["claims"]]
    page.table("claims", ("claim", "verdict", "confidence"), rows, left=2)
    for one in found["claims"]:
        page.title(f"{one['name']}: {one['verdict']}")
        page.line(f"  {' '.join(one['claim'].split())}")
        page.pairs(_facts(one))
    page.show()


def _facts(one: Found) -> list[tuple[str, str]]:
    rows = [("depends on", one["depends_on"])] if one["depends_on"] else []
    rows += [
        (f"part {number}" if len(one["tests"]) > 1 else "by", f"{test['verdict']}: {test['by']}")
        for number, test in enumerate(one["tests"], 1)
    ]
    grades = ", ".join(f"{name} ({count} points)" for name, count in one["grades"].items())
    return [
        *rows,
        ("regimes", "; ".join(one["regimes"])),
        ("rests on", f"calibration grade {grades or 'none'}; seeds {one['seeds']}"),
    ]


def print_published(found: Found) -> None:
    """Print which published claims are reproduced in direction, and which cannot be set up."""
    from hetsim.decisions import span

    page = Page()
    rows = [
        [
            one["row"],
            f"{part['first']} / {part['second']}",
            f"{part['published']:.3g}" if part["published"] else "-",
            span(part),
            part["direction"],
        ]
        for one in found["reproduced"]
        for part in one["parts"]
    ]
    page.table(
        "published claims that can be set up",
        ("row", "first / second", "published", "here", "direction"),
        rows,
        left=2,
    )
    page.items(
        "set up as",
        [
            f"{one['row']} {one['source']}: {' '.join(one['claim'].split())}"
            for one in found["reproduced"]
        ],
    )
    page.items(
        "cannot be set up",
        [f"{one['row']} {one['source']}: {one['reason']}" for one in found["not_set_up"]],
    )
    page.show()
