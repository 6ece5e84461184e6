"""The trace file obeys the rules of its format, and says what the tables say."""

from __future__ import annotations

import collections
import gzip
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.run import Result, run
from hetsim.timeline import FILE, write_trace
from hetsim.timeline._lanes import lanes_of
from hetsim.timeline._trace import Place, Trace

SCENARIOS = ("quickstart", "sglang_pair", "colocated_baseline", "long_context", "moe_wide_ep")
SMALL = ("workload.requests=120",)


def nano(value: float) -> int:
    return round(value * 1e3)


def events_of(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
    return found


def broken_rules(events: list[dict[str, Any]]) -> list[str]:
    """Return what breaks the format's rules: tracks, nesting, arrows, counters."""
    named = {(e["pid"], e["tid"]) for e in events if e["name"] in ("process_name", "thread_name")}
    shown = [e for e in events if e["ph"] != "M"]
    found = [f"no track: {e}" for e in shown if (e["pid"], e["tid"]) not in named]
    slices: dict[tuple[int, int], list[tuple[int, int]]] = collections.defaultdict(list)
    for e in shown:
        if e["ph"] == "X":
            start = nano(e["ts"])
            slices[e["pid"], e["tid"]].append((start, start + nano(e["dur"])))
    found += [f"no length on {n}" for n, all_ in slices.items() if any(b <= a for a, b in all_)]
    found += [f"not nested on {track}" for track, all_ in slices.items() if not nests(all_)]
    return found + broken_counters(shown) + broken_arrows(shown, slices)


def broken_counters(events: list[dict[str, Any]]) -> list[str]:
    counters: dict[tuple[int, str], list[int]] = collections.defaultdict(list)
    found = []
    for e in events:
        if e["ph"] == "C":
            counters[e["pid"], e["name"]].append(nano(e["ts"]))
            if min(e["args"].values()) < 0:
                found.append(f"negative: {e}")
    return found + [f"goes back: {n}" for n, at in counters.items() if at != sorted(set(at))]


def broken_arrows(events: list[dict[str, Any]], slices: dict[Any, Any]) -> list[str]:
    arrows: dict[int, list[dict[str, Any]]] = collections.defaultdict(list)
    for e in events:
        if e["ph"] in ("s", "t", "f"):
            arrows[e["id"]].append(e)
    found = []
    for number, parts in arrows.items():
        parts.sort(key=lambda e: (e["ts"], "stf".index(e["ph"])))
        phases = "".join(e["ph"] for e in parts)
        if phases not in ("sf", "stf"):
            found.append(f"arrow {number} is {phases}")
        for e in parts:
            if not any(a <= nano(e["ts"]) <= b for a, b in slices[e["pid"], e["tid"]]):
                found.append(f"arrow outside of slices: {e}")
    return found


def nests(intervals: list[tuple[int, int]]) -> bool:
    open_: list[int] = []
    for start, end in sorted(intervals, key=lambda i: (i[0], -i[1])):
        while open_ and open_[-1] <= start:
            open_.pop()
        if open_ and end > open_[-1]:
            return False
        open_.append(end)
    return True


@pytest.fixture(scope="module", params=SCENARIOS)
def traced(request: Any, tmp_path_factory: Any) -> tuple[Result, Path]:
    result = run(request.param, sets=SMALL)
    return result, write_trace(result, tmp_path_factory.mktemp("t") / FILE)


def test_a_trace_obeys_the_format(traced: tuple[Result, Path]) -> None:
    assert not broken_rules(events_of(traced[1]))


def test_a_trace_says_what_the_tables_say(traced: tuple[Result, Path]) -> None:
    result, path = traced
    events = events_of(path)
    names = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    of = {name: [e for e in events if names[e["pid"]] == name] for name in names.values()}
    for pool in result.summary["stages"]:
        steps = result.steps[result.steps["pool"] == pool]
        mine = [e for e in of[f"pool {pool}"] if e["ph"] == "X"]
        assert len(mine) == (steps["duration_s"] > 0).sum()
        tokens = sum(e["args"]["prefill_tokens"] for e in mine)
        assert tokens == steps["prefill_tokens"].sum()
        busy = sum(e["dur"] for e in mine) / 1e6
        assert busy == pytest.approx(steps["duration_s"].sum(), rel=1e-6)
    outer = [e for e in of["requests"] if e["ph"] == "X" and "status" in e.get("args", {})]
    finished = result.requests[result.requests["status"] == "finished"]
    lengths = sorted(e["dur"] / 1e6 for e in outer if e["args"]["status"] == "finished")
    assert lengths == pytest.approx(sorted(finished["e2e_s"]), rel=1e-6)
    handed = result.transfers[result.transfers["kind"] == "handoff"]["request_id"].nunique()
    arrows = {e["id"] for e in events if e["ph"] == "s"}
    # Every finished hand-off has its arrow.
    both = set(finished["request_id"]) & set(result.transfers["request_id"])
    assert both <= arrows if handed else not arrows


def test_blocks_of_both_sides_are_owned_while_they_are_held() -> None:
    """Ownership slices of a pull: P's blocks are held at least until the transfer has ended."""
    result = run("quickstart", sets=SMALL)
    trace_events = _in_memory(result)
    names = {e["pid"]: e["args"]["name"] for e in trace_events if e["name"] == "process_name"}
    held: dict[int, float] = {}
    tracks = {
        (e["pid"], e["tid"]): e["args"]["name"] for e in trace_events if e["name"] == "thread_name"
    }
    for e in trace_events:
        mine = e["ph"] == "X" and names[e["pid"]] == "KV ownership"
        if mine and tracks[e["pid"], e["tid"]].startswith("blocks on P"):
            number = e["args"]["request"]
            held[number] = max(held.get(number, 0.0), (e["ts"] + e["dur"]) / 1e6)
    for row in result.transfers.itertuples(index=False):
        assert held[row.request_id] >= row.start_s + row.duration_s - 1e-8


def _in_memory(result: Result) -> list[dict[str, Any]]:
    from hetsim.timeline._tracks import Tracks

    text = "".join(Tracks(result, 10**9).made().lines())
    found: list[dict[str, Any]] = json.loads(text)["traceEvents"]
    return found


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    first = write_trace(run("quickstart", sets=SMALL), tmp_path / "a.json.gz")
    second = write_trace(run("quickstart", sets=SMALL), tmp_path / "b.json.gz")
    assert first.read_bytes() == second.read_bytes()


def test_a_long_run_shows_its_first_requests(tmp_path: Path) -> None:
    result = run("quickstart", sets=SMALL)
    events = events_of(write_trace(result, tmp_path / FILE, most=40))
    shown = {e["args"]["request"] for e in events if "request" in e.get("args", {})}
    assert shown == set(range(40))
    assert any(e["args"].get("name") == "requests (the first ones)" for e in events if "args" in e)
    assert not broken_rules(events)


def test_the_command_writes_it_into_the_run_directory(tmp_path: Path, capsys: Any) -> None:
    from hetsim.cli import invoke

    out = tmp_path / "run"
    assert invoke(["run", "quickstart", "--set", SMALL[0], "--out", str(out), "--trace"]) == 0
    assert not broken_rules(events_of(out / FILE))
    capsys.readouterr()
    assert invoke(["run", "quickstart", "--trace"]) == 2
    assert "--trace" in capsys.readouterr().err


def test_a_broken_trace_is_seen() -> None:
    """The checker itself: overlapping slices, an arrow without an end, a counter that goes back."""
    trace = Trace()
    pid = trace.process("p")
    tid = trace.thread(pid, "t")
    trace.slice(pid, tid, "a", 0, 1000)
    trace.slice(pid, tid, "b", 500, 1500)
    trace.levels(pid, "c", "n", [(5000, 1.0), (2000, 1.0)])
    events = json.loads("".join(trace.lines()))["traceEvents"]
    events.append({"ph": "s", "pid": pid, "tid": tid, "name": "x", "ts": 0.5, "id": 1, "cat": "k"})
    words = " ".join(broken_rules(events))
    assert "not nested" in words and "goes back" in words and "arrow 1 is s" in words
    trace.arrow(2, "y", [Place(pid, tid, 100), Place(pid, tid, 9000)])
    events = json.loads("".join(trace.lines()))["traceEvents"]
    assert "outside of slices" in " ".join(broken_rules(events))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 20)), max_size=40))
def test_lanes_never_overlap_and_are_as_few_as_can_be(drawn: list[tuple[int, int]]) -> None:
    intervals = sorted((start, start + length) for start, length in drawn)
    lanes = lanes_of([a for a, _ in intervals], [b for _, b in intervals])
    for index, (start, _) in enumerate(intervals):
        for other in range(index):
            if lanes[other] == lanes[index]:
                assert intervals[other][1] <= start
    most = max((sum(a <= t < b for a, b in intervals) for t in range(80)), default=0)
    assert len(set(lanes)) == most


@pytest.mark.slow
def test_the_trace_processor_reads_it(tmp_path: Path) -> None:
    shell = shutil.which("trace_processor_shell") or shutil.which("trace_processor")
    if shell is None:
        pytest.skip("Perfetto's trace processor is not installed")
    result = run("quickstart", sets=SMALL)
    path = write_trace(result, tmp_path / FILE)
    query = tmp_path / "q.sql"
    query.write_text("select count(*) from flow; select count(*) from slice;")
    done = subprocess.run([shell, "-q", str(query), str(path)], capture_output=True, check=True)
    numbers = [int(word) for word in done.stdout.decode().split() if word.isdigit()]
    assert numbers[0] == 2 * len({e["id"] for e in events_of(path) if e["ph"] == "s"})
    assert numbers[1] == sum(e["ph"] == "X" for e in events_of(path))
