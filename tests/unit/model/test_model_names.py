"""Names as people and tables write them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.model import get_model


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "Llama-3.1-8B"),
        ("LLAMA 3.1 8b", "Llama-3.1-8B"),
        ("Meta-Llama-3.1-70B", "Llama-3.1-70B"),
        ("Llama 3.3 70B", "Llama-3.1-70B"),
        ("amd/Llama-3.1-405B-Instruct-FP8-KV", "Llama-3.1-405B"),
        ("llama2-70b-99.9", "Llama-2-70B"),
        ("nvidia/DeepSeek-R1-NVFP4", "DeepSeek-V3"),
        ("DeepSeek-V3/R1", "DeepSeek-V3"),
        ("deepseek-ai/DeepSeek-V3-0324", "DeepSeek-V3"),
        ("DeepSeek-R1 8K/1K", "DeepSeek-V3"),
        ("/workspace/DeepSeek-R1-0528", "DeepSeek-V3"),
        ("deepseek-ai/DeepSeek-V3.2-Exp", "DeepSeek-V3.2"),
        ("Qwen/Qwen3-235B-A22B-Thinking-2507-FP8", "Qwen3-235B-A22B"),
        ("Qwen3-32B", "Qwen3-32B"),
        ("moonshotai/Kimi-K2-Thinking", "Kimi-K2"),
        ("llama-7b", "Llama-2-7B"),  # as tables use it: the second generation
        ("LLaMA-30B", "Llama-30B"),
        ("nvidia/DeepSeek-R1-0528-FP4-v2", "DeepSeek-V3"),
        ("gptj-99", "GPT-J-6B"),
        ("GPT-OSS 120B", "gpt-oss-120b"),
        ("google/gemma-3-27b-it", "Gemma-3-27B"),
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-BF16", "Nemotron-3-Super-120B-A12B"),
        ("mistral-nemo-instruct-2407", "Mistral-Nemo-12B"),
    ],
)
def test_spellings(written: str, name: str) -> None:
    assert get_model(written).name == name


@pytest.mark.parametrize("written", ["llama-3.1-9b", "lama-3.1-8b", "Llama-class", "qwen3-23b"])
def test_unknown_names_are_refused_with_near_ones(written: str) -> None:
    with pytest.raises(ScenarioError, match=r"did you mean '(llama|qwen)"):
        get_model(written)


@pytest.mark.parametrize(
    "written", ["", "-", "   ", "\0", "x" * 9999, "~nobody-here/x", "../..", "a/b/c.json"]
)
def test_strange_names_are_refused(written: str) -> None:
    with pytest.raises(ScenarioError):
        get_model(written)


# Several models, a class of models, or no model at all: rightly refused.
NOT_ONE_MODEL = {
    "-", "(LLaMA-30B-class)", "LLaMA-30B/70B", "Llama-class", "Llama2-70B, BLOOM-176B",
    "production token factory",
}  # fmt: skip


def test_every_model_of_the_measured_tables_has_a_name_here(shared_data: Path) -> None:
    unknown = set()
    for table in sorted((shared_data / "validation").glob("*.csv")):
        with table.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for written in {row.get(key) for row in rows for key in ("model", "model_family")}:
            if not written or written in NOT_ONE_MODEL:
                continue
            try:
                get_model(written)
            except ScenarioError:
                unknown.add(written)
    assert not unknown
