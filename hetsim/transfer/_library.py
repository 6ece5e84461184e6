"""Transfer engines, registration and converters as calibrated: read once from one file."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.spec import data_root, spec
from hetsim.transfer._types import Converter, Registration, TransferEngine

__all__ = [
    "converter_names",
    "get_converter",
    "get_registration",
    "get_transfer_engine",
    "transfer_engine_names",
]


@spec
class _File:
    schema: int
    date: str
    engines: Mapping[str, TransferEngine]
    registration: Registration
    converters: Mapping[str, Converter]


@lru_cache(maxsize=1)
def _file() -> _File:
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    path = data_root("calibration") / "transfer.yaml"
    data, marks = read_yaml(path)
    return build(_File, data, marks, str(path))


def transfer_engine_names() -> tuple[str, ...]:
    """Return the names of the transfer engines that hetsim knows, sorted."""
    return tuple(sorted(_file().engines))


def converter_names() -> tuple[str, ...]:
    """Return the names of the converters that hetsim knows, sorted."""
    return tuple(sorted(_file().converters))


def get_transfer_engine(name: str, path: str = "") -> TransferEngine:
    """Return the transfer engine called ``name``.

    Raises
    ------
    ScenarioError
        If there is none; the message lists those there are.
    """
    found = _file().engines.get(name)
    if found is None:
        allowed = nearest(name, transfer_engine_names())
        raise ScenarioError(Problem(f"no transfer engine {name!r}; {allowed}", path))
    return found


def get_converter(name: str, path: str = "") -> Converter:
    """Return the converter called ``name``; errors as :func:`get_transfer_engine`."""
    found = _file().converters.get(name)
    if found is None:
        raise ScenarioError(
            Problem(f"no converter {name!r}; {nearest(name, converter_names())}", path)
        )
    return found


def get_registration() -> Registration:
    """Return what registering memory costs."""
    return _file().registration
