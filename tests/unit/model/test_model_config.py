"""Reading a config.json: good ones, odd ones, broken ones."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.errors import ScenarioError
from hetsim.model import active_parameters, attention_of, get_model, parameters
from hetsim.model._config import Config
from hetsim.model._load import read_config
from hetsim.spec import data_root
from hetsim.spec._yaml import read_yaml

LLAMA: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 2048,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}


def write(folder: Path, data: object) -> Path:
    path = folder / "config.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data, indent=2))
    return path


def test_a_file_and_its_folder_are_the_same_model(tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    folder.mkdir()
    path = write(folder, LLAMA)
    model = get_model(path)
    assert model == get_model(folder) == get_model(str(path))
    assert model.name == "my-model"
    by_hand = 2 * 1000 * 256 + 2 * (256 * (256 + 128) + 256 * 256 + 3 * 256 * 512 + 2 * 256) + 256
    assert parameters(model) == by_hand


def test_architectures_alone_tell_the_reader() -> None:
    data = {key: value for key, value in LLAMA.items() if key != "model_type"}
    assert read_config(Config(data)).layer_count == 2


def test_a_vision_tower_is_left_out_with_a_note() -> None:
    data = {"model_type": "qwen3_vl", "text_config": LLAMA, "vision_config": {"depth": 2}}
    model = read_config(Config(data))
    assert model.layer_count == 2
    assert any("vision tower left out" in note for note in model.notes)


def test_an_unknown_plain_decoder_is_read_with_a_note() -> None:
    model = read_config(Config({**LLAMA, "model_type": "brandnew", "architectures": ["BrandNew"]}))
    assert any("'brandnew' is not known" in note for note in model.notes)


def test_an_unknown_decoder_with_strange_layers_is_refused_by_their_keys() -> None:
    data = {**LLAMA, "model_type": "brandnew", "architectures": [], "ssm_state_size": 16}
    with pytest.raises(ScenarioError, match=r"brandnew.*ssm_state_size"):
        read_config(Config(data))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("deepseek_v4", "compressed sparse attention"),
        ("rwkv", "RWKV time mixing"),
        ("jamba", "Mamba 1"),
        ("t5", "encoder-decoder"),
    ],
)
def test_layers_that_are_not_modelled_are_named(kind: str, words: str) -> None:
    with pytest.raises(ScenarioError, match=words):
        read_config(Config({**LLAMA, "model_type": kind, "architectures": []}))


def test_a_strange_layer_type_is_named() -> None:
    base = read_yaml(data_root("hardware_profiles") / "models" / "qwen3-next-80b-a3b.yaml")[0]
    data = {**base["config"], "layer_types": ["full_attention"] * 47 + ["fourier"]}
    with pytest.raises(ScenarioError, match="'fourier' is a layer kind"):
        read_config(Config(data))


@pytest.mark.parametrize(
    ("quantisation", "name"),
    [
        (None, "bf16"),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "fp8_block"),
        ({"quant_method": "fp8"}, "fp8_e4m3"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_algo": "NVFP4", "quant_method": "modelopt"}, "nvfp4"),
        ({"quant_method": "awq", "bits": 4}, "int4"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ("nonsense", "bf16"),
    ],
)
def test_weight_format(quantisation: object, name: str) -> None:
    assert read_config(Config({**LLAMA, "quantization_config": quantisation})).weight_format == name


def test_quantisation_in_a_file_beside_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, LLAMA)
    (tmp_path / "hf_quant_config.json").write_text('{"quantization": {"quant_algo": "FP8"}}')
    assert get_model(path).weight_format == "fp8_e4m3"


def test_every_problem_is_told_at_once_with_file_line_key_and_value(tmp_path: Path) -> None:
    data = {**LLAMA, "hidden_size": 0, "num_hidden_layers": "two", "vocab_size": math.nan}
    del data["intermediate_size"]
    path = write(tmp_path, data)
    with pytest.raises(ScenarioError) as caught:
        get_model(path)
    told = {problem.path: problem for problem in caught.value.problems}
    assert {"hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size"} <= set(told)
    assert told["hidden_size"].file == str(path)
    assert told["hidden_size"].line == 6
    assert "not 0" in told["hidden_size"].message
    assert "not 'two'" in told["num_hidden_layers"].message
    assert "is missing" in told["intermediate_size"].message


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "3", "null", '"llama"', "not json", "{" * 3000,
        '{"a":' * 3000 + "1" + "}" * 3000,
        '{"hidden_size": ' + "9" * 5000 + "}", '{"model_type": "llama"}', '{"model_type": 3}',
        '{"architectures": 3}', '{"architectures": [3]}', '{"text_config": 3}', "{}",
        '{"model_type": "llama", "is_encoder_decoder": true}',
    ],
)  # fmt: skip
def test_broken_files_are_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        get_model(path)
    assert str(path) in str(caught.value)


def test_a_file_too_large_to_be_a_configuration_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, LLAMA)
    monkeypatch.setattr("hetsim.model._load._MAX_BYTES", 100)
    with pytest.raises(ScenarioError, match="larger than"):
        get_model(path)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ScenarioError, match="UTF-8"):
        get_model(path)


def test_nesting_just_below_the_parser_limit_is_no_traceback(tmp_path: Path) -> None:
    for depth in range(100, 1000, 45):
        deep = '{"quantization_config": {"a": ' + "[" * depth + "]" * depth + "}, "
        path = write(tmp_path, deep + json.dumps(LLAMA)[1:])
        with contextlib.suppress(ScenarioError):
            get_model(path)


def test_a_yaml_of_ones_own_is_read_like_the_built_in(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "source: me\nconfig:\n" + "".join(f"  {k}: {json.dumps(v)}\n" for k, v in LLAMA.items())
    )
    assert get_model(path).name == "mine"
    path.write_text("source: me\nconfg: {}\n")
    with pytest.raises(ScenarioError, match="did you mean 'config'"):
        get_model(path)
    path.write_text(
        "source: me\npublished_params: -1\nconfig:\n  model_type: llama\n  hidden_size: x\n"
    )
    with pytest.raises(ScenarioError) as caught:
        get_model(path)
    lines = {p.path: p.line for p in caught.value.problems}
    assert lines["config.hidden_size"] == 5
    assert "published_params" in lines


BASES = [
    read_yaml(data_root("hardware_profiles") / "models" / f"{name}.yaml")[0]["config"]
    for name in (
        "tiny-llama", "mixtral-8x7b", "deepseek-v3.2", "qwen3.5-35b-a3b", "nemotron-3-nano-30b-a3b",
        "gemma-4-e2b", "gemma-4-26b-a4b", "gpt-j-6b", "kimi-linear-48b-a3b", "gpt-oss-20b",
        "mimo-v2-flash", "step-3.5-flash", "ernie-4.5-21b-a3b", "falcon-7b", "bloom-176b",
        "opt-13b", "llama-4-maverick", "minimax-text-01", "minimax-m2", "glm-4.5-air", "dbrx",
        "glm-4-9b", "glm-5.2",
    )
]  # fmt: skip

junk = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(
        [0, -1, 1, 2, 3, 7, 10**6, 10**9, 10**30, 0.5, 64.0, 1e308, math.nan, math.inf]
    ),
    st.text(max_size=5),
    st.lists(st.one_of(st.integers(-3, 70), st.text(max_size=3), st.booleans()), max_size=70),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
EXTRA = [
    "layer_types", "sliding_window", "head_dim", "num_key_value_heads", "moe_layer_freq",
    "mlp_only_layers", "decoder_sparse_step", "quantization_config", "text_config", "architectures",
    "attn_type_list", "indexer_types", "sliding_window_pattern", "layers_block_type",
    "block_configs", "index_topk", "sparse_attention_config", "model_type", "dtype",
]  # fmt: skip
MODEL_TYPES = [
    "nemotron-nas",
    "minimax_m3",
    "llama",
    "cohere2",
    "ernie4_5",
    "mimo_v2_flash",
    "qwen2_moe",
]


@st.composite
def broken_configs(draw: st.DrawFn) -> dict[str, Any]:
    data = copy.deepcopy(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 4))):
        inner = [data, *(value for value in data.values() if isinstance(value, dict))]
        place = draw(st.sampled_from(inner))
        key = draw(st.sampled_from(sorted(place) + EXTRA))
        if draw(st.booleans()) and key in place:
            del place[key]
        else:
            place[key] = draw(junk)
    if draw(st.integers(0, 9)) == 0:
        data["model_type"] = draw(st.sampled_from(MODEL_TYPES))
    return data


@given(broken_configs())
def test_a_broken_configuration_is_a_model_or_a_scenario_error(data: dict[str, Any]) -> None:
    try:
        model = read_config(Config(data, "config.json", ""))
    except ScenarioError as error:
        assert error.problems
        assert all(problem.file == "config.json" for problem in error.problems)
        return
    assert model.layer_count >= 1
    assert 0 < active_parameters(model) <= parameters(model) + model.vocab * model.hidden
    for group in model.layers:
        kind = attention_of(group.attention)
        assert kind.kv_elements_per_token(1) >= 0
        assert kind.prefill_flops(10, 5, 1) >= 0
        assert kind.context_limit is None or kind.context_limit >= 1
