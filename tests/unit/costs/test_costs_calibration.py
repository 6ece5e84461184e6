import math
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from hetsim.costs import load_calibration, read_calibration_file, worst_grade
from hetsim.errors import ScenarioError
from hetsim.hardware import accelerator_names, get_accelerator

LINE = "{t0_us: 4, e_c: 0.8, e_m: 0.9, p: 3, grade: fitted, rse: 0.1}"
FILE = f"""\
schema: 1
accelerator: h100-sxm
date: "2026-11-24"
source: "a table"
operators:
  gemm:
    bf16: {LINE}
collectives:
  all_reduce:
    "2": {{t0_us: 3, bytes_per_s: 1e11, grade: fitted, rse: 0.1}}
    "4":
      - {{t0_us: 3, bytes_per_s: 1e11, grade: fitted, rse: 0.1}}
      - {{t0_us: 9, bytes_per_s: 2e11, grade: fitted, rse: 0.1}}
host: {{}}
"""

FAMILIES = """\
schema: 1
devices:
  h100-sxm:
    family: hopper
    source: "built in"
    operators:
      gemm:
        bf16: {t0_us: 9, e_c: 0.5, e_m: 0.5, p: 2, grade: fitted, rse: 0.2}
        fp8_e4m3: {t0_us: 9, e_c: 0.4, e_m: 0.5, p: 2, grade: fitted, rse: 0.2}
    collectives: {}
lenders:
  hopper: [h100-sxm]
datasheet:
  default:
    source: "typical"
    operators:
      elementwise:
        any: {t0_us: 2, e_c: 1, e_m: 0.6, p: 8, grade: datasheet, rse: 0.3}
      dequantise:
        any: {t0_us: 0, e_c: 0.9, e_m: 0.8, p: 2, grade: datasheet, rse: 0.3}
    collectives: {}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "families.yaml").write_text(FAMILIES)
    (tmp_path / "h100-sxm").mkdir()
    (tmp_path / "h100-sxm" / "2026-11-24.yaml").write_text(FILE)
    return tmp_path


def write(root: Path, text: str) -> Path:
    path = root / "h100-sxm" / "2026-11-24.yaml"
    path.write_text(text)
    return path


def test_own_file_comes_first(root):
    found = load_calibration(get_accelerator("h100-sxm"), root).operator("gemm", "bf16")
    assert (found.t0_s, found.e_c, found.grade) == (4e-6, 0.8, "fitted")
    assert found.source == "a table (h100-sxm)"


def test_newest_file_wins(root):
    (root / "h100-sxm" / "2027-01-01.yaml").write_text(FILE.replace("e_c: 0.8", "e_c: 0.7"))
    assert load_calibration(get_accelerator("h100-sxm"), root).operator("gemm", "bf16").e_c == 0.7


def test_built_in_table_fills_what_the_file_lacks(root):
    found = load_calibration(get_accelerator("h100-sxm"), root).operator("gemm", "fp8_e4m3")
    assert (found.e_c, found.grade) == (0.4, "fitted")


def test_a_relative_lends_its_fractions_as_transferred(root):
    found = load_calibration(get_accelerator("h20"), root).operator("gemm", "bf16")
    assert (found.e_c, found.grade) == (0.8, "transferred")


def test_a_near_format_stands_in_as_transferred(root):
    found = load_calibration(get_accelerator("h100-sxm"), root).operator("gemm", "fp8_block")
    assert (found.e_c, found.grade) == (0.4, "transferred")


def test_a_stranger_gets_the_datasheet_line(root):
    found = load_calibration(get_accelerator("mi300x"), root).operator("elementwise", "any")
    assert (found.e_m, found.grade) == (0.6, "datasheet")


def test_weight_only_losses_multiply_when_not_measured(root):
    calibration = load_calibration(get_accelerator("h100-sxm"), root)
    found = calibration.weight_only("gemm", "int4", "bf16")
    assert found.e_c == pytest.approx(0.72)
    assert found.e_m == pytest.approx(0.72)
    assert found.grade == "datasheet"


def test_weight_only_is_read_where_it_was_measured(root):
    write(
        root, FILE.replace("    bf16:", f"    bf16_w_int4: {LINE.replace('0.8', '0.3')}\n    bf16:")
    )
    calibration = load_calibration(get_accelerator("h100-sxm"), root)
    assert calibration.weight_only("gemm", "int4", "bf16").e_c == 0.3
    assert calibration.weight_only("gemm", "nvfp4", "bf16").e_c == pytest.approx(0.72)


def test_absent_efficiencies_come_from_the_layer_below(root):
    write(root, FILE.replace("{t0_us: 4, e_c: 0.8, e_m: 0.9, p: 3,", "{t0_us: 4, e_m: 0.9,"))
    found = load_calibration(get_accelerator("h100-sxm"), root).operator("gemm", "bf16")
    assert (found.t0_s, found.e_c, found.e_m, found.p) == (4e-6, 0.5, 0.9, 2.0)


def test_the_fuller_form_is_preferred(root):
    more = "shaped: {t0_us: 2, e_c: 0.9, e_m: 0.95, p: 2, m0: 8, walk_ps: 500, rse: 0.05}}"
    write(root, FILE.replace(LINE, LINE[:-1] + ", " + more))
    found = load_calibration(get_accelerator("h100-sxm"), root).operator("gemm", "bf16")
    assert (found.t0_s, found.e_c, found.m0, found.rse) == (2e-6, 0.9, 8.0, 0.05)
    assert found.walk_s == pytest.approx(5e-10)


def test_collectives_have_one_or_more_pieces(root):
    calibration = load_calibration(get_accelerator("h100-sxm"), root)
    assert len(calibration.collective("all_reduce", 2)) == 1
    assert [p.t0_s for p in calibration.collective("all_reduce", 4)] == [3e-6, 9e-6]
    assert calibration.collective("all_reduce", 3) == ()


@pytest.mark.parametrize(
    ("old", "new", "message", "line"),
    [
        ("e_c: 0.8", "e_c: 1.8", "e_c is 1.8", 7),
        ("p: 3", "p: 9", "p is 9", 7),
        ("rse: 0.1}\ncoll", "rse: -1}\ncoll", "at least 0", 7),
        ("grade: fitted, rse: 0.1}\ncoll", "grade: guessed, rse: 0.1}\ncoll", "allowed: ", 7),
        ("e_m: 0.9", "e_n: 0.9", "unknown key", 7),
        (
            'bytes_per_s: 1e11, grade: fitted, rse: 0.1}\n    "4"',
            'bytes_per_s: 0, grade: fitted, rse: 0.1}\n    "4"',
            "above 0",
            10,
        ),
        ('"2": {', '"two": {', "not a number of devices", None),
        ("schema: 1", "schema: 2", "schema 2", 1),
        ('source: "a table"\n', "", "is missing", None),
        ("operators:\n", "operators: 5\nx:\n", "unknown key", None),
        (FILE, "", "", None),
        (FILE, "[1, 2]", "", None),
    ],
)
def test_malformed_files_are_answered_at_their_place(root, old, new, message, line):
    assert old in FILE
    path = write(root, FILE.replace(old, new, 1))
    with pytest.raises(ScenarioError) as caught:
        read_calibration_file(path)
    found = [p for p in caught.value.problems if message in str(p)]
    assert found, str(caught.value)
    assert found[0].file == str(path)
    if line is not None:
        assert found[0].line == line


def test_every_problem_of_a_file_at_once(root):
    text = FILE.replace("e_c: 0.8", "e_c: 1.8").replace("bytes_per_s: 2e11", "bytes_per_s: -1")
    with pytest.raises(ScenarioError) as caught:
        read_calibration_file(write(root, text))
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize("name", accelerator_names())
def test_every_device_has_something_for_every_operator(name):
    calibration = load_calibration(get_accelerator(name))
    kinds = ("gemm", "grouped_gemm", "attention_decode", "attention_decode_mla")
    kinds += ("attention_prefill", "attention_prefill_mla")
    for kind in kinds:
        for fmt in ("bf16", "fp16", "fp8_e4m3", "fp8_block", "int8", "nvfp4", "mxfp4", "fp32"):
            found = calibration.operator(kind, fmt)
            assert 0.0 < found.e_c <= 1.0 and 0.0 < found.e_m <= 1.0 and found.source
    assert calibration.operator("elementwise", "any").e_m > 0.0


def test_samples_spread_by_their_error_and_share_a_kind(kit):
    calibration = kit.ideal(rse=0.2, e_c=0.4, e_m=0.4, t0_s=1e-6)
    layer = calibration.layers[0]
    two = {"bf16": layer.operators["gemm"]["any"], "fp8_block": layer.operators["gemm"]["any"]}
    layer = replace(layer, operators={"gemm": two, "elementwise": two})
    calibration = replace(calibration, layers=(layer,))
    rng = np.random.default_rng(1)
    draws = [calibration.sample(rng) for _ in range(2000)]
    logs = np.array(
        [
            [
                math.log(draw.operator("gemm", "bf16").e_c / 0.4),
                math.log(draw.operator("gemm", "fp8_block").e_c / 0.4),
                math.log(draw.operator("elementwise", "bf16").e_c / 0.4),
            ]
            for draw in draws
        ]
    )
    assert np.std(logs[:, 0]) == pytest.approx(0.2, rel=0.1)
    correlation = np.corrcoef(logs.T)
    assert correlation[0, 1] == pytest.approx(0.7, abs=0.06)
    assert abs(correlation[0, 2]) < 0.06


def test_samples_never_exceed_nominal_and_repeat_with_the_seed():
    calibration = load_calibration(get_accelerator("h100-sxm"))
    first, again = (calibration.sample(np.random.default_rng(3)) for _ in range(2))
    assert first == again
    for layer in first.layers:
        for formats in layer.operators.values():
            assert all(line.e_c <= 1.0 and line.e_m <= 1.0 for line in formats.values())


def test_worst_grade_orders_them():
    assert worst_grade([]) == "measured"
    assert worst_grade(["transferred", "fitted"]) == "transferred"


def test_mappings_may_be_read_only(root):
    calibration = load_calibration(get_accelerator("h100-sxm"), root)
    frozen = replace(calibration, collective_scale=MappingProxyType({"all_reduce": 1.0}))
    assert frozen.sample(np.random.default_rng(0)).collective_scale["all_reduce"] > 0.0
