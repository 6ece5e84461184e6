"""Names of built-in models: whatever the case, punctuation, organisation or suffix."""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from hetsim.spec import data_root

__all__ = ["find_builtin", "index", "model_names", "near_names"]

_FINE_TUNES = ("instruct", "chat", "it", "base", "hf", "preview", "thinking", "reasoning", "tee")
_FORMATS = (
    "fp8", "fp4", "fp16", "bf16", "nvfp4", "mxfp4", "mxfp6", "mxfp8", "awq", "gptq", "int4", "int8",
    "w8a8", "w4a16", "w4a8", "kv", "dynamic", "static", "pertensor", "per", "tensor", "block",
    "ptpc", "quantized", "quant", "gguf", "mlx", "bnb", "4bit", "8bit",
)  # fmt: skip
_VERSIONS = (
    "tokens", "99", "99.9", "v0.1", "v0.2", "v0.3", "v1", "v1.1", "v2", "pt", "v1.5", "1m", "32k",
    "64k", "128k", "4k", "8k", "16k",
)  # fmt: skip
_SUFFIXES = frozenset(_FINE_TUNES + _FORMATS + _VERSIONS)
_PREFIXES = frozenset(("meta", "nvidia", "amd"))
_DATE = re.compile(r"(20)?2[3-9](0[1-9]|1[0-2])|(0[1-9]|1[0-2])[0-3]\d|\d+k/\d+k")
_ALIASES = re.compile(r"^aliases: \[([^\]]*)\]", re.MULTILINE)


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9./]+", name.lower()) if word]


def _joined(words: list[str]) -> str:
    return re.sub(r"[^a-z0-9]", "", "".join(words))


def _stripped(words: list[str]) -> list[str]:
    """Drop what tells a fine-tune, a number format or a date, from the end; and a vendor first.

    >>> _stripped(["llama", "3.1", "8b", "instruct", "fp8"])
    ['llama', '3.1', '8b']
    """
    words = words[1:] if len(words) > 1 and words[0] in _PREFIXES else list(words)
    while len(words) > 1 and (words[-1] in _SUFFIXES or _DATE.fullmatch(words[-1])):
        words.pop()
    return words


def _spellings(name: str) -> list[str]:
    """Return the keys under which a name is sought, the most literal first."""
    last = name.rstrip("/").rsplit("/", 1)[-1]
    tries = [_words(name), _words(last), _stripped(_words(last)), _stripped(_words(name))]
    keys = [_joined(words) for words in tries]
    return [key for key in dict.fromkeys(keys) if key]


@lru_cache(maxsize=1)
def _files() -> dict[str, Path]:
    folder = data_root("hardware_profiles") / "models"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def model_names() -> tuple[str, ...]:
    """Return the names of the built-in models, sorted."""
    return tuple(_files())


@lru_cache(maxsize=1)
def index() -> dict[str, str]:
    """Return every spelling key of a built-in model, with its name."""
    made: dict[str, str] = {}
    for stem in _files():
        made[_joined(_words(stem))] = stem
    for stem, path in _files().items():
        # One line holds the aliases, so that 100 files need no YAML parser to be told apart.
        found = _ALIASES.search(path.read_text(encoding="utf-8"))
        for alias in found.group(1).split(",") if found else ():
            made.setdefault(_joined(_words(alias)), stem)
    return made


def find_builtin(name: str) -> Path | None:
    """Return the data file of the built-in model called ``name``, or None."""
    known = _files()
    if name in known:
        return known[name]
    keys = index()
    return next((known[keys[key]] for key in _spellings(name) if key in keys), None)


def near_names(name: str) -> str:
    """Return a hint: the built-in names nearest to ``name``, and how many there are.

    >>> near_names("lama-3.1-8b").split("?")[0].split(",")[0]
    "did you mean 'llama-3.1-8b'"
    """
    keys = index()
    near: list[str] = []
    for spelling in _spellings(name[:80]):
        near += [keys[key] for key in get_close_matches(spelling, keys, 5, 0.55)]
    close = [repr(stem) for stem in dict.fromkeys(near)][:5]
    told = f"did you mean {', '.join(close)}? " if close else ""
    return f"{told}{len(_files())} are built in, among them {', '.join(map(repr, _SHOWN))}"


_SHOWN = ("llama-3.1-70b", "qwen3-235b-a22b", "deepseek-v3", "gpt-oss-120b")
