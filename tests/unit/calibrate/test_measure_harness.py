"""The harness on a tiny sweep, on a fake accelerator, interrupted, and without torch."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from hetsim.calibrate.measure import (
    Bench,
    Device,
    NotAvailable,
    Options,
    Reading,
    family_names,
    get_family,
    measure,
    open_device,
    point,
)
from hetsim.calibrate.measure import _device as device_module
from hetsim.calibrate.measure import _rounds as rounds_module
from hetsim.calibrate.measure import _store as store_module
from hetsim.calibrate.measure._journal import Journal
from hetsim.calibrate.measure._rounds import moved_rounds, order_of, sentinels
from hetsim.calibrate.measure._statistics import Effort
from hetsim.errors import ScenarioError

TINY = Options(
    quick=True,
    families=("launch",),
    rounds=2,
    spare_rounds=0,
    effort=Effort(least=3, most=4, visit_s=0.02, reading_s=5e-5),
    cold_bytes=4e6,
)


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="torch absent: pip install 'hetsim[calibrate]'")


@pytest.fixture
def short_sentinel(monkeypatch: pytest.MonkeyPatch) -> None:
    small = [point("gemm", "gemm", "fp32", "torch", "x", 1.0, 1.0, m=8, n=64, k=64)]
    monkeypatch.setattr(rounds_module, "sentinels", lambda accelerated: small)
    monkeypatch.setattr(store_module, "sentinels", lambda accelerated: small)


class FakeEvent:
    """An event on the clock of a fake device."""

    clock = 0.0

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing
        self.at = -1.0

    def record(self) -> None:
        self.at = FakeEvent.clock

    def elapsed_time(self, other: FakeEvent) -> float:
        return 1e3 * (other.at - self.at)


class Scratch:
    """The cache of a fake device: zeroing it takes time that must not be counted."""

    def zero_(self) -> None:
        FakeEvent.clock += 100.0


def fake_torch(event: Any = FakeEvent, title: str = "Imaginary X1") -> Any:
    """Return what the harness needs of torch, on a device of which nothing is real."""
    synchronized: list[int] = []
    accelerator = SimpleNamespace(
        is_available=lambda: True,
        current_accelerator=lambda: SimpleNamespace(type="imaginary"),
        synchronize=lambda: synchronized.append(1),
    )
    module = SimpleNamespace(
        get_device_name=lambda: title,
        device_count=lambda: 2,
        get_device_properties=lambda _: SimpleNamespace(total_memory=8e9, L2_cache_size=1000),
    )
    return SimpleNamespace(
        accelerator=accelerator,
        get_device_module=lambda place: module,
        Event=event,
        empty=lambda size, dtype, device: Scratch(),
        int8="int8",
        synchronized=synchronized,
    )


def test_a_fake_accelerator_is_timed_by_its_events_without_the_flush_between() -> None:
    device = open_device("auto", torch=fake_torch())
    assert (device.place, device.clock, device.count) == ("imaginary", "event", 2)
    assert (device.memory_bytes, device.cache_bytes) == (8e9, 1000.0)

    def call(i: int) -> None:
        FakeEvent.clock += 2e-3

    reading = device.read(call, 0, 5)
    assert reading.time_s == pytest.approx(2e-3)
    assert device.torch.synchronized, "times are read only after the device is done"


def test_a_device_whose_events_have_no_times_falls_back_to_the_wall_clock() -> None:
    class Blind(FakeEvent):
        def elapsed_time(self, other: FakeEvent) -> float:
            raise RuntimeError("no timing here")

    device = open_device("imaginary", torch=fake_torch(Blind))
    reading = device.read(lambda i: None, 0, 3)
    assert device.clock == "wall"
    assert 0.0 < reading.time_s == reading.wall_s


def test_launches_are_timed_by_the_host_even_on_an_accelerator() -> None:
    device = open_device("auto", torch=fake_torch())
    before = FakeEvent.clock
    reading = device.read(lambda i: None, 0, 3, on_host=True)
    assert FakeEvent.clock == before
    assert 0.0 < reading.time_s < 1.0


@pytest.mark.parametrize(
    ("title", "slug"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA L40S", "l40s"),
        ("AMD Instinct MI300X", "mi300x"),
        ("Imaginary X1 (TM)", "imaginary-x1"),
    ],
)
def test_a_device_is_known_by_the_name_of_its_driver(title: str, slug: str) -> None:
    assert open_device("auto", torch=fake_torch(title=title)).slug == slug


def test_an_unknown_device_is_refused_with_those_there_are() -> None:
    with pytest.raises(ScenarioError, match="auto, imaginary, cpu"):
        open_device("cuda", torch=fake_torch())


def test_without_torch_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(device_module, "import_module", missing)
    with pytest.raises(ScenarioError, match=r"pip install 'hetsim\[calibrate\]'"):
        open_device()


def test_every_family_yields_points_of_its_name_with_distinct_keys() -> None:
    for name in family_names():
        for quick in (True, False):
            points = list(get_family(name).points(quick))
            assert {at.family for at in points} <= {name}
            assert len({at.key for at in points}) == len(points)


def test_cold_operands_lie_apart_and_exceed_the_cache(torch: Any) -> None:
    bench = Bench(Device(torch, None, 1), cold_bytes=1e6)
    weights = bench.cold("bf16", 100, 100)
    starts = sorted(w.data_ptr() for w in weights)
    assert min(b - a for a, b in pairwise(starts)) >= 2 * 100 * 100
    assert sum(w.numel() * 2 for w in weights) > 0.9e6
    assert len(bench.cold("bf16", 1000, 1000)) >= 1, "an operand larger than that is still made"


def test_experts_get_all_rows_and_unevenly() -> None:
    from hetsim.calibrate.measure.grouped_gemm import deal

    for rows, experts in ((1, 8), (7, 8), (64, 16), (1000, 3)):
        counts = deal(rows, experts)
        assert (sum(counts), len(counts)) == (rows, experts)
        assert sum(c > 0 for c in counts) == min(rows, experts)
    assert max(deal(1000, 16)) > 1.5 * 1000 / 16


def tiny_points() -> list[Any]:
    """Return the smallest point of every kernel of every family."""
    least: dict[str, Any] = {}
    for name in family_names():
        for at in get_family(name).points(True):
            if at.group not in least or at.bytes < least[at.group].bytes:
                least[at.group] = at
    large = point(
        "gemm", "gemm", "bf16", "torch", "linear", 2.0 * 64 * 512 * 512, 1e6, m=64, n=512, k=512
    )
    return [*least.values(), large]


def run_tiny(torch: Any, out: Path, **more: Any) -> Any:
    device = Device(torch, None, 1)
    return measure(out, date="2026-01-02", device=device, options=TINY, extra=tiny_points(), **more)


@pytest.mark.slow
def test_a_tiny_sweep_writes_samples_manifest_and_profile(
    torch: Any, tmp_path: Path, short_sentinel: None
) -> None:
    report = run_tiny(torch, tmp_path / "cpu")
    table = pd.read_parquet(report.samples)
    kinds = {"gemm", "grouped_gemm", "attention_prefill", "attention_decode", "elementwise"}
    kinds |= {"sample", "convert", "permute", "copy", "bandwidth", "launch"}
    assert kinds == set(table["kind"])
    assert {"fp32", "bf16", "int8"} <= set(table[table["kind"] == "gemm"]["format"])
    assert set(report.unavailable) >= {"host_copy/pinned/torch/to_host", "gemm/tf32/torch/linear"}
    assert (table["time_s"] > 0.0).all()
    assert table.groupby(["point", "round", "visit"])["repeat"].max().ge(2).all()
    orders = table[table["role"] == ""].sort_values("visit").groupby("round")["point"].unique()
    assert list(orders[0]) != list(orders[1]), "every round has an order of its own"
    said = json.loads(report.manifest.read_text())
    assert said["device"]["torch"] == torch.__version__
    assert said["verdict"] == report.verdict == "inconclusive", "two rounds prove nothing"
    assert "/" not in json.dumps(said["device"]["libraries"])
    assert not list((tmp_path / "cpu").glob(".*")), "no journal, no draft is left"
    again = run_tiny(torch, tmp_path / "cpu")
    assert again.samples != report.samples, "earlier samples are never replaced"


@pytest.mark.slow
def test_an_interrupted_measurement_goes_on_where_it_was(
    torch: Any, tmp_path: Path, short_sentinel: None
) -> None:
    done: list[int] = []

    def interrupt(number: int, total: int) -> None:
        done.append(number)
        if len(done) == 9:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_tiny(torch, tmp_path, tell=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == [".measure.jsonl"]
    journal = tmp_path / ".measure.jsonl"
    kept = journal.read_text().splitlines()
    assert len(kept) == 1 + 9
    # The last line was cut off in the middle.
    journal.write_text("\n".join(kept[:-1]) + "\n" + kept[-1][:20])
    with pytest.raises(ScenarioError, match="--fresh"):
        measure(
            tmp_path, date="x", device=Device(torch, None, 1), options=Options(families=("gemm",))
        )
    report = run_tiny(torch, tmp_path)
    table = pd.read_parquet(report.samples)
    first = json.loads(kept[1])
    same = table[(table["round"] == first["round"]) & (table["visit"] == first["visit"])]
    assert list(same["time_s"]) == [reading[0] for reading in first["readings"]]
    visits = table.groupby("round")["visit"].nunique()
    assert visits[0] == visits[1], "no visit twice, none missing"


def journal_of(ratios: list[float]) -> Journal:
    """Return a journal whose sentinels ran so much slower in each round."""
    made = Journal(Path("unused"), {}, [])
    for number, ratio in enumerate(ratios):
        for visit, at in enumerate(sentinels(False)):
            reading = list(Reading(ratio * (1 + visit), 1.0, 1.0))
            made.visits.append(
                {
                    "round": number,
                    "visit": visit,
                    "role": "sentinel",
                    "point": at.key,
                    "readings": [reading] * 3,
                }
            )
    return made


def test_rounds_whose_sentinel_moved_are_found() -> None:
    assert moved_rounds(journal_of([1.0, 1.09, 1.0, 0.95])) == []
    assert moved_rounds(journal_of([1.0, 1.25, 1.0, 1.0, 0.8])) == [1, 4]


def test_a_kernel_that_fails_at_one_shape_does_not_end_the_measurement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(at: Any, bench: Any) -> Any:
        raise RuntimeError("out of memory at /somewhere/secret/place\nand more")

    monkeypatch.setattr(rounds_module, "get_family", lambda name: SimpleNamespace(build=refuse))
    bench: Any = SimpleNamespace(device=open_device("auto", torch=fake_torch()))
    at = point("gemm", "gemm", "bf16", "torch", "linear", m=1, n=1, k=1)
    found = rounds_module._visit(bench, TINY, ("", at), time.perf_counter)
    assert found["failed"] == "out of memory at ..." and found["readings"] == []
    with pytest.raises(RuntimeError):
        rounds_module._visit(bench, TINY, ("sentinel", at), time.perf_counter)


@pytest.mark.parametrize(("limit_s", "visits"), [(None, 3), (700.0, 2)])
def test_a_call_ends_in_time_whatever_is_left_of_its_rounds(
    limit_s: float | None, visits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten minutes pass from one look at the clock to the next; 29 are allowed by default."""
    from dataclasses import replace

    empty = {"role": "", "point": "p", "readings": []}
    monkeypatch.setattr(rounds_module, "_visit", lambda *given: dict(empty))
    bench: Any = SimpleNamespace(device=SimpleNamespace(accelerated=False), forget=lambda: None)
    journal = Journal(tmp_path / "journal", {}, [point("gemm", "gemm", "bf16", "x", "y", m=1)])
    ticks = iter(range(0, 6000, 600))
    options = replace(TINY, limit_s=limit_s)
    rounds_module.run_rounds(bench, journal, options, now=lambda: float(next(ticks)), started=0.0)
    assert len(journal.visits) == visits


def test_the_order_of_a_round_is_a_function_of_seed_and_round() -> None:
    assert order_of(20, 7, 3) == order_of(20, 7, 3)
    assert sorted(order_of(20, 7, 3)) == list(range(20))
    assert order_of(20, 7, 3) != order_of(20, 7, 4)


def test_a_kernel_that_is_not_there_says_why(torch: Any) -> None:
    bench = Bench(Device(torch, None, 1), cold_bytes=1e6)
    at = point("host_copy", "host_copy", "pinned", "torch", "to_host", message_bytes=10)
    with pytest.raises(NotAvailable, match="its own host"):
        get_family("host_copy").build(at, bench)


class WallEvent:
    """An event of a device that is really the CPU."""

    def __init__(self, enable_timing: bool = False) -> None:
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def elapsed_time(self, other: WallEvent) -> float:
        return 1e3 * (other.at - self.at)


class Disguised:
    """Real torch whose CPU says that it is an accelerator called imaginary."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self.accelerator = SimpleNamespace(
            is_available=lambda: True,
            current_accelerator=lambda: SimpleNamespace(type="cpu"),
            synchronize=lambda: None,
        )
        self.Event = WallEvent
        module = SimpleNamespace(
            get_device_name=lambda: "Imaginary X1",
            device_count=lambda: 1,
            get_device_properties=lambda _: SimpleNamespace(total_memory=8e9, L2_cache_size=1e4),
        )
        self.get_device_module = lambda place: module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._torch, name)


@pytest.mark.slow
def test_a_whole_measurement_takes_the_accelerators_path(
    torch: Any, tmp_path: Path, short_sentinel: None
) -> None:
    device = open_device("auto", torch=Disguised(torch))
    assert device.accelerated
    report = measure(tmp_path, date="2026-01-02", device=device, options=TINY, extra=tiny_points())
    table = pd.read_parquet(report.samples)
    assert report.device == "imaginary-x1"
    clocks = table.groupby("op")["clock"].unique()
    assert list(clocks["host"]) == ["wall"], "a launch is timed on the host"
    assert list(clocks["device"]) == ["event"]
    assert "host_copy" in set(table["kind"]), "an accelerator has a host to copy from"
    text = (tmp_path / "accelerator" / "imaginary-x1.yaml").read_text()
    assert "rdma" not in text and "vendor: Imaginary" in text


def test_when_time_is_short_every_kernel_keeps_some_points() -> None:
    from hetsim.calibrate.measure._plan import Estimate, _affordable

    many = [point("gemm", "gemm", "bf16", "torch", "x", m=m, n=1, k=1) for m in range(1, 201)]
    few = [point("permute", "permute", "bf16", "torch", "y", rows=r) for r in range(1, 5)]
    slow = point("gemm", "gemm", "fp32", "torch", "x", m=9, n=1, k=1)
    found = {at.key: Estimate(at, 0.001, 0.002) for at in (*many, *few)}
    found[slow.key] = Estimate(slow, 2.0, 4.0)
    left_out: dict[str, int] = {}
    kept = _affordable(found, Options(longest_s=1.0, round_s=10.0), left_out)
    assert sum(at.kind == "permute" for at in kept) == 4
    rows = [at["m"] for at in kept if at.kind == "gemm"]
    assert 20 < len(rows) < 100
    assert min(rows) < 40 and max(rows) > 160, "thinned evenly"
    assert left_out == {"longer than 1 s": 1, "beyond 10 s a round": 200 - len(rows)}
