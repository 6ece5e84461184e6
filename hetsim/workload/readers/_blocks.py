"""Which block size stands behind a trace's prefix hashes, read off the lengths."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from hetsim.workload._table import RequestTable
from hetsim.workload.readers._findings import Findings

__all__ = ["BlockRule", "infer_blocks"]

Ints = npt.NDArray[np.int64]

_POWERS = tuple(2**k for k in range(14))
_LEAST_AGREEMENT = 0.9


class BlockRule(NamedTuple):
    """How many hashes an input has: one per ``tokens``, with or without the partial last block."""

    tokens: int
    partial: bool

    def counts(self, isl: npt.NDArray[Any]) -> Ints:
        """Return the number of hashes that inputs of these lengths should have."""
        wide = isl.astype(np.int64)
        return -(-wide // self.tokens) if self.partial else wide // self.tokens

    def __str__(self) -> str:
        how = "a partial last block hashed too" if self.partial else "full blocks only"
        return f"{self.tokens} tokens ({how})"


def infer_blocks(
    table: RequestTable, findings: Findings, usual: BlockRule, first_line: int
) -> RequestTable:
    """Return the table with ``hash_block_tokens`` set and a note that says how it was found.

    A size fits if every row has ``ceil(ISL / size)`` hashes, or every row ``floor(ISL / size)``.
    Where several fit, the format's usual one is taken, then powers of two, then the smallest.

    Raises
    ------
    ScenarioError
        If no size fits nine rows in ten; otherwise with every row that contradicts the one found.
    """
    isl = table.isl.astype(np.int64)
    counts: Ints = np.diff(table.hash_offsets)  # type: ignore[type-var,assignment]
    if not counts.any():
        note = "no row has a prefix hash; the block size is the format's usual one"
        return _stated(table, usual, note)
    candidates = _candidates(isl, counts, usual)
    wrong = [int(np.count_nonzero(rule.counts(isl) != counts)) for rule in candidates]
    best = int(np.argmin(wrong))
    rule = candidates[best]
    if wrong[best] > (1 - _LEAST_AGREEMENT) * len(table):
        raise findings.fail(
            None,
            f"no block size explains the number of hash_ids; {rule} comes nearest "
            f"and misses {wrong[best]} of {len(table)} rows",
        )
    for row in np.flatnonzero(rule.counts(isl) != counts).tolist():
        due = int(rule.counts(isl[row : row + 1])[0])
        findings.add(
            first_line + row,
            f"{counts[row]} hash_ids for an input of {isl[row]} tokens; "
            f"blocks of {rule} in the other rows make it {due}",
        )
    findings.check()
    return _stated(table, rule, f"inferred from all {len(table)} rows")


def _stated(table: RequestTable, rule: BlockRule, how: str) -> RequestTable:
    note = f"prefix blocks of {rule}, {how}"
    return table.replace(hash_block_tokens=rule.tokens, notes=(*table.notes, note))


def _candidates(isl: Ints, counts: Ints, usual: BlockRule) -> list[BlockRule]:
    """Return the rules worth counting, in the order in which ties are resolved."""
    common = [BlockRule(size, partial) for size in _POWERS for partial in (True, False)]
    return [usual, *common, *_exact(isl, counts)]


def _exact(isl: Ints, counts: Ints) -> list[BlockRule]:
    """Return the smallest sizes that fit every row, of any value, if there are such."""
    found = []
    some = counts > 0
    low, high = -(-isl[some] // counts[some]), isl[some] // counts[some]
    several = counts > 1
    above = (isl[several] - 1) // (counts[several] - 1)
    if not (counts == 0).any() and (above.size == 0 or low.max() <= above.min()):
        found.append(BlockRule(int(low.max()), True))
    least = int((isl // (counts + 1)).max()) + 1
    if least <= high.min():
        found.append(BlockRule(least, False))
    return found
