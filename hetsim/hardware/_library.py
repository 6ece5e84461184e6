"""The profiles that come with hetsim: found by any name people use, read once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.hardware._names import Wish, choose, fold
from hetsim.hardware._types import Accelerator, Host, Link
from hetsim.spec import data_root, shelved

if TYPE_CHECKING:
    from hetsim.hardware._forms import IdleRatio

__all__ = [
    "accelerator_names",
    "get_accelerator",
    "get_host",
    "get_link",
    "host_names",
    "link_names",
    "load_accelerator_file",
    "source_titles",
]


def _folder(kind: str) -> Path:
    return data_root("hardware_profiles") / kind


@lru_cache(maxsize=8)
def _names(kind: str) -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _folder(kind).glob("*.yaml")))


def accelerator_names() -> tuple[str, ...]:
    """Return the names of the accelerators that hetsim knows, sorted."""
    return _names("accelerators")


def link_names() -> tuple[str, ...]:
    """Return the names of the links that hetsim knows, sorted."""
    return _names("links")


def host_names() -> tuple[str, ...]:
    """Return the names of the servers that hetsim knows, sorted."""
    return _names("hosts")


@lru_cache(maxsize=1)
def source_titles() -> Mapping[str, str]:
    """Return what each source key stands for: what, version, date."""
    from hetsim.hardware._forms import SourceEntry
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    path = data_root("hardware_profiles") / "sources.yaml"
    data, marks = read_yaml(path)
    entries = build(dict[str, SourceEntry], data, marks, str(path))
    return {
        key: ", ".join(part for part in (entry.what, entry.version, entry.date) if part)
        for key, entry in entries.items()
    }


@lru_cache(maxsize=1)
def _idle() -> Mapping[str, IdleRatio]:
    from hetsim.hardware._forms import PowerForm
    from hetsim.spec._check import build
    from hetsim.spec._yaml import read_yaml

    path = data_root("hardware_profiles") / "power.yaml"
    data, marks = read_yaml(path)
    return build(PowerForm, data, marks, str(path)).idle_over_tdp


def _stated_aliases(path: Path) -> list[str]:
    """Return the aliases in a profile without reading the rest of it, which costs 20 times more."""
    from hetsim.spec._yaml import parse_yaml

    lines = path.read_text(encoding="utf-8").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("aliases:")]
    if not starts:
        return []
    end = starts[0] + 1
    while end < len(lines) and lines[end][:1] in (" ", "-", ""):
        end += 1
    data, _ = parse_yaml("\n".join(lines[starts[0] : end]), str(path))
    return list(data["aliases"] or ())


@lru_cache(maxsize=1)
def _index() -> Mapping[str, str]:
    index = {fold(name): name for name in accelerator_names()}
    for name in accelerator_names():
        for alias in _stated_aliases(_folder("accelerators") / f"{name}.yaml"):
            index.setdefault(fold(alias), name)
    return index


def _fits(name: str, wish: Wish) -> bool:
    if wish.size_gb is None and not wish.form:
        return True
    device = _accelerator(name)
    return wish.fits(device.memory_bytes, device.form_factor)


@cache
def _accelerator(name: str) -> Accelerator:
    from hetsim.hardware._build import read_accelerator

    return read_accelerator(_folder("accelerators") / f"{name}.yaml", source_titles(), _idle())


def _unknown(
    kind: str, name: str, known: Collection[str], path: str, aliases: Collection[str] = ()
) -> ScenarioError:
    hint = nearest(name.lower(), known, aliases)
    return ScenarioError(Problem(f"no {kind} {name!r}; {hint}", path))


def get_accelerator(name: str, path: str = "") -> Accelerator:
    """Return the accelerator that ``name`` means; ``path`` is the place in the user's file.

    Case, punctuation and the maker's name do not matter. A memory size or form factor in the name
    must agree with the device. Without one, the variant that is met most is taken: ``h100`` is the
    80 GB SXM5 part, ``a100`` the 80 GB SXM4 part, ``h20`` the 96 GB part, ``b200`` the HGX part.

    Raises
    ------
    ScenarioError
        If no profile is called so; the message names those that are near.

    >>> get_accelerator("H100-SXM").name, get_accelerator("GB300-NVL72").name
    ('h100-sxm', 'gb300')
    """
    brought: Accelerator | None = shelved("accelerators", name)
    return brought if brought is not None else _known_accelerator(name, path)


@lru_cache(maxsize=1024)
def _known_accelerator(name: str, path: str) -> Accelerator:
    found = name if name in accelerator_names() else choose(name, _index(), _fits)
    if found is None:
        raise _unknown("accelerator", name, accelerator_names(), path, _index())
    return _accelerator(found)


@lru_cache(maxsize=256)
def get_link(name: str, path: str = "") -> Link:
    """Return the kind of link called ``name``, whatever its case and punctuation.

    Raises
    ------
    ScenarioError
        If there is none.

    >>> get_link("NVLink4").bytes_per_s
    450000000000.0
    """
    from hetsim.hardware._build import read_link

    found = {fold(known): known for known in link_names()}.get(fold(name))
    if found is None:
        raise _unknown("link", name, link_names(), path)
    return read_link(_folder("links") / f"{found}.yaml", source_titles())


def get_host(name: str, path: str = "") -> Host:
    """Return the server type called ``name``, whatever its case and punctuation.

    Raises
    ------
    ScenarioError
        If there is none.
    """
    brought: Host | None = shelved("hosts", name)
    return brought if brought is not None else _known_host(name, path)


@lru_cache(maxsize=256)
def _known_host(name: str, path: str) -> Host:
    from hetsim.hardware._build import read_host

    found = {fold(known): known for known in host_names()}.get(fold(name))
    if found is None:
        raise _unknown("host", name, host_names(), path)
    return read_host(_folder("hosts") / f"{found}.yaml", source_titles())


def load_accelerator_file(path: str | Path) -> Accelerator:
    """Return the accelerator in a user's own file, which may cite any source.

    Raises
    ------
    ScenarioError
        With every problem, each with file, line and path.
    """
    from hetsim.hardware._build import read_accelerator

    return read_accelerator(Path(path), None, _idle())
