"""What people call a device, whatever the case, punctuation, maker, size and form factor."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

__all__ = ["Wish", "choose", "fold", "readings"]

_WORD = re.compile(r"[a-z0-9.]+")
_SIZE = re.compile(r"(\d+)g(?:i?b)?")
_MAKERS = frozenset(
    {
        *("amd", "apple", "aws", "cambricon", "geforce", "google", "habana", "huawei", "instinct"),
        *("intel", "metax", "moore", "nvidia", "qualcomm", "radeon", "tesla", "threads"),
        *("card", "gpu", "gpus", "graphics"),
    }
)
_FORMS = {
    "hgx": "sxm", "sxm": "sxm", "sxm2": "sxm", "sxm4": "sxm", "sxm5": "sxm", "sxm6": "sxm",
    "pcie": "pcie", "pci": "pcie", "oam": "oam", "nvl72": "nvl72", "superchip": "superchip",
}  # fmt: skip


def fold(name: str) -> str:
    """Return ``name`` without case and punctuation; what stands before a colon is a remark.

    >>> fold("H100-SXM"), fold("tool:A100 SXM 80GB")
    ('h100sxm', 'a100sxm80gb')
    """
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    text = name.lower().rpartition(":")[2]
    return [word.replace(".", "") for word in _WORD.findall(text)]


class Wish:
    """One reading of a name: what to look up, and what the device found must then agree with."""

    __slots__ = ("form", "key", "size_gb")

    def __init__(self, key: str, size_gb: float | None, form: str) -> None:
        self.key = key
        self.size_gb = size_gb
        self.form = form

    def fits(self, size_bytes: float | None, form_factor: str) -> bool:
        """Say whether a device of this size and form factor is what was meant.

        A capacity may be off by a tenth: sheets write 180 or 192 GB of one part.
        """
        if self.form and self.form not in form_factor.lower():
            return False
        if self.size_gb is None or size_bytes is None:
            return True
        return abs(size_bytes / 1e9 - self.size_gb) <= 0.1 * self.size_gb


def readings(name: str) -> Iterator[Wish]:
    """Yield the readings of ``name``, the most literal first.

    >>> [(wish.key, wish.size_gb, wish.form) for wish in readings("MI300X-OAM")]
    [('mi300xoam', None, ''), ('mi300x', None, 'oam')]
    """
    words = _words(name)
    literal = "".join(words)
    words = [word for word in words if word not in _MAKERS]
    sizes = [match for word in words if (match := _SIZE.fullmatch(word))]
    bare = [word for word in words if not _SIZE.fullmatch(word)]
    forms = [_FORMS[word] for word in bare if word in _FORMS]
    size = float(sizes[0][1]) if sizes else None
    number = sizes[0][1] if sizes else ""
    yield from _distinct(
        [
            Wish(literal, None, ""),
            Wish("".join(words), None, ""),
            Wish("".join(bare) + number, None, ""),
            Wish("".join(bare), size, ""),
            Wish("".join(word for word in bare if word not in _FORMS), size, "".join(forms[:1])),
        ]
    )


def _distinct(wishes: list[Wish]) -> Iterator[Wish]:
    seen: set[str] = set()
    for wish in wishes:
        if wish.key and wish.key not in seen:
            yield wish
        seen.add(wish.key)


def choose(name: str, index: Mapping[str, str], fits: Callable[[str, Wish], bool]) -> str | None:
    """Return the file name in ``index`` that ``name`` means, or None."""
    for wish in readings(name):
        found = index.get(wish.key)
        if found is not None and fits(found, wish):
            return found
    return None
