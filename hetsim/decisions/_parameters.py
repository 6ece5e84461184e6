"""Calibration parameters one by one: which exist, and a calibration with one of them changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from hetsim.costs import Calibration

__all__ = ["Parameter", "changed", "parameters_of"]

_NAMES = {"e_c": "compute efficiency", "e_m": "bandwidth efficiency", "t0_s": "fixed time (s)"}


class Parameter(NamedTuple):
    """One number of a calibration; ``rse`` is its relative standard error."""

    accelerator: str
    kind: str
    fmt: str
    name: str
    value: float
    rse: float
    grade: str

    @property
    def text(self) -> str:
        """The parameter in words."""
        words = f"{self.kind.replace('_', ' ')} {self.fmt}".removesuffix(" any")
        return f"{_NAMES[self.name]} of {words} on {self.accelerator}"

    def at(self, factor: float) -> float:
        """Return the value at which the part of the time that it stands for is ``factor`` times."""
        return self.value * factor if self.name == "t0_s" else self.value / factor


def parameters_of(calibrations: Mapping[str, Calibration]) -> Iterator[Parameter]:
    """Yield every parameter of the operators of some calibrations, as look-ups find them."""
    for device, calibration in calibrations.items():
        seen: dict[tuple[str, str], None] = {}
        for layer in calibration.layers:
            for kind, formats in layer.operators.items():
                for fmt in formats:
                    seen.setdefault((kind, fmt))
        for kind, fmt in seen:
            found = calibration.operator(kind, fmt)
            for name in _NAMES:
                value = getattr(found, name)
                if value > 0.0:
                    yield Parameter(device, kind, fmt, name, value, found.rse, found.grade)


def changed(
    calibrations: Mapping[str, Calibration], parameter: Parameter, factor: float
) -> dict[str, Calibration]:
    """Return calibrations in which the time that a parameter stands for is ``factor`` times."""
    old = calibrations[parameter.accelerator]
    layers = tuple(_layer(layer, parameter, factor) for layer in old.layers)
    return {**calibrations, parameter.accelerator: replace(old, layers=layers)}


def _layer(layer: Any, parameter: Parameter, factor: float) -> Any:
    held = layer.operators.get(parameter.kind, {}).get(parameter.fmt)
    if held is None:
        return layer
    value = getattr(held, parameter.name)
    new = value * factor if parameter.name == "t0_s" else value / factor
    # A table of times on the device itself stands for the slopes, and would hide the change.
    more = {"table": ()} if parameter.name != "t0_s" else {}
    formats = {
        **layer.operators[parameter.kind],
        parameter.fmt: replace(held, **{parameter.name: new}, **more),
    }
    return replace(layer, operators={**layer.operators, parameter.kind: formats})
