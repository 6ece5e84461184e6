"""Every command and snippet of the documentation and the README runs as it stands.

A page is a small session in an empty folder: yaml blocks with a title are written to that file,
``bash`` blocks are typed line by line, ``python`` blocks share one namespace. A block that shows
output, or what cannot run on any machine, is ``text``.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from hetsim.cli import invoke

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(\S*)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')
KNOWN = ("bash", "python", "yaml", "json", "text", "toml", "")
LONG_S = 300.0


class Block(NamedTuple):
    language: str
    title: str | None
    text: str


def blocks_of(page: Path) -> Iterator[Block]:
    for language, rest, text in FENCE.findall(page.read_text(encoding="utf-8")):
        found = TITLE.search(rest)
        yield Block(language, found[1] if found else None, text)


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def typed(text: str, folder: Path) -> None:
    """Type the lines of a bash block; each must succeed, or end as ``# exit N`` says."""
    joined = text.replace("\\\n", " ")
    for line in joined.splitlines():
        command, _, remark = line.partition("  # ")
        if not command.strip() or command.lstrip().startswith("#"):
            continue
        wanted = re.search(r"exit (\d+)", remark)
        code, said = answered(shlex.split(command), folder)
        assert code == (int(wanted[1]) if wanted else 0), f"{line}\n{said}"
        assert "Traceback" not in said, f"{line}\n{said}"


def answered(words: list[str], folder: Path) -> tuple[int, str]:
    """Return the exit code of a command and what it said; hetsim itself runs in this process."""
    if words[0] == "hetsim":
        said = io.StringIO()
        with redirect_stdout(said), redirect_stderr(said):
            return invoke(words[1:]), said.getvalue()
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=False, timeout=LONG_S
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_blocks_are_of_a_known_kind(page: Path) -> None:
    """A block in a language that nobody runs would be documentation that nobody checks."""
    unknown = {one.language for one in blocks_of(page)} - set(KNOWN)
    assert not unknown


@pytest.mark.slow
@pytest.mark.parametrize(
    "page",
    [page for page in pages() if any(b.language in ("bash", "python") for b in blocks_of(page))],
    ids=name_of,
)
def test_a_page_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    space: dict[str, object] = {"__name__": "page"}
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        for block in blocks_of(page):
            if block.title is not None and block.language in ("yaml", "json", "python", "toml"):
                target = tmp_path / block.title
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text, encoding="utf-8")
            elif block.language == "bash":
                typed(block.text, tmp_path)
            elif block.language == "python":
                exec(compile(block.text, name_of(page), "exec"), space)
    finally:
        os.chdir(here)
