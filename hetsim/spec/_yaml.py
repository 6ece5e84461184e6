"""The strict YAML loader: the only place that imports yaml.

YAML 1.2 numbers and booleans, duplicate keys refused, safe types only, and a line number for every
value. Plain PyYAML reads ``8e12`` as text, ``12:30`` as 750, ``no`` as False, and takes the last of
two equal keys in silence.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from hetsim.errors import Problem, ScenarioError

__all__ = ["Marks", "dump_yaml", "parse_yaml", "read_yaml"]

Marks = dict[tuple[str | int, ...], int]
"""Line (from 1) of every value, by its path."""

_MAX_BYTES = 64 * 2**20
_MAX_VALUES = 1_000_000  # aliases of aliases can make a small file expand without end


# libyaml's parser where PyYAML was built with it: ten times faster, the same nodes and marks.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc]
    """A SafeLoader with the YAML 1.2 core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


def _resolve(tag: str, pattern: str, first: str) -> None:
    _Loader.add_implicit_resolver(tag, re.compile(pattern), list(first))


_resolve("tag:yaml.org,2002:bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF")
_resolve("tag:yaml.org,2002:null", r"^(?:~|null|Null|NULL|)$", "~nN")
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])
_resolve("tag:yaml.org,2002:int", r"^[-+]?[0-9][0-9_]*$", "-+0123456789")
_resolve(
    "tag:yaml.org,2002:float",
    r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    "-+0123456789.",
)


def _int(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)).replace("_", ""), 10)


_Loader.add_constructor("tag:yaml.org,2002:int", _int)


def _float(loader: _Loader, node: yaml.ScalarNode) -> float:
    text = str(loader.construct_scalar(node)).lower()
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_Loader.add_constructor("tag:yaml.org,2002:float", _float)


class _Reader:
    """Turns a node tree into plain data, noting the line of every value and every problem."""

    def __init__(self, loader: _Loader, file: str) -> None:
        self.loader = loader
        self.file = file
        self.marks: Marks = {}
        self.problems: list[Problem] = []

    def read(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        self.marks[path] = node.start_mark.line + 1
        if len(self.marks) > _MAX_VALUES:
            raise yaml.YAMLError("expands to more than a million values")
        if not node.tag.startswith("tag:yaml.org,2002:") or "/" in node.tag:
            self._problem(node, path, f"cannot be read: the tag {node.tag!r} is not plain data")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, path)

    def _scalar(self, node: yaml.Node, path: tuple[str | int, ...]) -> Any:
        try:
            return self.loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError) as error:
            self._problem(node, path, f"cannot be read: {_short(error)}")
            return None

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._scalar(key_node, path)
            if not isinstance(key, Hashable) or isinstance(key, bool) or key is None:
                self._problem(key_node, path, f"a key must be text, not {key!r}")
                continue
            name = str(key)
            if name in result:
                self._problem(key_node, (*path, name), "this key stands here twice")
            result[name] = self.read(value_node, (*path, name))
        return result

    def _problem(self, node: yaml.Node, path: tuple[str | int, ...], message: str) -> None:
        self.problems.append(Problem(message, dotted(path), self.file, node.start_mark.line + 1))


def dotted(path: tuple[str | int, ...]) -> str:
    """Return a path as people write it.

    >>> dotted(("pools", "prefill", "links", 0, "rate"))
    'pools.prefill.links[0].rate'
    """
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else part)
    return text


def _short(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        return error.problem or str(error)
    return str(error).splitlines()[0]


def parse_yaml(text: str, file: str = "") -> tuple[Any, Marks]:
    """Return the data in ``text`` and the line of every value.

    Raises
    ------
    ScenarioError
        With every problem: syntax, duplicate keys, unsafe tags, aliases that nest too deep.
    """
    try:
        # The loader itself may refuse the text (control characters), so it is made in here.
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            reader = _Reader(loader, file)
            data = reader.read(node, ()) if node is not None else None
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        if isinstance(error, yaml.reader.ReaderError):
            line = text.count("\n", 0, error.position) + 1
        raise ScenarioError(Problem(f"not YAML: {_short(error)}", "", file, line)) from None
    except RecursionError:
        raise ScenarioError(Problem("not YAML: nested too deep", "", file)) from None
    except UnicodeEncodeError:  # half a character, from a command line that is not UTF-8
        raise ScenarioError(Problem("is not Unicode text", "", file)) from None
    if reader.problems:
        raise ScenarioError(reader.problems)
    return data, reader.marks


def read_yaml(path: Path) -> tuple[Any, Marks]:
    """Return the data in a YAML file and the line of every value; errors as :func:`parse_yaml`."""
    name = str(path)
    try:
        if path.is_dir():
            raise ScenarioError(Problem("is a folder; give a YAML file", "", name))
        if path.stat().st_size > _MAX_BYTES:
            raise ScenarioError(Problem("is larger than 64 MiB; is it a scenario?", "", name))
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError(Problem("no such file", "", name)) from None
    except UnicodeDecodeError as error:
        raise ScenarioError(Problem(f"is not UTF-8 text: {error.reason}", "", name)) from None
    except OSError as error:
        raise ScenarioError(Problem(f"cannot be read: {error.strerror}", "", name)) from None
    return parse_yaml(text, name)


class _Dumper(yaml.SafeDumper):
    """A dumper whose output the strict loader reads back as the same values."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _dump_float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        text = text.replace("inf", ".inf").replace("nan", ".nan")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


def _dump_str(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_./ -]*[A-Za-z0-9_]|[A-Za-z_]", value)
    reserved = value.lower() in {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
    style = None if plain and not reserved else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers
_Dumper.add_representer(float, _dump_float)
_Dumper.add_representer(str, _dump_str)


def dump_yaml(data: Any) -> str:
    """Return ``data`` as YAML text that :func:`parse_yaml` reads back equal."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100, indent=2
    )
    return text
