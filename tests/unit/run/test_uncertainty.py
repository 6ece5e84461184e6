"""Intervals come from sampled calibrations: they hold the nominal value and repeat exactly."""

from __future__ import annotations

from hetsim.run import with_uncertainty
from hetsim.scenario import load_scenario


def test_intervals_hold_the_nominal_value_and_are_reproducible():
    loaded = load_scenario("colocated_baseline", sets=["workload.requests=40"])
    first = with_uncertainty(loaded, 8).summary
    again = with_uncertainty(loaded, 8).summary
    found = first["uncertainty"]
    assert found == again["uncertainty"] and found["samples"] == 8
    low, high = found["intervals"]["tpot_s.mean"]
    assert 0 < low < high
    assert 0.6 * low < first["tpot_s"]["mean"] < 1.6 * high
    # Lengths are the same in every sample: only times move.
    assert "requests.arrived" not in found["intervals"]
