"""The command line in the process of the test: results, messages, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hetsim.cli import invoke
from hetsim.errors import InvalidTransition, InvariantViolated

FEW = ["--set", "workload.requests=60"]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Any:
    """``cli("run", ...)`` -> (exit code, stdout, stderr)."""

    def run(*args: str) -> tuple[int, str, str]:
        code = invoke([str(arg) for arg in args])
        out = capsys.readouterr()
        assert "Traceback" not in out.err
        return code, out.out, out.err

    return run


def widest(text: str) -> int:
    return max(len(line) for line in text.splitlines())


def test_run_prints_the_answer_first_in_80_columns(cli: Any) -> None:
    code, out, err = cli("run", "quickstart", *FEW)
    assert code == 0
    assert out.splitlines()[0].startswith("quickstart: ")
    assert "60 of 60 finished" in out
    assert "SLO attainment" in out
    assert "where a request's time goes" in out
    assert widest(out) <= 80
    assert re.fullmatch(r"done in [0-9.]+ s\n", err)


def test_json_is_one_object_and_the_same_twice(cli: Any) -> None:
    found = []
    for _ in range(2):
        code, out, _ = cli("run", "quickstart", *FEW, "--json")
        assert code == 0
        found.append(json.loads(out))
        assert found[-1].pop("wall_s") > 0.0
    assert found[0] == found[1]
    assert found[0]["requests"]["arrived"] == 60
    other = json.loads(cli("run", "quickstart", *FEW, "--json", "--seed", "9")[1])
    assert other["ttft_s"] != found[0]["ttft_s"]


def test_out_writes_a_run_directory_once(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    code, _, err = cli("run", "quickstart", *FEW, "--out", out)
    assert code == 0
    assert f"written to {out}" in err
    summary = (out / "summary.json").read_text()
    code, text, err = cli("run", "quickstart", *FEW, "--out", out)
    assert (code, text) == (2, "")
    assert "--overwrite" in err
    assert (out / "summary.json").read_text() == summary
    assert cli("run", "quickstart", *FEW, "--out", out, "--overwrite")[0] == 0


@pytest.mark.slow
def test_plot_draws_into_the_run_directory(cli: Any, tmp_path: Path) -> None:
    assert cli("run", "quickstart", *FEW, "--out", tmp_path / "run", "--plot")[0] == 0
    assert (tmp_path / "run" / "overview.png").stat().st_size > 10_000
    assert (tmp_path / "run" / "overview.svg").is_file()


def test_find_rate(cli: Any) -> None:
    sets = ["--set", "workload.requests=100"]
    code, out, err = cli("run", "queue_md1", "--find-rate", *sets)
    assert code == 0
    assert "req/s meet the SLO" in out.splitlines()[0]
    assert "closed-form bound" in out
    assert "attainment" in err
    assert widest(out) <= 80
    found = json.loads(cli("run", "queue_md1", "--find-rate", "--json", *sets)[1])
    assert found["rate_req_s"] < found["next_rate_req_s"] <= 1.021 * found["rate_req_s"]


def test_check_explain_profiles_and_schema_fit_80_columns(cli: Any) -> None:
    for args in (
        ("check", "hetero_nvidia", *FEW),
        ("explain", "moe_wide_ep", *FEW),
        ("profiles",),
        ("profiles", "h100"),
        ("profiles", "vllm_nixl_pull"),
        ("profiles", "deepseek-v3"),
    ):
        code, out, err = cli(*args)
        assert (code, err) == (0, ""), args
        assert widest(out) <= 80, args
        if args[0] != "profiles" or len(args) > 1:
            json.loads(cli(*args, "--json")[1])
    assert "$defs" in json.loads(cli("schema", "scenario")[1])


def test_trace(cli: Any, tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,10,1\n1,20,2\n3,30,0\n")
    code, out, _ = cli("trace", trace)
    assert code == 0
    assert re.search(r"requests +3", out)
    found = json.loads(cli("trace", trace, "--json")[1])
    assert (found["requests"], found["zero_outputs"], found["input_tokens_mean"]) == (3, 1, 20.0)
    code, out, err = cli("trace", tmp_path / "nothing.csv")
    assert (code, out) == (2, "")
    assert "nothing.csv" in err


def test_workload_replaces_the_whole_section(cli: Any, tmp_path: Path) -> None:
    trace = tmp_path / "t.csv"
    trace.write_text("arrival_s,input_tokens,output_tokens\n0,10,1\n1,20,2\n3,30,0\n")
    found = json.loads(cli("run", "quickstart", "--workload", trace, "--json")[1])
    assert found["requests"]["arrived"] == 3


def test_new_writes_a_scenario_that_runs(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = cli("new", "mine", "--pair", "l40s:h20")
    assert (code, out) == (0, "mine.yaml\n")
    assert "hetsim run mine.yaml" in err
    assert cli("run", "mine.yaml", *FEW)[0] == 0
    code, out, err = cli("new", "mine")
    assert (code, out) == (2, "")
    assert "exists" in err
    assert cli("new", "no/such/folder/mine")[0] == 2
    assert cli("new", "other", "--pair", "h100")[0] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]


def test_what_does_not_fit_is_exit_3(cli: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    for args in (("run", "llama70b_h100_tp1", "--out", out), ("check", "llama70b_h100_tp1")):
        code, text, err = cli(*args)
        assert (code, text) == (3, "")
        assert "short by" in err
    assert not out.exists()


def test_limits_are_exit_3_with_the_key(cli: Any) -> None:
    code, _, err = cli("run", "quickstart", "--set", "limits.events=10")
    assert code == 3
    assert "--set limits.events=" in err


BAD: list[tuple[list[str], str]] = [
    (["run"], "SCENARIO"),
    (["run", "no-such.yaml"], "no such file"),
    (["run", "quickstart", "--no-such-option"], "no-such-option"),
    (["frobnicate"], "frobnicate"),
    (["run", "quickstart", "--seed", "one"], "seed"),
    (["run", "quickstart", "--seed", "-1"], "seed"),
    (["run", "quickstart", "--set", "nothing"], "KEY=VALUE"),
    (["run", "quickstart", "--set", "pools.prefil.instances=1"], "prefil"),
    (["run", "quickstart", "--set", "workload.rate=4"], "req/s"),
    (["run", "quickstart", "--set", "workload.rate=-4 req/s"], "rate"),
    (["run", "quickstart", "--set", "workload.requests=0"], "requests"),
    (["run", "quickstart", "--workload", "nothing.csv"], "nothing.csv"),
    (["run", "quickstart", "--plot"], "--out"),
    (["run", "quickstart", "--find-rate", "--plot"], "--find-rate"),
    (["check", "quickstart", "--set", "slo.ttft=fast"], "ttft"),
    (["explain", "/"], "/"),
    (["trace", ""], "FILE"),
    (["profiles", "h1000"], "hetsim profiles"),
    (["schema", "sweeping"], "scenario"),
    (["new", "a/b:c\n"], "name"),
]


@pytest.mark.parametrize(("args", "word"), BAD, ids=lambda value: " ".join(value)[:40])
def test_bad_input_is_exit_2_with_a_message(cli: Any, args: list[str], word: str) -> None:
    code, out, err = cli(*args)
    assert (code, out) == (2, "")
    assert word in err


def test_several_problems_are_told_at_once(cli: Any) -> None:
    _, _, err = cli("run", "quickstart", "--set", "slo.ttft=1", "--set", "pools.decode.instances=0")
    assert "2 problems; nothing was run." in err


def test_find_rate_of_users_is_refused(cli: Any) -> None:
    users = "workload={kind: closed_loop, users: 7, requests: 20, think: 1 s, "
    users += "input: {kind: fixed, tokens: 100}, output: {kind: fixed, tokens: 10}}"
    code, _, err = cli("run", "quickstart", "--find-rate", "--set", users)
    assert code == 2
    assert "open-loop" in err


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (InvariantViolated("L1", "one request was lost", ["arrived", "vanished"]), 4, "vanished"),
        (InvalidTransition("m", "idle", "LANDED", ["born"]), 4, "born"),
        (KeyboardInterrupt(), 130, "interrupted; nothing was written"),
        (MemoryError(), 3, "out of memory"),
        (OSError(28, "No space left on device", "/x/y"), 2, "/x/y: No space left on device"),
    ],
)
def test_errors_become_exit_codes(
    cli: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, word: str
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr("hetsim.run._run.simulate", broken)
    found, out, err = cli("run", "quickstart", *FEW)
    assert (found, out) == (code, "")
    assert word in err


@pytest.mark.parametrize(
    "command", ["run", "check", "explain", "trace", "profiles", "schema", "new"]
)
def test_every_command_explains_itself(cli: Any, command: str) -> None:
    code, out, _ = cli(command, "--help")
    assert code == 0
    assert widest(out) <= 80
    assert "Usage: hetsim" in out


def test_help_lists_the_commands_and_exit_codes(cli: Any) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    for name in ("run", "check", "explain", "trace", "profiles", "schema", "new"):
        line = re.search(rf"^  {name} .*", out, re.MULTILINE)
        assert line is not None
        assert line[0].endswith("."), "one whole sentence each"
        assert not line[0].endswith("...")
    assert "130" in out
    assert cli("--version")[1].startswith("hetsim 0.")
