"""The page: template, style, script and plotly.js in one file that fetches nothing."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from hetsim._version import __version__
from hetsim.report._chart import Figure
from hetsim.report._plotly import plotly_spec

__all__ = ["render"]

_FOLDER = Path(__file__).with_name("templates")


def render(page: dict[str, Any]) -> str:
    """Return the report as HTML; every text of the page is escaped by the template."""
    figures = [page["first"], *(one for part in page["sections"] for one in part["figures"])]
    return str(
        _template().render(
            **page,
            version=__version__,
            specs={one.key: plotly_spec(one.chart) for one in figures if one.chart is not None},
            label=_label,
            style=(_FOLDER / "report.css").read_text(encoding="utf-8"),
            script=(_FOLDER / "report.js").read_text(encoding="utf-8"),
            explore_script=(_FOLDER / "explore.js").read_text(encoding="utf-8"),
            plotly=_plotly_js(),
        )
    )


def _label(figure: Figure) -> str:
    return f"{figure.title}. {figure.says} The table beside it holds the numbers."


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


@lru_cache(maxsize=1)
def _plotly_js() -> str:
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())
