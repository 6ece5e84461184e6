"""One tier: what it holds, what is being written into it, who reads it, and who has to go.

``free + owned + quarantined = total`` pages, after every call (laws L2 and I4). An entry is
*writing* (its room is reserved, nobody may read it), *complete*, or *stranded* (its writer died;
the pages are quarantined until somebody says that nothing can touch them any more). Only a
complete entry that nobody pins and no lease protects may be evicted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from hetsim.errors import InvariantViolated
from hetsim.residency.evictions import Order

__all__ = ["Entry", "TierStore"]

State = Literal["writing", "complete", "stranded", "gone"]


class Entry:
    """Something of ``pages`` pages that a tier holds under a key."""

    __slots__ = ("form", "key", "lease_s", "owner", "pages", "pins", "state", "wrong")

    def __init__(
        self, key: int, pages: int, form: int, owner: Callable[[], bool] | None = None
    ) -> None:
        self.key = key
        self.pages = pages
        self.form = form
        """Number of the representation that its bytes are in."""
        self.owner = owner
        """Asked before it is evicted; None: nobody minds."""
        self.pins = 0
        """Reads and copies under way."""
        self.lease_s = 0.0
        """Until when a lookup protects it."""
        self.state: State = "writing"
        self.wrong = False
        """Its bytes are not what its key says: they come from KV that was wrong already."""

    def __repr__(self) -> str:
        return f"Entry({self.key}, {self.pages} pages, {self.state}, {self.pins} pins)"


class TierStore:
    """The pages of one tier at one holder.

    >>> from hetsim.residency.evictions.lru import LruOrder
    >>> store = TierStore(2, LruOrder())
    >>> for key in (1, 2, 3):
    ...     store.finish(store.begin(key, at_s=0.0), at_s=0.0)
    >>> store.find(1, 0.0), store.find(3, 0.0), store.evicted_pages
    (None, Entry(3, 1 pages, complete, 0 pins), 1)
    """

    __slots__ = (
        "_order",
        "aside",
        "entries",
        "evicted_pages",
        "expired_pages",
        "free",
        "on_evict",
        "owned",
        "peak_owned",
        "quarantined",
        "refused_pages",
        "taken",
        "total",
    )

    def __init__(self, total: int, order: Order) -> None:
        self.total = total
        self.free = total
        self.owned = 0
        self.quarantined = 0
        self.aside = 0
        """Of the quarantined: what a fault has taken out of use."""
        self.peak_owned = 0
        self.taken = 0
        """Pages given out since the start, which come from those that came free first."""
        self.evicted_pages = 0
        """Given up to make room."""
        self.expired_pages = 0
        """Given up because nobody used them for their time to live."""
        self.refused_pages = 0
        """Not taken in, since all that was here was pinned, leased or being written."""
        self.entries: dict[int, Entry] = {}
        self.on_evict: Callable[[Entry], None] | None = None
        """Told of every complete entry that is given up for room."""
        self._order = order

    # -- reading -----------------------------------------------------------------------------

    def find(self, key: int, at_s: float) -> Entry | None:
        """Return the complete entry under ``key``, or None; it does not count as a use."""
        self._expire(at_s)
        entry = self.entries.get(key)
        return entry if entry is not None and entry.state == "complete" else None

    def use(self, entry: Entry, at_s: float) -> None:
        """Count a hit."""
        self._order.used(entry.key, at_s)

    # -- writing -----------------------------------------------------------------------------

    def begin(
        self,
        key: int,
        *,
        at_s: float,
        pages: int = 1,
        form: int = 0,
        owner: Callable[[], bool] | None = None,
    ) -> Entry | None:
        """Reserve room for an entry, evicting if need be; None if there is no room.

        Raises
        ------
        InvariantViolated
            If there is an entry of that key already: a second copy would have two owners (I3).
        """
        if key in self.entries:
            raise InvariantViolated("I3", f"key {key} is in the tier already")
        if not self.make_room(pages, at_s, key):
            self.refused_pages += pages
            return None
        self.free -= pages
        self.owned += pages
        self.taken += pages
        if self.owned > self.peak_owned:
            self.peak_owned = self.owned
        entry = self.entries[key] = Entry(key, pages, form, owner)
        return entry

    def finish(self, entry: Entry | None, *, at_s: float) -> None:
        """Say that the bytes are there: from now on the entry may be read, and evicted."""
        if entry is None or entry.state != "writing":
            return
        entry.state = "complete"
        self._order.added(entry.key, at_s)

    def drop(self, entry: Entry, *, evicted: bool = False) -> None:
        """Give up an entry in any state; its pages are free again."""
        if entry.state == "gone":
            return
        if entry.state == "stranded":
            self.quarantined -= entry.pages
        else:
            self.owned -= entry.pages
        if entry.state == "complete":
            self._order.removed(entry.key, evicted=evicted)
        entry.state = "gone"
        del self.entries[entry.key]
        self.free += entry.pages

    def strand(self, entry: Entry) -> None:
        """Set an entry aside whose writer died: a write may still come."""
        if entry.state == "writing":
            entry.state = "stranded"
            self.owned -= entry.pages
            self.quarantined += entry.pages

    def set_aside(self, pages: int) -> int:
        """Take free pages out of use, up to ``pages``; return how many went."""
        pages = min(pages, self.free)
        self.free -= pages
        self.quarantined += pages
        self.aside += pages
        return pages

    def end_aside(self, pages: int) -> None:
        """Bring pages back into use."""
        self.free += pages
        self.quarantined -= pages
        self.aside -= pages

    # -- room --------------------------------------------------------------------------------

    def make_room(self, pages: int, at_s: float, incoming: int | None = None) -> bool:
        """Evict until ``pages`` are free; say whether they are. Nothing goes in vain."""
        if pages > self.total:
            return False
        self._expire(at_s)
        refused: set[int] = set()
        while self.free < pages:
            victims = self._victims(pages - self.free, at_s, incoming, refused)
            if not victims:
                return False
            for entry in victims:
                self._evict(entry, refused)
        return True

    def _victims(
        self, pages: int, at_s: float, incoming: int | None, refused: set[int]
    ) -> list[Entry]:
        """Return who has to go for ``pages``; nobody if that would not be enough."""
        found = []
        for key in self._order.first(incoming):
            entry = self.entries[key]
            if entry.pins or entry.lease_s > at_s or key in refused:
                continue
            found.append(entry)
            pages -= entry.pages
            if pages <= 0:
                return found
        return []

    def _evict(self, entry: Entry, refused: set[int]) -> None:
        if entry.owner is not None and not entry.owner():
            refused.add(entry.key)
            return
        self.evicted_pages += entry.pages
        if self.on_evict is not None:
            self.on_evict(entry)
        self.drop(entry, evicted=True)

    def _expire(self, at_s: float) -> None:
        for key in self._order.expired(at_s):
            entry = self.entries[key]
            if entry.pins or entry.lease_s > at_s:
                continue
            if entry.owner is None or entry.owner():
                self.expired_pages += entry.pages
                self.drop(entry)

    def next_lease_s(self, at_s: float) -> float | None:
        """Return when the next lease ends that holds a complete entry, or None."""
        ends = [e.lease_s for e in self.entries.values() if e.lease_s > at_s and not e.pins]
        return min(ends, default=None)

    # -- laws --------------------------------------------------------------------------------

    def check(self) -> None:
        """Raise InvariantViolated unless the pages add up."""
        parts = (self.free, self.owned, self.quarantined)
        if sum(parts) != self.total or min(parts) < 0:
            free, owned, aside = parts
            detail = f"{free} free + {owned} owned + {aside} quarantined != {self.total}"
            raise InvariantViolated("L2", detail)

    def audit(self) -> None:
        """Check, and count every entry: for the end of a run."""
        self.check()
        held = {"stranded": self.aside, "owned": 0}
        for entry in self.entries.values():
            held["stranded" if entry.state == "stranded" else "owned"] += entry.pages
        if (held["owned"], held["stranded"]) != (self.owned, self.quarantined):
            raise InvariantViolated("L2", f"entries hold {held}, the books say {self.owned} owned")
        if any(entry.pins < 0 for entry in self.entries.values()):
            raise InvariantViolated("I3", "an entry was let go of more often than it was kept")
