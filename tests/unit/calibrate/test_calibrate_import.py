"""An import writes files that the cost models load, whole, and the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate import _forms as forms
from hetsim.calibrate import import_tables
from hetsim.calibrate._write import publish
from hetsim.costs import load_calibration, read_calibration_file
from hetsim.errors import ScenarioError
from hetsim.hardware import get_accelerator

DATE = "2026-11-24"
TRUTH = {"t0_us": 4.0, "e_c": 0.8, "e_m": 0.9, "p": 3.0}


def _write(root: Path, where: str, table: pd.DataFrame) -> None:
    path = root / where
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path)


def _gemms(root: Path) -> None:
    sizes = [1024.0, 2048.0, 4096.0, 8192.0, 16384.0]
    axes = np.meshgrid([1.0, 16.0, 128.0, 1024.0, 4096.0], sizes, sizes, indexing="ij")
    m, n, k = (axis.ravel() for axis in axes)
    moved = 2.0 * (n * k + m * k + m * n)
    seconds = forms.gemm_s(TRUTH, m, n, k, moved, 989e12, 3.35e12)
    table = {"gemm_dtype": "bfloat16", "m": m, "n": n, "k": k, "latency": seconds * 1e3}
    _write(root, "h100_sxm/gemm/vllm/1.0/gemm_perf.parquet", pd.DataFrame(table))


def _all_reduces(root: Path) -> None:
    elements = 2.0 ** np.arange(11, 29)
    seconds = forms.collective_s([(3.0, 50e9), (9.0, 200e9)], 2.0 * elements)
    table = {
        "nccl_dtype": "half",
        "op_name": "all_reduce",
        "num_gpus": 8,
        "message_size": elements,
        "latency": seconds * 1e3,
    }
    _write(root, "h100_sxm/comm/nccl/1.0/nccl_perf.parquet", pd.DataFrame(table))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tables")
    _gemms(root)
    _all_reduces(root)
    return root


def _import(tables: Path, out: Path, accelerators: tuple[str, ...] = ("h100-sxm",)):
    return import_tables(
        "aiconfigurator",
        out=out,
        date=DATE,
        accelerators=accelerators,
        roots={"aiconfigurator": tables},
    )


@pytest.fixture(scope="module")
def imported(tables: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("calibration")
    _import(tables, out)
    return out


def test_the_file_loads_back_with_the_parameters_that_made_the_data(imported: Path) -> None:
    file = read_calibration_file(imported / "h100-sxm" / f"{DATE}.yaml")
    line = file.operators["gemm"]["bf16"]
    for name, value in TRUTH.items():
        assert getattr(line, name) == pytest.approx(value, rel=0.05), name
    assert line.grade == "fitted"
    assert line.points == 125
    assert line.p90_error_ratio is not None
    assert line.p90_error_ratio < 0.05
    pieces = file.collectives["all_reduce"]["8"]
    assert [round(piece.t0_us) for piece in pieces] == [3, 9]


def test_the_shaped_entry_is_complete_by_itself(imported: Path) -> None:
    file = read_calibration_file(imported / "h100-sxm" / f"{DATE}.yaml")
    shaped = file.operators["gemm"]["bf16"].shaped
    assert shaped is not None
    names = ("t0_us", "e_c", "e_m", "p", "m0", "n0", "k0", "walk_ps")
    values = {name: getattr(shaped, name) for name in names}
    moved = 2.0 * (8192 * 8192 + 2 * 64 * 8192)
    made = float(forms.gemm_s(values, 64.0, 8192.0, 8192.0, moved, 989e12, 3.35e12))
    true = float(forms.gemm_s(TRUTH, 64.0, 8192.0, 8192.0, moved, 989e12, 3.35e12))
    assert made == pytest.approx(true, rel=0.03)


def test_importing_twice_changes_nothing(tables: Path, imported: Path) -> None:
    before = {path: path.read_bytes() for path in sorted(imported.rglob("*")) if path.is_file()}
    report = _import(tables, imported)
    after = {path: path.read_bytes() for path in sorted(imported.rglob("*")) if path.is_file()}
    assert report.changed == ()
    assert before == after


def test_nothing_is_written_if_one_device_fails(tables: Path, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no table of 'gaudi3'"):
        _import(tables, tmp_path, ("h100-sxm", "gaudi3"))
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_date_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="is not a date"):
        import_tables("aiconfigurator", out=tmp_path, date="24.11.2026")


def test_the_page_keeps_the_sections_of_other_devices(tables: Path, tmp_path: Path) -> None:
    page = tmp_path / "KERNELS.md"
    page.write_text("# old head\n\n## a-device\n\nkept as it is\n\n## h100-sxm\n\nreplaced\n")
    _import(tables, tmp_path)
    text = page.read_text()
    assert "kept as it is" in text
    assert "replaced" not in text
    assert text.index("## a-device") < text.index("## h100-sxm")
    assert "| gemm | bf16 | plain | 125 | 25 |" in text


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.yaml"
    publish(path, "old")

    def broken(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        publish(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["file.yaml"]
    assert path.read_text() == "old"


def test_published_files_load_and_state_held_back_errors(repo: Path) -> None:
    files = sorted((repo / "calibration").glob(f"*/{DATE}.yaml"))
    if not files:
        pytest.skip("no imported calibration files")
    for path in files:
        file = read_calibration_file(path)
        assert file.accelerator == path.parent.name
        load_calibration(get_accelerator(path.parent.name))
        for kind, formats in file.operators.items():
            for fmt, line in formats.items():
                where = f"{path.parent.name} {kind} {fmt}"
                if line.grade == "measured":
                    continue
                entries = [line] + ([line.shaped] if line.shaped else [])
                errors = [entry.median_error_ratio or 1.0 for entry in entries]
                assert min(errors) <= 0.35, where
                assert line.grade == "fitted", where
