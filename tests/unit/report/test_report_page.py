from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from hetsim.cli import invoke
from hetsim.errors import ScenarioError
from hetsim.report import report, report_figures

HOSTILE = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Collects tags with their attributes, and text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text.append(data)


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_a_hostile_name_is_text(page: Page, html: str) -> None:
    assert HOSTILE not in html
    assert HOSTILE in page.text
    assert sum(tag == "script" for tag, _ in page.tags) == 4


def test_nothing_is_fetched(page: Page) -> None:
    for tag, given in page.tags:
        assert "src" not in given, tag
        place = given.get("href") or "#"
        assert place.startswith(("#", "data:")), place
    policy = next(g["content"] for _, g in page.tags if "http-equiv" in g)
    assert policy is not None and policy.startswith("default-src 'none'")
    assert "http" not in policy


def test_plotly_is_there_once_and_the_file_is_small(html: str) -> None:
    assert html.count("plotly.js v") == 1
    assert len(html) < 8e6


def test_every_figure_has_its_place_its_numbers_and_a_table(
    page: Page, html: str, run_folder: Path
) -> None:
    figures = report_figures(run_folder)
    places = {given.get("id") for _, given in page.tags}
    found = re.search(r'<script type="application/json" id="specs">(.*?)</script>', html)
    assert found is not None
    specs = json.loads(found.group(1))
    assert list(sorted(specs)) == sorted(f.key for f in figures if f.chart is not None)
    assert {f"plot-{key}" for key in specs} <= places
    tables = {given.get("aria-label") for _, given in page.tags}
    assert {f"Table: {f.title}" for f in figures} <= tables


def test_links_lead_somewhere_and_what_scrolls_takes_the_keyboard(page: Page) -> None:
    places = {given.get("id") for _, given in page.tags}
    for tag, given in page.tags:
        place = given.get("href") or ""
        assert not place.startswith("#") or place[1:] in places
        if given.get("class") in ("plot", "scroll") or tag == "pre":
            assert given.get("tabindex") == "0" and given.get("aria-label")


def test_the_answer_comes_before_everything_else(page: Page) -> None:
    order = [given["id"] for tag, given in page.tags if tag == "section"]
    assert order == [
        "answer", "latency", "path", "stages", "ownership", "transfers", "believe", "again",
    ]  # fmt: skip


def test_the_report_says_what_it_rests_on(page: Page, result: Any) -> None:
    for line in result.summary["assumptions"]:
        assert line in page.text
    text = "".join(page.text)
    assert result.manifest["scenario_sha256"] in text
    assert result.scenario_yaml.strip() in text
    assert "hetsim run scenario.resolved.yaml" in text


def test_equal_runs_give_equal_reports(html: str, run_folder: Path) -> None:
    assert report(run_folder).read_text(encoding="utf-8") == html
    assert not list(run_folder.glob(".*partial"))


def test_a_folder_of_something_else_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ScenarioError, match="is not a run directory"):
        report(tmp_path)
    assert invoke(["report", str(tmp_path / "absent")]) == 2
    assert "is not a run directory" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command_draws_every_figure_for_print(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert invoke(["report", str(run_folder), "--figures", str(tmp_path / "figures")]) == 0
    assert capsys.readouterr().out.strip() == str(run_folder / "report.html")
    keys = [figure.key for figure in report_figures(run_folder) if figure.chart is not None]
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == sorted(f"{key}.{suffix}" for key in keys for suffix in ("svg", "png", "pdf"))
    assert all((tmp_path / "figures" / name).stat().st_size > 2000 for name in names)
