"""The discrepancy of residuals: known scales come back, pairs left out are covered."""

from __future__ import annotations

from math import exp, log
from pathlib import Path

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.run import Discrepancy, Scale
from hetsim.run._discrepancy import KINDS
from hetsim.spec._check import build
from hetsim.spec._yaml import parse_yaml
from hetsim.validate import validate
from hetsim.validate._common_part import correlations, mixtures
from hetsim.validate._discrepancy import estimate, scales_of
from hetsim.validate._inside import inside_of, interval_of
from hetsim.validate._intervals import discrepancy_yaml
from hetsim.validate._job import Prediction
from hetsim.validate._residuals import Residual, residuals_of
from hetsim.validate._score import METRICS, Outcome, Pair
from hetsim.validate._table import Row


def residual(log_ratio: float, pair: str = "d / m", **changes) -> Residual:
    made = Residual(
        metric="tpot",
        pair=pair,
        mode="aggregated",
        evidence="own",
        load="flowing",
        log_ratio=log_ratio,
        spread=0.05,
        row_id="r",
        engine="vllm",
        layout=("1", "1", "1", "1"),
        offered=("100", "100", "closed_loop"),
        users_per_device=4.0,
    )
    return made._replace(**changes)


def drawn(scale: float, rows: int = 60, pairs: int = 20, seed: int = 1) -> list[Residual]:
    rng = np.random.default_rng(seed)
    made = []
    for number in range(pairs):
        for value in np.hypot(scale, 0.05) * rng.standard_normal(rows):
            row = f"r{len(made)}"
            made.append(residual(float(value), f"d{number} / m", row_id=row, offered=(row,)))
    return made


def test_metrics_have_the_same_names_in_runs_and_tables() -> None:
    assert METRICS == KINDS


def test_a_known_scale_comes_back_beyond_the_parameters() -> None:
    found = scales_of(drawn(0.2))[0]
    # Student's t at few degrees of freedom is wider than its scale.
    assert found.scale == pytest.approx(0.2, rel=0.12) and found.dof >= 10
    assert found.within_half == pytest.approx(0.67 * np.hypot(0.2, 0.05), rel=0.15)
    narrow = scales_of([item._replace(spread=0.3) for item in drawn(0.1)])[0]
    assert narrow.scale == 0.0


def test_pairs_that_were_left_out_are_covered() -> None:
    (found,) = estimate(drawn(0.2)).coverage
    assert found.pairs == 20 and found.rows == 1200
    assert found.by_row == pytest.approx((0.5, 0.8, 0.95), abs=0.03)
    assert found.parameters_only[1] < 0.4


def test_pairs_of_few_rows_count_as_much_as_those_of_many() -> None:
    known = drawn(0.05, rows=200, pairs=20)
    strange = [
        item._replace(pair=f"other {item.pair}") for item in drawn(0.6, rows=4, pairs=20, seed=5)
    ]
    (found,) = estimate([*known, *strange]).coverage
    assert found.by_pair[1] == pytest.approx(0.8, abs=0.04)
    assert found.by_row[1] > 0.95  # 4,000 of 4,080 rows are of pairs that are known well


def test_nobody_is_scored_by_his_own_pair() -> None:
    calm, wild = drawn(0.05, pairs=9), drawn(1.0, pairs=1, seed=3)
    wild = [item._replace(pair="wild / m") for item in wild]
    found = estimate([*calm, *wild])
    assert found.without["wild / m"].metrics["tpot"][0].scale < 0.1
    assert found.found.metrics["tpot"][0].scale > found.without["wild / m"].metrics["tpot"][0].scale


def test_situations_need_rows_and_pairs_of_their_own() -> None:
    apart = [item._replace(mode="disaggregated") for item in drawn(0.5, rows=10, pairs=6, seed=2)]
    few = [item._replace(mode="disaggregated") for item in drawn(0.5, rows=10, pairs=2, seed=2)]
    queued = [item._replace(load="queued") for item in drawn(0.8, rows=10, pairs=6, seed=4)]

    def words(items: list[Residual]) -> list[tuple[str, str, str]]:
        return [(one.mode, one.evidence, one.load) for one in scales_of(items)]

    base = drawn(0.1)
    assert words([*base, *few]) == [("", "", ""), ("aggregated", "", "")]
    assert ("disaggregated", "", "") in words([*base, *apart])
    assert words([*base, *queued])[-1] == ("", "", "queued")
    # A queue's rows move no other scale.
    assert scales_of([*base, *queued])[0] == scales_of(base)[0]


def test_what_designs_have_in_common_is_read_off_differences() -> None:
    rng = np.random.default_rng(5)
    model = dict(zip(range(6), 0.2 * rng.standard_normal(6), strict=True))
    device = dict(zip(range(6), 0.1 * rng.standard_normal(6), strict=True))
    made = []
    for d in range(6):
        for m in range(6):
            for engine, shift in (("vllm", 0.0), ("sglang", 0.0)):
                for layout in "1248":
                    value = model[m] + device[d] + shift + 0.02 * rng.standard_normal()
                    made.append(
                        residual(value, f"d{d} / m{m}", engine=engine, layout=(layout, "", "", ""))
                    )
    found = mixtures(made)["tpot"]
    assert found.common > 0.4 > found.device > found.engine
    assert found.layout < 0.1
    # Rows that show nothing of what they share promise nothing.
    alone = mixtures([residual(0.1), residual(0.2)])["tpot"]
    assert alone.layout == 1.0


def test_correlations_survive_wild_rows() -> None:
    rng = np.random.default_rng(6)
    made = []
    for number in range(400):
        a = rng.standard_normal()
        b = 0.6 * a + 0.8 * rng.standard_normal() + (50.0 if number % 40 == 0 else 0.0)
        made.append(residual(a, row_id=str(number)))
        made.append(residual(b, row_id=str(number), metric="ttft"))
    assert correlations(made)["tpot/ttft"] == pytest.approx(0.6, abs=0.1)


def test_a_file_says_what_was_found() -> None:
    found = estimate(drawn(0.2))
    data, _ = parse_yaml(discrepancy_yaml(found, "2026-11-24", "some rows"))
    known = ("date", "source", "metrics", "correlation", "shared")
    again = build(Discrepancy, {key: data[key] for key in known})
    assert again.metrics == found.found.metrics and again.source == "some rows"
    assert data["held_out"][0]["by_row"] == [round(v, 3) for v in found.coverage[0].by_row]


def outcome(measured: float, mode: str = "agg", grade: str = "fitted", **values: str) -> Outcome:
    row = Row("serving", "r", {"accelerator": "H100", "model": "m", "mode": mode, **values})
    found = Prediction(tpot_ms=10.0, ttft_ms=100.0, grade=grade)
    samples = {"tpot": tuple(10.0 * exp(x) for x in np.linspace(-0.1, 0.1, 11))}
    return Outcome(row, "ok", "", found, {"tpot": Pair(10.0, measured)}, samples)


def test_an_interval_holds_samples_and_discrepancy() -> None:
    like = {"dof": 30.0, "within_half": 0.1, "rows": 1, "pairs": 1}
    apart = Scale(mode="disaggregated", scale=1.0, **like)
    known = Discrepancy(
        metrics={"tpot": (Scale(scale=0.3, **like), apart)}, correlation={}, shared={}
    )
    one = outcome(14.0)
    bare = [log(v / 10.0) for v in interval_of(one, "tpot", None, 0.8)]
    wide = [log(v / 10.0) for v in interval_of(one, "tpot", known, 0.8)]
    # Samples are even on a fifth; 1.310 is Student's 90 % quantile.
    assert bare == pytest.approx([-0.088, 0.088], abs=0.01)
    assert wide == pytest.approx([-0.4, 0.4], abs=0.02)
    other = interval_of(outcome(14.0, mode="disagg"), "tpot", known, 0.8)
    assert other[1] > exp(wide[1]) * 10.0
    assert inside_of([one], lambda _: known, 0.8)["tpot"] == 1.0
    assert inside_of([one], lambda _: None, 0.8)["tpot"] == 0.0
    assert inside_of([one], lambda _: known, 0.8)["ttft"] is None


def test_a_queue_that_rules_a_ttft_has_a_residual_of_its_own() -> None:
    burst = outcome(11.0, load_type="burst_all_at_once", ttft_ms_mean="200")
    found = {item.metric: item for item in residuals_of([burst])}
    assert found["ttft"].load == "queued" and found["ttft"].log_ratio == pytest.approx(log(2.0))
    assert found["tpot"].spread == pytest.approx(0.16 / 2.563, rel=0.02)
    plain = outcome(11.0, load_type="static_batch", ttft_ms_mean="200")
    assert [item.metric for item in residuals_of([plain])] == ["tpot"]


def test_cross_fitted_rows_make_a_file_and_others_do_not(table, tmp_path: Path) -> None:
    slow = {"accelerator": "A100-SXM-80GB", "ttft_ms_mean": "200", "tpot_ms_mean": "30"}
    path = table({}, {"concurrency": "8"}, slow, {**slow, "concurrency": "8"})
    with pytest.raises(ScenarioError, match="cross-fit"):
        validate([path]).write_discrepancy(tmp_path / "d.yaml", "2026-11-24")
    report = validate([path], fit_by="pair", draws=4)
    report.write_discrepancy(tmp_path / "d.yaml", "2026-11-24")
    text = (tmp_path / "d.yaml").read_text()
    assert "4 rows of 2 pairs" in text and "t.csv" in text
    assert report.to_dict()["discrepancy"]["coverage"][0]["rows"] == 4
    assert "middle 50 %, 80 %, 95 %" in report.to_text()
