"""What is written for vLLM exists in vLLM: options, keys and words, as its own parser lists them.

``data/vllm_serve.json`` was read from an installation (version and date are in it), so that none is
needed here.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hetsim.deploy import _vllm, export
from hetsim.deploy.targets import vllm

DATA = Path(__file__).with_name("data") / "vllm_serve.json"
SCENARIOS = ("quickstart", "moe_wide_ep", "colocated_baseline", "cpu_pair", "boundary/fnuz_sound")


@cache
def known() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DATA.read_text(encoding="utf-8"))
    return found


def test_the_list_says_where_it_is_from() -> None:
    assert known()["engine"] == "vLLM" and re.fullmatch(r"0\.\d+\.\d+", known()["version"])
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", known()["read"]) and known()["how"]
    assert known()["version"] in (_vllm.__doc__ or "")


def test_every_option_that_the_code_can_write_exists() -> None:
    """Read from the source: a branch that no scenario here takes is covered as well."""
    text = Path(_vllm.__file__).read_text(encoding="utf-8")
    engine = Path(vllm.__file__).read_text(encoding="utf-8")
    engine = engine[engine.index("def _engine") : engine.index("def _router")]
    written = set(re.findall(r'"(--[a-z][\w-]+)"', text + engine))
    assert len(written) > 20
    assert sorted(written - set(known()["options"])) == []


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scripts_and_transfer_configurations_use_known_words(scenario: str) -> None:
    files = export(scenario, "vllm").files
    scripts = [t for name, t in files.items() if name.endswith(".sh") and "router" not in name]
    for text in scripts:
        options = re.findall(r"^\s+(--[a-z][\w-]+)(?: (\S+))?", text, re.M)
        assert options
        for option, value in options:
            assert option in known()["options"], option
            words = known()["choices"].get(option)
            assert words is None or value in words, (option, value)
        variables = set(re.findall(r"\b(VLLM_\w+)", text))
        assert variables <= set(known()["environment"]) | {"VLLM_HOST"}, variables
    for name, text in files.items():
        if name.endswith("kv-transfer-config.json"):
            _check_config(json.loads(text))


def _check_config(config: dict[str, Any]) -> None:
    assert set(config) <= set(known()["kv_transfer_config"])
    for key in ("kv_connector", "kv_role", "kv_load_failure_policy"):
        assert config[key] in known()[key]
    extra = config.get("kv_connector_extra_config", {})
    assert set(extra) <= set(known()["kv_connector_extra_config"])


def test_every_word_of_the_tables_exists() -> None:
    can = _vllm.ABILITIES
    assert set(can.protocols.values()) <= set(known()["kv_connector"])
    assert set(can.kv.values()) <= set(known()["choices"]["--kv-cache-dtype"])
    assert set(can.on_error) <= set(known()["kv_load_failure_policy"])
    assert set(can.timers.values()) <= set(known()["kv_connector_extra_config"])


def test_a_cpu_gets_a_block_size_that_its_kernels_take() -> None:
    """vLLM 0.32 refuses to start on a CPU with blocks of 16 tokens."""
    made = export("cpu_pair", "vllm")
    sizes = {re.search(r"--block-size (\d+)", t) for n, t in made.files.items() if "-0.sh" in n}
    assert {found.group(1) for found in sizes if found} == {"32"}
    asked = [gap for gap in made.gaps if gap.field.endswith("block_tokens")]
    assert len(asked) == 2 and "multiples of 32" in asked[0].does
    on_gpu = export("quickstart", "vllm")
    assert "--block-size 16 " in on_gpu.files["prefill-0.sh"]
