"""The strict loader reads YAML 1.2, keeps lines, and refuses what would be read wrongly."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetsim.errors import ScenarioError
from hetsim.spec._yaml import dump_yaml, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8e12", 8e12),
        ("3.35e12", 3.35e12),
        ("12:30", "12:30"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("010", 10),
        ("1_000", 1000),
        ("0x10", "0x10"),
        ("~", None),
        ("-.5", -0.5),
        (".inf", math.inf),
        ("2026-11-24", "2026-11-24"),
        ("400 Gbit/s", "400 Gbit/s"),
    ],
)
def test_scalars_are_read_as_yaml_1_2(text, value):
    assert parse_yaml(f"x: {text}")[0] == {"x": value}


def test_every_value_has_its_line():
    marks = parse_yaml("a: 1\nb:\n  - x\n  - y: 2\n")[1]
    assert marks["a",] == 1 and marks["b", 1, "y"] == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: 1\na: 2", "stands here twice"),
        ("a: [1, 2", "not YAML"),
        ("a: !!python/object/apply:os.system ['true']", "cannot be read"),
        ("a: \tb: c", "not YAML"),
        ("a: b\x00c", "not YAML"),
        ("? [1, 2]\n: x", "a key must be text"),
    ],
)
def test_what_would_be_read_wrongly_is_refused_with_its_place(text, words):
    with pytest.raises(ScenarioError, match=words) as caught:
        parse_yaml(text, "s.yaml")
    assert "s.yaml" in str(caught.value)


def test_aliases_cannot_grow_without_end():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    with pytest.raises(ScenarioError, match="million"):
        parse_yaml("\n".join(lines))


def test_files_that_cannot_be_read_say_why(tmp_path: Path):
    (tmp_path / "bin").write_bytes(b"\xff\xfe\x00\x01")
    for path, words in (
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "is a folder"),
        (tmp_path / "bin", "not UTF-8"),
    ):
        with pytest.raises(ScenarioError, match=words):
            read_yaml(path)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(data=st.dictionaries(st.from_regex(r"[a-z_]{1,6}", fullmatch=True), PLAIN, max_size=4))
def test_what_is_dumped_is_read_back_equal(data):
    assert (parse_yaml(dump_yaml(data))[0] or {}) == data
