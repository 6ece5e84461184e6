"""What the room of decisions finds, for people: pages that fit 80 columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hetsim.cli._page import Page

__all__ = ["print_breakeven", "print_interactions", "print_ranking", "print_robustness"]

Found = Mapping[str, Any]


def print_interactions(found: Found) -> None:
    """Print, per regime: what is decided together, every pair, and what binds."""
    page = Page()
    counts = [
        f"{sum(p['verdict'] == word for r in found['regimes'].values() for p in r['pairs'])} {word}"
        for word in ("binding", "independent", "undecided")
    ]
    page.line(f"{found['name']}: {', '.join(counts)}", "bold")
    page.line(
        f"binding: deciding apart loses more than {found['threshold']:.0%}, with "
        f"{found['confidence']:.0%} confidence for all {found['family']} comparisons together"
    )
    page.line("base: the same when one axis at a time is changed from the base; * binding, ? open")
    for regime, one in found["regimes"].items():
        together = [" + ".join(part) for part in one["components"]]
        page.table(
            f"{regime}: decide {'; '.join(together)}",
            ("", "with", "share", "regret", "bounds", "verdict", "base"),
            [_pair(pair) for pair in one["pairs"]],
            left=2,
        )
        page.pairs([("binds", _shares(one["constraints"]["all"])), *_asides(one)])
    page.items("notes", found["notes"])
    page.show()


def _pair(pair: Found) -> list[str]:
    low, high = pair["regret_ci"]
    share = f"{pair['share']:.1%}" if pair["share"] is not None else "-"
    bounds = f"{100 * low:.1f} to {100 * high:.1f} %"
    base = pair["base"]
    star = {"binding": "*", "undecided": "?", "independent": " "}
    seen = f"{base['regret']:.1%} {star[base['verdict']]}" if base else "-"
    return [pair["a"], pair["b"], share, f"{pair['regret']:.1%}", bounds, pair["verdict"], seen]


def _asides(one: Found) -> list[tuple[str, str]]:
    rows = []
    if one["infeasible_ratio"]:
        rows.append(("cannot run", f"{one['infeasible_ratio']:.0%} of {one['designs']} designs"))
    for triple in one["triples"]:
        words = f"{' + '.join(triple['members'])} ({triple['regret']:.1%}), {triple['verdict']}"
        rows.append(("triple", words))
    best = ", ".join(one["best"].values())
    return [*rows, ("best", best)]


def _shares(shares: Found) -> str:
    order = sorted(shares.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in order) or "-"


def print_ranking(found: Found) -> None:
    """Print, per regime: the order, how sure it is, and what overturns it."""
    page = Page()
    page.line(f"{found['name']}: by {found['metric']}, {found['samples']} samples", "bold")
    for regime, one in found["regimes"].items():
        rows = [
            [
                f"{number}. {', '.join(design['levels'].values())}",
                f"{design['value']:.4g}",
                "{:.4g} to {:.4g}".format(*design["interval"]),
                f"{one['p_beats'][0][number - 1]:.2f}" if number > 1 else "",
            ]
            for number, design in enumerate(one["designs"], 1)
        ]
        page.table(regime, ("design", "value", "5 % to 95 %", "p 1st beats"), rows)
        lines = [*one["says"], *one.get("money", {}).get("says", ())]
        page.pairs([("-", line) for line in lines])
    page.show()


def print_robustness(found: Found) -> None:
    """Print the minimax choice, its rivals, how ranks move, and where P:D must change."""
    page = Page()
    page.line(f"{found['name']}: {found['says'][0]}", "bold")
    regimes = found["regimes"]
    page.items("regimes", [f"R{n}: {name}" for n, name in enumerate(regimes, 1)])
    rows = [
        [
            ", ".join(row["levels"].values()),
            f"{row['worst_regret']:.0%}",
            *(f"{row['regret'][name]:.0%} #{row['rank'][name]}" for name in regimes),
        ]
        for row in found["table"]
    ]
    columns = ("design", "worst", *(f"R{n}" for n in range(1, len(regimes) + 1)))
    page.table("regret, and rank in the regime", columns, rows)
    agree = sorted(found["rank_agreement"], key=lambda one: one["tau"])[:3]
    page.items(
        "rankings agree least",
        [f"{one['a']} and {one['b']}: tau {one['tau']:.2f}" for one in agree],
    )
    for kind, title in (("minimax", "P:D of this choice"), ("winners", "P:D of each winner")):
        page.items(title, [f"{one['regime']}: {one['says']}" for one in found["recut"][kind]])
    page.show()


def print_breakeven(found: Found) -> None:
    """Print the frontier, the closed form beside it."""
    page, along = Page(), found["along"]
    page.line(f"{found['first']} against {found['second']}, by {found['metric']}", "bold")
    across = found["across"]
    rows = [
        [
            f"{one['across']:.4g}" if one["across"] is not None else "",
            _places(one["crossings"]),
            _places(one["closed_form"]),
        ]
        for one in found["frontier"]
    ]
    columns = (
        f"{across['path']} ({across['unit'] or '1'})" if across else "",
        "swap at",
        "closed form",
    )
    page.table(f"along {along['path']} ({along['unit'] or '1'})", columns, rows)
    page.items("so", found["says"])
    page.show()


def _places(places: Any) -> str:
    if places is None:
        return "none known"
    return ", ".join(f"{at:.4g}" for at in places) or "no crossing"
