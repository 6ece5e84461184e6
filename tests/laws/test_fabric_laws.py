"""Laws of shared links: bytes are conserved, capacity is kept, and time on a link is paid for."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hetsim.engine._fabric as fabric_module
from hetsim.engine import Engine, Fabric
from hetsim.errors import InvariantViolated
from hetsim.topology import DirectedLink, Network, Path, max_min_rates


class Bare:
    """Routes of a network whose paths the test makes itself."""

    endpoints = ()


def network_of(capacity):
    links = [DirectedLink(i, f"link{i}", c, 0.0, "direct") for i, c in enumerate(capacity)]
    return Network(links, Bare())


@dataclass
class Sent:
    """One transfer of the plan: what was asked, and what came of it."""

    at_s: float
    links: tuple[int, ...]
    nbytes: float
    latency_s: float = 0.0
    limit: float = inf
    cancel_s: float = inf
    landed_s: float = inf
    flow: object = None


@dataclass
class Plan:
    capacity: list[float]
    sends: list[Sent]
    changes: list[tuple[float, int, float]] = field(default_factory=list)


@st.composite
def plans(draw, faults=True):
    links = draw(st.integers(1, 5))
    capacity = draw(st.lists(st.floats(1.0, 20.0), min_size=links, max_size=links))
    instant = st.integers(0, 40).map(lambda tick: tick * 0.25)  # ticks make ties likely
    route = st.lists(st.integers(0, links - 1), min_size=1, max_size=links, unique=True)
    sends = []
    for _ in range(draw(st.integers(1, 10))):
        at = draw(instant)
        sends.append(
            Sent(
                at_s=at,
                links=tuple(draw(route)),
                nbytes=draw(st.one_of(st.just(0.0), st.floats(0.5, 60.0))),
                latency_s=draw(st.sampled_from([0.0, 0.5])),
                limit=draw(st.sampled_from([inf, inf, 3.0])),
                cancel_s=at + draw(instant) if faults and draw(st.booleans()) else inf,
            )
        )
    change = st.tuples(instant, st.integers(0, links - 1), st.floats(0.0, 20.0))
    changes = draw(st.lists(change, max_size=4)) if faults else []
    return Plan(capacity, sends, changes)


def carry_out(plan, *, look=None):
    """Run a plan with ``check()`` after every event; links are whole again at the end."""
    engine = Engine()
    fabric = Fabric(engine, network_of(plan.capacity))
    engine.after_event(fabric.check)
    if look is not None:
        engine.after_event(lambda: look(fabric))

    def begin(send):
        def landed(flow):
            assert send.landed_s == inf
            send.landed_s = engine.now

        path = Path(send.links, send.latency_s)
        send.flow = fabric.start(path, send.nbytes, landed, limit_bytes_per_s=send.limit)

    for send in plan.sends:
        engine.call_at(send.at_s, lambda send=send: begin(send))
        if send.cancel_s < inf:
            engine.call_at(send.cancel_s, lambda send=send: fabric.cancel(send.flow))
    for at, link, value in plan.changes:
        engine.call_at(at, lambda link=link, value=value: fabric.set_capacity(link, value))
    for link, value in enumerate(plan.capacity):
        engine.call_at(50.0, lambda link=link, value=value: fabric.set_capacity(link, value))
    engine.run()
    return fabric


@given(plans())
def test_L3_bytes_sent_are_landed_or_lost_under_faults(plan):
    fabric = carry_out(plan)
    assert fabric.flows == ()
    assert fabric.in_flight_bytes == 0.0
    whole = sum(send.nbytes for send in plan.sends if send.landed_s < inf)
    assert fabric.landed_bytes == pytest.approx(whole)
    lost = sum(send.nbytes - send.flow.left_bytes for send in plan.sends if send.landed_s == inf)
    assert fabric.lost_bytes == pytest.approx(lost)
    assert fabric.sent_bytes == pytest.approx(whole + lost)
    for send in plan.sends:  # nothing vanishes: landed, or somebody cancelled it
        assert send.landed_s < inf or send.cancel_s < inf


@given(plans())
def test_links_carry_what_their_flows_moved_and_no_more_than_they_can(plan):
    fabric = carry_out(plan)
    for link in range(len(plan.capacity)):
        moved = sum(s.nbytes - s.flow.left_bytes for s in plan.sends if link in s.links)
        assert fabric.carried_bytes(link) == pytest.approx(moved)
        best = max([plan.capacity[link], *(v for _, which, v in plan.changes if which == link)])
        assert fabric.carried_bytes(link) <= best * fabric.busy_s(link) * (1 + 1e-9) + 1e-9


@given(plans(faults=False))
def test_L9_time_on_a_link_is_at_least_bytes_over_capacity(plan):
    carry_out(plan)
    for send in plan.sends:
        tightest = min([plan.capacity[link] for link in send.links] + [send.limit])
        least = send.nbytes / tightest + send.latency_s
        assert send.landed_s - send.at_s >= least * (1 - 1e-9)


@given(plans(faults=False))
def test_no_flow_waits_for_a_link_with_room(plan):
    """Work conservation: every moving flow is at its limit or on a full link."""

    def look(fabric):
        for flow in fabric.flows:
            if flow.state != "moving":
                continue
            full = [
                link
                for link in flow.path.links
                if fabric.link_rate_bytes_per_s(link) >= plan.capacity[link] * (1 - 1e-9)
            ]
            assert full or flow.rate_bytes_per_s >= flow.limit * (1 - 1e-9)

    carry_out(plan, look=look)


class ByHand:
    """The plainest method: at every change, every flow gets a new rate."""

    def __init__(self, plan):
        self.plan = plan
        self.capacity = list(plan.capacity)
        self.left = {}
        self.landed = [inf] * len(plan.sends)

    def marks(self):
        starts = {send.at_s for send in self.plan.sends}
        return sorted(starts | {at for at, _, _ in self.plan.changes} | {50.0})

    def change(self, now):
        for number, send in enumerate(self.plan.sends):
            if send.at_s == now:
                self.left[number] = send.nbytes
        for at, link, value in self.plan.changes:
            if at == now:
                self.capacity[link] = value
        if now == 50.0:
            self.capacity = list(self.plan.capacity)

    def land(self, now):
        for number in [n for n, rest in self.left.items() if rest == 0.0]:
            self.landed[number] = now + self.plan.sends[number].latency_s
            del self.left[number]

    def move(self, now, mark):
        """Move all flows to the next end or mark, and return its time."""
        sends = self.plan.sends
        flows = {n: sends[n].links for n in self.left}
        rates = max_min_rates(flows, self.capacity, {n: sends[n].limit for n in flows})
        ends = {n: now + self.left[n] / rate if rate > 0.0 else inf for n, rate in rates.items()}
        following = min([*ends.values(), mark])
        for n, rate in rates.items():
            rest = self.left[n] - rate * (following - now)
            self.left[n] = 0.0 if ends[n] <= following else max(rest, 1e-300)
        return following


def solve_by_hand(plan):
    hand = ByHand(plan)
    marks, now = hand.marks(), 0.0
    while marks or hand.left:
        if marks and marks[0] <= now:
            hand.change(marks.pop(0))
        hand.land(now)
        if marks or hand.left:
            now = hand.move(now, marks[0] if marks else inf)
    return hand.landed


@given(plans(faults=False))
def test_landing_times_equal_those_of_the_plain_method(plan):
    """Only touched components are re-rated, and wakes are lazy: neither may show in the result."""
    carry_out(plan)
    for send, expected in zip(plan.sends, solve_by_hand(plan), strict=True):
        assert send.landed_s == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(plans())
def test_landing_times_equal_those_of_the_plain_method_under_changing_capacity(plan):
    for send in plan.sends:
        send.cancel_s = inf  # a cancel at the very end of a flow may fall on either side
    carry_out(plan)
    for send, expected in zip(plan.sends, solve_by_hand(plan), strict=True):
        assert send.landed_s == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(plans())
def test_L6_the_same_plan_gives_the_same_bits(plan):
    carry_out(plan)
    first = [send.landed_s for send in plan.sends]
    for send in plan.sends:
        send.landed_s = inf
    carry_out(plan)
    assert [send.landed_s for send in plan.sends] == first


@given(plans(faults=False), st.floats(1.0, 30.0))
def test_one_more_flow_never_helps_on_one_link(plan, nbytes):
    one = Plan(plan.capacity[:1], plan.sends)
    for send in one.sends:
        send.links = (0,)
    carry_out(one)
    before = [send.landed_s for send in one.sends]
    for send in one.sends:
        send.landed_s = inf
    carry_out(Plan(one.capacity, [*one.sends, Sent(0.0, (0,), nbytes)]))
    for old, send in zip(before, one.sends, strict=True):
        assert send.landed_s >= old - 1e-9


def assert_two_equal_flows_take_twice_as_long():
    plan = Plan([10.0], [Sent(0.0, (0,), 20.0), Sent(0.0, (0,), 20.0)])
    carry_out(plan)
    assert [send.landed_s for send in plan.sends] == [4.0, 4.0]


def test_two_equal_flows_take_twice_as_long():
    assert_two_equal_flows_take_twice_as_long()


def test_a_fabric_without_contention_is_caught_by_the_clock_and_by_the_law(monkeypatch):
    """The tests above have teeth: with free links they fail, and so does every run that checks."""
    monkeypatch.setattr(fabric_module, "fair_rates", lambda flows, _: [f.ceiling for f in flows])
    with pytest.raises(InvariantViolated, match="law L9 is violated: link link0 carries 20"):
        assert_two_equal_flows_take_twice_as_long()
    monkeypatch.setattr(Fabric, "check", lambda self: None)
    with pytest.raises(AssertionError):
        assert_two_equal_flows_take_twice_as_long()


def test_L3_a_byte_that_is_not_accounted_for_is_reported_with_its_sums():
    engine = Engine()
    fabric = Fabric(engine, network_of([10.0]))
    fabric.start(Path((0,), 0.0), 20.0, lambda flow: None)
    engine.run()
    fabric.landed_bytes -= 5.0
    with pytest.raises(InvariantViolated, match=r"law L3 .* landed 15\.0, .*: 5\.0 B unaccounted"):
        fabric.check()
