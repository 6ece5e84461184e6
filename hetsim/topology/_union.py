"""The union of all fabric kinds, told apart by ``fabric``: what a scenario's ``network`` may be."""

from __future__ import annotations

from functools import reduce
from importlib import import_module
from operator import or_
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated

from hetsim.spec import kinds, lookup
from hetsim.topology import fabrics
from hetsim.topology._spec import FabricSpec

__all__ = ["NetworkSpec"]

for _found in sorted(module.name for module in iter_modules(fabrics.__path__)):
    import_module(f"{fabrics.__name__}.{_found}")

if TYPE_CHECKING:
    NetworkSpec = FabricSpec
else:
    from pydantic import Field

    NetworkSpec = Annotated[
        reduce(or_, (lookup("fabric", kind) for kind in kinds("fabric"))),
        Field(discriminator="fabric"),
    ]
