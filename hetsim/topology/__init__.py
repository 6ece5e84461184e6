"""Topology: how devices are joined, who stands where, and what a path yields. Knows no time.

Read ``_network.py`` first (links and paths), then ``_placement.py`` (instances on nodes),
``_ports.py`` (the inside of a node) and one of ``fabrics/``. ``_fair_share.py`` is the solver.
A new fabric is one file in ``fabrics/``: a subclass of ``NicSpec`` under
``@spec(kind=..., family="fabric")`` with a ``fabric`` literal and a ``build``.
"""

from hetsim.topology._fair_share import max_min_rates, progressive_fill
from hetsim.topology._graph import wire
from hetsim.topology._inside import inside_nodes
from hetsim.topology._network import DirectedLink, Network, Path
from hetsim.topology._placement import Device, Placed, Placement, Slot, Tenant, place
from hetsim.topology._spec import FabricSpec, NicSpec, PoolPorts, default_efficiency
from hetsim.topology._union import NetworkSpec

__all__ = [
    "Device",
    "DirectedLink",
    "FabricSpec",
    "Network",
    "NetworkSpec",
    "NicSpec",
    "Path",
    "Placed",
    "Placement",
    "PoolPorts",
    "Slot",
    "Tenant",
    "default_efficiency",
    "inside_nodes",
    "max_min_rates",
    "place",
    "progressive_fill",
    "wire",
]
