"""Links of known cost are found; real ones move their bytes, resume, and are left out if absent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hetsim.calibrate.links import (
    LinkOptions,
    Setting,
    fit_links,
    get_link_kind,
    link_kinds,
    measure_links,
)
from hetsim.calibrate.links import _run as run_module
from hetsim.calibrate.links._fit import link_seconds
from hetsim.calibrate.measure._statistics import Effort
from hetsim.errors import ScenarioError
from hetsim.spec._yaml import read_yaml

TRUE = (20e-6, 5e-6, 1 / 4e9, 1 / 4e9)
TINY = LinkOptions(
    quick=True,
    rounds=2,
    largest_bytes=1 << 16,
    effort=Effort(least=3, most=3, visit_s=0.1, tight=1.0),
)


def samples(noise: float = 0.03, knee: float = 0.0, beyond: float = 1 / 4e9) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    pairs = [(1 << power, 1) for power in range(12, 29, 2)]
    pairs += [(1 << 24, pieces) for pieces in (16, 256, 1024)]
    rows = []
    for number in range(3):
        for size, pieces in pairs:
            base = float(link_seconds((*TRUE[:3], beyond), knee, size, pieces))
            for _ in range(5):
                rows.append(
                    {
                        **{"kind": "tcp", "op": "send", "bytes": size, "pieces": pieces},
                        "round": number,
                        "time_s": base * float(np.exp(noise * rng.standard_normal())),
                        **{"outlier": False, "round_moved": False},
                    }
                )
    return pd.DataFrame(rows)


def write(folder: Path, table: pd.DataFrame) -> Path:
    table.to_parquet(folder / "links-2026-01-02.parquet", index=False)
    said = {"date": "2026-01-02", "connect_s": {"tcp": 0.5}}
    (folder / "links-2026-01-02.json").write_text(json.dumps(said))
    return folder


def test_known_constants_are_found_with_their_errors(tmp_path: Path) -> None:
    (found,) = fit_links([write(tmp_path, samples())], out=tmp_path)
    assert found.t0_s + found.s_per_piece == pytest.approx(25e-6, rel=0.06)
    assert found.s_per_piece == pytest.approx(5e-6, rel=0.1)
    assert found.s_per_byte == pytest.approx(1 / 4e9, rel=0.05)
    assert found.knee_bytes == 0.0
    assert 0.0 < found.standard_error["s_per_byte"] < 0.05
    assert "s_per_piece/s_per_byte" in found.covariance
    assert found.median_error_ratio < 0.05
    assert found.connect_s == 0.5
    assert found.seconds(1e9) == pytest.approx(0.25, rel=0.05)
    data, _ = read_yaml(tmp_path / "links" / "2026-01-02.yaml")
    assert data["links"]["tcp"]["send"]["grade"] == "measured"


def test_the_engine_of_scenarios_is_the_cold_link(tmp_path: Path) -> None:
    from hetsim.transfer import get_transfer_engine

    slow = samples().assign(op="send_cold")
    slow["time_s"] *= 2.0
    write(tmp_path, pd.concat([samples(), slow], ignore_index=True))
    hot, cold = fit_links([tmp_path], out=tmp_path)
    assert (hot.op, cold.op) == ("send", "send_cold")
    path = tmp_path / "links" / "engine-tcp.yaml"
    engine = get_transfer_engine(str(path))
    assert engine.control_s == pytest.approx(cold.t0_s, rel=1e-3)
    assert engine.post_s == pytest.approx(2.0 * TRUE[1], rel=0.1)
    assert engine.connect_s == 0.5
    found = re.search(r'network.link is "(\d+) byte/s"', path.read_text())
    assert found is not None
    assert float(found.group(1)) == pytest.approx(2e9, rel=0.05), "half of 4e9"
    assert "tcp send_cold" in engine.sources["default"]


def test_a_cache_that_ends_is_a_knee(tmp_path: Path) -> None:
    table = samples(knee=float(1 << 22), beyond=1 / 1e9)
    (found,) = fit_links([write(tmp_path, table)])
    assert found.knee_bytes == 1 << 22
    assert found.s_per_byte_beyond == pytest.approx(1 / 1e9, rel=0.05)


def test_bad_samples_are_counted_or_refused(tmp_path: Path) -> None:
    table = samples()
    table.loc[0, "time_s"] = float("nan")
    table.loc[1, "time_s"] = -1.0
    table.loc[2, "outlier"] = True
    table.loc[table["round"] == 2, ["round_moved", "time_s"]] = [True, 1.0]
    (found,) = fit_links([write(tmp_path, table)])
    moved = int((table["round"] == 2).sum())
    assert found.dropped == {
        "not a number": 1,
        "not positive": 1,
        "outlier": 1,
        "round moved": moved,
    }
    assert found.s_per_byte == pytest.approx(1 / 4e9, rel=0.05)
    with pytest.raises(ScenarioError, match="no usable samples"):
        fit_links([write(tmp_path, table[table["bytes"] < 1e5])])
    with pytest.raises(ScenarioError, match="'pieces' is missing"):
        fit_links([write(tmp_path, table.drop(columns="pieces"))])
    with pytest.raises(ScenarioError, match="holds no samples"):
        fit_links([tmp_path / "nowhere"])


class FakeLink:
    """A link whose times are exact."""

    ops = ("send",)
    connect_s = 0.25
    open_now = 0

    def __init__(self) -> None:
        FakeLink.open_now += 1
        assert FakeLink.open_now == 1, "one link at a time"

    def transfer(self, op: str, size: int, pieces: int) -> float:
        return float(link_seconds(TRUE, 0.0, size, pieces))

    def close(self) -> None:
        FakeLink.open_now -= 1


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    def kind(name: str) -> Any:
        if name == "host_device":
            return get_link_kind(name)
        return SimpleNamespace(open_link=lambda setting: FakeLink())

    monkeypatch.setattr(run_module, "get_link_kind", kind)
    return kind


def test_links_are_measured_one_at_a_time_and_what_is_not_there_is_said(
    tmp_path: Path, fakes: Any
) -> None:
    from dataclasses import replace

    options = replace(TINY, kinds=("tcp", "disk"), largest_bytes=1 << 24)
    report = measure_links(tmp_path, date="2026-01-02", options=options)
    assert report.rounds == 2
    assert report.connect_s == {"tcp": 0.25, "disk": 0.25}
    fits = fit_links([report.samples])
    assert [(fit.kind, fit.op) for fit in fits] == [("disk", "send"), ("tcp", "send")]
    assert fits[0].seconds(1 << 20, 64) == pytest.approx(
        float(link_seconds(TRUE, 0.0, 1 << 20, 64)), rel=1e-3
    )


def test_an_interrupted_measurement_of_links_goes_on(tmp_path: Path, fakes: Any) -> None:
    from dataclasses import replace

    options = replace(TINY, kinds=("tcp",))

    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_links(tmp_path, date="2026-01-02", options=options, tell=stop)
    assert FakeLink.open_now == 0, "closed on the way out"
    assert [path.name for path in tmp_path.iterdir()] == [".links.jsonl"]
    report = measure_links(tmp_path, date="2026-01-02", options=options)
    table = pd.read_parquet(report.samples)
    assert table.groupby("round")["point"].nunique().tolist() == [report.points] * 2
    assert not (tmp_path / ".links.jsonl").exists()


def test_an_engine_that_is_not_installed_is_left_out_with_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hetsim.calibrate.links import nixl

    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(nixl, "import_module", missing)
    with pytest.raises(ScenarioError, match=r"nixl: nixl is not installed: pip install"):
        from dataclasses import replace

        measure_links(tmp_path, date="x", options=replace(TINY, kinds=("nixl",)))


def test_there_is_a_kind_per_module() -> None:
    assert set(link_kinds()) == {"disk", "host_device", "nixl", "shared_memory", "tcp"}
    with pytest.raises(ScenarioError, match="no kind of link 'pigeon'"):
        get_link_kind("pigeon")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tcp", "shared_memory", "disk"])
def test_real_links_move_pieces_and_close(kind: str, tmp_path: Path) -> None:
    session = get_link_kind(kind).open_link(Setting(folder=tmp_path, largest_bytes=1 << 16))
    try:
        for op in session.ops:
            for size, pieces in ((4096, 1), (1 << 16, 16), (1 << 16, 1)):
                own = session.transfer(op, size, pieces)
                assert own is not None
                assert own > 0.0
        assert session.connect_s > 0.0
    finally:
        session.close()
    assert not list(tmp_path.iterdir()), "nothing is left behind"
