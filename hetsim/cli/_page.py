"""A page of output: tables and lines that read well in 80 columns, printed at once."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from io import StringIO
from typing import Any

__all__ = ["Page", "print_json"]

WIDTH = 80
_WIDEST = 110


def print_json(data: Any) -> None:
    """Print one JSON object; what is not a number becomes null."""
    from hetsim.run import plain

    print(json.dumps(plain(data), indent=2, ensure_ascii=False))


class Page:
    """Collects text and prints it in :meth:`show`.

    A pipe has no width of its own and gets 80 columns; a terminal its own, within reason.
    """

    def __init__(self) -> None:
        from rich.console import Console

        terminal = sys.stdout.isatty()
        columns = shutil.get_terminal_size((WIDTH, 24)).columns if terminal else WIDTH
        self._text = StringIO()
        self._console = Console(
            file=self._text,
            width=max(40, min(columns, _WIDEST)),
            highlight=False,
            markup=False,
            emoji=False,
            force_terminal=terminal,
        )

    def show(self) -> None:
        """Print the page, without the blanks that fill lines up."""
        lines = [line.rstrip() for line in self._text.getvalue().splitlines()]
        pairs = zip(lines, [*lines[1:], ""], strict=True)
        print("\n".join(line for line, after in pairs if line or after))

    def line(self, text: str, style: str = "") -> None:
        """Add a line; it is wrapped if it is long."""
        from rich.text import Text

        self._console.print(Text(text, style=style))

    def title(self, text: str) -> None:
        """Add a heading, after a blank line."""
        self.line("")
        self.line(text, "bold")

    def items(self, title: str, lines: Sequence[str]) -> None:
        """Add a heading and a list; nothing for an empty one."""
        if not lines:
            return
        self.title(title)
        self.pairs([("-", line) for line in lines])

    def pairs(self, rows: Sequence[tuple[str, str]]) -> None:
        """Add two columns of text, the first as wide as it needs to be."""
        from rich.table import Table
        from rich.text import Text

        made = Table.grid(padding=(0, 1))
        made.add_column(no_wrap=True)
        made.add_column(overflow="fold")
        for first, second in rows:
            made.add_row(Text(f"  {first}"), Text(second))
        self._console.print(made)

    def table(
        self,
        title: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        left: int = 1,
    ) -> None:
        """Add a table; the first ``left`` columns are text, the others numbers."""
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        made = Table(
            box=SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            padding=(0, 1),
            collapse_padding=True,
        )
        for index, name in enumerate(columns):
            made.add_column(name, justify="left" if index < left else "right", overflow="fold")
        for row in rows:
            made.add_row(*(Text(cell) for cell in row))
        if title:
            self.title(title)
        self._console.print(made)
