"""What the model leaves out: which scale a run has, how factors move figures, what is shared."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest

from hetsim.run import (
    Discrepancy,
    Mixture,
    Scale,
    load_discrepancy,
    moved_figures,
    no_discrepancy,
    run_loaded,
    with_uncertainty,
)
from hetsim.run._discrepancy import KINDS
from hetsim.scenario import load_scenario

_LIKE = {"dof": 30.0, "within_half": 0.1, "rows": 100, "pairs": 10}


def scale(size: float, **words: str) -> Scale:
    return Scale(scale=size, **{**_LIKE, **words})


def known(size: float = 0.1, **shared: Mixture) -> Discrepancy:
    return Discrepancy(
        metrics={name: (scale(size),) for name in KINDS}, correlation={}, shared=shared
    )


def test_the_most_special_scale_counts() -> None:
    found = Discrepancy(
        metrics={
            "ttft": (
                scale(0.1),
                scale(0.2, mode="disaggregated"),
                scale(0.3, mode="disaggregated", evidence="borrowed"),
                scale(0.4, load="queued"),
            )
        },
        correlation={},
        shared={},
    )

    def at(mode: str, evidence: str, load: str) -> float:
        where = {"mode": mode, "evidence": evidence, "load": load}
        return found.at(where)["ttft"].scale

    assert at("aggregated", "own", "flowing") == 0.1
    assert at("disaggregated", "own", "flowing") == 0.2
    assert at("disaggregated", "borrowed", "flowing") == 0.3
    assert at("disaggregated", "own", "queued") == 0.4


def test_factors_are_symmetric_in_the_logarithm_and_heavy_tailed() -> None:
    scores = np.repeat(np.array([[-1.2816], [0.0], [1.2816]]), 3, axis=1)
    low, middle, high = known(0.2).factors({}, scores)["tpot"]
    # 1.310 is the 90 % quantile of Student's t with 30 degrees of freedom.
    assert middle == pytest.approx(1.0)
    assert high == pytest.approx(exp(0.2 * 1.310), rel=1e-3)
    assert low * high == pytest.approx(1.0)
    heavy = Discrepancy(
        metrics={"tpot": (Scale(scale=0.2, **{**_LIKE, "dof": 2.0}),)}, correlation={}, shared={}
    )
    assert heavy.factors({}, scores)["tpot"][2] > high
    # One draw in a million says no more than one in eighty.
    wild = heavy.factors({}, np.full((2, 3), [[2.5] * 3, [6.0] * 3]))["tpot"]
    assert wild[0] == wild[1]


def test_metrics_go_together_as_stated() -> None:
    found = Discrepancy(metrics={}, correlation={"tpot/throughput": -0.6}, shared={})
    drawn = np.random.default_rng(1).standard_normal((20_000, 3))
    matrix = np.corrcoef(found.normals(drawn).T)
    assert matrix[0, 2] == pytest.approx(-0.6, abs=0.02)
    assert matrix[0, 1] == pytest.approx(0.0, abs=0.02)


def test_what_is_shared_cancels_between_two_designs() -> None:
    half = Mixture(common=0.5, device=0.25, engine=0.0, layout=0.25)
    found = known(0.1, tpot=half, ttft=half, throughput=half)
    rng = np.random.default_rng(2)
    common, device, engine = (rng.standard_normal((20_000, 3)) for _ in range(3))

    def design() -> np.ndarray:
        own = rng.standard_normal((20_000, 3))
        parts = {"common": common, "device": device, "engine": engine, "layout": own}
        return found.mixed(parts)[:, 0]

    first, second = design(), design()
    assert np.var(first) == pytest.approx(1.0, abs=0.03)
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.75, abs=0.02)


def test_without_a_statement_nothing_is_shared() -> None:
    parts = {name: np.ones((1, 3)) for name in ("common", "device", "engine", "layout")}
    assert known().mixed(parts).tolist() == [[1.0, 1.0, 1.0]]


def test_the_committed_file_is_read_and_says_where_it_is_from() -> None:
    found = load_discrepancy()
    assert set(found.metrics) == set(KINDS)
    assert "rows" in found.source and found.date
    for mixture in found.shared.values():
        assert mixture.common + mixture.device + mixture.engine + mixture.layout == pytest.approx(1)
    for scales in found.metrics.values():
        assert all(one.scale > 0 and one.dof >= 2 and one.pairs >= 5 for one in scales)


@pytest.fixture(scope="module")
def loaded():
    return load_scenario("colocated_baseline", sets=["workload.requests=60"])


def test_figures_move_with_their_factor(loaded) -> None:
    result = run_loaded(loaded)
    base = result.summary
    factors = {"ttft": np.array([2.0]), "tpot": np.array([3.0]), "throughput": np.array([0.5])}
    full = moved_figures(result, factors, arrivals_given=False)
    assert full["ttft_s.p99"][0] == pytest.approx(2.0 * base["ttft_s"]["p99"])
    assert full["itl_s.mean"][0] == pytest.approx(3.0 * base["itl_s"]["mean"])
    assert full["throughput.req_s"][0] == pytest.approx(0.5 * base["throughput"]["req_s"])
    assert full["cost_usd_per_mtok"][0] == pytest.approx(2.0 * base["cost_usd_per_mtok"])
    # The mean end-to-end latency is the first token's, and the rest.
    first, whole = base["ttft_s"]["mean"], base["e2e_s"]["mean"]
    assert full["e2e_s.mean"][0] == pytest.approx(2.0 * first + 3.0 * (whole - first))


def test_a_system_with_room_serves_what_arrives_though_it_be_slower() -> None:
    sets = ["workload.requests=60", "workload.rate=2 req/s"]
    result = run_loaded(load_scenario("colocated_baseline", sets=sets))
    base = result.summary["throughput"]["req_s"]
    assert not result.summary["unstable"]
    pressed = result.summary["stages"]["serve"]["pressure"]
    factors = {"throughput": np.array([0.5, 1.5, 0.5 * pressed])}
    found = moved_figures(result, factors, arrivals_given=True)["throughput.req_s"]
    assert found.tolist() == pytest.approx([base, base, 0.5 * base])


def test_attainment_and_goodput_are_counted_anew(loaded) -> None:
    result = run_loaded(loaded)
    rows, slo = result.requests, result.summary["slo"]
    rows = rows[rows["measured"]]
    factor = 0.999 * slo["tpot_s"] / float(np.nanmedian(rows["tpot_s"]))
    found = moved_figures(result, {"tpot": np.array([1.0, factor])}, arrivals_given=True)
    wanted = float((~(rows["tpot_s"] * factor > slo["tpot_s"])).mean())
    assert 0.3 < wanted < 0.7
    assert found["slo_attainment"].tolist() == [1.0, pytest.approx(wanted)]
    assert found["goodput_req_s"][0] == pytest.approx(result.summary["goodput_req_s"])
    assert found["goodput_req_s"][1] == pytest.approx(wanted * found["goodput_req_s"][0])


def test_intervals_widen_and_say_what_of(loaded) -> None:
    alone = with_uncertainty(loaded, 6, discrepancy=no_discrepancy()).summary["uncertainty"]
    both = with_uncertainty(loaded, 6, discrepancy=known(0.3)).summary["uncertainty"]
    again = with_uncertainty(loaded, 6, discrepancy=known(0.3)).summary["uncertainty"]
    assert both == again
    # The parameters were drawn alike, and without a discrepancy there is nothing else.
    assert alone["parameters"] == both["parameters"]
    assert alone["intervals"]["ttft_s.p50"] == pytest.approx(alone["parameters"]["ttft_s.p50"])
    for name in ("ttft_s.p50", "tpot_s.p99", "e2e_s.mean"):
        inner, outer = both["parameters"][name], both["intervals"][name]
        assert outer[0] < inner[0] < inner[1] < outer[1]
        assert 0.5 < both["discrepancy_share"][name] < 1.0
    assert set(both["discrepancy"]["scales"]) == set(KINDS)
    # Figures of a single stage have no measured counterpart.
    stage = next(name for name in both["intervals"] if name.endswith(".mfu"))
    assert both["intervals"][stage] == both["parameters"][stage]
    assert stage not in both["discrepancy_share"]


def test_the_plain_run_knows_nothing_of_it(loaded) -> None:
    assert "uncertainty" not in run_loaded(loaded).summary
