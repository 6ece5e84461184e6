"""``profiles``: what hetsim knows by name, and one profile with the source of every number."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hetsim import hardware, runtimes
from hetsim.errors import Problem, ScenarioError
from hetsim.inspect._model_rows import model_rows, model_title
from hetsim.model import get_model, model_names
from hetsim.precision import FORMATS
from hetsim.spec import data_root
from hetsim.transfer import get_transfer_engine, transfer_engine_names
from hetsim.workload import regime_names, regime_workload

__all__ = ["catalogue", "profile_rows"]

Row = dict[str, str]

_TITLE = re.compile(r"^title: *(.+?) *$", re.MULTILINE)


def _row(field: str, value: str, source: str = "") -> Row:
    return {"field": field, "value": value, "source": source}


def _file_titles(folder: str, names: tuple[str, ...]) -> list[Row]:
    """Return names and titles, the titles read without parsing the files."""
    return [{"name": name, "title": _title(_file(folder, name))} for name in names]


def _file(folder: str, name: str) -> Path:
    return data_root("hardware_profiles") / folder / f"{name}.yaml"


def _title(path: Path) -> str:
    found = _TITLE.search(path.read_text(encoding="utf-8"))
    return found[1].strip("\"'") if found else ""


def catalogue() -> dict[str, list[Row]]:
    """Return every name that a scenario may use, by kind, with a title."""
    return {
        "accelerators": _file_titles("accelerators", hardware.accelerator_names()),
        "links": _file_titles("links", hardware.link_names()),
        "hosts": _file_titles("hosts", hardware.host_names()),
        "models": [
            {"name": n, "title": model_title(_file("models", n))} for n in sorted(model_names())
        ],
        "runtimes": _file_titles("runtimes", runtimes.runtime_names()),
        "formats": [
            {"name": name, "title": f"{form.bits:g} bit, computes at the {form.roof} roof"}
            for name, form in sorted(FORMATS.items())
        ],
        "transfer_engines": [
            {"name": name, "title": get_transfer_engine(name).title}
            for name in transfer_engine_names()
        ],
        "regimes": _file_titles("regimes", regime_names()),
    }


def profile_rows(name: str) -> tuple[str, list[Row]]:
    """Return the kind and the rows (field, value, source) of a profile.

    ``kind/name`` picks one where two kinds share a name.

    Raises
    ------
    ScenarioError
        If nothing has that name; the message lists near ones.
    """
    kind, _, rest = name.partition("/")
    if kind in _KINDS and rest:
        names, rows = _KINDS[kind]
        return kind, rows(_exact(rest, names()) or rest)
    for kind, (names, rows) in _KINDS.items():
        found = _exact(name, names())
        if found is not None:
            return kind, rows(found)
    # Aliases and other spellings, which only devices and models have.
    for kind in ("accelerators", "models"):
        try:
            return kind, _KINDS[kind][1](name)
        except ScenarioError:
            continue
    known = [entry for names, _ in _KINDS.values() for entry in names()]
    close = get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(map(repr, close))}? " if close else ""
    raise ScenarioError(Problem(f"no profile {name!r}; {hint}hetsim profiles lists all"))


def _exact(name: str, names: tuple[str, ...]) -> str | None:
    folded = name.strip().lower()
    return next((known for known in names if known.lower() == folded), None)


def _device(get: Callable[[str], Any]) -> Callable[[str], list[Row]]:
    def rows(name: str) -> list[Row]:
        made = []
        for row in hardware.describe(get(name)):
            source = f"{row.source} [{row.grade}]" if row.grade else row.source
            made.append(_row(row.field, row.value, source))
        return [*made, *_sources(made)]

    return rows


def _sources(rows: list[Row]) -> list[Row]:
    """Return what the source keys among ``rows`` stand for."""
    titles = hardware.source_titles()
    words = {word for row in rows for word in re.findall(r"[\w.\-]+", row["source"])}
    return [_row(f"source {key}", titles[key]) for key in sorted(words & set(titles))]


def _runtime(name: str) -> list[Row]:
    return [_row(*row) for row in runtimes.describe(name)]


def _format(name: str) -> list[Row]:
    form = FORMATS[name]
    values = {f.name: str(getattr(form, f.name)) for f in fields(form) if f.name != "source"}
    values["bytes_per_element"] = f"{form.bytes_per_element:g}"
    return [_row(field, value, form.source) for field, value in values.items() if value]


def _transfer_engine(name: str) -> list[Row]:
    engine = get_transfer_engine(name)
    return [
        _row(f.name, str(getattr(engine, f.name)), engine.sources.get(f.name, ""))
        for f in fields(engine)
        if f.name != "sources"
    ]


def _regime(name: str) -> list[Row]:
    data = regime_workload(name)
    sources = "; ".join(f"{key}: {text}" for key, text in data.get("sources", {}).items())
    rows = [_row("title", str(data.get("title", "")), sources)]
    return rows + [_row(key, _plain(value)) for key, value in data["workload"].items()]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return str(value)


_KINDS: dict[str, tuple[Callable[[], tuple[str, ...]], Callable[[str], list[Row]]]] = {
    "accelerators": (hardware.accelerator_names, _device(hardware.get_accelerator)),
    "links": (hardware.link_names, _device(hardware.get_link)),
    "hosts": (hardware.host_names, _device(hardware.get_host)),
    "models": (lambda: tuple(model_names()), lambda name: model_rows(get_model(name))),
    "runtimes": (runtimes.runtime_names, _runtime),
    "formats": (lambda: tuple(sorted(FORMATS)), _format),
    "transfer_engines": (transfer_engine_names, _transfer_engine),
    "regimes": (regime_names, _regime),
}
