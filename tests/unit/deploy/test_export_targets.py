"""Contract of every target, over shipped scenarios: files that a shell and JSON can read."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

from hetsim.deploy import Export, export_design, target_names
from hetsim.deploy._directory import write_directory
from hetsim.scenario import load_scenario

QUICK = ("hetero_nvidia", "moe_wide_ep", "sglang_pair", "trtllm_colocated", "queue_md1")
MORE = (
    "quickstart",
    "agentic_prefix",
    "residency_tiers",
    "ascend910b_to_h20",
    "gaudi3_pair",
    "cpu_pair",
    "boundary/pool_lease_sound",
)
PAIRS = [(target, scenario) for scenario in QUICK for target in target_names()]
PAIRS += [
    pytest.param(target, scenario, marks=pytest.mark.slow)
    for scenario in MORE
    for target in target_names()
]
pytestmark = pytest.mark.parametrize(("target", "scenario"), PAIRS)

load = cache(load_scenario)


@cache
def made(target: str, scenario: str) -> Export:
    return export_design(load(scenario), target)


def scripts(target: str, scenario: str) -> dict[str, str]:
    files = made(target, scenario).files
    return {name: text for name, text in files.items() if name.endswith(".sh")}


def test_every_script_is_read_by_a_shell(target: str, scenario: str, tmp_path: Path) -> None:
    found = scripts(target, scenario)
    write_directory(tmp_path / "out", made(target, scenario).files)
    loop = 'for file in *.sh site.env; do bash -n "$file" || exit 1; done'
    subprocess.run(["bash", "-c", loop], cwd=tmp_path / "out", check=True)
    for text in found.values():
        assert shlex.split(text, comments=True)[-1] == "$@"


def test_there_is_one_script_per_instance_and_node(target: str, scenario: str) -> None:
    loaded = load(scenario)
    names = [name for name in scripts(target, scenario) if name != "router.sh"]
    for pool in loaded.scenario.pools.values():
        role = {"both": "serve"}.get(pool.role, pool.role)
        own = [name for name in names if name.startswith(f"{role}-")]
        indices = {name.removesuffix(".sh").split("-")[1] for name in own}
        assert indices == {str(index) for index in range(pool.instances)}


def test_json_files_are_json_and_every_name_stands_in_the_readme(
    target: str, scenario: str
) -> None:
    files = made(target, scenario).files
    for name, text in files.items():
        if name.endswith(".json"):
            assert isinstance(json.loads(text), dict)
        if name.endswith(".sh"):
            assert f"`{name}`" in files["README.md"]
    assert sorted(json.loads(files["export.json"])["files"]) == sorted(files)


def test_every_choice_names_a_field_of_the_scenario(target: str, scenario: str) -> None:
    roots = {"pools", "boundary", "network", "model", "residency", "slo"}
    for text in scripts(target, scenario).values():
        block = text.split("args=(\n")[1].split("\n)\n")[0]
        for line in block.splitlines():
            comment = line.split("  # ")[1]
            assert comment.split(";")[0].split(".")[0] in roots, line


def test_what_matters_is_told_to_every_engine(target: str, scenario: str) -> None:
    """A setting that is dropped silently would leave the engine at its own default."""
    for name, text in scripts(target, scenario).items():
        if name == "router.sh":
            continue
        role = name.split("-")[0]
        text += made(target, scenario).files.get(name.replace(".sh", ".engine.yaml"), "")
        for pool, stated in load(scenario).scenario.pools.items():
            if {"both": "serve"}.get(stated.role, stated.role) != role:
                continue
            wanted = ["parallel.tp", "parallel.pp", "block_tokens", "max_batched_tokens"]
            wanted += ["max_seqs", "memory_utilisation", "precision.kv"]
            wanted += ["precision.compute"] if ".engine.yaml" not in text else []
            wanted += ["parallel.dp"] if stated.parallel.dp > 1 else []
            wanted += ["parallel.ep"] if stated.parallel.ep > 1 else []
            wanted += ["role"] if stated.role != "both" and target != "vllm" else []
            for field in wanted:
                assert f"pools.{pool}.{field}" in text, (name, field)
        if load(scenario).scenario.boundary is not None:
            assert "# boundary" in text


def test_the_resolved_scenario_lies_beside_and_loads(
    target: str, scenario: str, tmp_path: Path
) -> None:
    path = tmp_path / "scenario.resolved.yaml"
    path.write_text(made(target, scenario).files["scenario.resolved.yaml"], encoding="utf-8")
    assert load_scenario(path).scenario.name == load(scenario).scenario.name


def test_ports_of_a_node_do_not_collide(target: str, scenario: str, tmp_path: Path) -> None:
    by_node: dict[str, list[str]] = {}
    for text in scripts(target, scenario).values():
        if " on node " not in text:
            continue
        node = text.split(" on node ")[1].split(",")[0].split(";")[0]
        words = shlex.split(text, comments=True)
        ports = [words[i + 1] for i, word in enumerate(words) if word == "--port"]
        ports += [w.split("=")[1] for w in words if "_PORT=" in w]
        by_node.setdefault(node, []).extend(ports)
    for ports in by_node.values():
        assert len(set(ports)) == len(ports), ports


STUB = '#!/bin/sh\nprintf "%s\\0" "$(basename "$0")" "$@" > "$CALLED"\n'


def run_stubbed(folder: Path, script: str, **environment: str) -> list[str]:
    """Return the command that a script would run: every program is a stub that notes its words."""
    stubs = folder.parent / "stubs"
    stubs.mkdir(exist_ok=True)
    for name in ("vllm", "python3", "vllm-router", "trtllm-llmapi-launch"):
        (stubs / name).write_text(STUB)
        (stubs / name).chmod(0o755)
    called = folder.parent / "called"
    path = f"{stubs}:{os.environ['PATH']}"
    environment = {"PATH": path, "CALLED": str(called), **environment}
    subprocess.run([str(folder / script), "--extra"], env=environment, check=True)
    return called.read_text().split("\0")[:-1]


def test_a_script_runs_the_command_that_it_shows(
    target: str, scenario: str, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    write_directory(folder, made(target, scenario).files)
    first = next(name for name in sorted(scripts(target, scenario)) if name != "router.sh")
    words = run_stubbed(folder, first, MODEL="a b/c$d", NODE_0="10.0.0.7")
    assert words[-1] == "--extra"
    assert "a b/c$d" in words
    if "--kv-transfer-config" in words:
        config = json.loads(words[words.index("--kv-transfer-config") + 1])
        assert config["kv_connector"].endswith("Connector")
    if "router.sh" in scripts(target, scenario):
        router = run_stubbed(folder, "router.sh", MODEL="m", NODE_0="10.0.0.7")
        if target != "dynamo":
            assert any(word.startswith("http://10.0.0.7:81") for word in router)
