"""Number formats: how many bits, which block scales, which roof of a device.

Read ``_formats.py``. A new format is one line of its table; conversion costs follow from the two
formats, never from a table of pairs.
"""

from hetsim.precision._formats import FORMATS, Format, get_format

__all__ = ["FORMATS", "Format", "get_format"]
