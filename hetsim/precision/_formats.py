"""Number formats: bits, block scales, range, and the roof a device offers them."""

from __future__ import annotations

from hetsim.errors import Problem, ScenarioError, nearest
from hetsim.spec import spec

__all__ = ["FORMATS", "Format", "get_format"]


@spec
class Format:
    """A number format as it lies in memory.

    ``bytes_per_element = (bits + scale_bits / scale_block) / 8``; a ``scale_block`` of 0 means one
    scale per tensor or channel, whose bytes are negligible.
    """

    name: str
    bits: float
    roof: str
    """Which peak of a device it computes at: fp32, tf32, bf16, fp16, fp8, int8, fp4 or int4."""
    max_value: float
    scale_bits: int = 0
    scale_block: int = 0
    note: str = ""
    source: str = ""

    @property
    def bytes_per_element(self) -> float:
        """Bytes per element, scales included."""
        scale = self.scale_bits / self.scale_block if self.scale_block else 0.0
        return (self.bits + scale) / 8.0


_OCP = "OCP 8-bit floating point specification, revision 1.0, 2023"
_MX = "OCP Microscaling formats (MX) specification, version 1.0, 2023"

FORMATS: dict[str, Format] = {
    made.name: made
    for made in (
        Format(
            name="fp32",
            bits=32,
            roof="fp32",
            max_value=3.4028234663852886e38,
            source="IEEE 754-2019",
        ),
        Format(
            name="tf32",
            bits=32,
            roof="tf32",
            max_value=3.4028234663852886e38,
            note="fp32 in memory",
            source="NVIDIA A100 whitepaper, 2020",
        ),
        Format(
            name="bf16",
            bits=16,
            roof="bf16",
            max_value=3.3895313892515355e38,
            source="bfloat16 as in ml_dtypes 0.5",
        ),
        Format(name="fp16", bits=16, roof="fp16", max_value=65504.0, source="IEEE 754-2019"),
        Format(
            name="fp8_e4m3",
            bits=8,
            roof="fp8",
            max_value=448.0,
            note="e4m3fn, one scale per tensor",
            source=_OCP,
        ),
        Format(
            name="fp8_e4m3fnuz",
            bits=8,
            roof="fp8",
            max_value=240.0,
            note="exponent bias 8, no negative zero",
            source="ml_dtypes 0.5, float8_e4m3fnuz",
        ),
        Format(name="fp8_e5m2", bits=8, roof="fp8", max_value=57344.0, source=_OCP),
        Format(
            name="fp8_e5m2fnuz",
            bits=8,
            roof="fp8",
            max_value=57344.0,
            source="ml_dtypes 0.5, float8_e5m2fnuz",
        ),
        Format(
            name="fp8_block",
            bits=8,
            roof="fp8",
            max_value=448.0,
            scale_bits=32,
            scale_block=16384,
            note="e4m3fn weights in 128 x 128 blocks",
            source="DeepSeek-V3 technical report, section 3.3, 2024",
        ),
        Format(name="int8", bits=8, roof="int8", max_value=127.0, source="two's complement"),
        Format(
            name="int4",
            bits=4,
            roof="int4",
            max_value=7.0,
            scale_bits=16,
            scale_block=128,
            note="groups of 128, symmetric, fp16 scale",
            source="AWQ and GPTQ checkpoints, group size 128",
        ),
        Format(
            name="mxfp8",
            bits=8,
            roof="fp8",
            max_value=448.0,
            scale_bits=8,
            scale_block=32,
            source=_MX,
        ),
        Format(
            name="mxfp6",
            bits=6,
            roof="fp8",
            max_value=7.5,
            scale_bits=8,
            scale_block=32,
            source=_MX,
        ),
        Format(
            name="mxfp4",
            bits=4,
            roof="fp4",
            max_value=6.0,
            scale_bits=8,
            scale_block=32,
            source=_MX,
        ),
        Format(
            name="mxint8",
            bits=8,
            roof="int8",
            max_value=1.984375,
            scale_bits=8,
            scale_block=32,
            source=_MX,
        ),
        Format(
            name="nvfp4",
            bits=4,
            roof="fp4",
            max_value=6.0,
            scale_bits=8,
            scale_block=16,
            note="e4m3 block scale and a tensor scale",
            source="NVIDIA Blackwell architecture notes, 2025",
        ),
    )
}

_ALIASES = {
    "fp8": "fp8_e4m3",
    "e4m3": "fp8_e4m3",
    "e4m3fn": "fp8_e4m3",
    "fp8_e4m3fn": "fp8_e4m3",
    "e4m3fnuz": "fp8_e4m3fnuz",
    "e5m2": "fp8_e5m2",
    "e5m2fnuz": "fp8_e5m2fnuz",
    "bfloat16": "bf16",
    "float16": "fp16",
    "float32": "fp32",
    "fp8_blockwise": "fp8_block",
}


def get_format(name: str, path: str = "") -> Format:
    """Return the format called ``name`` (or an alias of it).

    Raises
    ------
    ScenarioError
        If there is none; the message lists those there are.

    >>> get_format("fp8").name, get_format("nvfp4").bytes_per_element
    ('fp8_e4m3', 0.5625)
    """
    key = name.strip().lower()
    found = FORMATS.get(_ALIASES.get(key, key))
    if found is None:
        raise ScenarioError(Problem(f"no number format {name!r}; {nearest(name, FORMATS)}", path))
    return found
