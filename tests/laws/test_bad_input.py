"""Whatever a user writes is run, or answered with place, value and remedy: never a traceback."""

from __future__ import annotations

import copy
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.errors import InfeasibleError, Problem, ScenarioError
from hetsim.scenario import load_data, load_scenario, scenario_names
from hetsim.spec import data_root
from hetsim.spec._yaml import parse_yaml
from hetsim.stages import build_plan

QUICK = (data_root("scenarios") / "quickstart.yaml").read_text(encoding="utf-8")
SHIPPED = [
    (data_root("scenarios") / f"{name}.yaml").read_text(encoding="utf-8")
    for name in scenario_names()
]
PARSED = [parse_yaml(text)[0] for text in SHIPPED]


def refused(path: Path, **changes: Any) -> list[Problem]:
    """Load and build; return the problems there must be, each with a place and few words."""
    with pytest.raises(ScenarioError) as caught:
        loaded = load_scenario(path, **changes)
        with loaded.locating():
            build_plan(loaded.scenario, loaded.base_dir)
    problems = list(caught.value.problems)
    assert problems
    for problem in problems:
        assert problem.file
        assert problem.message
        assert len(str(problem)) < 1500
        assert "Traceback" not in str(problem)
        assert " at 0x" not in str(problem)
    return problems


def line_of(text: str, words: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if words in line)


LAW = "{kind: lognormal, mean: 1000, cv: 0.8}"
NETWORK = "network: {fabric: single_switch, nic: 400 Gbit/s, nics_per_node: 8}\n"

# -- single values: what is replaced, by what, where it is said, what is said ------------------

VALUES = [
    # units
    ("rate: 30 req/s", "rate: 30", "workload.rate", "needs a unit"),
    ("rate: 30 req/s", "rate: 30 req", "workload.rate", "wrong dimension"),
    ("rate: 30 req/s", "rate: 30 GB/s", "workload.rate", "wrong dimension"),
    ("rate: 30 req/s", "rate: 0 req/s", "workload.rate", "above 0"),
    ("rate: 30 req/s", "rate: -3 req/s", "workload.rate", "above 0"),
    ("rate: 30 req/s", "rate: nan req/s", "workload.rate", "not finite"),
    ("rate: 30 req/s", "rate: inf req/s", "workload.rate", "not finite"),
    ("rate: 30 req/s", "rate: 1e999 req/s", "workload.rate", "not finite"),
    ("rate: 30 req/s", "rate: 9**9**9**9 req/s", "workload.rate", "not a quantity"),
    ("rate: 30 req/s", "rate: lots", "workload.rate", "not a quantity"),
    ("rate: 30 req/s", "rate: 30 rq/s", "workload.rate", "2 req/s"),
    ("rate: 30 req/s", "rate: [30 req/s]", "workload.rate", "needs a unit"),
    ("rate: 30 req/s", "rate:", "workload.rate", "needs a unit"),
    ("nic: 400 Gbit/s", "nic: 400", "network.nic", "400 Gbit/s"),
    ("nic: 400 Gbit/s", "nic: 400 Gbit", "network.nic", "wrong dimension"),
    ("nic: 400 Gbit/s", "nic: 0 Gbit/s", "network.nic", "above 0"),
    ("ttft: 1 s", "ttft: 1 m/s", "slo.ttft", "quantity"),
    ("ttft: 1 s", "ttft: 0 s", "slo.ttft", "above 0"),
    ("ttft: 1 s", "ttft: true", "slo.ttft", "needs a unit"),
    ("tpot: 30 ms", "tpot: 30 MB", "slo.tpot", "30 s"),
    # numbers
    ("requests: 1000", "requests: 0", "workload.requests", "greater than or equal to 1"),
    ("requests: 1000", "requests: -5", "workload.requests", "seen -5"),
    ("requests: 1000", "requests: 1.5", "workload.requests", "1.5"),
    ("requests: 1000", "requests: ten", "workload.requests", "'ten'"),
    ("requests: 1000", "requests: 1000000000", "workload.requests", "limits.rows"),
    ("requests: 1000", f"requests: {'9' * 400}", "workload.requests", "1000000000"),
    ("requests: 1000", f"requests: {'9' * 5000}", "workload.requests", "cannot be read"),
    ("mean: 1000,", "mean: .nan,", "workload.input.mean", "finite"),
    ("mean: 1000,", "mean: .inf,", "workload.input.mean", "finite"),
    ("mean: 1000,", "mean: 0,", "workload.input.mean", "greater than 0"),
    ("mean: 1000,", "mean: '1000',", "workload.input.mean", "number"),
    ("mean: 1000, cv: 0.8", "mean: 1000", "workload.input", "one of 'cv' and 'sigma'"),
    (LAW, "{kind: fixed, tokens: 0}", "workload.input.tokens", "equal to 1"),
    (LAW, "{kind: uniform, min: 9, max: 3}", "workload.input", "above max"),
    (LAW, "{kind: lognorml, mean: 1000}", "workload.input", "did you mean 'lognormal'"),
    (LAW, "1000", "workload.input", "1000"),
    ("instances: 1", "instances: 0", "pools.prefill.instances", "equal to 1"),
    ("instances: 1", "instances: 1000000", "pools.prefill.instances", "10000"),
    ("{tp: 1}", "{tp: 0}", "pools.prefill.parallel.tp", "equal to 1"),
    ("{tp: 1}", "{tp: 3}", "pools.prefill.parallel.tp", "divisor of 32"),
    ("{tp: 1}", "[1]", "pools.prefill.parallel", "mapping"),
    ("seed: 1", "seed: 1.5", "seed", "1.5"),
    ("seed: 1", "seed: -1", "seed", "seen -1"),
    ("tpot: 30 ms", "tpot: 30 ms, percentile: 0", "slo.percentile", "greater than 0"),
    ("tpot: 30 ms", "tpot: 30 ms, percentile: 101", "slo.percentile", "100"),
    ("seed: 1", "limits: {rows: 0}", "limits.rows", "greater than 0"),
    ("seed: 1", "horizon: -1 s", "horizon", "above 0"),
    # words
    ("kind: poisson", "kind: poison", "workload", "did you mean 'poisson'"),
    ("kind: poisson", "kinds: poisson", "workload", "needs a 'kind'"),
    ("kind: poisson", "kind: [poisson]", "workload", "kind"),
    ("role: prefill", "role: prefil", "pools.prefill.role", "did you mean 'prefill'"),
    ("role: prefill", "role: decode", "pools", "one with role prefill"),
    ("accelerator: h100", "accelerator: h1000", "pools.prefill.accelerator", "no accelerator"),
    ("accelerator: h100", "accelerator: ''", "pools.prefill.accelerator", "no accelerator"),
    ("accelerator: h100", "accelerator: ../../etc/passwd", "pools.prefill.accelerator", "pass"),
    ("runtime: vllm_nixl_pull", "runtime: vllm_nixl_pul", "pools.prefill.runtime", "did you mean"),
    ("weights: bf16", "weights: bf17", "pools.prefill.precision.weights", "did you mean 'bf16'"),
    ("kv: bf16", "kv: 16", "pools.prefill.precision.kv", "string"),
    ("fabric: single_switch", "fabric: singel_switch", "network", "did you mean 'single_switch'"),
    ("fabric: single_switch", "fabric: two_tier", "network.oversubscription", "is missing"),
    ("model: llama-3.1-8b", "model: llama-9", "model", "no built-in model"),
    ("model: llama-3.1-8b", "model: missing/config.json", "model", "no such file"),
    ("model: llama-3.1-8b", "model: 3", "model", "string"),
    ("name: quickstart", 'name: "a\\nb"', "name", "cannot be a name"),
    ("name: quickstart", 'name: "a\\e[31mb"', "name", "cannot be a name"),
    ("name: quickstart", 'name: "a\\u202eb"', "name", "cannot be a name"),
    ("name: quickstart", "name: '  '", "name", "cannot be a name"),
    ("name: quickstart", "name: ''", "name", "cannot be a name"),
    ("name: quickstart", f"name: {'x' * 300}", "name", "200"),
    ("  prefill:\n", "  <b>pre</b>:\n", "pools", "cannot name a pool"),
    ("  prefill:\n", "  pre.fill:\n", "pools", "cannot name a pool"),
    ("boundary: {}", "boundary: {wire: fp8_e4m3}", "boundary.convert_at", "convert_at"),
    ("boundary: {}", "boundary: {convert_at: wire}", "boundary.convert_at", "'producer'"),
    ("boundary: {}", "boundary: []", "boundary", "mapping"),
    # keys, at every level
    ("seed: 1", "sed: 1", "sed", "did you mean 'seed'"),
    ("  rate: 30", "  rat: 30", "workload.rat", "did you mean 'rate'"),
    ("mean: 1000,", "men: 1000,", "workload.input.men", "did you mean 'mean'"),
    ("{tp: 1}", "{pt: 1}", "pools.prefill.parallel.pt", "'tp'"),
    ("weights: bf16", "weight: bf16", "pools.prefill.precision.weight", "did you mean 'weights'"),
    ("nics_per_node: 8", "nic_per_node: 8", "network.nic_per_node", "did you mean 'nics_per_node'"),
    ("boundary: {}", "boundary: {leas: 3 s}", "boundary.leas", "did you mean 'lease'"),
    ("ttft: 1 s", "tfft: 1 s", "slo.tfft", "did you mean 'ttft'"),
    ("seed: 1", "seed: 1\nseed: 2", "seed", "twice"),
    ("tpot: 30 ms", "tpot: 30 ms, tpot: 20 ms", "slo.tpot", "twice"),
    ("seed: 1", "1: 2", "1", "unknown key"),
    ("seed: 1", "? [a, b]\n: 3", "", "key"),
    ("seed: 1", "true: 3", "", "a key must be text"),
    ("model: llama-3.1-8b\n", "", "model", "is missing"),
    ("slo: {ttft: 1 s, tpot: 30 ms}\n", "", "slo", "is missing"),
    ("boundary: {}\n", "", "boundary", "boundary: {}"),
    (NETWORK, "", "network", "no link is free"),
    # YAML
    ("seed: 1", "seed: [1", "", "not YAML"),
    ("seed: 1", "seed: 1\n\tx: 2", "", "not YAML"),
    ("seed: 1", "seed: 'one", "", "not YAML"),
    ("seed: 1", "seed: *nowhere", "", "not YAML"),
    ("seed: 1", "seed: !!python/object/apply:os.system ['true']", "seed", ""),
    ("seed: 1", "seed: 1\n---\nseed: 2", "", "not YAML"),
    ("seed: 1", "seed: \x07", "", "not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "$(rm -rf ~)", "../../up", "a/b", "Größe 8 × 4"]
)
def test_a_name_is_text_and_nothing_else(name: str, tmp_path: Path) -> None:
    file = tmp_path / "named.yaml"
    text = QUICK.replace("name: quickstart", f"name: {json.dumps(name)}", 1)
    file.write_text(text, encoding="utf-8")
    assert load_scenario(file).scenario.name == name


@pytest.mark.parametrize(("old", "new", "path", "words"), VALUES, ids=[v[1][:50] for v in VALUES])
def test_a_malformed_scenario_is_answered(
    old: str, new: str, path: str, words: str, tmp_path: Path
) -> None:
    assert old in QUICK
    text = QUICK.replace(old, new, 1)
    file = tmp_path / "bad.yaml"
    file.write_text(text, encoding="utf-8")
    problems = refused(file)
    found = [problem for problem in problems if problem.path == path]
    assert found, problems
    assert any(words in problem.message for problem in found), problems
    assert all(problem.line for problem in found)
    if path and new.strip() and "\n" not in new and words != "is missing":
        assert any(
            abs(problem.line - line_of(text, new)) <= 30 for problem in found if problem.line
        )


def test_the_list_is_long_enough() -> None:
    assert len(VALUES) >= 60


def test_the_line_is_the_one_of_the_value(tmp_path: Path) -> None:
    text = QUICK.replace("nic: 400 Gbit/s", "nic: 400 s")
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    (problem,) = refused(file)
    assert problem.line == line_of(text, "nic: 400 s")
    assert str(problem).startswith(f"{file}:{problem.line}: network.nic: ")


# -- whole files -----------------------------------------------------------------------------

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
FILES = {
    "empty": b"",
    "blank": b"\n\n  \n",
    "comment": b"# nothing\n",
    "null": b"null\n",
    "list": b"- a\n- b\n",
    "word": b"quickstart\n",
    "number": b"3\n",
    "binary": bytes(range(256)) * 4,
    "zeros": b"\0" * 100,
    "utf-16": "name: x\n".encode("utf-16"),
    "latin": "name: caf\xe9\n".encode("latin-1"),
    "bomb": BOMB.encode(),
    "deep list": b"x: " + b"[" * 3000 + b"]" * 3000,
    "deep map": b"x: " + b"{a: " * 60 + b"1" + b"}" * 60,
    "huge": b"# " + b"x" * (5 * 2**20),
    "json": b'{"name": "x"}',
    "endless key": b"? " + b"k" * 5000 + b"\n: 1\n",
    "recursive": b"name: &a [*a]\n",
    "merge": b"base: &b {seed: 1}\n<<: *b\n",
    "lone surrogate": b'name: "\\ud800"\n',
    "surrogate key": b'"\\ud800": 1\n',
}


@pytest.mark.parametrize("kind", sorted(FILES))
def test_a_file_that_is_no_scenario_is_answered(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(FILES[kind])
    refused(file)


def test_a_folder_and_a_dead_link_are_answered(tmp_path: Path) -> None:
    assert "folder" in refused(tmp_path)[0].message
    (tmp_path / "dead.yaml").symlink_to(tmp_path / "gone.yaml")
    assert "no such file" in refused(tmp_path / "dead.yaml")[0].message


def test_weights_that_do_not_fit_are_infeasible_with_the_sum() -> None:
    loaded = load_scenario("quickstart", sets=["model=llama-3.1-405b"])
    with pytest.raises(InfeasibleError, match=r"needs .* has .* short by"):
        build_plan(loaded.scenario, loaded.base_dir)


def test_a_prompt_of_a_billion_tokens_is_infeasible(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(QUICK.replace(LAW, "{kind: fixed, tokens: 1000000000}"))
    with pytest.raises(InfeasibleError, match=r"bad\.yaml:[0-9]+: workload\.input: .* short by"):
        load_scenario(file)


# -- fuzz ------------------------------------------------------------------------------------

NASTY: list[Any] = [
    None, True, False, "", " ", "abc", -1, 0, 1, 2, 3, 7, 1.5, 1e308, -1e308, 5e-324, float("nan"),
    float("inf"), 10**30, -(10**30), 2**31, 2**63, [], {}, [[]], [{}],
    {"kind": "x"}, {"kind": None},
    "1 s", "-1 s", "0 s", "1e400 s", "1e300 s", "1e-300 s", "9**9**9 s", "1 s; 2", "400 GB",
    "1 GB/s", "5 %", "1 req/s", "1e300 req/s", "\0", "\ud800", "../../etc/passwd", "/", ".", "~",
    "<script>alert(1)</script>", "$(rm -rf /)", "{{7*7}}", "%s%n", "a" * 10_000, "💥", "2026-01-01",
    "h20", "mi300x", "cpu-spr-8480", "metax-c550", "tiny-moe", "deepseek-v3", "kimi-linear-48b-a3b",
    "gemma-3-27b", "vllm", "sglang_early", "ideal", "tpu", "fp8_e4m3", "nvfp4", "int4", "both",
    "prefill", "layer", "chunk", "consumer", "constant", "trace", "closed_loop", "direct", "rails",
]  # fmt: skip


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        data.items()
        if isinstance(data, dict)
        else enumerate(data)
        if isinstance(data, list)
        else ()
    )
    return [
        found for key, value in inside for found in ((*path, key), *places(value, (*path, key)))
    ]


def mutate(data: Any, draw: random.Random) -> None:
    """Change one place of ``data``: drop it, rename it, or put something else there."""
    *above, last = draw.choice(places(data))
    holder = data
    for part in above:
        holder = holder[part]
    act = draw.random()
    if act < 0.15:
        del holder[last]
    elif act < 0.25 and isinstance(holder, dict):
        holder[draw.choice(["x", "kind", "tp", "nic", f"{last}s", str(last)[:-1] or "a"])] = (
            holder.pop(last)
        )
    elif act < 0.35:
        holder[last] = copy.deepcopy(draw.choice(list(data.values())))
    else:
        holder[last] = copy.deepcopy(draw.choice(NASTY))


def answer(data: Any) -> None:
    """Load and build; anything but our own errors fails the test."""
    try:
        loaded = load_data(data, base_dir=data_root("scenarios"), file="fuzz.yaml")
        if getattr(loaded.scenario.workload, "requests", 0) <= 20_000 and small(loaded.scenario):
            with loaded.locating():
                build_plan(loaded.scenario, loaded.base_dir)
    except ScenarioError as error:
        assert error.problems
        assert all(problem.file and problem.message for problem in error.problems)
        str(error).encode("utf-8", "backslashreplace")
    except InfeasibleError as error:
        assert str(error)


def small(scenario: Any) -> bool:
    return all(
        pool.instances * pool.parallel.tp * pool.parallel.pp * pool.parallel.dp <= 512
        for pool in scenario.pools.values()
    )


@given(which=st.integers(0, len(PARSED) - 1), seed=st.integers(0, 2**32), edits=st.integers(1, 4))
def test_random_edits_of_shipped_scenarios_are_answered(which: int, seed: int, edits: int) -> None:
    data, draw = copy.deepcopy(PARSED[which]), random.Random(seed)
    for _ in range(edits):
        if places(data):
            mutate(data, draw)
    answer(data)


@given(which=st.integers(0, len(SHIPPED) - 1), seed=st.integers(0, 2**32))
def test_random_edits_of_the_text_are_answered(which: int, seed: int) -> None:
    draw = random.Random(seed)
    text = SHIPPED[which]
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(text))
        length = draw.choice([0, 0, 1, 3, 30])
        filler = draw.choice(
            [
                "",
                ":",
                "{",
                "}",
                "[",
                "\n",
                "  ",
                "- ",
                "&a ",
                "*a",
                "!",
                "#",
                "'",
                '"',
                "\t",
                "0",
                "x",
                "\n\n",
                "%",
            ]
        )
        text = text[:at] + filler + text[at + length :]
    try:
        data, _ = parse_yaml(text, "fuzz.yaml")
    except ScenarioError as error:
        assert error.problems
        return
    answer(data)


KEYS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["pools.prefill.parallel.tp", "faults[0].at", "faults[9]", "workload",
         "workload.input.mean",
         "pools", "pools.prefill", "network.pools.prefill.nic", "seed.x", "slo[0]", "prices.h100",
         "workload.input.values[0]", "limits.rows", "pools.prefill.estimator.kind", "name"]
    ),
)  # fmt: skip


@given(key=KEYS, value=st.one_of(st.text(max_size=20), st.sampled_from(NASTY).map(str)))
def test_any_set_is_answered(key: str, value: str) -> None:
    try:
        load_data(
            PARSED[0], sets=[f"{key}={value}"], base_dir=data_root("scenarios"), file="f.yaml"
        )
    except (ScenarioError, InfeasibleError) as error:
        assert str(error)


@given(
    st.recursive(
        st.sampled_from(NASTY),
        lambda inner: st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    )
)
def test_any_data_is_answered(data: Any) -> None:
    answer(data)


def test_messages_never_show_python(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(QUICK.replace(LAW, "[1, 2]"))
    said = "\n".join(str(problem) for problem in refused(file))
    assert not re.search(r"<class|object at|pydantic|dataclass", said)
