from __future__ import annotations

import time

import pytest

from hetsim.errors import ScenarioError
from hetsim.inspect import catalogue, profile_rows

KINDS = [
    "accelerators", "links", "hosts", "models", "runtimes", "formats", "transfer_engines",
    "regimes",
]  # fmt: skip


def test_everything_that_a_scenario_may_name_is_listed() -> None:
    found = catalogue()
    assert list(found) == KINDS
    for kind, rows in found.items():
        assert rows, kind
        assert all(row["name"] and row["title"] for row in rows), kind
        assert [row["name"] for row in rows] == sorted(row["name"] for row in rows), kind


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_and_last_of_a_kind_are_shown(kind: str) -> None:
    rows = catalogue()[kind]
    for name in (rows[0]["name"], rows[-1]["name"]):
        shown, fields = profile_rows(f"{kind}/{name}")
        assert shown == kind
        assert fields
        assert all(set(field) == {"field", "value", "source"} for field in fields)


def test_the_list_is_read_without_parsing_the_files() -> None:
    catalogue()
    start = time.process_time()
    catalogue()
    assert time.process_time() - start < 0.5


def test_every_number_of_an_accelerator_has_its_source() -> None:
    _, rows = profile_rows("h100")
    by_field = {row["field"]: row for row in rows}
    assert by_field["name"]["value"] == "h100-sxm"
    assert by_field["memory bandwidth"]["value"] == "3.35 TB/s"
    assert by_field["memory bandwidth"]["source"]
    assert any(field.startswith("source ") for field in by_field)


def test_a_model_says_its_parameters_and_kv() -> None:
    kind, rows = profile_rows("meta-llama/Llama-3.1-8B-Instruct")
    told = {row["field"]: row["value"] for row in rows}
    assert kind == "models"
    assert told["parameters"] == "8.0303 B"
    assert told["KV per token"].startswith("65536 elements, 131.1 kB")


def test_case_does_not_matter_and_a_kind_may_be_named() -> None:
    assert profile_rows("H100-SXM")[0] == "accelerators"
    assert profile_rows("runtimes/vllm")[0] == "runtimes"
    assert profile_rows("formats/bf16")[1][0]["value"] == "bf16"


@pytest.mark.parametrize("name", ["h1000", "accelerators/nothing", "", "\0", "no such thing"])
def test_an_unknown_name_is_an_error_with_a_hint(name: str) -> None:
    with pytest.raises(ScenarioError):
        profile_rows(name)


def test_a_near_name_is_offered() -> None:
    with pytest.raises(ScenarioError, match="'vllm_nixl_pull'"):
        profile_rows("vllm_nixl_pul")
