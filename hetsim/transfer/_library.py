"""Transfer engines, registration and converters as calibrated: read once from one file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.spec import data_root, shelved, spec
from hetsim.transfer._types import Converter, Registration, TransferEngine

__all__ = [
    "TransferTable",
    "converter_names",
    "get_converter",
    "get_registration",
    "get_transfer_engine",
    "get_transfer_table",
    "load_transfer_engine_file",
    "transfer_engine_names",
]


@spec
class TransferTable:
    """Everything that was calibrated about moving KV, as the shipped file has it."""

    schema: int
    date: str
    engines: Mapping[str, TransferEngine]
    registration: Registration
    converters: Mapping[str, Converter]


@lru_cache(maxsize=1)
def _file() -> TransferTable:
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    path = data_root("calibration") / "transfer.yaml"
    data, marks = read_yaml(path)
    return build(TransferTable, data, marks, str(path))


def get_transfer_table() -> TransferTable:
    """Return the shipped table, or the one that a scenario brings along."""
    brought: TransferTable | None = shelved("transfer", "table")
    return brought if brought is not None else _file()


def transfer_engine_names() -> tuple[str, ...]:
    """Return the names of the transfer engines that hetsim knows, sorted."""
    return tuple(sorted(get_transfer_table().engines))


def converter_names() -> tuple[str, ...]:
    """Return the names of the converters that hetsim knows, sorted."""
    return tuple(sorted(get_transfer_table().converters))


@lru_cache(maxsize=64)
def load_transfer_engine_file(path: str) -> TransferEngine:
    """Return the transfer engine in a user's own file: the keys of one entry of the shipped file.

    Raises
    ------
    ScenarioError
        With every problem: file, line, path, what was seen, what is allowed.
    """
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    data, marks = read_yaml(Path(path))
    return build(TransferEngine, data, marks, path)


def get_transfer_engine(name: str, path: str = "") -> TransferEngine:
    """Return the transfer engine called ``name``, or the one in the YAML file of that path.

    Raises
    ------
    ScenarioError
        If there is none; the message lists those there are.
    """
    found = get_transfer_table().engines.get(name)
    if found is None and name.endswith((".yaml", ".yml")):
        return load_transfer_engine_file(name)
    if found is None:
        allowed = nearest(name, transfer_engine_names())
        raise ScenarioError(Problem(f"no transfer engine {name!r}; {allowed}", path))
    return found


def get_converter(name: str, path: str = "") -> Converter:
    """Return the converter called ``name``; errors as :func:`get_transfer_engine`."""
    found = get_transfer_table().converters.get(name)
    if found is None:
        raise ScenarioError(
            Problem(f"no converter {name!r}; {nearest(name, converter_names())}", path)
        )
    return found


def get_registration() -> Registration:
    """Return what registering memory costs."""
    return get_transfer_table().registration
