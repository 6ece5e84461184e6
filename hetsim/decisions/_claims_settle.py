"""From outcomes of conditions to a word: supported, refuted, or what it depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hetsim.decisions._claims_cells import FAR, Cell, Finding, Word

__all__ = ["depends_on", "few", "gain", "settle", "settle_along"]


def settle(cells: list[Cell], expect: str) -> Finding:
    """Return the word for a set of conditions; ties count as not winning.

    A condition that the seeds leave open never refutes and never supports.
    """
    known = [cell for cell in cells if cell.outcome != "none"]
    if not known:
        return Finding("depends", "nothing could be compared", 0.0, "no condition", tuple(cells))
    if expect == "nowhere":
        swapped = {"holds": "fails", "fails": "holds"}
        words = [swapped.get(cell.outcome, cell.outcome) for cell in known]
    elif expect == "somewhere":
        return _both_ways(known, cells)
    else:
        words = [cell.outcome for cell in known]
    verdict, on = _word(words, known)
    return Finding(verdict, on, _sure(known), _says(known), tuple(cells))


def _word(words: Sequence[str], cells: Sequence[Cell]) -> tuple[Word, str]:
    if all(word == "holds" for word in words):
        return "supported", ""
    if all(word == "fails" for word in words):
        return "refuted", ""
    if not ("holds" in words and "fails" in words):
        names = [c.label for c, word in zip(cells, words, strict=True) if word == "open"]
        return "depends", f"the seeds: open in {few(names)}"
    return "depends", depends_on(words, cells)


def depends_on(words: Sequence[str], cells: Sequence[Cell]) -> str:
    """Return which condition parts the outcomes best, and where each outcome is.

    An axis parts them fully where every level of it has one outcome.
    """
    held = [c for c, word in zip(cells, words, strict=True) if word == "holds"]
    axes = [n for n in cells[0].condition if len({c.condition.get(n) for c in cells}) > 1]
    best = max(axes, key=lambda name: _parted(name, words, cells), default="")
    if best and _parted(best, words, cells) == len(cells):
        levels = dict.fromkeys(c.condition[best] for c in held)
        return f"{best}: holds at {few(list(levels))} only"
    told = few([c.label for c in held])
    also = f"{', '.join(axes)}: " if axes else ""
    return f"{also}holds in {len(held)} of {len(cells)}: {told}"


def _parted(name: str, words: Sequence[str], cells: Sequence[Cell]) -> int:
    """Return how many cells agree with the majority of their level of an axis."""
    groups: dict[str, list[str]] = {}
    for cell, word in zip(cells, words, strict=True):
        groups.setdefault(cell.condition.get(name, ""), []).append(word)
    return sum(max(group.count(word) for word in set(group)) for group in groups.values())


def few(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more


def _both_ways(known: list[Cell], cells: list[Cell]) -> Finding:
    wins = [cell for cell in known if cell.outcome == "holds"]
    losses = [cell for cell in known if cell.loses]
    unsure = [cell for cell in known if cell.outcome == "open"]
    says = _says(known)
    if wins and losses:
        says = f"wins in {few([c.label for c in wins])}; loses in {few([c.label for c in losses])}"
        return Finding("supported", "", _sure([*wins, *losses]), says, tuple(cells))
    if unsure:
        names = few([cell.label for cell in unsure])
        return Finding("depends", f"the seeds: open in {names}", _sure(known), says, tuple(cells))
    says = f"never {'wins' if losses else 'loses' if wins else 'wins or loses'}; {says}"
    return Finding("refuted", "", _sure(known), says, tuple(cells))


def settle_along(cells: list[Cell], along: str, rising: bool) -> Finding:
    """Return the word for a win that comes (or goes) along one condition.

    Within equal other conditions the two ends must differ as stated, and no win may lie beyond a
    loss. Groups play the part of conditions.
    """
    groups: dict[tuple[tuple[str, str], ...], list[Cell]] = {}
    for cell in cells:
        rest = tuple((k, v) for k, v in cell.condition.items() if k != along)
        groups.setdefault(rest, []).append(cell)
    made = [_crossing(dict(rest), part, along, rising) for rest, part in groups.items()]
    settled = settle(made, "everywhere")
    says = "; ".join(f"{c.label}: {c.says}" for c in made)
    return Finding(settled.verdict, settled.on, _sure(cells), says, tuple(cells))


def _crossing(rest: Mapping[str, str], cells: list[Cell], along: str, rising: bool) -> Cell:
    """Return whether a win comes along the cells; open where the open ones decide it."""
    order = [c for c in cells if c.outcome != "none"]
    order = order if rising else order[::-1]
    places = [c.condition[along] for c in order]
    words = [c.outcome for c in order]
    if not any(word in ("holds", "fails") for word in words):
        return Cell(rest, "open" if words else "none", says="open")
    seen = [
        _turn([other if word == "open" else word for word in words], places)
        for other in ("holds", "fails")
    ]
    if seen[0][0] != seen[1][0]:
        names = few([c.label for c in order if c.outcome == "open"])
        return Cell(rest, "open", says=f"open in {names}")
    says = " or ".join(dict.fromkeys(text for _, text in seen))
    return Cell(rest, "holds" if seen[0][0] else "fails", says=says)


def _turn(words: Sequence[str], places: Sequence[str]) -> tuple[bool, str]:
    """Return whether the words are losses, then wins; and where they turn."""
    turn = words.index("holds") if "holds" in words else len(words)
    if turn == len(words):
        return False, "never wins"
    if "fails" in words[turn:]:
        return False, "turns back"
    if turn == 0:
        return False, "always wins"
    return True, f"swaps between {places[turn - 1]} and {places[turn]}"


def _sure(cells: Sequence[Cell]) -> float:
    """Return a lower bound of the confidence that no decided condition is on the wrong side."""
    return max(0.0, 1.0 - sum(c.p_wrong for c in cells if c.outcome in ("holds", "fails")))


def _says(cells: Sequence[Cell]) -> str:
    ratios = [cell.ratio for cell in cells if cell.ratio is not None]
    if not ratios:
        return _seen(cells)
    return f"{gain(min(ratios))} to {gain(max(ratios))}"


def _seen(cells: Sequence[Cell]) -> str:
    """Return what was seen where there is no ratio: the exceptions, else an example."""
    against = [f"{c.label}: {c.says}" for c in cells if c.outcome == "fails"]
    for_it = [f"{c.label}: {c.says}" for c in cells if c.outcome == "holds"]
    head = f"as stated in {len(for_it)} of {len(cells)}"
    return f"{head}; not in {few(against)}" if against else f"{head}, as {few(for_it, 2)}"


def gain(ratio: float) -> str:
    """Return a ratio as a gain.

    >>> gain(1.25), gain(0.5), gain(3.0), gain(1e6)
    ('+25 %', '-50 %', 'x3.0', 'one alone meets the objectives')
    """
    if ratio >= 0.99 * FAR or ratio <= 1.01 / FAR:
        return "one alone meets the objectives"
    return f"x{ratio:.1f}" if ratio >= 2.5 else f"{ratio - 1.0:+.0%}".replace("%", " %")
