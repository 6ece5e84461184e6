"""The report in a real browser. Skipped, saying so, where no Chromium is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hetsim.report import report, report_figures

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chromium() -> str:
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser to look with: none of {', '.join(names)} is installed")
    return found


def opened(chromium: str, page: Path, profile: Path, *more: str) -> tuple[str, list[str]]:
    """Return the document after its scripts have run, and the lines of the console."""
    command = [
        chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--disable-background-networking", f"--user-data-dir={profile}", "--window-size=1280,900",
        "--enable-logging=stderr", "--virtual-time-budget=10000", *more, "--dump-dom",
        page.resolve().as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def body(text: str) -> dict[str, str]:
    found = re.search(r"<body([^>]*)>", text)
    assert found is not None
    return dict(re.findall(r'data-(\w+)="([^"]*)"', found.group(1)))


@pytest.mark.parametrize("scheme", ["0", "1"], ids=["dark", "light"])
def test_figures_are_drawn_nothing_is_fetched_and_the_console_is_silent(
    chromium: str, run_folder: Path, html: str, tmp_path: Path, scheme: str
) -> None:
    setting = f"--blink-settings=preferredColorScheme={scheme}"
    text, console = opened(chromium, run_folder / "report.html", tmp_path, setting)
    charts = sum(figure.chart is not None for figure in report_figures(run_folder))
    seen = body(text)
    assert console == []
    assert seen["drawn"] == str(charts)
    assert seen["fetched"] == "0"
    assert text.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 2


def test_a_sweep_of_2000_points_opens_as_silently(
    chromium: str, sweep_folder: Path, tmp_path: Path
) -> None:
    page = report(sweep_folder)
    text, console = opened(chromium, page, tmp_path)
    assert console == []
    assert body(text)["drawn"] == "2"
    assert body(text)["fetched"] == "0"
    assert page.stat().st_size < 8e6
    assert "<script>alert(1)</script>" not in text


def test_the_console_is_read(chromium: str, run_folder: Path, html: str, tmp_path: Path) -> None:
    # A broken script and an address to fetch: the test above must be able to fail.
    bad = "</main><script>nothing()</script><img src='http://127.0.0.1:9/x.png'>"
    page = tmp_path / "broken.html"
    page.write_text(html.replace("</main>", bad), encoding="utf-8")
    _, console = opened(chromium, page, tmp_path / "profile")
    assert any("nothing is not defined" in line for line in console)
    assert any("Content Security Policy" in line for line in console)


PRESS = """<script>setTimeout(() => {
  const plot = document.getElementById("plot-backlog");
  const width = () => { const [a, b] = plot._fullLayout.xaxis.range; return b - a; };
  const press = (key) => plot.dispatchEvent(new KeyboardEvent("keydown", {key}));
  const seen = [width()];
  for (const key of ["+", "ArrowRight", "0"]) { press(key); seen.push(width()); }
  document.body.dataset.widths = seen.map((one) => (one / seen[0]).toFixed(3)).join(" ");
}, 3000);</script></body>"""


def test_figures_zoom_by_keyboard(
    chromium: str, run_folder: Path, html: str, tmp_path: Path
) -> None:
    page = tmp_path / "pressed.html"
    page.write_text(html.replace("</body>", PRESS), encoding="utf-8")
    text, console = opened(chromium, page, tmp_path / "profile")
    assert console == []
    assert body(text)["widths"] == "1.000 0.500 0.500 1.000"


@pytest.mark.parametrize("width", [360, 768, 1920])
def test_the_page_is_no_wider_than_its_window(
    chromium: str, run_folder: Path, tmp_path: Path, width: int
) -> None:
    # A headless window is never narrower than 500 px, a frame is.
    report(run_folder)
    frame = tmp_path / "frame.html"
    address = (run_folder / "report.html").resolve().as_uri()
    frame.write_text(
        f'<iframe src="{address}" style="width:{width}px;height:800px"></iframe>'
        "<script>onload = () => setTimeout(() => { document.body.dataset.over = "
        "frames[0].document.body.dataset.overflow; }, 3000)</script><body>",
        encoding="utf-8",
    )
    text, _ = opened(
        chromium, frame, tmp_path / "profile", "--allow-file-access-from-files",
        "--disable-web-security", f"--window-size={width + 100},900",
    )  # fmt: skip
    assert int(body(text)["over"]) <= 0
