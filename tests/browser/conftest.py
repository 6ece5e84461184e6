"""Pages to look at, and a browser to look with; where there is none, the tests say so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import hetsim

HOSTILE = "<script>alert(1)</script>"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser to look with: none of {', '.join(NAMES)} is installed")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("no driver for the browser: pip install 'hetsim[browser]'")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


class Seen:
    """A page, what its console said, and what it asked the network for."""

    def __init__(self, page: Any, *, reload: bool = False) -> None:
        self.page = page
        self.reload = reload
        self.console: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.console.append(message.text))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.route("**/*", self._route)

    def _route(self, route: Any) -> None:
        address = route.request.url
        if address.startswith("file:") and (self.reload or not self.asked):
            self.asked.append(address)
            route.continue_()
        else:
            self.asked.append(address)
            route.abort()

    def data(self, key: str) -> int:
        return int(self.page.evaluate("key => document.body.dataset[key]", key))

    def settled(self) -> Seen:
        self.page.wait_for_selector("body[data-drawn]", timeout=60_000)
        return self


Look = Callable[..., Seen]


@pytest.fixture
def look(browser: Any) -> Iterator[Look]:
    """Open a file: ``look(path, width=1280, scheme="light")``."""
    contexts = []

    def opened(
        path: Path, *, width: int = 1280, scheme: str = "light", reload: bool = False
    ) -> Seen:
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, color_scheme=scheme)
        contexts.append(context)
        seen = Seen(context.new_page(), reload=reload)
        seen.page.goto(path.resolve().as_uri())
        return seen.settled()

    yield opened
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def run_folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs of 120 requests; the name of both is hostile."""
    base = tmp_path_factory.mktemp("runs")
    for name, more in (("a", []), ("b", ["pools.decode.instances=2"])):
        sets = [("name", HOSTILE), "workload.requests=120", *more]
        hetsim.run("quickstart", sets=sets, out=base / name)
    return [base / "a", base / "b"]


@pytest.fixture(scope="session")
def sweep_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of 2,000 points with hostile names, and every answer about its decisions."""
    folder = tmp_path_factory.mktemp("sweeps") / "sweep"
    write_sweep(folder, 2000)
    write_answers(folder)
    return folder


AXES = {
    "prefill": ["h100", "h200", "l40s", "<b>own</b>"],
    "decode": ["h100", "h200", "l40s", "h20"],
    "split": ["1:3", "2:2", "3:1"],
    "load": ["balanced", "bursty"],
}


def write_sweep(folder: Path, points: int) -> None:
    """Write a finished sweep with made-up figures."""
    folder.mkdir()
    rng = np.random.default_rng(3)
    table = pd.DataFrame({"point": range(points), "seed": 1})
    for name, levels in AXES.items():
        codes = rng.integers(0, len(levels), points)
        table[f"axis.{name}"] = pd.Categorical.from_codes(codes, pd.Index(levels))
    table["status"], table["reason"], table["calibration_grade"] = "simulated", "", "fitted"
    table["goodput_req_s"] = rng.gamma(3.0, 5.0, points)
    table["cost_usd_per_mtok"] = rng.gamma(4.0, 0.5, points) + 0.2
    table["slo_attainment"] = np.clip(rng.normal(0.99, 0.02, points), 0.0, 1.0)
    table["slo_met"] = table["slo_attainment"] >= 0.99
    table["ttft_s.p99"] = rng.gamma(2.0, 0.4, points)
    table["tpot_s.p99"] = rng.gamma(3.0, 0.01, points)
    table["slo.ttft_s"], table["slo.tpot_s"] = 1.0, 0.03
    table["bottleneck"] = "decode-bound: memory of pool <b>own</b>"
    table.to_parquet(folder / "points.parquet")
    roles = {name: "condition" if name == "load" else "decision" for name in AXES}
    manifest = {
        "name": HOSTILE,
        "axes": roles,
        "seeds": [1],
        "response": {"metric": "goodput_req_s", "sense": None, "measure": "run"},
        "screen": {"keep": "all", "objectives": []},
        "sweep": {"name": HOSTILE},
        "base": {"name": HOSTILE},
        "wall_s": 0.1,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def write_answers(folder: Path) -> None:
    """Write what the commands about decisions would leave."""
    place = folder / "decisions"
    place.mkdir()
    pair = {"a": "prefill", "b": "decode", "share": 0.2, "share_ci": [0.1, 0.3], "regret": 0.08}
    pairs = [
        {**pair, "regret_ci": [0.04, 0.1], "verdict": "binding"},
        {**pair, "b": "split", "regret": 0.02, "regret_ci": [0.0, 0.04], "verdict": "undecided"},
        {**pair, "a": "split", "regret": 0.0, "regret_ci": [0.0, 0.01], "verdict": "independent"},
    ]
    regime = {"pairs": pairs, "components": [["prefill", "decode"], ["split"]], "undecided": 1}
    designs = [
        {"point": n, "levels": {"prefill": HOSTILE}, "value": 3.0 - n, "interval": [2.0, 4.0]}
        for n in range(2)
    ]
    sure = {"designs": designs, "p_beats": [[0.5, 0.8], [0.2, 0.5]], "says": [f"{HOSTILE} wins"]}
    lost = {"levels": {"prefill": HOSTILE}, "worst_regret": 0.1, "mean_regret": 0.05}
    lost |= {"regret": {"balanced": 0.0, "bursty": 0.1}, "rank": {"balanced": 1, "bursty": 2}}
    axis = {"path": "network.nic", "low": 25.0, "high": 400.0, "unit": "Gbit/s"}
    answers: dict[str, Any] = {
        "interactions": {"regimes": {"balanced": regime, "bursty": regime}, "notes": [HOSTILE]},
        "ranking": {
            "metric": "goodput_req_s", "samples": 20, "covers": "seeds",
            "regimes": {"balanced": sure, "bursty": sure},
        },
        "robustness": {
            "regimes": ["balanced", "bursty"], "designs": 1, "table": [lost], "says": ["one"],
            "recut": {"minimax": [], "winners": []},
        },
        "breakeven": {
            "first": HOSTILE, "second": "b", "metric": "goodput_req_s", "along": axis,
            "across": {**axis, "path": "workload.rate"}, "says": ["a wins"],
            "frontier": [
                {
                    "across": 25.0 * n, "crossings": [50.0 * n], "closed_form": [40.0 * n],
                    "low_end": "first", "high_end": "second", "looks": [],
                }
                for n in (1, 2, 3)
            ],
        },
    }  # fmt: skip
    for name, answer in answers.items():
        (place / f"{name}.json").write_text(json.dumps(answer), encoding="utf-8")


@pytest.fixture(scope="session")
def sweep_page(sweep_folder: Path) -> Path:
    """The page of the sweep."""
    from hetsim.report import report

    return report(sweep_folder)


@pytest.fixture(scope="session")
def pages(run_folders: list[Path], sweep_page: Path) -> dict[str, Path]:
    """A page of each kind."""
    from hetsim.report import compare, compare_report, report

    comparison = compare_report(compare(run_folders), run_folders[0].parent / "compare.html")
    return {"run": report(run_folders[0]), "sweep": sweep_page, "compare": comparison}
