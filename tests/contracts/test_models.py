"""What holds for every built-in model, every reader and every published configuration at hand."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.model import (
    Model,
    active_parameters,
    attention_of,
    embedding_parameters,
    expert_gemms,
    get_model,
    mlp_gemms,
    model_names,
    parameters,
    router_gemms,
    shared_gemms,
    tp_problems,
)
from hetsim.model._names import _joined, _words, index
from hetsim.spec import data_root
from hetsim.spec._yaml import read_yaml

NAMES = model_names()
FOLDER = data_root("hardware_profiles") / "models"


def half_of_last_digit(value: float) -> float:
    """Half a unit in the last digit that ``value`` states: 37e9 -> 0.5e9, 12.9e9 -> 0.05e9."""
    digits = f"{value:.6e}".split("e")[0].rstrip("0").rstrip(".")
    exponent = math.floor(math.log10(value))
    last = exponent - (len(digits.split(".")[1]) if "." in digits else 0)
    return 0.5 * 10.0 ** min(last, 9)


@pytest.mark.parametrize("name", NAMES)
def test_total_is_within_one_percent_of_the_published_number(name: str) -> None:
    model = get_model(name)
    if name.startswith("tiny-"):
        return
    assert model.published_params is not None, "a real model states what was published"
    assert parameters(model) == pytest.approx(model.published_params, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_active_is_the_published_number_by_one_of_its_conventions(name: str) -> None:
    """Publishers count the embedding, or the head, or both, or neither; ours counts the head."""
    model = get_model(name)
    published = model.published_active_params
    if published is None:
        return
    active, table = active_parameters(model), model.vocab * model.hidden
    slack = max(0.01 * published, half_of_last_digit(published))
    most = active if model.tied_embeddings else active + embedding_parameters(model)
    assert active - table - slack <= published <= most + slack


@pytest.mark.parametrize("name", NAMES)
def test_a_routed_model_states_its_active_parameters_and_a_dense_one_uses_all(name: str) -> None:
    model = get_model(name)
    routed = any(group.mlp.kind == "moe" for group in model.layers)
    idle = parameters(model) - active_parameters(model)
    looked_up = model.lookup_params + model.position_embeddings * model.hidden
    looked_up += 0 if model.tied_embeddings else model.vocab * model.hidden
    if routed:
        assert idle > looked_up
        assert model.published_active_params or name.startswith("tiny-") or name == "grok-1"
    else:
        assert idle == looked_up


@pytest.mark.parametrize("name", NAMES)
def test_data_file_says_where_its_numbers_come_from(name: str) -> None:
    data, _ = read_yaml(FOLDER / f"{name}.yaml")
    assert data["source"]
    assert ("published_params" in data) == ("published_source" in data)
    assert "tie_word_embeddings" in data["config"], "its default differs between families"


@pytest.mark.parametrize("name", NAMES)
def test_aliases_of_the_index_are_those_of_the_file(name: str) -> None:
    data, _ = read_yaml(FOLDER / f"{name}.yaml")
    for alias in [name, data["name"], *data.get("aliases", [])]:
        assert index()[_joined(_words(str(alias)))] == name
        assert get_model(str(alias)).name == data["name"]


def test_no_two_models_claim_one_name() -> None:
    seen: dict[str, str] = {}
    for name in NAMES:
        data, _ = read_yaml(FOLDER / f"{name}.yaml")
        keys = {_joined(_words(str(alias))) for alias in [name, *data.get("aliases", [])]}
        for key in sorted(keys):
            assert seen.setdefault(key, name) == name, key


def one_layer_gemm_weights(model: Model) -> float:
    total = 0.0
    for group in model.layers:
        hidden, mlp = model.hidden, group.mlp
        gemms = attention_of(group.attention).gemms(hidden, 1)
        gemms += mlp_gemms(mlp, hidden, 1) + router_gemms(mlp, hidden)
        gemms += shared_gemms(mlp, hidden, 1)
        experts = sum(gemm.weights for gemm in expert_gemms(mlp, hidden, 1)) * mlp.top_k
        total += group.count * (sum(gemm.weights for gemm in gemms) + experts)
    return total


@pytest.mark.parametrize("name", NAMES)
def test_flop_per_token_is_twice_the_active_parameters(name: str) -> None:
    """Time and capacity use one count: the GEMMs and the head make up the active parameters."""
    model = get_model(name)
    gemms = one_layer_gemm_weights(model) + model.vocab * model.hidden
    slack = 0.02 if model.extra_params or "linear" in kinds_of(model) else 0.003
    assert gemms == pytest.approx(active_parameters(model), rel=slack)


def kinds_of(model: Model) -> set[str]:
    return {group.attention.kind for group in model.layers}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("tp", [2, 4, 8, 16])
def test_ranks_together_hold_the_whole(name: str, tp: int) -> None:
    model = get_model(name)
    if tp_problems(model, tp):
        pairs = [(g.attention.heads, g.attention.kv_heads or 1) for g in model.layers]
        assert any(heads % tp or (kv % tp and tp % kv) for heads, kv in pairs)
        return
    for group in model.layers:
        kind, hidden = attention_of(group.attention), model.hidden
        for whole, part in zip(kind.gemms(hidden, 1), kind.gemms(hidden, tp), strict=True):
            assert whole.name == part.name
            assert whole.weights <= tp * part.weights * (1 + 1e-12)
            replicated = whole.name in ("qkv_a", "kv_a", "index", "index_q", "index_k")
            if replicated:
                assert part == whole
            elif whole.name != "qkv" or tp <= group.attention.kv_heads:
                assert tp * part.weights == pytest.approx(whole.weights, rel=1e-12)
        assert tp * kind.kv_elements_per_token(tp) >= kind.kv_elements_per_token(1)
        assert tp * kind.state_bytes(tp) == pytest.approx(kind.state_bytes(1))
        per_context = kind.decode_flops_per_context_token
        assert tp * per_context(tp) == pytest.approx(per_context(1))
        for whole, part in zip(
            mlp_gemms(group.mlp, hidden, 1), mlp_gemms(group.mlp, hidden, tp), strict=True
        ):
            assert tp * part.weights == pytest.approx(whole.weights, rel=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_one_more_token_of_prefill_costs_one_decode_step(name: str) -> None:
    """In kinds whose prefill has the form of their decode: all but expanded latent attention."""
    for group in get_model(name).layers:
        kind = attention_of(group.attention)
        if group.attention.kind == "mla" and not kind.indexed:
            continue
        for past in (0, 100, 5000):
            read = min(past + 1, kind.context_limit or past + 1)
            expected = kind.decode_flops_per_context_token(1) * read
            expected += kind.index_flops_per_context_token(1) * (past + 1)
            expected += kind.decode_flops_constant(1)
            assert kind.prefill_flops(1, past, 1) == pytest.approx(expected)


def published_configs() -> list[Path]:
    found = importlib.util.find_spec("aiconfigurator_core")
    if found is None or not found.submodule_search_locations:
        return []
    folder = Path(next(iter(found.submodule_search_locations))) / "model_configs"
    return sorted(p for p in folder.glob("*_config.json") if "hf_quant" not in p.name)


@pytest.mark.slow
def test_published_configurations_are_read_or_refused_by_layer_kind() -> None:
    configs = published_configs()
    if not configs:
        pytest.skip("aiconfigurator-core absent")
    refused = []
    for path in configs:
        try:
            model = get_model(path)
        except ScenarioError as error:
            assert "is a layer kind that hetsim does not model" in str(error)
            refused.append(path.name)
            continue
        assert parameters(model) > 1e8
    assert len(refused) <= 0.1 * len(configs), refused


@pytest.mark.slow
def test_built_in_models_equal_the_configurations_they_were_read_from() -> None:
    """Same shapes from our few keys as from the whole published file."""
    checked = 0
    for path in published_configs():
        organisation, _, rest = path.name.removesuffix("_config.json").partition("--")
        try:
            own, published = get_model(f"{organisation}/{rest}"), get_model(path)
        except ScenarioError:
            continue
        if organisation == "nvidia" or rest.startswith(("Step-3.7", "Qwen3-VL")):
            continue
        assert ordered(own) == ordered(published), rest
        assert parameters(own) == parameters(published), rest
        checked += 1
    if not checked:
        pytest.skip("aiconfigurator-core absent")
    assert checked > 30


def ordered(model: Model) -> list[str]:
    return sorted(repr(group) for group in model.layers)
