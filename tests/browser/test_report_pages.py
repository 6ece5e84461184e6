"""Every kind of page in a real browser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

KINDS = ("run", "sweep", "compare")


def charts(path: Path) -> int:
    """Return how many places for figures the page has."""
    return len(re.findall(r'class="plot"', path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_figures_are_drawn_nothing_is_fetched_and_the_console_is_silent(
    look: Any, pages: dict[str, Path], kind: str, scheme: str
) -> None:
    seen = look(pages[kind], scheme=scheme)
    assert seen.console == []
    assert seen.asked == [pages[kind].resolve().as_uri()]
    assert seen.data("drawn") == charts(pages[kind]) >= 6
    marks = seen.page.locator(".plot .main-svg:first-child").all()
    assert all(mark.bounding_box()["height"] > 100 for mark in marks)
    paper = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 23, 29)"}[scheme]


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_are_text(look: Any, pages: dict[str, Path], kind: str) -> None:
    seen = look(pages[kind])
    assert "<script>alert(1)</script>" in seen.page.inner_text("h1")
    assert seen.page.locator("main b").count() == 0
    assert seen.page.title().startswith("<script>")


def test_the_checks_of_this_file_can_fail(
    look: Any, pages: dict[str, Path], tmp_path: Path
) -> None:
    bad = "</main><script>nothing()</script><img src='http://127.0.0.1:9/x.png'>"
    page = tmp_path / "broken.html"
    page.write_text(pages["run"].read_text(encoding="utf-8").replace("</main>", bad))
    seen = look(page)
    assert any("nothing is not defined" in line for line in seen.console)
    assert any("Content Security Policy" in line for line in seen.console)


def narrowed(seen: Any, width: int) -> Any:
    """Give the open page another width, and time to follow."""
    seen.page.set_viewport_size({"width": width, "height": 900})
    seen.page.wait_for_timeout(800)
    return seen.page


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_no_wider_than_its_window(look: Any, pages: dict[str, Path], kind: str) -> None:
    seen = look(pages[kind], width=360)
    assert seen.data("overflow") <= 0
    for width in (360, 768, 1280, 1920):
        page = narrowed(seen, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for plot in page.locator("main .plot:not(.scroll .plot)").all():
            box = plot.bounding_box()
            assert box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(
    look: Any, pages: dict[str, Path], kind: str, scheme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    seen = look(pages[kind], scheme=scheme)
    for width in (1280, 360):
        found = axe.Axe().run(narrowed(seen, width)).response["violations"]
        serious = [
            (one["id"], [node["html"][:120] for node in one["nodes"][:3]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == [], width


@pytest.mark.parametrize("kind", KINDS)
def test_the_keyboard_reaches_everything_that_can_be_used(
    look: Any, pages: dict[str, Path], kind: str
) -> None:
    seen = look(pages[kind])
    usable = "a[href], button:not(:disabled), input, select, summary, [tabindex='0']"
    wanted = seen.page.evaluate(
        "usable => [...document.querySelectorAll(usable)].map((one, n) => {"
        " one.dataset.stop = n; return one.checkVisibility(); }).filter(Boolean).length",
        usable,
    )
    stops = set()
    for _ in range(wanted + 5):
        seen.page.keyboard.press("Tab")
        stops.add(seen.page.evaluate("document.activeElement.dataset.stop"))
    stops.discard(None)
    assert len(stops) == wanted


def test_figures_zoom_by_keyboard(look: Any, pages: dict[str, Path]) -> None:
    page = look(pages["run"]).page
    ends = "document.getElementById('plot-backlog')._fullLayout.xaxis.range"
    width = f"{ends}[1] - {ends}[0]"
    page.focus("#plot-backlog")
    whole = page.evaluate(width)
    seen = []
    for key in ("+", "ArrowRight", "0"):
        page.keyboard.press(key)
        page.wait_for_timeout(50)
        seen.append(round(page.evaluate(width) / whole, 3))
    assert seen == [0.5, 0.5, 1.0]
