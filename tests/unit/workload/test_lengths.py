"""Length laws: moments, bounds, and one uniform number per request."""

import math

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.spec import kinds, lookup
from hetsim.workload import mean_tokens, stream, workload_spec
from hetsim.workload.lengths.empirical import Empirical
from hetsim.workload.lengths.exponential import Exponential
from hetsim.workload.lengths.fixed import Fixed
from hetsim.workload.lengths.lognormal import Lognormal
from hetsim.workload.lengths.uniform import Uniform

LAWS = [
    Fixed(tokens=200),
    Uniform(min=3, max=9),
    Exponential(mean=1000.0),
    Lognormal(mean=1000.0, cv=0.8),
    Lognormal(mean=50.0, sigma=1.0, min=10, max=100),
    Empirical(values=(5, 1, 1, 900)),
]
U = stream(11, "test").random(100_000)


def test_every_kind_is_tried():
    assert {law.kind for law in LAWS} == set(kinds("lengths"))
    assert lookup("lengths", "fixed") is Fixed


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_quantiles_rise_and_are_whole_and_positive(law):
    u = np.concatenate(([0.0], np.sort(U[:1000]), [np.nextafter(1.0, 0.0)]))
    lengths = law.quantile(u)
    assert lengths.dtype == np.int64
    assert (np.diff(lengths) >= 0).all()
    assert lengths.min() >= 1


def test_exponential_has_its_mean_and_no_memory():
    lengths = Exponential(mean=1000.0).quantile(U)
    # Standard error of the mean: 1 / sqrt(1e5) = 0.3 %; the deviation equals the mean.
    assert lengths.mean() == pytest.approx(1000, rel=0.01)
    assert lengths.std() == pytest.approx(1000, rel=0.02)
    longer = lengths[lengths > 700] - 700
    assert longer.mean() == pytest.approx(1000, rel=0.02)


def test_lognormal_has_its_mean_and_cv():
    lengths = Lognormal(mean=1000.0, cv=0.8).quantile(U)
    # Standard error of the mean: 0.8 / sqrt(1e5) = 0.25 %.
    assert lengths.mean() == pytest.approx(1000, rel=0.01)
    assert lengths.std() / lengths.mean() == pytest.approx(0.8, rel=0.03)


def test_sigma_and_cv_say_the_same():
    cv = math.sqrt(math.expm1(0.5**2))
    by_cv = Lognormal(mean=700.0, cv=cv).quantile(U[:1000])
    by_sigma = Lognormal(mean=700.0, sigma=0.5).quantile(U[:1000])
    assert (by_cv == by_sigma).all()


def test_lognormal_is_clipped_on_both_sides():
    lengths = Lognormal(mean=50.0, sigma=1.0, min=10, max=100).quantile(U)
    assert (lengths.min(), lengths.max()) == (10, 100)


def test_uniform_reaches_both_ends_equally():
    counts = np.bincount(Uniform(min=3, max=9).quantile(U))
    assert counts[:3].sum() == 0
    assert counts[3:] == pytest.approx(np.full(7, len(U) / 7), rel=0.04)


def test_empirical_keeps_frequencies():
    lengths = Empirical(values=(5, 1, 1, 900)).quantile(U)
    assert np.mean(lengths == 1) == pytest.approx(0.5, abs=0.01)
    assert set(lengths.tolist()) == {1, 5, 900}


def test_mean_tokens_needs_no_draws():
    assert mean_tokens(Uniform(min=1, max=3)) == pytest.approx(2.0, abs=1e-3)
    assert mean_tokens(Lognormal(mean=1000.0, cv=0.8)) == pytest.approx(1000, rel=2e-3)


@pytest.mark.parametrize(
    ("law", "message"),
    [
        ({"kind": "fixed", "tokens": 0}, "input.tokens"),
        ({"kind": "fixed", "tokens": -5}, "input.tokens"),
        ({"kind": "fixed", "tokens": 2**31}, "input.tokens"),
        ({"kind": "fixed", "tokens": 1.5}, "input.tokens"),
        ({"kind": "fixed", "tokens": "200"}, "input.tokens"),
        ({"kind": "uniform", "min": 9, "max": 3}, r"min \(9\) is above max"),
        ({"kind": "lognormal", "mean": 100}, "one of 'cv' and 'sigma'"),
        ({"kind": "lognormal", "mean": 100, "cv": 1, "sigma": 1}, "one of 'cv' and 'sigma'"),
        ({"kind": "lognormal", "mean": 0.2, "cv": 1}, "mean must be at least 1"),
        ({"kind": "lognormal", "mean": float("nan"), "cv": 1}, "finite"),
        ({"kind": "lognormal", "mean": 10, "cv": 0}, "input.cv"),
        ({"kind": "exponential", "mean": 0.5}, "mean must be at least 1"),
        ({"kind": "empirical", "values": []}, "values is empty"),
        ({"kind": "empirical", "values": [3, 0]}, r"input.values\[1\]"),
        ({"kind": "empirical"}, "one of 'values' and 'path'"),
        ({"kind": "empirical", "path": "x.csv"}, "come together"),
        ({"kind": "normal", "mean": 3}, "unknown kind 'normal'"),
        ({"tokens": 3}, "needs a 'kind'"),
        (200, "input"),
    ],
)
def test_wrong_lengths_in_a_scenario_are_told_where(law, message):
    load = {
        "kind": "all_at_once",
        "requests": 1,
        "input": law,
        "output": {"kind": "fixed", "tokens": 1},
    }
    with pytest.raises(ScenarioError, match=message):
        workload_spec(load)
