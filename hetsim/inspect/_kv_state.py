"""The KV of one request at one moment: format, layout, residence and ownership in one record."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hetsim.errors import Problem, ScenarioError
from hetsim.inspect._boundary import sides
from hetsim.inspect._subject import Subject
from hetsim.representation import Representation, Verdict
from hetsim.run import Result
from hetsim.spec import html_table, spec
from hetsim.units import format_bytes, format_seconds

__all__ = ["Holding", "KVState", "kv_state"]

_SETS = {"Ps": "blocks on P", "Ds": "blocks on D", "X": "blocks in transit"}


@spec
class Holding:
    """Who holds one set of blocks: the state of the ownership machine, and the owner it names."""

    block_set: str
    state: str
    owner: str
    """Empty when nobody owns the blocks: they are free, or not yet taken."""
    since_s: float


@spec
class KVState:
    """What is true of a request's KV at ``at_s``."""

    request_id: int
    at_s: float
    tokens: int
    """Of the prompt; what is decoded later is not handed over."""
    bytes: float
    """Landed or under way between the instances, all ranks; 0 before a transfer."""
    producer: tuple[Representation, ...]
    """One descriptor per cache group."""
    consumer: tuple[Representation, ...]
    verdicts: tuple[Verdict, ...]
    holdings: tuple[Holding, ...]

    def _repr_html_(self) -> str:
        rows = [
            ("prompt", f"{self.tokens} tokens"),
            ("moved", format_bytes(self.bytes)),
            *[("on P", _format(group)) for group in self.producer],
            *[("on D", _format(group)) for group in self.consumer],
            *[("verdict", item.kind) for item in self.verdicts],
            *[
                (
                    _SETS[one.block_set],
                    f"{one.state}, owner {one.owner or 'nobody'}, "
                    f"since {format_seconds(one.since_s)}",
                )
                for one in self.holdings
            ],
        ]
        return html_table(f"KV of request {self.request_id} at {format_seconds(self.at_s)}", rows)


def _format(group: Representation) -> str:
    return f"{group.enc}, {group.order} {group.kv_pack}, pages of {group.page_tokens} tokens"


def kv_state(result: Result, request_id: int, at_s: float | None = None) -> KVState:
    """Return who holds which KV of a request at a moment of a run; left out: at the end.

    Raises
    ------
    ScenarioError
        If the run has no such request, or hands no KV over (co-located pools).
    """
    rows = result.requests[result.requests["request_id"] == request_id]
    if not len(rows):
        raise ScenarioError(Problem(f"no request {request_id} in this run", "request_id"))
    subject = Subject(_again(result))
    if subject.plan.boundary is None:
        raise ScenarioError(Problem("co-located pools hand no KV over", "pools"))
    moves = result.ownership
    moves = moves[moves["request_id"] == request_id]
    moment = float(moves["time_s"].max() if len(moves) else 0.0) if at_s is None else at_s
    moved = result.transfers
    moved = moved[(moved["request_id"] == request_id) & (moved["start_s"] <= moment)]
    producer, consumer = sides(subject)
    return KVState(
        request_id=request_id,
        at_s=moment,
        tokens=int(rows["isl_tokens"].iloc[0]),
        bytes=float(moved["bytes"].sum()),
        producer=producer,
        consumer=consumer,
        verdicts=tuple(subject.plan.boundary.verdicts),
        holdings=_holdings(moves[moves["time_s"] <= moment]),
    )


def _holdings(moves: Any) -> tuple[Holding, ...]:
    found = []
    for name in _SETS:
        mine = moves[moves["block_set"] == name]
        if len(mine):
            last = mine.iloc[-1]
            found.append(
                Holding(
                    block_set=name,
                    state=str(last["state_to"]),
                    owner=str(last["owner"]),
                    since_s=float(last["time_s"]),
                )
            )
    return tuple(found)


def _again(result: Result) -> Any:
    """Return the scenario of a result, loaded from what it says of itself."""
    from hetsim.scenario import load_scenario

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scenario.yaml"
        path.write_text(result.scenario_yaml, encoding="utf-8")
        return load_scenario(str(path))
