"""Whether an order per dollar survives the range of prices that it rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from hetsim.hardware import Price
from hetsim.scenario import Loaded, accelerator_of, stated_price

__all__ = ["Offer", "least_ratio", "offers_of", "price_story"]


class Offer(NamedTuple):
    """The rent of one accelerator: a range, the value used, and who asks it."""

    low: float
    used: float
    high: float
    seller: str
    date: str


def offers_of(loaded: Loaded) -> tuple[dict[str, float], dict[str, Offer]]:
    """Return devices by accelerator, and what each costs; a price that is stated has no range.

    A pool with a price of its own is listed apart.
    """
    counts: dict[str, float] = {}
    offers: dict[str, Offer] = {}
    scenario, folder = loaded.scenario, loaded.base_dir
    for name, pool in scenario.pools.items():
        device, cut = accelerator_of(pool.accelerator, folder), pool.parallel
        stated = stated_price(scenario, name, folder)
        key = device.name if name not in scenario.prices else f"{device.name} ({name})"
        if stated is not None:
            offers[key] = Offer(stated, stated, stated, "stated", "")
        elif device.price is not None:
            offers[key] = _offer(device.price)
        counts[key] = counts.get(key, 0.0) + pool.instances * cut.tp * cut.pp * cut.dp
    return counts, offers


def _offer(price: Price) -> Offer:
    return Offer(
        price.low_usd_per_h, price.usd_per_h, price.high_usd_per_h, price.seller, price.date
    )


def least_ratio(
    first: Mapping[str, float], second: Mapping[str, float], offers: Mapping[str, Offer]
) -> float:
    """Return the least price of ``second`` over that of ``first``, as it is, over the ranges.

    Of a ratio of two sums that both grow with every price the least lies at ends of the ranges; a
    device that both hold has one price for both. 1 is where nothing can move.

    >>> offers = {"a": Offer(1.0, 2.0, 3.0, "", ""), "b": Offer(2.0, 2.0, 2.0, "", "")}
    >>> least_ratio({"a": 1.0}, {"b": 1.0}, offers), least_ratio({"a": 2.0}, {"a": 1.0}, offers)
    (0.6666666666666666, 1.0)
    """
    names = sorted({*first, *second})
    now = {name: offers[name].used for name in names}
    ends = product(*({offers[name].low, offers[name].high} for name in names))
    base = _sum(second, now) / _sum(first, now)
    at = (dict(zip(names, prices, strict=True)) for prices in ends)
    return min(_sum(second, prices) / _sum(first, prices) for prices in at) / base


def _sum(counts: Mapping[str, float], prices: Mapping[str, float]) -> float:
    return sum(counts[name] * prices[name] for name in sorted(counts))


def price_story(designs: Sequence[Loaded], values: Sequence[float]) -> dict[str, Any]:
    """Return the prices behind a ranking per dollar, and whether its order survives them.

    ``designs`` stand in the order of their ``values``. ``order[i]`` says of each design but the
    first whether the first still beats it with every price at the end that speaks against it.
    """
    rows = [offers_of(one) for one in designs]
    offers = {name: offer for _, found in rows for name, offer in found.items()}
    story: dict[str, Any] = {
        "prices": {name: offers[name]._asdict() for name in sorted(offers)},
        "order": [],
        "says": _basis(offers),
    }
    first = rows[0][0]
    for number, (counts, _) in enumerate(rows[1:], 1):
        if any(name not in offers for name in (*first, *counts)):
            continue
        lead = values[0] / values[number] if values[number] else float("inf")
        worst = lead * least_ratio(first, counts, offers)
        story["order"].append(
            {"rank": number + 1, "lead": lead, "worst_lead": worst, "survives": worst > 1.0}
        )
    story["says"] += [_verdict(one) for one in story["order"]]
    return story


def _basis(offers: Mapping[str, Offer]) -> list[str]:
    ranges = [
        f"{name} {offer.low:g} to {offer.high:g}"
        if offer.high > offer.low
        else f"{name} {offer.used:g}"
        for name, offer in sorted(offers.items())
    ]
    sellers = sorted({offer.seller for offer in offers.values()})
    lines = [f"prices in USD/h ({', '.join(sellers)}): {', '.join(ranges)}"]
    if len(sellers) > 1:
        lines.append("prices are of different kinds of seller: the order may be theirs")
    return lines


def _verdict(one: Mapping[str, Any]) -> str:
    rank = one["rank"]
    if one["survives"]:
        return (
            f"1 stays before {rank} at any price in these ranges (by {one['worst_lead'] - 1:.0%})"
        )
    return (
        f"1 falls behind {rank} where prices speak against it ({one['lead'] - 1:.0%} ahead as they "
        f"are, {1 - one['worst_lead']:.0%} behind at the worst)"
    )
