"""Fitted constants into presets: numbers change, everything else stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from hetsim.cli import main
from hetsim.errors import ScenarioError
from hetsim.spec import data_root
from hetsim.validate._constants import CONSTANTS, stated
from hetsim.validate._constants_write import pair_spread, preset_text, write_constants
from hetsim.validate._crossfit import CrossFit
from hetsim.validate._refit import Fit
from hetsim.validate._score import Outcome, Pair
from hetsim.validate._table import Row

SPREAD = {"kernels": 0.12, "request_overhead": 0.16}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a folder with copies of the presets, and nothing else."""
    shutil.copytree(
        data_root("hardware_profiles") / "runtimes", tmp_path / "hardware_profiles" / "runtimes"
    )
    (tmp_path / "calibration").mkdir()
    return tmp_path


def _fit(scale: float) -> Fit:
    """Return a fit whose constants are ``scale`` times those stated, errors 5 %, uncorrelated."""
    values = {key: scale * value for key, value in stated().items()}
    apart = {a: {b: 0.0 for b in values if b != a} for a in values}
    apart["vllm.host_step_s"]["vllm.host_per_sequence_s"] = -0.5
    apart["vllm.kernel_scale_decode"]["vllm.kernel_scale_prefill"] = 0.65
    return Fit(
        constants=values,
        rse=dict.fromkeys(values, 0.05),
        correlation=apart,
        observations=10,
        pairs=("a", "b"),
    )


def _outcome(device: str, metric: str, ratio: float, grade: str = "A") -> Outcome:
    row = Row("serving", "r", {"accelerator": device, "model": "m", "grade": grade})
    return Outcome(row, "ok", "", None, {metric: Pair(ratio, 1.0)})  # type: ignore[arg-type]


def _crossed(scale: float) -> CrossFit:
    return CrossFit(
        outcomes=(),
        fit=_fit(scale),
        fitted={"a / m": 3, "b / m": 4},
        held_out={},
        linear_error=0.0,
    )


def _values(root: Path) -> dict[str, dict[str, object]]:
    folder = root / "hardware_profiles" / "runtimes"
    return {p.stem: yaml.safe_load(p.read_text("utf-8")) for p in sorted(folder.glob("*.yaml"))}


def test_only_fitted_numbers_change_and_what_is_off_stays_off(root: Path) -> None:
    before = _values(root)
    write_constants(_crossed(1.1), stated(), root, "2026-01-02")
    after = _values(root)
    moved = set()
    for name, old in before.items():
        for field, value in old.items():
            new = after[name][field]
            if field in CONSTANTS and value and name != "ideal":
                assert new == pytest.approx(1.1 * value, rel=5e-3), (name, field)
                moved.add((name, field))
            elif field not in ("rse", "correlation", "sources"):
                assert new == value, (name, field)
    assert ("vllm", "host_step_s") in moved and ("ascend_pull", "handoff_steps") in moved
    assert after["vllm"]["handoff_steps"] == 0.0 and after["ideal"] == before["ideal"]
    assert after["vllm"]["sources"]["page_tokens"] == before["vllm"]["sources"]["page_tokens"]
    assert (
        "fitted: 7 rows of public serving tables, 2 pairs"
        in after["vllm"]["sources"]["host_step_s"]
    )


def test_a_second_writing_of_the_same_fit_changes_nothing(root: Path) -> None:
    assert write_constants(_crossed(1.1), stated(), root, "2026-01-02")
    assert write_constants(_crossed(1.1), stated(), root, "2026-01-02") == ()


def test_the_record_holds_what_the_fit_found(root: Path) -> None:
    write_constants(_crossed(1.1), stated(), root, "2026-01-02")
    record = yaml.safe_load((root / "calibration" / "engines.yaml").read_text("utf-8"))
    assert record["rows_in_fit"] == {"a / m": 3, "b / m": 4}
    was = stated()["vllm.host_step_s"]
    found = record["constants"]["vllm.host_step_s"]
    assert found == {
        "value": pytest.approx(1.1 * was, rel=5e-3),
        "rse": 0.05,
        "before": pytest.approx(was, rel=5e-3),
    }


def test_errors_stated_are_those_of_a_pair_that_was_not_fitted() -> None:
    text = "rse: {host_step_s: 0.9}\ncorrelation:\n  a/b: 0.5\nsources:\n  default: x\n"
    made = yaml.safe_load(preset_text(text, "vllm", _fit(1.0), SPREAD, (1, 1)))
    assert made["rse"]["host_step_s"] == 0.05
    assert made["rse"]["kernel_scale_decode"] == 0.13  # 0.05 and 0.12 at right angles
    assert made["rse"]["request_overhead_s"] == 0.17  # 0.05 and 0.16
    # 0.65 * (0.05 / 0.13) ** 2 is below a tenth: left out; what has no spread keeps its own.
    assert made["correlation"] == {"host_step_s/host_per_sequence_s": -0.5}
    assert made["sources"] == {"default": "x"}


def test_the_spread_of_pairs_is_that_of_their_medians() -> None:
    # Medians of logs 0, 0.1, 0.2, 0.3, 0.4: absolute deviations from 0.2 have the median 0.1.
    e = 2.718281828459045
    rows = [_outcome(f"d{i}", "tpot", e ** (0.1 * i)) for i in range(5)]
    rows += [_outcome("d0", "tpot", e**0.05), _outcome("d0", "tpot", e**-0.05)]
    rows += [_outcome("d9", "tpot", 50.0, grade="C")]
    found = pair_spread(rows)
    assert found["kernels"] == pytest.approx(0.14826) and found["request_overhead"] == 0.0
    assert pair_spread([_outcome("d", "throughput", 2.0)])["kernels"] == 0.0


def test_a_folder_without_presets_is_refused_before_anything_runs(
    tmp_path: Path, table, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table({})
    with pytest.raises(ScenarioError, match="hardware_profiles/runtimes"):
        write_constants(_crossed(1.0), stated(), tmp_path, "2026-01-02")
    for words in (["--cross-fit", "pair"], []):
        with pytest.raises(SystemExit) as end:
            main(["validate", str(path), *words, "--constants", str(tmp_path)])
        assert end.value.code == 2
        assert "--constants" in capsys.readouterr().err
