"""Number formats: how many bits, which block scales, which roof of a device, what converts.

Read ``_formats.py``, then ``_conversions.py``. A new format is one line of each table; whether a
conversion is exact and what it costs follow from the two formats, never from a table of pairs.
"""

from hetsim.precision._conversions import Conversion, conversion
from hetsim.precision._formats import FORMATS, Format, get_format

__all__ = ["FORMATS", "Conversion", "Format", "conversion", "get_format"]
