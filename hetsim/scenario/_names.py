"""Names that can stand in reports, file names and shells as they are."""

from __future__ import annotations

import re

__all__ = ["NAME_PATTERN", "plain_name"]

NAME_PATTERN = r"^\w[\w .,:;+()=@#%*-]*$"


def plain_name(text: str) -> str:
    """Return ``text`` if it can stand in reports, file names and shells as it is.

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
