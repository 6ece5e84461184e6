"""Which units hold bytes that are not what their key says, and who has used them.

A unit that was read under an alias is wrong; so is all that a prompt computes on top of it, and
every copy of either in another tier, for as long as it lives. Whoever hits one of them later is
misled as the first one was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hetsim.serving import Rank, Seq
from hetsim.stages._tier_books import TierBooks

__all__ = ["NONE", "Taint"]

NONE: frozenset[int] = frozenset()


class Taint:
    """Follows wrong units through HBM; entries of tiers carry their own mark."""

    def __init__(self, books: TierBooks) -> None:
        self.books = books
        self._bad: dict[Rank, dict[int, bool]] = {}
        """Wrong units in HBM; True: read as another form, False: computed or copied from such."""
        self._coming: dict[Rank, dict[int, Seq]] = {}
        """Units that a misled request computes, and who."""
        self._from: dict[Seq, int] = {}
        """The first wrong unit of each misled request that is inside."""

    # -- who is misled -----------------------------------------------------------------------

    def hit(self, rank: Rank, seq: Seq, keys: Sequence[int]) -> None:
        """Look at the units that a request finds in HBM."""
        bad = self._bad.get(rank)
        if bad:
            self._mislead(rank, seq, [key for key in keys if key in bad], bad, counted=True)

    def fetched(self, rank: Rank, seq: Seq, keys: Iterable[int], bad: Mapping[int, bool]) -> None:
        """Take note of units that came up from below, of which those in ``bad`` are wrong."""
        wrong = {key: bad[key] for key in keys if key in bad}
        self._bad.setdefault(rank, {}).update(wrong)
        if not seq.gone:
            self._mislead(rank, seq, list(wrong), wrong, counted=False)

    def _mislead(
        self, rank: Rank, seq: Seq, keys: list[int], bad: Mapping[int, bool], *, counted: bool
    ) -> None:
        """Note who uses wrong units; aliases that were fetched are counted by the fetch."""
        if not keys:
            return
        aliased = sum(1 for key in keys if bad[key])
        self.books.mislead(seq, aliased if counted else 0, len(keys) - aliased)
        first = seq.keys.index(keys[0])
        known = self._from.get(seq)
        if known is None or first < known:
            self._from[seq] = first
        coming = self._coming.setdefault(rank, {})
        for key in seq.keys[first:]:
            coming[key] = seq

    # -- what becomes of it ------------------------------------------------------------------

    def computed(self, rank: Rank, keys: Iterable[int]) -> frozenset[int]:
        """Return which of the units that were computed just now rest on wrong KV."""
        coming = self._coming.get(rank)
        if not coming:
            return NONE
        wrong = frozenset(key for key in keys if key in coming)
        self._bad.setdefault(rank, {}).update(dict.fromkeys(wrong, False))
        return wrong

    def dropped(self, rank: Rank, keys: Iterable[int]) -> frozenset[int]:
        """Return which of the units that HBM gives up are wrong, and forget them there."""
        bad = self._bad.get(rank)
        if not bad:
            return NONE
        return frozenset(key for key in keys if bad.pop(key, None) is not None)

    def of(self, seq: Seq) -> frozenset[int]:
        """Return which units of a finished request are wrong: from the first one on, all of it."""
        first = self._from.get(seq)
        if first is None:
            # What the hand-off has spoilt is wrong as a whole.
            first = 0 if seq.corrupt else len(seq.keys)
        return frozenset(seq.keys[first:])

    def ended(self, seq: Seq) -> None:
        """Forget what a request would still have computed."""
        if self._from.pop(seq, None) is None:
            return
        for coming in self._coming.values():
            for key in seq.keys:
                if coming.get(key) is seq:
                    del coming[key]
