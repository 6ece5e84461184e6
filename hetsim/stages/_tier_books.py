"""What a run writes down about its tiers: tokens, bytes by tier and link, rows, and wear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hetsim.engine import Flow
from hetsim.metrics import pack_transfer
from hetsim.residency import Entry, Run, drive_writes_per_day
from hetsim.serving import Seq
from hetsim.stages._kinds import FETCH, STORE
from hetsim.stages._residency_plan import ResidencyPlan
from hetsim.stages._tier import Tier
from hetsim.stages._world import World

__all__ = ["TierBooks"]

_NO_PROTOCOL = 1


class TierBooks:
    """Counts; decides nothing."""

    def __init__(self, world: World, plan: ResidencyPlan, tiers: list[Tier]) -> None:
        self.world = world
        self.plan = plan
        self.tiers = tiers
        self.lookups = 0
        self.hbm_tokens = 0
        self.waits = 0
        self.waited_s = 0.0
        self.aliased_units = 0
        self.tainted_units = 0
        self.ok_corrupt = 0
        self.link_bytes: dict[str, float] = {}
        self._misled: set[int] = set()
        self._rows = world.recorder.transfers

    def hbm(self, tokens: int) -> None:
        """Count a lookup, and what HBM had of it."""
        self.lookups += 1
        self.hbm_tokens += tokens

    def found(self, runs: list[Run], number: int, refused: bool) -> None:
        """Count what a lookup found, and what became of it; ``number`` runs are fetched."""
        size = self.plan.unit_tokens
        rest = "no_room" if refused else "recomputed"
        touched = set()
        for place, run in enumerate(runs):
            tokens = self.tiers[run.tier].tokens
            tokens["hit"] += run.units * size
            if place >= number:
                tokens[rest] += run.units * size
            touched.add(run.tier)
        for index in sorted(touched):
            self.tiers[index].lookups += 1

    def read(
        self,
        tier: Tier,
        flow: Flow,
        job: Any,
        group: list[Entry],
        readings: Sequence[str],
        *,
        held: bool,
    ) -> None:
        """Count a fetch that has landed."""
        size, tokens = self.plan.unit_tokens, tier.tokens
        tokens["fetched" if held else "lost"] += len(group) * size
        if held:
            for word, name in (("alias", "aliased"), ("convert", "converted")):
                count = sum(1 for entry in group if readings[entry.form] == word)
                tokens[name] += count * size
                if word == "alias":
                    self.aliased_units += count
        tier.bytes_read += flow.nbytes
        self._links(flow)
        instance = job.instance.index
        self._row(flow, job.seq.rid, instance, FETCH[tier.plan.name], flow.landed_s - job.since_s)

    def written(self, tier: Tier, flow: Flow, instance: int) -> None:
        """Count a write that has landed."""
        tier.bytes_written += flow.nbytes
        self._links(flow)
        self._row(flow, -1, instance, STORE[tier.plan.name], 0.0)

    def _row(self, flow: Flow, rid: int, instance: int, kind: int, exposed_s: float) -> None:
        start_s = flow.started_s
        duration_s = flow.landed_s - start_s
        self._rows(
            pack_transfer(
                rid, instance, instance, flow.nbytes, 0.0, start_s, start_s, duration_s, 1,
                exposed_s, kind, _NO_PROTOCOL,
            )
        )  # fmt: skip

    def _links(self, flow: Flow) -> None:
        links, network = self.link_bytes, self.world.plan.network.links
        for link, share in flow.path.route:
            kind = network[link].kind
            links[kind] = links.get(kind, 0.0) + share * flow.nbytes

    def waited(self, seconds: float) -> None:
        """Count the wait of a request for its fetch."""
        self.waits += 1
        self.waited_s += seconds

    def mislead(self, seq: Seq, aliased: int, tainted: int) -> None:
        """Note that a request uses KV that is not what its key says.

        ``aliased``: units that were read as what they are not, found in HBM; ``tainted``: units
        that were computed from such KV, or copied from it.
        """
        self.aliased_units += aliased
        self.tainted_units += tainted
        seq.corrupt = 1
        self._misled.add(seq.rid)

    def finished(self, seq: Seq) -> None:
        """Count an answer that rests on wrong KV, though nobody sees it."""
        if seq.rid in self._misled:
            self._misled.discard(seq.rid)
            # What the hand-off has spoilt as well is counted there.
            if seq.handoff is None or not seq.handoff.corrupt:
                self.ok_corrupt += 1

    def close(self) -> None:
        """Hand over what went wrong: a key that hides the representation breaks I14."""
        world = self.world
        world.ok_corrupt += self.ok_corrupt
        for name, count in (("I14", self.aliased_units), ("I16", self.ok_corrupt)):
            if count:
                world.violations[name] = world.violations.get(name, 0) + count

    def figures(self, end_s: float) -> dict[str, Any]:
        """Return the ``residency`` part of the summary."""
        tiers = {tier.plan.name: tier.figures() for tier in self.tiers}
        found: dict[str, Any] = {
            "lookups": self.lookups,
            "tiers": {"hbm": {"hit_tokens": self.hbm_tokens}, **tiers},
            "link_bytes": dict(sorted(self.link_bytes.items())),
            "fetches": self.waits,
            "mean_fetch_s": self.waited_s / self.waits if self.waits else 0.0,
            "aliased_hits": self.aliased_units,
            "tainted_hits": self.tainted_units,
            "ok_corrupt": self.ok_corrupt,
        }
        ssd = next((tier for tier in self.tiers if tier.plan.name == "ssd"), None)
        if ssd is not None and self.plan.ssd_capacity_bytes is not None:
            capacity = self.plan.ssd_capacity_bytes * len(ssd.stores)
            dwpd = drive_writes_per_day(ssd.bytes_written, capacity, end_s)
            found["ssd_wear"] = {
                "bytes_written": ssd.bytes_written,
                "drive_writes_per_day": dwpd,
                "rated_drive_writes_per_day": self.plan.rated_dwpd,
            }
        return found
