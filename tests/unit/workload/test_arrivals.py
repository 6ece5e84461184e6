"""Arrival processes: rate, burstiness, and who keeps his place when the rate changes."""

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.spec import kinds
from hetsim.workload import workload_spec
from hetsim.workload.arrivals.all_at_once import AllAtOnce
from hetsim.workload.arrivals.gamma import Gamma
from hetsim.workload.arrivals.mmpp import Mmpp
from hetsim.workload.arrivals.poisson import Poisson
from hetsim.workload.arrivals.uniform import Uniform

LAWS = [
    Poisson(rate=5.0),
    Gamma(rate=5.0, cv=3.0),
    Gamma(rate=5.0, cv=0.3),
    Mmpp(rate=5.0, burst_ratio=10.0, quiet=20.0, busy=2.0),
    Uniform(rate=5.0),
    AllAtOnce(),
]
COUNT = 50_000
MMPP = {"rate": "1 req/s", "burst_ratio": 2, "quiet": "1 s", "busy": "1 s"}


def cv(times):
    gaps = np.diff(times)
    return gaps.std() / gaps.mean()


def test_every_kind_is_tried():
    assert {law.kind for law in LAWS} == set(kinds("arrivals"))


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_sorted_from_zero_and_the_same_each_time(law):
    times = law.times(2000, seed=3)
    assert len(times) == 2000
    assert times[0] >= 0
    assert (np.diff(times) >= 0).all()
    assert (times == law.times(2000, seed=3)).all()


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_first_arrivals_do_not_depend_on_how_many_are_asked_for(law):
    assert (law.times(1000, seed=3)[:500] == law.times(500, seed=3)).all()


@pytest.mark.parametrize("law", LAWS[:5], ids=repr)
def test_mean_rate(law):
    # The slowest to settle is the gamma process: CV / sqrt(n) = 1.3 %.
    assert COUNT / law.times(COUNT, seed=3)[-1] == pytest.approx(5.0, rel=0.04)


@pytest.mark.parametrize(
    ("law", "due"), [(LAWS[0], 1.0), (LAWS[1], 3.0), (LAWS[2], 0.3), (LAWS[4], 0.0)]
)
def test_coefficient_of_variation(law, due):
    assert cv(law.times(COUNT, seed=3)) == pytest.approx(due, rel=0.05, abs=1e-6)


def test_another_seed_another_process():
    assert not (Poisson(rate=1.0).times(10, 1) == Poisson(rate=1.0).times(10, 2)).any()


@pytest.mark.parametrize("make", [lambda r: Poisson(rate=r), lambda r: Gamma(rate=r, cv=2.0)])
def test_another_rate_scales_the_same_gaps(make):
    assert np.allclose(make(2.0).times(100, 9), 4 * make(8.0).times(100, 9), rtol=1e-12)


def test_mmpp_bursts_stay_where_they_are_when_the_rate_doubles():
    def law(rate):
        return Mmpp(rate=rate, burst_ratio=20.0, quiet=20.0, busy=2.0)

    few, many = law(50.0).times(20_000, 9), law(100.0).times(40_000, 9)
    span = min(few[-1], many[-1])
    per_second = [np.histogram(t, np.arange(0, span))[0] for t in (few, many)]
    assert np.corrcoef(per_second)[0, 1] > 0.9
    other = np.histogram(law(50.0).times(20_000, 10), np.arange(0, span))[0]
    assert np.corrcoef(per_second[0], other)[0, 1] < 0.3


def test_mmpp_without_a_burst_is_poisson():
    flat = Mmpp(rate=5.0, burst_ratio=1.0, quiet=20.0, busy=2.0)
    assert np.allclose(flat.times(1000, 4), Poisson(rate=5.0).times(1000, 4), rtol=1e-9)


def test_mmpp_has_the_cv_of_theory():
    # c^2 = 1 + 2 (a - b)^2 r s / ((r + s)^2 (a b + a s + b r)) for rates a, b and exit rates r, s
    # (Heffes and Lucantoni, IEEE JSAC 4, 1986).
    a, r, s = 5.0 * 22 / (20 + 10 * 2), 1 / 20, 1 / 2
    b = 10 * a
    due = 1 + 2 * (a - b) ** 2 * r * s / ((r + s) ** 2 * (a * b + a * s + b * r))
    assert cv(LAWS[3].times(COUNT, 3)) == pytest.approx(due**0.5, rel=0.04)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "poisson", "rate": 12}, "rate: needs a unit"),
        ({"kind": "poisson", "rate": "0 req/s"}, "rate: must be above 0"),
        ({"kind": "poisson", "rate": "12 GB/s"}, "wrong dimension"),
        ({"kind": "gamma", "rate": "1 req/s", "cv": 99}, "between 0.01 and 30"),
        ({"kind": "mmpp", **MMPP, "burst_ratio": 0.5}, "at least 1"),
        ({"kind": "mmpp", **MMPP, "quiet": "0 s"}, "longer than 0"),
        ({"kind": "poissen", "rate": "1 req/s"}, "did you mean 'poisson'"),
    ],
)  # fmt: skip
def test_wrong_arrivals_in_a_scenario(fields, message):
    fixed = {"kind": "fixed", "tokens": 1}
    with pytest.raises(ScenarioError, match=message):
        workload_spec({**fields, "requests": 1, "input": fixed, "output": fixed})
