"""Units at the door: quantities with a unit become plain SI floats, and come back as text.

Inside hetsim every number is SI (seconds, bytes, FLOP, watts, dollars); the unit ends the name.
``400 Gbit/s`` is not ``400 GB/s``: both are read by dimension, and a number without a unit is
refused where a unit is needed. 1 GB = 1e9 bytes, 1 GiB = 2**30 bytes.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Any

__all__ = [
    "GB",
    "GIB",
    "MIB",
    "format_bytes",
    "format_quantity",
    "format_seconds",
    "parse_quantity",
]

GB = 1e9
GIB = float(2**30)
MIB = float(2**20)

_DEFINITIONS = """
atto- = 1e-18 = a-
femto- = 1e-15 = f-
pico- = 1e-12 = p-
nano- = 1e-9 = n-
micro- = 1e-6 = u- = µ-
milli- = 1e-3 = m-
kilo- = 1e3 = k-
mega- = 1e6 = M-
giga- = 1e9 = G-
tera- = 1e12 = T-
peta- = 1e15 = P-
kibi- = 2**10 = Ki-
mebi- = 2**20 = Mi-
gibi- = 2**30 = Gi-
tebi- = 2**40 = Ti-
second = [time] = s = _ = sec
minute = 60 * second = min
hour = 3600 * second = h
day = 24 * hour
byte = [information] = B = octet
bit = byte / 8 = b
FLOP = [operation] = flop
OP = FLOP = op
USD = [currency] = usd = dollar
watt = [power] = W
joule = watt * second = J
token = [token] = tok
request = [request] = req
"""


@lru_cache(maxsize=1)
def _registry() -> Any:
    # pint costs 0.15 s to import, and `hetsim --help` needs no units.
    import pint

    registry: Any = pint.UnitRegistry(None, case_sensitive=True)
    registry.load_definitions(_DEFINITIONS.strip().splitlines())
    return registry


# A number and plain unit words: pint's own parser would also work out sums, and endless powers.
_FORM = re.compile(
    r"\s*[-+]?(?:[\d_]*\.?[\d_]+|[\d_]+\.|nan|inf)(?:[eE][-+]?\d+)?"
    r"(?:\s*[A-Za-zµ$]+(?:\s*[/* ]\s*[A-Za-zµ$]+)*)?\s*"
)
_LONGEST = 100


@lru_cache(maxsize=4096)
def parse_quantity(text: str, unit: str) -> float:
    """Return the value of ``text`` in ``unit``.

    Raises
    ------
    ValueError
        If the text is not a number with a unit, or the unit has another dimension; the message
        says what was seen and shows a right one.

    >>> parse_quantity("400 Gbit/s", "byte/s")
    50000000000.0
    >>> parse_quantity("80 GiB", "byte") == 80 * GIB
    True
    """
    example = _EXAMPLES.get(unit, f"1 {unit}")
    if len(text) > _LONGEST or _FORM.fullmatch(text) is None:
        seen = repr(text if len(text) <= _LONGEST else text[:37] + "...")
        raise ValueError(f"{seen} is not a quantity; write for example {example!r}")
    try:
        quantity = _registry().Quantity(text.replace("$", " USD").replace("TFLOPS", "TFLOP/s"))
    except Exception as error:
        raise ValueError(f"{text!r} is not a quantity; write for example {example!r}") from error
    if quantity.units == _registry().Unit(""):
        raise ValueError(f"{text!r} has no unit; write for example {example!r}")
    try:
        value = float(quantity.to(unit).magnitude)
    except Exception as error:
        raise ValueError(
            f"{text!r} has the wrong dimension; write for example {example!r}"
        ) from error
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return value


_EXAMPLES = {
    "second": "30 s",
    "byte": "80 GB",
    "byte/second": "400 Gbit/s",
    "FLOP/second": "989 TFLOP/s",
    "watt": "700 W",
    "USD/hour": "2.5 USD/h",
    "USD": "30000 USD",
    "request/second": "2 req/s",
    "joule/byte": "5 pJ/bit",
}


def format_quantity(value: float, unit: str) -> str:
    """Return ``value`` (in ``unit``) as text that :func:`parse_quantity` reads back exactly."""
    return f"{value!r} {unit}"


def format_bytes(value: float) -> str:
    """Return bytes for people, in GB (1e9) or MB, with three digits.

    >>> format_bytes(141.2e9)
    '141.2 GB'
    """
    for size, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= size:
            return f"{value / size:.4g} {name}"
    return f"{value:.0f} B"


def format_seconds(value: float) -> str:
    """Return seconds for people.

    >>> format_seconds(0.0123)
    '12.3 ms'
    """
    if math.isnan(value):
        return "-"
    for size, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if abs(value) >= size:
            return f"{value / size:.3g} {name}" if value < 1000 else f"{value:.0f} s"
    return f"{value * 1e9:.3g} ns" if value else "0 s"
