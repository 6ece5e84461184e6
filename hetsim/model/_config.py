"""A checked view of a ``config.json``: typed reads that gather problems instead of raising."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hetsim.errors import Problem, ScenarioError

__all__ = ["Config", "shown"]

_MAX_COUNT = 10**9
_MAX_LAYERS = 10_000


def shown(value: object) -> str:
    """Return ``value`` as short text for a message."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # integers beyond the digit limit, nesting without end
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else text[:57] + "..."


class Config:
    """Reads keys of one model's configuration; a bad value is noted, and a stand-in returned.

    :meth:`finish` raises every problem at once, so a reader need not stop at the first.
    """

    __slots__ = ("_data", "_path", "_problems", "_start", "file", "notes", "text")

    def __init__(self, data: Mapping[str, Any], file: str = "", text: str = "") -> None:
        self._data = data
        self._path = ""
        self._start = 0
        self._problems: list[Problem] = []
        self.notes: list[str] = []
        self.file = file
        self.text = text

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def stated(self) -> list[str]:
        """Return the keys that hold a value."""
        return [key for key, value in self._data.items() if value is not None]

    def raw(self, key: str) -> Any:
        """Return the value as it stands, or None."""
        return self._data.get(key)

    def section(self, key: str) -> Config:
        """Return the mapping under ``key`` as a view that shares this one's problems."""
        data = self._data.get(key)
        if not isinstance(data, Mapping):
            self.problem(key, f"must be a mapping of keys to values, not {shown(data)}")
            data = {}
        inner = Config(data, self.file, self.text)
        inner._path = self._at(key)
        inner._start = max(self._start, self._place(key))
        inner._problems = self._problems
        inner.notes = self.notes
        return inner

    def inherit(self, outer: Config, keys: Sequence[str]) -> None:
        """Take from ``outer`` those of ``keys`` that are absent here."""
        found = {key: outer.raw(key) for key in keys if key in outer and key not in self}
        self._data = {**self._data, **found}

    def state(self, key: str, value: object) -> None:
        """State ``key`` here, for a family that calls it otherwise."""
        self._data = {**self._data, key: value}

    def problem(self, key: str, message: str) -> None:
        """Note that the value of ``key`` is wrong."""
        self._problems.append(Problem(message, self._at(key), self.file, self._line(key)))

    def note(self, text: str) -> None:
        """Note something that a user should know about the reading."""
        if text not in self.notes:
            self.notes.append(text)

    def _at(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _place(self, key: str) -> int:
        """Return where ``key`` stands in the text, or -1; JSON quotes it, YAML does not."""
        places = (self.text.find(word, self._start) for word in (f'"{key}"', f" {key}:"))
        return next((place for place in places if place >= 0), -1)

    def _line(self, key: str) -> int | None:
        place = self._place(key)
        return self.text.count("\n", 0, place) + 1 if place >= 0 else None

    def finish(self) -> None:
        """Raise every problem found so far.

        Raises
        ------
        ScenarioError
            If there is any.
        """
        if self._problems:
            raise ScenarioError(self._problems)

    def word(self, key: str, default: str = "") -> str:
        """Return text."""
        value = self._data.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.problem(key, f"must be text, not {shown(value)}")
            return default
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """Return true or false."""
        value = self._data.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.problem(key, f"must be true or false, not {shown(value)}")
            return default
        return value

    def count(self, *keys: str, default: int | None = None, low: int = 1) -> int:
        """Return a whole number of at least ``low``, from the first of ``keys`` that is present.

        Without a default the number must be there.
        """
        for key in keys:
            if self._data.get(key) is not None:
                return self._whole(key, self._data[key], low)
        if default is None:
            also = f" (or {', '.join(keys[1:])})" if len(keys) > 1 else ""
            self.problem(
                keys[0], f"is missing{also}; it must state a whole number of at least {low}"
            )
            return max(low, 1)
        return default

    def _whole(self, key: str, value: object, low: int) -> int:
        made = _as_int(value)
        if made is None or not low <= made <= _MAX_COUNT:
            self.problem(
                key,
                f"must be a whole number from {low} to 1e9, not {shown(value)}; "
                "see the config.json that the model was published with",
            )
            return max(low, 1)
        return made

    def layers(self, *keys: str) -> int:
        """Return the number of layers, from the first of ``keys`` that is present."""
        made = self.count(*(keys or ("num_hidden_layers",)))
        if made > _MAX_LAYERS:
            name = next(key for key in keys or ("num_hidden_layers",) if key in self)
            self.problem(name, f"must be at most {_MAX_LAYERS}, not {made}")
            return 1
        return made

    def words(self, key: str, length: int | None = None) -> list[str]:
        """Return a list of texts, of ``length`` if stated."""
        return [str(item) for item in self._list(key, str, "text", length)]

    def integers(self, key: str, length: int | None = None) -> list[int]:
        """Return a list of whole numbers, of ``length`` if stated."""
        return [int(item) for item in self._list(key, int, "whole numbers", length)]

    def _list(self, key: str, kind: type, what: str, length: int | None) -> Sequence[Any]:
        value = self._data.get(key)
        good = isinstance(value, list) and all(
            isinstance(item, kind) and not isinstance(item, bool) for item in value
        )
        if not good:
            self.problem(key, f"must be a list of {what}, not {shown(value)}")
            return []
        items: list[Any] = value  # type: ignore[assignment]
        if length is not None and len(items) < length:
            self.problem(key, f"must have an entry for each of {length} layers, not {len(items)}")
            return []
        return items[:length] if length is not None else items

    def divides(self, small_key: str, small: int, big_key: str, big: int) -> bool:
        """Note a problem unless ``small`` divides ``big``."""
        if small < 1 or big % small:
            self.problem(small_key, f"is {small}, which does not divide {big_key} {big}")
            return False
        return True


def _as_int(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    return None
