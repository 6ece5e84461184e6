import pytest

from hetsim.costs import Precision, checkpoint_precision
from hetsim.costs._roles import resolve_roles
from hetsim.errors import ScenarioError
from hetsim.hardware import get_accelerator


def roles(device: str, weights: str, compute: str, kv: str = "bf16", attention: str | None = None):
    precision = Precision(weights=weights, compute=compute, kv=kv, attention_weights=attention)
    return resolve_roles(get_accelerator(device), precision)


def test_a_native_format_is_kept_without_a_note():
    found = roles("h100-sxm", "fp8_block", "fp8_block")
    assert (found.compute.name, found.notes) == ("fp8_block", ())


@pytest.mark.parametrize(
    ("device", "wanted", "instead"),
    [
        ("a100-sxm4-80", "fp8_e4m3", "bf16"),
        ("h100-sxm", "nvfp4", "bf16"),
        ("h100-sxm", "mxfp4", "bf16"),
        ("v100-sxm2-32", "bf16", "fp16"),
        ("t4", "fp8_e4m3", "fp16"),
    ],
)
def test_a_missing_format_falls_back_to_16_bit_and_says_so(device, wanted, instead):
    found = roles(device, wanted, wanted)
    assert found.compute.name == instead
    assert any(wanted in note and instead in note for note in found.notes)


def test_the_roof_of_a_stand_in_is_never_faster():
    device = get_accelerator("h100-sxm")
    found = roles("h100-sxm", "nvfp4", "nvfp4")
    assert device.peaks_flop_per_s[found.compute.roof] == device.peaks_flop_per_s["bf16"]


def test_other_fp8_of_mi300x_is_the_same_roof_with_a_note():
    found = roles("mi300x", "fp8_e4m3", "fp8_e4m3")
    assert found.compute.name == "fp8_e4m3fnuz"
    assert any("fp8_e4m3fnuz" in note for note in found.notes)


def test_attention_kept_wide_computes_wide():
    found = roles("b200-sxm", "nvfp4", "nvfp4", attention="bf16")
    assert found.attention_compute.name == "bf16"
    assert found.compute.name == "nvfp4"


@pytest.mark.parametrize(
    ("family", "weights", "kept"),
    [
        ("gpt-oss", "mxfp4", "bf16"),
        ("deepseek-v3", "nvfp4", "bf16"),
        ("deepseek-v3", "fp8_block", None),
        ("llama", "nvfp4", None),
    ],
)
def test_known_checkpoints_keep_attention_wide(family, weights, kept):
    precision = Precision(weights=weights, compute="bf16", kv="bf16")
    assert checkpoint_precision(family, precision).attention_weights == kept


def test_a_stated_attention_format_is_not_overruled():
    precision = Precision(weights="nvfp4", compute="nvfp4", kv="bf16", attention_weights="fp8")
    assert checkpoint_precision("deepseek-v3", precision) == precision


def test_unknown_formats_are_all_listed():
    with pytest.raises(ScenarioError) as caught:
        Precision(weights="bf17", compute="bf16", kv="fp9")
    assert [problem.path for problem in caught.value.problems] == ["weights", "kv"]
