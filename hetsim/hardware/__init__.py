"""What accelerators, links and servers offer, as their documents say it.

Read ``_types.py`` first (what a device is), then a file of ``hardware_profiles/accelerators``, then
``_library.py`` (how a name finds it). A new device is a new YAML file and needs no code: every
number with a unit and a source, a number without a source left out.
"""

from hetsim.hardware._describe import Row, describe
from hetsim.hardware._library import (
    accelerator_names,
    get_accelerator,
    get_host,
    get_link,
    host_names,
    link_names,
    load_accelerator_file,
    source_titles,
)
from hetsim.hardware._types import Accelerator, Grade, Host, Link, Price, ScaleUp, Source

__all__ = [
    "Accelerator",
    "Grade",
    "Host",
    "Link",
    "Price",
    "Row",
    "ScaleUp",
    "Source",
    "accelerator_names",
    "describe",
    "get_accelerator",
    "get_host",
    "get_link",
    "host_names",
    "link_names",
    "load_accelerator_file",
    "source_titles",
]
