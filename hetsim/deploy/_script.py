"""Shell scripts whose every word says which field of the scenario it comes from."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hetsim.spec import spec

__all__ = ["Setting", "array", "json_text", "script", "shell_name"]


@spec
class Setting:
    """One choice: the words it becomes, the field it comes from, and what was assumed."""

    words: tuple[str, ...]
    field: str
    note: str = ""
    raw: bool = False
    """The last word is shell text already, such as ``"$MODEL"``; it is not quoted again."""

    @property
    def text(self) -> str:
        """The words as the shell reads them."""
        *first, last = self.words
        return " ".join([*map(shlex.quote, first), last if self.raw else shlex.quote(last)])

    @property
    def comment(self) -> str:
        """Where it comes from, on one line."""
        return one_line(f"{self.field}; {self.note}" if self.note else self.field)


def one_line(text: str) -> str:
    """Return ``text`` without line ends, fit for a comment."""
    return " ".join(text.split())


def shell_name(text: str) -> str:
    """Return ``text`` as a shell variable.

    >>> shell_name("decode")
    'DECODE'
    """
    return re.sub(r"[^A-Za-z0-9_]", "_", text).upper()


def array(settings: Iterable[Setting]) -> list[str]:
    """Return a bash array of all words, one setting a line with its comment."""
    rows = [(setting.text, setting.comment) for setting in settings]
    width = min(44, max((len(text) for text, _ in rows), default=0))
    return ["args=(", *(f"  {text:<{width}}  # {comment}" for text, comment in rows), ")"]


def script(
    title: Sequence[str],
    environment: Iterable[Setting],
    settings: Iterable[Setting],
    command: str,
) -> str:
    """Return a bash script that starts one command.

    ``environment`` settings have two words, name and value. What is given to the script itself
    is appended, so that one more argument can be tried without an edit.
    """
    lines = ["#!/usr/bin/env bash", *(f"# {one_line(line)}" for line in title)]
    lines += ["set -euo pipefail"]
    lines += ['here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"', 'source "$here/site.env"', ""]
    for setting in environment:
        name, value = setting.words
        text = value if setting.raw else shlex.quote(value)
        lines += [f"# {setting.comment}", f"export {name}={text}"]
    lines += ["", *array(settings), "", f'exec {command} "${{args[@]}}" "$@"', ""]
    return "\n".join(lines)


def json_text(data: Mapping[str, Any]) -> str:
    """Return a JSON file."""
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"
