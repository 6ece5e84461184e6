"""What a pool key names, and what an incomplete one hides: bytes that are not what they seem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from hetsim.representation import Representation, verdict
from hetsim.spec import spec

__all__ = ["KEYS", "Form", "Naming", "Reading"]

_DTYPE = ("enc", "scale_gran", "scale_loc", "scale_id")
_LAYOUT = ("page_tokens", "order", "kv_pack", "tile")
_SHARD = ("tp", "pp")

KEYS: Mapping[str, tuple[str, ...]] = {
    "complete": (*_DTYPE, *_LAYOUT, *_SHARD),
    "no_dtype": (*_LAYOUT, *_SHARD),
    "no_representation": _SHARD,
}
"""Fields of a representation in the key, beside model and prefix hash. Source: vLLM's Mooncake
store connector names no dtype; SGLang's HiCache storage keys neither dtype nor layout (sglang
issues 33268, 36420, 38362); a complete key is invariant I14."""


@spec
class Form:
    """The representation in which a pool stores KV: one descriptor per cache group."""

    pool: str
    groups: tuple[Representation, ...]


Reading = Literal["plain", "convert", "alias", "none"]
"""What an entry of one form is to a reader of another: used as it is; found under a name of its
own and converted; read as if it were the reader's (wrong, and nobody sees it); or of no use."""


class Naming:
    """Names entries of a pool for the forms that meet there.

    The name of a unit in a form is a number: units times forms, so that forms that the key tells
    apart never meet. ``readings[taker][giver]`` says what an entry of ``giver`` is to ``taker``.
    """

    __slots__ = ("_first", "forms", "readings")

    def __init__(self, key: str, forms: Sequence[Form]) -> None:
        self.forms = tuple(forms)
        fields = KEYS[key]
        names = [_name(form, fields) for form in self.forms]
        #: For each form, the first form with the same name.
        self._first = [names.index(name) for name in names]
        self.readings = tuple(
            tuple(_reading(giver, taker, names[g] == names[t]) for g, giver in enumerate(forms))
            for t, taker in enumerate(forms)
        )

    def name(self, unit: int, form: int) -> int:
        """Return the name of a unit that is stored in a form."""
        return unit * len(self.forms) + self._first[form]

    def names(self, unit: int, form: int) -> list[int]:
        """Return where a reader of ``form`` may find a unit: its own name, then others'."""
        own = self.name(unit, form)
        readings = enumerate(self.readings[form])
        others = [self.name(unit, g) for g, reading in readings if reading == "convert"]
        return [own, *(name for name in dict.fromkeys(others) if name != own)]


def _name(form: Form, fields: Sequence[str]) -> tuple[object, ...]:
    return tuple(getattr(group, field) for group in form.groups for field in fields)


def _reading(giver: Form, taker: Form, same_name: bool) -> Reading:
    complete = KEYS["complete"]
    if _name(giver, complete) == _name(taker, complete):
        return "plain"
    if same_name:
        return "alias"
    if len(giver.groups) != len(taker.groups):
        return "none"
    kinds = {verdict(g, t).kind for g, t in zip(giver.groups, taker.groups, strict=True)}
    return "none" if "incompatible" in kinds else "convert"
