"""Closed-form capacity of each stage: rate matching without queues, an upper bound on the rate."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from hetsim.spec import spec
from hetsim.stages import PoolPlan, SimulationPlan
from hetsim.workload import Workload, prefix_reuse

__all__ = [
    "Demand",
    "StageBounds",
    "decode_step_s",
    "demand_of",
    "prefill_s",
    "stage_bounds",
]

_STRATA = 32
_PAIRS = 32
"""Instances of a side that are enough to see how traffic spreads over the links."""


@spec
class Demand:
    """What the mean request asks for, in tokens."""

    input_tokens: float
    computed_tokens: float
    """Of the input, what a prefix cache that forgets nothing would leave to compute."""
    output_tokens: float
    context_tokens: float
    """Mean context of a decode step: every token of an answer reads the prompt and what came
    before it."""
    longest_tokens: int
    computed_strata: tuple[float, ...]
    """``computed_tokens`` of equally many requests each, from short to long: long prompts cost
    more per token than the mean tells."""
    rate_req_s: float | None
    """None where the workload has no rate: users in a closed loop, or all at once."""


@spec
class StageBounds:
    """The request rate at which each stage would be busy all the time; None = no such stage."""

    prefill_req_s: float
    decode_req_s: float
    link_req_s: float | None
    decode_batch: int
    """Requests per DP rank in a decode step at that rate."""
    decode_limit: str
    """What limits that batch: ``KV blocks``, ``batch slots`` or ``TPOT``."""
    link_name: str = ""

    @property
    def rate_req_s(self) -> float:
        """The smallest of the bounds."""
        rates = (self.prefill_req_s, self.decode_req_s, self.link_req_s)
        return min(rate for rate in rates if rate is not None)

    @property
    def stage(self) -> str:
        """The stage that it belongs to."""
        rates = {"prefill": self.prefill_req_s, "decode": self.decode_req_s}
        if self.link_req_s is not None:
            rates["link"] = self.link_req_s
        return min(rates, key=lambda name: rates[name])


def demand_of(workload: Workload, cached: bool = False) -> Demand:
    """Return the mean demand of a workload; of a closed loop, of its users' first turns."""
    table, rate = workload.table, None
    if table is not None:
        isl, osl = table.isl.astype(float), table.osl.astype(float)
        reused = prefix_reuse(table) if cached else np.zeros(len(table))
        span = float(table.arrival_s[-1]) if len(table) else 0.0
        rate = len(table) / span if span > 0.0 else None
    else:
        assert workload.loop is not None
        turns = [workload.loop.first(user) for user in range(min(workload.loop.users, 1000))]
        isl, osl = (np.array([t[i] for t in turns], float) for i in (1, 2))
        reused = np.zeros(len(turns))
    mean_out = float(osl.mean())
    read = float((osl * (isl + 0.5 * osl)).mean()) / mean_out if mean_out else float(isl.mean())
    return Demand(
        input_tokens=float(isl.mean()),
        computed_tokens=max(1.0, float((isl - reused).mean())),
        output_tokens=mean_out,
        context_tokens=read,
        longest_tokens=int((isl + osl).max()),
        computed_strata=_strata(np.maximum(isl - reused, 1.0)),
        rate_req_s=rate,
    )


def _strata(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    """Return the means of up to 32 equal parts of the sorted values."""
    parts = np.array_split(np.sort(values), min(_STRATA, len(values)))
    return tuple(float(part.mean()) for part in parts)


def stage_bounds(plan: SimulationPlan, demand: Demand, tpot_s: float) -> StageBounds:
    """Return the rates at which prefill, decode and the network would saturate.

    Prefill: whole steps of the token budget. Decode: the largest batch that KV, slots and the
    TPOT objective allow, at the mean context. Link: the busiest link when every pair of
    instances carries the same. In a co-located pool each stage has the pool for itself, which
    keeps the bound an upper one.
    """
    first, last = plan.pools[0], plan.pools[-1]
    batch, limit = _decode_batch(last, demand, tpot_s)
    link, name = _link(plan, demand)
    prompts = prefill_req_s(first, demand)
    if plan.placement is not None:
        # Prompts may be computed at both ends, and need not cross.
        prompts += prefill_req_s(last, demand)
        link, name = None, ""
    return StageBounds(
        prefill_req_s=prompts,
        decode_req_s=_per_request(decode_tokens_per_s(last, batch, demand), demand),
        link_req_s=link,
        decode_batch=batch,
        decode_limit=limit,
        link_name=name,
    )


def _per_request(tokens_per_s: float, demand: Demand) -> float:
    # The first token is the prefill's.
    return tokens_per_s / max(demand.output_tokens - 1.0, 1e-9)


def prefill_req_s(pool: PoolPlan, demand: Demand) -> float:
    """Return the prompts that all instances of a pool compute in a second, steps filled up."""
    seconds = [_prompt_s(pool, tokens) for tokens in demand.computed_strata]
    return pool.instances * pool.ranks * len(seconds) / max(sum(seconds), 1e-12)


def _prompt_s(pool: PoolPlan, tokens: float) -> float:
    """Return the seconds of one prompt: its share of a step of equals, or all of its steps."""
    steps = prefill_chunks(pool, tokens)
    prompts = len(steps[0]) if len(steps) == 1 else 1
    return sum(_prefill_step_s(pool, step) for step in steps) / prompts


def prefill_chunks(pool: PoolPlan, tokens: float) -> list[list[tuple[int, int]]]:
    """Return the steps that compute prompts of ``tokens``: many in one step, or one in many."""
    length = max(1, round(tokens))
    budget = pool.rules.max_tokens
    if length <= budget:
        return [[(length, 0)] * max(1, budget // length)]
    return [[(min(budget, length - past), past)] for past in range(0, length, budget)]


def _prefill_step_s(pool: PoolPlan, step: list[tuple[int, int]]) -> float:
    """Return the seconds of a step that every DP rank of an instance spends on equal prompts."""
    none = (0.0,) * len(pool.model.windows)
    seconds: float = pool.model.step(step * pool.ranks, 0, none).time_s
    return seconds


def prefill_s(pool: PoolPlan, tokens: float) -> float:
    """Return the seconds that one prompt of ``tokens`` takes alone on an instance."""
    length, budget = max(1, round(tokens)), pool.rules.max_tokens
    none = (0.0,) * len(pool.model.windows)
    starts = range(0, length, budget)
    return sum(
        float(pool.model.step([(min(budget, length - past), past)], 0, none).time_s)
        for past in starts
    )


def decode_step_s(pool: PoolPlan, batch: int, context_tokens: float) -> float:
    """Return the seconds of a decode step with ``batch`` requests on every DP rank."""
    whole = batch * pool.ranks
    point = pool.model.decode(whole)
    seconds = point.const_s
    for slope, window in zip(point.slopes_s, pool.model.windows, strict=True):
        seconds += (
            slope * whole * (context_tokens if window is None else min(context_tokens, window))
        )
    return float(seconds)


def decode_tokens_per_s(pool: PoolPlan, batch: int, demand: Demand) -> float:
    """Return the output tokens that all instances of a pool give in a second."""
    seconds = decode_step_s(pool, batch, demand.context_tokens)
    return pool.instances * pool.ranks * batch / max(seconds, 1e-12)


def _decode_batch(pool: PoolPlan, demand: Demand, tpot_s: float) -> tuple[int, str]:
    """Return the largest batch of a DP rank, and what limits it."""
    rules = pool.rules
    blocks = demand.context_tokens / rules.block_tokens + rules.fixed_blocks
    held = max(1, int(pool.blocks / max(blocks, 1e-9)))
    limits = {"KV blocks": held, "batch slots": rules.max_seqs}
    name = min(limits, key=lambda word: limits[word])
    batch = limits[name]
    if decode_step_s(pool, batch, demand.context_tokens) <= tpot_s:
        return batch, name
    low, high = 1, batch
    while high - low > 1:
        middle = (low + high) // 2
        if decode_step_s(pool, middle, demand.context_tokens) <= tpot_s:
            low = middle
        else:
            high = middle
    return low, "TPOT"


def _link(plan: SimulationPlan, demand: Demand) -> tuple[float | None, str]:
    """Return the request rate that fills the busiest link of the hand-off, and its name."""
    if plan.boundary is None:
        return None, ""
    amount = plan.boundary.transfer.plan(max(1, round(demand.input_tokens))).bytes
    load = _link_shares(plan)
    links = plan.network.links
    if not load or not amount:
        return None, ""
    rates = {
        link: links[link].capacity_bytes_per_s / (share * amount) for link, share in load.items()
    }
    worst = min(sorted(rates), key=lambda link: rates[link])
    return rates[worst], links[worst].name


def _link_shares(plan: SimulationPlan) -> Mapping[int, float]:
    """Return the part of all hand-off bytes that crosses each link, traffic spread evenly."""
    source, target = plan.pools[0], plan.pools[-1]
    store = plan.boundary.transit if plan.boundary is not None else None
    if store is not None and store.place == "remote":
        return _put_shares(plan)
    givers, takers = min(source.instances, _PAIRS), min(target.instances, _PAIRS)
    share = 1.0 / (source.instances * target.instances)
    load: dict[int, float] = {}
    users: dict[int, tuple[set[int], set[int]]] = {}
    for giver in range(givers):
        for taker in range(takers):
            path = plan.network.path(f"{source.name}/{giver}", f"{target.name}/{taker}")
            for link, part in path.route:
                load[link] = load.get(link, 0.0) + share * part
                mine = users.setdefault(link, (set(), set()))
                mine[0].add(giver)
                mine[1].add(taker)
    # What every sampled instance of a side crosses, the others of that side cross as well; a port
    # of a few is theirs alone.
    for link, (gave, took) in users.items():
        load[link] *= source.instances / givers if len(gave) == givers else 1.0
        load[link] *= target.instances / takers if len(took) == takers else 1.0
    return load


def _put_shares(plan: SimulationPlan) -> Mapping[int, float]:
    """Return the same where KV goes into a pool: all of it goes in, not all need come out."""
    source, load = plan.pools[0], dict[int, float]()
    for giver in range(source.instances):
        path = plan.network.path(f"{source.name}/{giver}", "remote/0/host")
        for link, part in path.route:
            load[link] = load.get(link, 0.0) + part / source.instances
    return load
