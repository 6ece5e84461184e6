"""Samples of synthetic kernels of known cost, clean and spoilt, to a calibration that runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate import fit_samples
from hetsim.calibrate._measured_write import residual_tables
from hetsim.calibrate._samples import clean_samples, read_samples
from hetsim.calibrate.measure import COLUMNS, get_family
from hetsim.costs import load_calibration, read_calibration_file
from hetsim.errors import ScenarioError
from hetsim.hardware import load_accelerator_file

PROFILE = """\
name: synthetic-1t
title: "one thread of an imaginary CPU"
vendor: nobody
family: zen
status: shipping
confidence: low
native_formats: [fp32, bf16]
peaks: {fp32: 0.2 TFLOP/s, bf16: 0.4 TFLOP/s}
memory: {kind: measured, size: 16 GB, bandwidth: 40 GB/s}
scale_up: {link: none, topology: none}
sources:
  default: {keys: [HSM], date: "2026-01-02", grade: derived}
doubts: ["imaginary"]
"""
PEAK, BANDWIDTH = {"bf16": 4e11, "fp32": 2e11}, 4e10
E_C, E_M, T0, P = 0.5, 0.25, 5e-6, 2.0


def true_s(kind: str, fmt: str, flops: float, moved: float) -> float:
    """Return the cost of a synthetic kernel: the equation of the design, with known constants."""
    peak = PEAK.get(fmt, PEAK["bf16"])
    if kind in ("gemm", "grouped_gemm"):
        return T0 + ((flops / (peak * E_C)) ** P + (moved / (BANDWIDTH * E_M)) ** P) ** (1 / P)
    if kind == "attention_prefill":
        return T0 + flops / (peak * 0.1)
    if kind == "attention_decode":
        return T0 + flops / (peak * 0.01) + moved / (BANDWIDTH * E_M)
    return T0 + moved / (BANDWIDTH * E_M)


def samples(
    families: tuple[str, ...] = ("gemm", "attention_prefill", "attention_decode", "convert"),
    noise: float = 0.03,
    rounds: int = 3,
    distort: dict[float, float] | None = None,
) -> pd.DataFrame:
    """Return samples as a measurement writes them; ``distort`` multiplies the times of some m."""
    rng = np.random.default_rng(3)
    rows: list[dict[str, Any]] = []
    for family in families:
        for at in get_family(family).points(True):
            if at.provider != "torch" or at.format not in ("bf16", "fp32", "bf16_to_int8", "any"):
                continue
            base = true_s(at.kind, at.format, at.flops, at.bytes)
            base *= (distort or {}).get(dict(at.shape).get("m", 0.0), 1.0)
            for number in range(rounds):
                for repeat in range(4):
                    rows.append(
                        {
                            **dict.fromkeys(COLUMNS, float("nan")),
                            **dict(at.shape),
                            **{"family": family, "kind": at.kind, "format": at.format},
                            **{"provider": at.provider, "op": at.op, "point": at.key},
                            **{"role": "", "round": number, "repeat": repeat},
                            **{"flops": at.flops, "bytes": at.bytes},
                            "time_s": base * float(np.exp(noise * rng.standard_normal())),
                            **{"outlier": False, "round_moved": False},
                        }
                    )
    return pd.DataFrame(rows)


def write(folder: Path, table: pd.DataFrame, name: str = "samples-2026-01-02") -> Path:
    (folder / "accelerator").mkdir(parents=True, exist_ok=True)
    (folder / "accelerator" / "synthetic-1t.yaml").write_text(PROFILE)
    table.to_parquet(folder / f"{name}.parquet", index=False)
    device = {"name": "synthetic-1t", "torch": "9.9", "clock": "cpu", "cache_bytes": 1e6}
    manifest = {"date": "2026-01-02", "device": device}
    (folder / f"{name}.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.slow
def test_known_constants_are_found_and_runs_use_them(tmp_path: Path) -> None:
    root = tmp_path / "calibration"
    families = ("gemm", "attention_prefill", "attention_decode", "convert", "launch", "sample")
    made = fit_samples([write(root / "synthetic-1t", samples(families))])
    assert made.verdict == "good" and not made.missed()
    by_kind = {(k.kind, k.format): k for k in made.kernels}
    found = by_kind["gemm", "bf16"].plain
    assert found is not None
    assert found.parameters["e_c"] == pytest.approx(E_C, rel=0.05)
    assert found.parameters["e_m"] == pytest.approx(E_M, rel=0.08)
    assert 0.0 < found.standard_error["e_c"] < 0.1
    assert found.correlation["e_c/e_m"] != 0.0
    for key in (("gemm", "bf16"), ("gemm", "fp32"), ("attention_prefill", "bf16")):
        error = by_kind[key].error
        assert error is not None and error[0] < 0.05
    assert made.path is not None
    file = read_calibration_file(made.path)
    assert file.operators["gemm"]["bf16"].grade == "measured"
    assert set(file.host) == {"launch_host_us", "launch_device_us"}
    assert set(file.operators["sample"]) == {"argmax", "top_k_draw"}
    (root / "families.yaml").write_bytes(Path("calibration/families.yaml").read_bytes())
    device = load_accelerator_file(root / "synthetic-1t" / "accelerator" / "synthetic-1t.yaml")
    used = load_calibration(device, root).operator("gemm", "bf16")
    assert used.grade == "measured"
    assert used.measured == (1.0, 512.0)


def test_the_same_samples_give_the_same_bytes(tmp_path: Path) -> None:
    table = samples(("attention_prefill", "convert"))
    one = fit_samples([write(tmp_path / "a", table)])
    other = fit_samples([write(tmp_path / "b", table.sample(frac=1.0, random_state=1))])
    assert one.path is not None and other.path is not None
    assert one.path.read_text() == other.path.read_text()


def test_a_library_that_changes_its_kernel_with_m_gets_a_table(tmp_path: Path) -> None:
    bumpy = {1.0: 0.5, 4.0: 1.8, 16.0: 1.6, 64.0: 0.7}
    made = fit_samples([write(tmp_path, samples(("gemm",), distort=bumpy))])
    kernel = next(k for k in made.kernels if (k.kind, k.format) == ("gemm", "bf16"))
    assert kernel.form == "table" and kernel.table is not None
    assert kernel.error is not None and kernel.plain is not None
    assert kernel.error[0] < kernel.plain.median_out
    assert list(kernel.table.s_per_weight) == sorted(kernel.table.s_per_weight)
    assert "table: {m: [1, 4, 16, 64, 256, 512]" in (tmp_path / "2026-01-02.yaml").read_text()


def test_bad_readings_are_left_out_and_counted_by_reason(tmp_path: Path) -> None:
    table = samples(("gemm",))
    table.loc[0, "time_s"] = float("nan")
    table.loc[1, "time_s"] = float("inf")
    table.loc[2:4, "time_s"] = [0.0, -1.0, 0.0]
    table.loc[24:26, "outlier"] = True
    keys = list(dict.fromkeys(table["point"]))
    last = table["point"] == keys[-1]
    table.loc[last, "time_s"] = 1e-9  # far beyond any peak
    lonely = table.index[table["point"] == keys[5]][2:]
    made = fit_samples([write(tmp_path, table.drop(index=lonely))])
    counts: dict[str, int] = {}
    for kernel in made.kernels:
        for reason, number in kernel.dropped.items():
            counts[reason] = counts.get(reason, 0) + number
    assert counts == {
        "not a number": 2,
        "not positive": 3,
        "outlier": 3,
        "too few readings": 2,
        "point beyond peak": 1,
    }
    assert "point beyond peak 1" in (tmp_path / "FIT.md").read_text()


def test_moved_rounds_are_left_out_and_fewer_than_three_are_inconclusive(tmp_path: Path) -> None:
    table = samples(("gemm",))
    table.loc[table["round"] == 1, "time_s"] *= 3.0
    table.loc[table["round"] == 1, "round_moved"] = True
    made = fit_samples([write(tmp_path, table)])
    assert made.verdict == "inconclusive"
    assert "1 of them moved, 2 good: inconclusive" in (tmp_path / "2026-01-02.yaml").read_text()
    found = next(k for k in made.kernels if (k.kind, k.format) == ("gemm", "bf16")).plain
    assert found is not None and found.parameters["e_c"] == pytest.approx(E_C, rel=0.05)


def test_a_round_that_was_cut_short_is_not_a_good_one(tmp_path: Path) -> None:
    folder = write(tmp_path, samples(("convert",)))
    manifest = folder / "samples-2026-01-02.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**said, "complete_rounds": [0, 1]}))
    raw, manifests = read_samples([folder])
    assert clean_samples(raw, manifests).verdict == "inconclusive"


def test_nothing_usable_is_refused_with_the_reasons(tmp_path: Path) -> None:
    table = samples(("gemm",))
    table["round_moved"] = True
    with pytest.raises(ScenarioError, match=r"no usable samples: round moved \d+"):
        fit_samples([write(tmp_path, table)])
    assert not list(tmp_path.glob("*.yaml")), "nothing is written"


def test_too_few_points_are_refused_by_kind(tmp_path: Path) -> None:
    table = samples(("gemm", "convert"))
    few = list(dict.fromkeys(table[table["kind"] == "gemm"]["point"]))[:5]
    table = table[(table["kind"] != "gemm") | table["point"].isin(few)]
    made = fit_samples([write(tmp_path, table)])
    assert {k.form for k in made.kernels if k.kind == "gemm"} == {"none"}
    assert "gemm: not measured in bf16" in made.missed()
    assert "gemm" not in read_calibration_file(tmp_path / "2026-01-02.yaml").operators


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "x.parquet").write_text("no table"), "is no table of samples"),
        (lambda folder: (folder / "x.parquet").unlink(), "does not exist"),
    ],
)
def test_files_that_are_no_samples_are_refused(tmp_path: Path, spoil: Any, said: str) -> None:
    (tmp_path / "x.parquet").touch()
    spoil(tmp_path)
    with pytest.raises(ScenarioError, match=said):
        read_samples([tmp_path / "x.parquet"])


def test_missing_columns_and_mixed_devices_are_all_named(tmp_path: Path) -> None:
    write(tmp_path / "a", samples(("convert",)).drop(columns=["time_s", "op"]))
    with pytest.raises(ScenarioError) as caught:
        read_samples([tmp_path / "a"])
    assert {"column 'time_s'", "column 'op'"} == {
        problem.message.rsplit(" is", 1)[0] for problem in caught.value.problems
    }
    for name in ("b", "c"):
        write(tmp_path / name, samples(("convert",)))
    manifest = tmp_path / "c" / "samples-2026-01-02.json"
    manifest.write_text(manifest.read_text().replace("synthetic-1t", "another"))
    with pytest.raises(ScenarioError, match="different devices: another, synthetic-1t"):
        read_samples([tmp_path / "b", tmp_path / "c"])


def test_an_unknown_provider_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="there is: torch"):
        fit_samples([write(tmp_path, samples(("convert",)))], provider="magic")


def test_a_table_of_an_earlier_day_adds_rounds(tmp_path: Path) -> None:
    write(tmp_path, samples(("convert",), rounds=2))
    write(tmp_path, samples(("convert",), rounds=2), "samples-2026-01-01")
    raw, manifests = read_samples([tmp_path])
    assert clean_samples(raw, manifests).rounds == 4


@pytest.mark.slow
def test_residuals_are_those_of_held_back_shapes(tmp_path: Path) -> None:
    made = fit_samples([write(tmp_path, samples(("gemm", "convert")))], plot=tmp_path / "plots")
    tables = residual_tables(made.kernels)
    label, table = tables["gemm"][0]
    assert label.startswith("bf16 torch")
    assert (table["predicted_s"] / table["time_s"]).between(0.8, 1.25).all()
    assert [path.name for path in sorted((tmp_path / "plots").iterdir())] == [
        "residuals-convert.png",
        "residuals-gemm.png",
    ]
