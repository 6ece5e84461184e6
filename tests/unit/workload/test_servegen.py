"""Fitted clients become requests that keep their rate, burstiness and lengths."""

import json
from pathlib import Path

import numpy as np
import pytest

from hetsim.errors import ScenarioError
from hetsim.workload import ReadOptions, build_workload, read_trace, workload_spec


def entry(inputs: str, outputs: str) -> str:
    return json.dumps({"0": {"input_tokens": inputs, "output_tokens": outputs}})


def clients(folder: Path, rates=(0.5, 2.0), family="Gamma", shape=0.5) -> Path:
    for number, rate in enumerate(rates):
        rows = [f"{600 * w},{rate},1.4,{family},{shape},1.0" for w in range(40)]
        (folder / f"chunk-{number}-trace.csv").write_text("\n".join(rows) + "\n")
        entry = {"input_tokens": f"{{{10 + number}: 0.25, 20: 0.75}}", "output_tokens": "{7: 1.0}"}
        empty = {"input_tokens": "{}", "output_tokens": "{}"}
        (folder / f"chunk-{number}-dataset.json").write_text(json.dumps({"0": entry, "600": empty}))
    return folder


@pytest.mark.parametrize(
    ("family", "shape", "cv"), [("Gamma", 0.25, 2.0), ("Weibull", 0.5, 5**0.5), ("", 0, 1.0)]
)
def test_clients_keep_their_rate_and_burstiness(family, shape, cv, tmp_path):
    table = read_trace(clients(tmp_path, (4.0,), family, shape))
    gaps = np.diff(table.arrival_s)
    assert table.format == "servegen"
    assert len(table) / (40 * 600) == pytest.approx(4.0, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.08)
    assert set(table.isl.tolist()) == {10, 20}
    assert np.mean(table.isl == 20) == pytest.approx(0.75, abs=0.01)


def test_clients_are_sampled_by_seed_client_and_window(tmp_path):
    folder = clients(tmp_path)
    whole, part = read_trace(folder), read_trace(folder, limit=500)
    assert (whole.arrival_s[:500] == part.arrival_s).all()
    late = read_trace(folder, options=ReadOptions(window_s=(6000.0, 7500.0)))
    inside = (whole.arrival_s >= 6000) & (whole.arrival_s < 7500)
    assert late.isl.tolist() == whole.isl[inside].tolist()
    assert np.allclose(late.arrival_s, whole.arrival_s[inside] - 6000)
    other = read_trace(folder, options=ReadOptions(seed=1), limit=500)
    assert not (other.arrival_s == part.arrival_s).any()
    spec = {"kind": "trace", "path": str(folder), "window": {"start": "6000 s", "end": "7500 s"}}
    assert build_workload(workload_spec(spec), 0).table.isl.tolist() == late.isl.tolist()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("chunk-0-trace.csv", "0,1,1,Gamma,1\n", "1: has 5 columns"),
        ("chunk-0-trace.csv", "0,-1,1,Gamma,1,1\n", "1: rate must be at least 0"),
        ("chunk-0-trace.csv", "0,nan,1,Gamma,1,1\n", "1: rate must be a finite"),
        ("chunk-0-trace.csv", "0,1,1,Gauss,1,1\n", "1: family must be"),
        ("chunk-0-trace.csv", "0,1,1,Gamma,0,1\n", "1: shape must lie"),
        ("chunk-0-trace.csv", "600,1,1,,,\n0,1,1,,,\n", "2: window start 0 does not come after"),
        ("chunk-0-trace.csv", "", "holds no window"),
        ("chunk-0-trace.csv", "0,1e6,1,,,\n", "give a window .* or a limit"),
        ("chunk-0-dataset.json", "{", "is not JSON"),
        ("chunk-0-dataset.json", "[]", "object of windows"),
        ("chunk-0-dataset.json", "{}", "no lengths"),
        ("chunk-0-dataset.json", '{"0": 3}', "must hold input_tokens"),
        ("chunk-0-dataset.json", entry("{1: x}", "{}"), "must be a text"),
        ("chunk-0-dataset.json", entry("{0: 1.0}", "{1: 1}"), "from 1 on"),
        ("chunk-0-dataset.json", entry("{1..2: 1.0}", "{1: 1}"), "input_tokens"),
    ],
)
def test_wrong_client_files_are_told(file, text, message, tmp_path):
    clients(tmp_path, (1.0,))
    (tmp_path / file).write_text(text)
    with pytest.raises(ScenarioError, match=message) as caught:
        read_trace(tmp_path)
    assert len(str(caught.value)) < 2000


def test_a_client_without_its_other_file_is_told(tmp_path):
    clients(tmp_path, (1.0,))
    (tmp_path / "chunk-0-dataset.json").unlink()
    with pytest.raises(ScenarioError, match=r"holds no chunk-0-dataset\.json"):
        read_trace(tmp_path)
