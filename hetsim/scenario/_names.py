"""Names: those that stand in file names and shells, and titles, which are text alone."""

from __future__ import annotations

import re

__all__ = ["NAME_PATTERN", "TITLE_PATTERN", "plain_name", "title"]

NAME_PATTERN = r"^\w[\w .,:;+()=@#%*-]*$"
TITLE_PATTERN = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"


def title(text: str) -> str:
    """Return ``text`` if it can be shown on one line as it is.

    A title is shown and never used as a path or a command, so that any printable text will do;
    whoever shows it escapes what its own language would read as markup.

    Raises
    ------
    ValueError
        If it is blank or holds line ends, control or other unprintable characters.
    """
    if not text.strip() or not text.isprintable():
        raise ValueError(
            f"{text[:60]!r} cannot be a name; use printable characters on one line, not all blank"
        )
    return text


def plain_name(text: str) -> str:
    """Return ``text`` if it can stand in file names and shells as it is.

    Raises
    ------
    ValueError
        Otherwise; the message says what is allowed.
    """
    if re.fullmatch(NAME_PATTERN, text) is None or not text.isprintable():
        raise ValueError(
            f"{text[:60]!r} is not a plain name; begin with a letter or digit and use letters, "
            "digits, spaces and .,:;+()=@#%*-_"
        )
    return text
