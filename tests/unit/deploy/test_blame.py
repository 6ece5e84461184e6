"""Which parameter explains the ratios: the pure function."""

from __future__ import annotations

from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.deploy._blame import Curve, blame

FIGURES = ("ttft_s.mean", "ttft_s.p99", "tpot_s.mean", "e2e_s.mean", "throughput.req_s")


def curve(*slopes: float) -> Curve:
    up = dict(zip(FIGURES, slopes, strict=True))
    return Curve(points=((0.2, {k: 0.2 * v for k, v in up.items()}),
                         (-0.2, {k: -0.2 * v for k, v in up.items()})))  # fmt: skip


CURVES = {
    "request overhead": curve(0.8, 0.5, 0.0, 0.2, 0.0),
    "bandwidth efficiency": curve(-0.1, -0.2, -0.9, -0.7, 0.0),
    "load": curve(0.4, 0.9, 0.2, 0.2, 1.0),
}


def ratios(name: str, factor: float) -> dict[str, float]:
    slopes = CURVES[name].points[0][1]
    return {key: exp(value / 0.2 * log(factor)) for key, value in slopes.items()}


@given(st.sampled_from(sorted(CURVES)), st.floats(0.1, 10.0).filter(lambda f: abs(log(f)) > 0.3))
def test_the_parameter_that_was_changed_is_found_with_its_factor(name: str, factor: float) -> None:
    verdict = blame(ratios(name, factor), CURVES)
    assert verdict.kind == "found"
    assert verdict.parameter == name
    assert verdict.candidates[0].factor == pytest.approx(factor)
    assert verdict.candidates[0].residual == pytest.approx(0.0, abs=1e-9)


def test_two_that_explain_equally_are_not_told_apart() -> None:
    curves = {**CURVES, "host step time": curve(0.1, 0.2, 0.9, 0.7, 0.0)}
    verdict = blame(ratios("bandwidth efficiency", 0.5), curves)
    assert verdict.kind == "tied"
    assert verdict.parameter is None
    assert {one.parameter for one in verdict.tied} == {"bandwidth efficiency", "host step time"}


def test_what_no_parameter_explains_is_not_blamed_on_the_least_bad() -> None:
    odd = {"ttft_s.mean": 3.0, "ttft_s.p99": 0.3, "tpot_s.mean": 1.0}
    verdict = blame(odd, CURVES)
    assert verdict.kind == "unexplained"
    assert verdict.parameter is None


def test_a_prediction_that_holds_is_not_blamed_on_anybody() -> None:
    assert blame(dict.fromkeys(FIGURES, 1.02), CURVES).kind == "agrees"


def test_families_weigh_the_same_however_many_figures_they_have() -> None:
    """Otherwise a file with many TTFT percentiles would outvote TPOT."""
    many = {f"ttft_s.p{n}": 1.0 for n in range(50)} | {"tpot_s.mean": 2.0}
    curves = {
        "a": Curve(points=((1.0, {"tpot_s.mean": 1.0}),)),
        "b": Curve(points=((1.0, {f"ttft_s.p{n}": 0.01 for n in range(50)}),)),
    }
    assert blame(many, curves).parameter == "a"
    assert blame(many, curves).deviation == pytest.approx(log(2.0) / 2**0.5)


def test_a_bent_curve_is_followed() -> None:
    """A queue: nothing happens downwards, much upwards."""
    bent = Curve(points=((log(2.0), {"ttft_s.mean": 3.0}), (-1.0, {"ttft_s.mean": -0.01})))
    verdict = blame({"ttft_s.mean": exp(1.5)}, {"load": bent})
    assert verdict.candidates[0].factor == pytest.approx(2.0**0.5)


def test_nothing_moves_nothing_is_blamed() -> None:
    still = Curve(points=((0.2, dict.fromkeys(FIGURES, 0.0)),))
    verdict = blame(dict.fromkeys(FIGURES, 2.0), {"link rate": still})
    assert verdict.candidates == () and verdict.kind == "unexplained"
