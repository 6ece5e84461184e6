"""From plain data to typed objects, through pydantic, with every problem named at its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_type_hints

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.spec._decorator import kinds, lookup
from hetsim.spec._yaml import Marks, dotted
from hetsim.units import parse_quantity

__all__ = [
    "Bytes",
    "BytesPerSecond",
    "FlopPerSecond",
    "RequestsPerSecond",
    "Seconds",
    "UsdPerHour",
    "Watts",
    "build",
    "json_schema",
    "plain_data",
    "quantity",
    "real",
    "tagged",
    "whole",
]

T = TypeVar("T")


def quantity(unit: str, *, example: str, above: float = 0.0, inclusive: bool = True) -> Any:
    """Return an annotated float read from text with a unit, in SI ``unit``, at least ``above``."""

    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, str):
            raise ValueError(f"needs a unit; write for example '{example}'")
        number = parse_quantity(value, unit)
        if number < above or (number == above and not inclusive):
            bound = "at least" if inclusive else "above"
            raise ValueError(f"must be {bound} {above:g}; write for example '{example}'")
        return number

    def write(value: float) -> str:
        return f"{value!r} {unit}"

    schema = {"type": "string", "examples": [example], "description": f"a quantity in {unit}"}
    return Annotated[float, BeforeValidator(read), PlainSerializer(write), WithJsonSchema(schema)]


Seconds = quantity("second", example="30 s")
Bytes = quantity("byte", example="80 GB")
BytesPerSecond = quantity("byte/second", example="400 Gbit/s", inclusive=False)
FlopPerSecond = quantity("FLOP/second", example="989 TFLOP/s", inclusive=False)
RequestsPerSecond = quantity("request/second", example="2 req/s", inclusive=False)
Watts = quantity("watt", example="700 W")
UsdPerHour = quantity("USD/hour", example="2.5 USD/h")


def whole(*, at_least: int, at_most: int) -> Any:
    """Return an annotated int within bounds, both included."""
    return Annotated[int, Field(ge=at_least, le=at_most)]


def real(*, above: float, at_most: float | None = None) -> Any:
    """Return an annotated plain number greater than ``above`` and not above ``at_most``."""
    return Annotated[float, Field(gt=above, le=at_most)]


def tagged(family: str) -> Any:
    """Return the union of all members of ``family`` so far, told apart by their ``kind``."""
    members = tuple(lookup(family, kind) for kind in kinds(family))
    return Annotated[Union[members], Field(discriminator="kind")]  # noqa: UP007 (made at run time)


@lru_cache(maxsize=256)
def _adapter(cls: Any) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def build(cls: type[T], data: Any, marks: Marks | None = None, file: str = "") -> T:
    """Return ``data`` as a ``cls``.

    Raises
    ------
    ScenarioError
        With every problem: file, line, dotted path, what was seen, what is allowed.
    """
    kind: Any = cls  # lru_cache asks for something hashable, which a class is
    adapter = _adapter(kind)
    try:
        # JSON mode: lists become tuples and words become enums, while numbers stay strict.
        made: T = adapter.validate_json(json.dumps(data, allow_nan=True), strict=True)
    except ValidationError as error:
        raise ScenarioError(_problems(error, cls, data, marks or {}, file)) from None
    return made


def plain_data(cls: Any, made: Any) -> Any:
    """Return ``made``, a ``cls``, as the plain data that :func:`build` makes an equal one of."""
    return _adapter(cls).dump_python(made, mode="json")


def json_schema(cls: Any) -> dict[str, Any]:
    """Return the JSON Schema of ``cls`` for editors."""
    return _adapter(cls).json_schema(mode="validation")


def _problems(
    error: ValidationError, cls: Any, data: Any, marks: Marks, file: str
) -> list[Problem]:
    problems = []
    for item in error.errors(include_url=False):
        path = _user_path(item["loc"], data, missing=item["type"] == "missing")
        message = _message(item)
        if item["type"] == "unexpected_keyword_argument":
            message = f"unknown key; {nearest(str(path[-1]), _keys_at(cls, item['loc'][:-1]))}"
        problems.append(Problem(message, dotted(path), file, _line(path, marks)))
    return problems


def _keys_at(cls: Any, loc: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the dataclass at ``loc`` knows."""
    here: list[Any] = [cls]
    for part in loc:
        step: list[Any] = []
        for kind in here:
            step += _inside(kind, part)
        here = step or here
    return sorted({f.name for kind in here for f in fields(kind) if is_dataclass(kind)})


def _inside(kind: Any, part: int | str) -> list[Any]:
    """Return the dataclasses that ``part`` of a ``kind`` may be; a union branch is its own name."""
    if is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=False)
        if part in hints:
            return _dataclasses(hints[str(part)])
        return [kind] if part in (getattr(kind, "__name__", ""), *_tags(kind)) else []
    members = _dataclasses(kind)
    return [one for one in members if part in (one.__name__, *_tags(one))] or members


def _tags(kind: Any) -> list[str]:
    """Return the words that can tell a union member: its fields of one literal word."""
    hints = get_type_hints(kind).values()
    return [str(get_args(hint)[0]) for hint in hints if len(get_args(hint)) == 1]


def _dataclasses(hint: Any) -> list[Any]:
    if is_dataclass(hint):
        return [hint]
    return [found for inner in get_args(hint) for found in _dataclasses(inner)]


def _user_path(loc: tuple[int | str, ...], data: Any, *, missing: bool) -> tuple[int | str, ...]:
    """Drop the parts that pydantic adds for union branches and are not in the user's data."""
    path: list[int | str] = []
    here = data
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        inside = isinstance(here, list) and isinstance(part, int) and part < len(here)
        if inside or (isinstance(here, dict) and part in here):
            here = here[part]
            path.append(part)
        elif last and missing:
            path.append(part)
    return tuple(path)


def _line(path: tuple[int | str, ...], marks: Marks) -> int | None:
    for end in range(len(path), -1, -1):
        if path[:end] in marks:
            return marks[path[:end]]
    return None


_PLAIN: dict[str, Callable[[dict[str, Any]], str]] = {
    "missing": lambda item: "is missing",
    "value_error": lambda item: str(item["ctx"]["error"]),
    "union_tag_not_found": lambda item: f"needs a {item['ctx']['discriminator']}",
    "dataclass_type": lambda item: f"must be a mapping of keys to values, not {item['input']!r}",
    "finite_number": lambda item: f"must be a finite number, not {item['input']!r}",
}


def _message(item: Any) -> str:
    kind = item["type"]
    if kind == "union_tag_invalid":
        allowed = [word.strip(" '") for word in item["ctx"]["expected_tags"].split(",")]
        return f"unknown kind {item['ctx']['tag']!r}; {nearest(str(item['ctx']['tag']), allowed)}"
    if kind == "literal_error":
        allowed = [
            word.strip(" '") for word in item["ctx"]["expected"].replace(" or ", ",").split(",")
        ]
        return f"is {item['input']!r}; {nearest(str(item['input']), allowed)}"
    if kind in _PLAIN:
        return _PLAIN[kind](item)
    seen = repr(item["input"])
    return f"{item['msg']}; seen {seen if len(seen) < 80 else seen[:77] + '...'}"
