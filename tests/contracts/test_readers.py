"""One suite for every trace format: what each must read, tell apart, and refuse."""

import gzip
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetsim.errors import ScenarioError
from hetsim.workload import detect_format, read_trace, trace_formats


def jsonl(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def mooncake(at, isl, osl, ids, **more):
    return {"timestamp": at, **more, "input_length": isl, "output_length": osl, "hash_ids": ids}


def served(at, isl, osl):
    return {"input_toks": isl, "output_toks": osl, "arrival_time_ns": at}


def lab(minute, session, isl, prefix, osl):
    stamp = {"timestamp": f"2026-06-01T05:{minute:02}:20.500Z"}
    return {
        "session_id": session, "input_tokens_total": isl, "prefix_tokens": prefix,
        "output_tokens": osl, "timing_events": [stamp],
    }  # fmt: skip


class Sample(NamedTuple):
    """A small file of a format, and what stands in it."""

    text: str
    arrival_s: list[float]
    isl: list[int]
    osl: list[int]
    hashes: list[list[int]] | None = None
    block: int | None = None


SAMPLES = {
    "azure": Sample(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n"
        "2023-11-16 18:15:50.9951690,396,0\n"
        "2023-11-16 18:16:51.0000000,879,55",
        [0.0, 4.314579, 64.31941],
        [374, 396, 879],
        [44, 0, 55],
    ),
    "mooncake": Sample(
        jsonl(
            mooncake(0, 1100, 5, [0, 1, 2]),
            mooncake(3000, 512, 9, [0]),
            mooncake(3000, 600, 0, [0, 7]),
        ),
        [0.0, 3.0, 3.0],
        [1100, 512, 600],
        [5, 9, 0],
        [[0, 1, 2], [0], [0, 7]],
        512,
    ),
    "lmcache_agent": Sample(
        jsonl(
            mooncake(0, 40, 5, [0, 1], session_id=0),
            mooncake(10, 15, 0, [], session_id=1),
            mooncake(2500, 70, 9, [0, 1, 2, 3], session_id=0),
        ),
        [0.0, 0.01, 2.5],
        [40, 15, 70],
        [5, 0, 9],
        [[0, 1], [], [0, 1, 2, 3]],
        16,
    ),
    "burstgpt": Sample(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,472,18,490,Conversation log\n"
        "45,ChatGPT,1087,0,1087,Conversation log\n"
        "118,GPT-4,0,0,0,API log\n",
        [0.0, 40.0, 113.0],
        [472, 1087, 0],
        [18, 0, 0],
    ),
    "burstgpt_arrivals": Sample(
        "event_id,Timestamp,Request_tokens_capped1023\r\n0,5,472\r\n1,45,1023\r\n2,118,417\r\n",
        [0.0, 40.0, 113.0],
        [472, 1023, 417],
        [0, 0, 0],
    ),
    "llmservingsim": Sample(
        jsonl(served(46926808, 10, 70), served(347938952, 22, 104), served(1e9, 9, 1)),
        [0.0, 0.301012144, 0.953073192],
        [10, 22, 9],
        [70, 104, 1],
    ),
    "tracelab": Sample(
        jsonl(lab(40, "a", 64, 32, 9), lab(42, "a", 96, 64, 8), lab(41, "b", 33, 0, 7)),
        [0.0, 60.0, 120.0],
        [64, 33, 96],
        [9, 7, 8],
        [[0, 1, 2, 3], [4, 5], [0, 1, 2, 3, 6, 7]],
        16,
    ),
    "generic_csv": Sample(
        "arrived_at_ms,prompt_tokens,completion_tokens,model\n"
        "0,10,3,x\n1500,20.0,4,y\n2000, 30 ,5,z\n",
        [0.0, 1.5, 2.0],
        [10, 20, 30],
        [3, 4, 5],
    ),
    "generic_jsonl": Sample(
        jsonl(
            {"arrival_s": 0.5, "isl": 48, "osl": 3, "block_hashes": [5, 6, 7]},
            {"arrival_s": 2, "isl": 70, "osl": 4, "block_hashes": [5, 6, 7, 9]},
            {"arrival_s": 2.5, "isl": 18, "osl": 5, "block_hashes": [5]},
        ),
        [0.0, 1.5, 2.0],
        [48, 70, 18],
        [3, 4, 5],
        [[5, 6, 7], [5, 6, 7, 9], [5]],
        16,
    ),
}
ELSEWHERE = {"parquet", "servegen"}  # not text files: tried below


def written(folder: Path, text: str, name: str = "trace") -> Path:
    path = folder / name
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def test_every_format_is_tried():
    assert {*SAMPLES, *ELSEWHERE} == set(trace_formats())


@pytest.mark.parametrize("format", SAMPLES)
def test_reads_what_stands_there(format, tmp_path):
    sample = SAMPLES[format]
    table = read_trace(written(tmp_path, sample.text))
    assert table.format == format
    assert table.arrival_s == pytest.approx(sample.arrival_s, abs=1e-9)
    assert (table.isl.tolist(), table.osl.tolist()) == (sample.isl, sample.osl)
    hashes = [table.hashes(row) for row in range(3)]
    assert hashes == (sample.hashes or [[], [], []])
    assert table.hash_block_tokens == sample.block
    assert table.source == str(tmp_path / "trace")


@pytest.mark.parametrize("format", SAMPLES)
def test_recognised_from_content_whatever_the_name(format, tmp_path):
    path = written(tmp_path, SAMPLES[format].text, "nothing.dat")
    assert detect_format(path) == format


@pytest.mark.parametrize("format", SAMPLES)
def test_packed_with_bom_and_blank_end_reads_the_same(format, tmp_path):
    path = tmp_path / "trace.gz"
    path.write_bytes(gzip.compress(("\ufeff" + SAMPLES[format].text + "\n\n").encode()))
    table = read_trace(path)
    assert table.isl.tolist() == SAMPLES[format].isl


@pytest.mark.parametrize("format", sorted(set(SAMPLES) - {"tracelab"}))
def test_limit_reads_the_first_rows_only(format, tmp_path):
    text = SAMPLES[format].text.rstrip("\n") + "\nbroken beyond the limit\n"
    table = read_trace(written(tmp_path, text), limit=2)
    assert table.isl.tolist() == SAMPLES[format].isl[:2]


@pytest.mark.parametrize("format", sorted(set(SAMPLES) - {"tracelab"}))
def test_rows_that_go_back_in_time_are_refused_with_their_line(format, tmp_path):
    lines = SAMPLES[format].text.splitlines()
    head = len(lines) - 3
    lines[head], lines[head + 1] = lines[head + 1], lines[head]
    path = written(tmp_path, "\n".join(lines))
    with pytest.raises(ScenarioError, match="goes back from") as caught:
        read_trace(path)
    assert [problem.line for problem in caught.value.problems] == [head + 2]


@pytest.mark.parametrize("format", SAMPLES)
def test_a_cut_last_line_is_refused_with_its_line(format, tmp_path):
    text = SAMPLES[format].text.rstrip()
    cut = text[: text.rindex(",") - 2] if "{" not in text else text[:-3]
    count = len(text.splitlines())
    with pytest.raises(ScenarioError) as caught:
        read_trace(written(tmp_path, cut))
    assert caught.value.problems[0].line == count
    assert caught.value.problems[0].file == str(tmp_path / "trace")


def csv_with(cell: str, column: int) -> str:
    rows = [["2023-11-16 18:15:46.68", "374", "44"], ["2023-11-16 18:15:47.68", "5", "6"]]
    rows[1][column] = cell
    return "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(map(",".join, rows))


@pytest.mark.parametrize(
    "cell", ["0", "-3", "x", "", "nan", "inf", "1.5", "1e9999", "1_0", "٣", "9" * 30]
)
def test_a_wrong_input_length_is_shown_with_its_line(cell, tmp_path):
    with pytest.raises(ScenarioError, match="ContextTokens must be") as caught:
        read_trace(written(tmp_path, csv_with(cell, 1)))
    [problem] = caught.value.problems
    assert problem.line == 3
    assert ascii(cell)[1:-1][:20] in str(problem)


@pytest.mark.parametrize("cell", ["-1", "x", "", "nan", "2147483648"])
def test_a_wrong_output_length_is_refused(cell, tmp_path):
    with pytest.raises(ScenarioError, match="3: GeneratedTokens must be"):
        read_trace(written(tmp_path, csv_with(cell, 2)))


@pytest.mark.parametrize(
    "cell", ["x", "", "2023-13-16 18:15:46", "2023-11-16", "NaT", "now", "1700000000"]
)
def test_a_wrong_date_is_refused(cell, tmp_path):
    with pytest.raises(ScenarioError, match="3: TIMESTAMP"):
        read_trace(written(tmp_path, csv_with(cell, 0)))


@pytest.mark.parametrize(
    "value", [0, -3, 1.5, "7", None, True, [1], {"a": 1}, 2**31, 2**70, float("inf"), float("nan")]
)
def test_a_wrong_length_in_json_is_refused(value, tmp_path):
    text = jsonl(mooncake(0, 1100, 5, [0, 1, 2]), mooncake(1, value, 5, [0, 1, 2]))
    with pytest.raises(ScenarioError) as caught:
        read_trace(written(tmp_path, text))
    assert caught.value.problems[0].line == 2


@pytest.mark.parametrize("value", [None, "x", True, float("nan"), float("inf"), 2**70, []])
def test_a_wrong_time_in_json_is_refused(value, tmp_path):
    text = jsonl(mooncake(0, 1100, 5, [0, 1, 2]), mooncake(value, 1100, 5, [0, 1, 2]))
    with pytest.raises(ScenarioError) as caught:
        read_trace(written(tmp_path, text))
    assert caught.value.problems[0].line == 2


@pytest.mark.parametrize(
    "value", [None, 3, "ab", [0, 1, 2.0], [0, "1", 2], [0, True, 2], [0, 1, 2**64]]
)
def test_wrong_hashes_are_refused(value, tmp_path):
    text = jsonl(mooncake(0, 1100, 5, [0, 1, 2]), mooncake(1, 1100, 5, value))
    with pytest.raises(ScenarioError, match="2: hash_ids"):
        read_trace(written(tmp_path, text))


def test_the_first_twenty_problems_and_their_number(tmp_path):
    text = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "2023-11-16 18:15:46,0,1\n" * 50_000
    with pytest.raises(ScenarioError) as caught:
        read_trace(written(tmp_path, text))
    problems = caught.value.problems
    assert [problem.line for problem in problems[:20]] == list(range(2, 22))
    assert problems[20].message == "and 49980 more problems like these"
    assert len(problems) == 21


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no request"),
        ("\n\n", "holds no request|first line"),
        ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "holds no request"),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46,1\n",
            "2: has 2 columns, the header 3",
        ),
        (
            "TIMESTAMP,ContextTokens,GeneratedTokens\n\n2023-11-16 18:15:46,1,1\n",
            "2: is an empty line",
        ),
        (csv_with("6", 2) + "\n" + jsonl(mooncake(0, 5, 5, [0])), "4: has . columns"),
        (SAMPLES["mooncake"].text + "2023-11-16 18:15:46,1,1\n", "4: is not JSON"),
        (SAMPLES["mooncake"].text + jsonl(served(1, 2, 3)), "4: lacks timestamp, input_length"),
        (SAMPLES["mooncake"].text + "[1, 2]\n", "4: must be a JSON object"),
        (SAMPLES["mooncake"].text + "{} {}\n", "4: is not JSON"),
        (SAMPLES["mooncake"].text + "[" * 100_000 + "\n", "4: is not JSON"),
        ("a,b\n1,2\n", "no known trace format; seen the columns 'a, b'"),
        ("[1,2]\n", "must be a JSON object"),
        ("\x00\x01\x02\n", "no known trace format"),
        ('TIMESTAMP,ContextTokens,"Gener\nated"\n', "CSV header|known trace"),
        ("input,prompt\n1,2\n", "could all be isl"),
    ],
)
def test_files_that_are_no_trace_are_refused(text, message, tmp_path):
    with pytest.raises(ScenarioError, match=message):
        read_trace(written(tmp_path, text))


def test_places_that_hold_no_trace(tmp_path):
    for place in (tmp_path / "absent", tmp_path, tmp_path / ("x" * 5000)):
        with pytest.raises(ScenarioError):
            read_trace(place)
    with pytest.raises(ScenarioError, match="no trace_format called 'azur'; did you mean 'azure'"):
        read_trace(written(tmp_path, SAMPLES["azure"].text), "azur")
    for format in trace_formats():  # a folder, and a file of another kind
        for place in (tmp_path, written(tmp_path, "nothing\n")):
            with pytest.raises(ScenarioError):
                read_trace(place, format)


def test_damaged_gzip_is_told(tmp_path):
    path = tmp_path / "trace.gz"
    path.write_bytes(gzip.compress(SAMPLES["azure"].text.encode())[:-12])
    with pytest.raises(ScenarioError, match="cannot be read on"):
        read_trace(path)


PIECES = [
    "",
    "\n",
    ",",
    "{",
    "}",
    "[",
    '"',
    "-",
    "0",
    "nan",
    "1e400",
    "null",
    "\x00",
    "\ud800",
    "é",
]


@st.composite
def mutated(draw) -> tuple[str, str]:
    format = draw(st.sampled_from(sorted(SAMPLES)))
    text = SAMPLES[format].text
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from(PIECES) | st.text(max_size=6))
        text = text[:start] + piece + text[stop:]
    return format, text


@given(case=mutated(), stated=st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_file_reads_or_is_refused(case, stated, tmp_path):
    format, text = case
    path = written(tmp_path, text)
    try:
        table = read_trace(path, format if stated else None)
    except ScenarioError as error:
        assert error.problems
        str(error).encode()
        return
    assert len(table) > 0
    assert (table.isl >= (0 if table.empty_inputs else 1)).all()
    assert (table.osl >= 0).all()
    assert (np.diff(table.arrival_s) >= 0).all()
    assert table.arrival_s[0] == 0


CELLS = st.sampled_from(
    ["1", " 7 ", "8.0", "+3", "007", "2147483647", "5.", "0", "-0", "x", "1e3", "1_0"]
)


@given(cells=st.lists(CELLS, min_size=1, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_fast_way_and_the_exact_way_agree(cells, tmp_path):
    head = "input,output\n"
    alone = []
    for cell in cells:
        try:
            alone += read_trace(written(tmp_path, f"{head}{cell},1\n")).isl.tolist()
        except ScenarioError:
            alone.append(None)
    # A cell that only the exact way reads takes the whole chunk along that way.
    try:
        table = read_trace(written(tmp_path, head + "".join(f"{c},1\n" for c in [*cells, "8.0"])))
        together = table.isl.tolist()
    except ScenarioError as error:
        assert len(error.problems) == alone.count(None)
        return
    assert together == [*alone, 8]
