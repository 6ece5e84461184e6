"""Help pages say what may be given: every fixed list of values stands in them, in 80 columns."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from hetsim.cli import app, invoke


def page(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert invoke([*words, "--help"]) == 0
    return capsys.readouterr().out


def commands() -> list[tuple[str, ...]]:
    import typer

    root = typer.main.get_command(app)
    found: list[tuple[str, ...]] = [()]
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        found.append((name,))
        found += [(name, inner) for inner in getattr(command, "commands", ())]
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_help_page_fits_and_is_whole(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = page(capsys, *words)
    assert max(map(len, text.splitlines())) <= 80
    listed = text.partition("Commands:")[2]
    assert "..." not in listed, "a summary is cut off; give the command a short_help"
    assert "[[" not in text and "}}" not in text and "<int range>" not in text


def _sizes() -> Iterable[str]:
    from hetsim.calibrate.loop import SIZES

    return SIZES


def _families() -> Iterable[str]:
    from hetsim.calibrate.measure import family_names

    return family_names()


def _formats() -> Iterable[str]:
    from hetsim.calibrate.measure import family_names, get_family

    points = [at for name in family_names() for at in get_family(name).points(True)]
    return {at.format for at in points if "_to_" not in at.format} - {"any"}


def _links() -> Iterable[str]:
    from hetsim.calibrate.links import link_kinds

    return link_kinds()


def _adapters() -> Iterable[str]:
    from hetsim.calibrate import adapter_names

    return adapter_names()


def _traces() -> Iterable[str]:
    from hetsim.workload import trace_formats

    return trace_formats()


def _targets() -> Iterable[str]:
    from hetsim.deploy import target_names

    return target_names()


@pytest.mark.parametrize(
    ("words", "values"),
    [
        ("calibrate loop", _sizes),
        ("calibrate measure", _families),
        ("calibrate measure", _formats),
        ("calibrate links", _links),
        ("calibrate import", _adapters),
        ("calibrate leave-out", _adapters),
        ("trace", _traces),
        ("export", _targets),
    ],
)
def test_allowed_values_stand_in_the_help(
    words: str, values: object, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page(capsys, *words.split())
    missing = [v for v in values() if not re.search(rf"\b{re.escape(v)}\b", text)]  # type: ignore[operator]
    assert missing == []


def test_an_unknown_format_of_kernels_is_refused_with_the_known() -> None:
    from dataclasses import replace

    from hetsim.calibrate.measure import Options
    from hetsim.calibrate.measure._plan import _candidates
    from hetsim.errors import ScenarioError

    with pytest.raises(ScenarioError, match="--format: no format 'bf61'; did you mean 'bf16'"):
        _candidates(replace(Options(), formats=("bf61",)))


def test_a_search_names_its_own_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert "NAME.search" in page(capsys, "search")
    assert "NAME.sweep" in page(capsys, "sweep")
