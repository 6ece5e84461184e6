"""Which table is what, and what is wrong with one that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetsim.errors import ScenarioError
from hetsim.validate import KINDS, read_tables


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_table_is_known_by_its_columns(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        ",".join((*KINDS[kind], "mine")) + "\n" + ",".join("1" * (len(KINDS[kind]) + 1))
    )
    (found,) = read_tables([path])
    assert found.kind == kind
    assert found.rows[0].text("mine") == "1"


def test_a_table_without_a_needed_column_is_refused_with_its_name(table) -> None:
    path = table({"isl": "10"})
    text = path.read_text().replace("weight_dtype", "wdtype")
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        read_tables([path])
    assert "weight_dtype" in str(caught.value) and "serving" in str(caught.value)


def test_every_bad_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    paths = [tmp_path / "empty.csv", tmp_path / "absent.csv"]
    with pytest.raises(ScenarioError) as caught:
        read_tables(paths)
    assert {problem.file for problem in caught.value.problems} == {str(path) for path in paths}


def test_binary_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "b.csv"
    path.write_bytes(b"\xff\xfe\x00\x01PK")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_tables([path])


def test_suspects_beside_the_table_are_marked(table, tmp_path: Path) -> None:
    path = table({}, {})
    (tmp_path / "suspects.csv").write_text("row_id,reason\nR2,dtype: wrong\n")
    (found,) = read_tables([path])
    assert [row.suspect for row in found.rows] == ["", "dtype: wrong"]


def test_numbers_say_what_was_seen(table) -> None:
    row = read_tables([table({"isl": "many", "osl": "-3", "concurrency": "2.5"})])[0].rows[0]
    with pytest.raises(ScenarioError, match="'many'"):
        row.tokens("isl")
    with pytest.raises(ScenarioError, match="-3"):
        row.tokens("osl")
    with pytest.raises(ScenarioError, match=r"2\.5"):
        row.count("concurrency")
    assert row.number("request_rate") is None
    assert row.measured("osl", "ttft_ms_mean") == 60.0
