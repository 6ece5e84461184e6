"""The documentation as a site: it builds without a warning and reads the same without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDS = ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
LOADS = re.compile(
    r'<(?:script|link|img|iframe|source)\b[^>]*?(?:src|href)="((?:https?:)?//[^"]+)"'
)
CSS_LOADS = re.compile(r"""(?:url\(|@import\s+)["']?((?:https?:)?//[^)"']+)""")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built site."""
    lacking = [name for name in NEEDS if find_spec(name) is None]
    if lacking:
        pytest.skip(f"the site needs {', '.join(lacking)}: pip install 'hetsim[docs]'")
    target = tmp_path_factory.mktemp("site")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-d", str(target)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout + done.stderr
    return target


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 25
    assert {found for page in pages for found in LOADS.findall(page.read_text("utf-8"))} == set()
    sheets = site.rglob("*.css")
    assert {
        found for sheet in sheets for found in CSS_LOADS.findall(sheet.read_text("utf-8"))
    } == set()


def test_the_search_index_knows_every_page(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))
    known = {entry["location"].partition("#")[0] for entry in index["docs"]}
    built = {
        str(page.parent.relative_to(site)).replace(".", "") for page in site.rglob("index.html")
    }
    assert {f"{name}/" if name else "" for name in built} <= known


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("reference/cli", ("hetsim breakeven", "hetsim calibrate loop")),
        ("reference/scenario", ("burst_ratio", "Prompt lengths")),
        ("reference/faults", ("step_stall",)),
        ("reference/protocols", ("layerwise_push", "I16")),
        ("reference/api", ("find_capacity",)),
        ("background/validation", ("TPOT",)),
    ],
)
def test_a_generated_page_holds_what_it_is_made_from(
    page: str, words: tuple[str, ...], site: Path
) -> None:
    text = (site / page / "index.html").read_text("utf-8")
    assert [word for word in words if word not in text] == []


# -- in a browser ----------------------------------------------------------------------------------


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def test_search_finds_without_a_network(address: str) -> None:
    """Every request that leaves this machine is noted and refused; there must be none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None or find_spec("playwright") is None:
        pytest.skip("no browser to search in: install chromium and 'hetsim[browser]'")
    left: list[str] = []
    # The driver wants a thread without an event loop, and other tests leave theirs running.
    with ThreadPoolExecutor(1) as own:
        hits = own.submit(_searched, found, address, left).result()
    assert any("aults" in hit or "wner" in hit or "untime" in hit for hit in hits)
    assert left == []


def _searched(program: str, address: str, left: list[str]) -> list[str]:
    """Return what a search finds; note in ``left`` what it asked of other machines."""
    from playwright.sync_api import sync_playwright

    def watch(route: Any) -> None:
        if route.request.url.startswith(address):
            route.continue_()
        else:
            left.append(route.request.url)
            route.abort()

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page()
        page.route("**/*", watch)
        page.goto(address)
        page.fill("input.md-search__input", "heartbeat")
        page.wait_for_selector(".md-search-result__item a", timeout=60_000)
        hits: list[str] = page.locator(".md-search-result__item a").all_inner_texts()
        browser.close()
    return hits
