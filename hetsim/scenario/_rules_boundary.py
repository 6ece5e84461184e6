"""Rules of ``network`` and ``boundary``: stated where bytes cross, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator

from hetsim.errors import Problem, nearest
from hetsim.ownership import get_protocol, protocol_names
from hetsim.representation import encoding_of
from hetsim.scenario._parts import Parts, devices_per_node, within
from hetsim.transfer import get_transfer_engine

__all__ = ["RULES"]

_MOST_NICS = 64
_NETWORK = "{fabric: single_switch, nic: 400 Gbit/s, nics_per_node: 8}"
_BOUNDARY = "'boundary: {}' takes all of it from the runtime"


def _required(parts: Parts) -> Iterator[Problem]:
    scenario = parts.scenario
    if parts.apart:
        if scenario.network is None:
            yield Problem(
                "is missing; KV crosses between the pools, and no link is free: state one, such as "
                + _NETWORK,
                "network",
            )
        if scenario.boundary is None:
            yield Problem(
                f"is missing; a prefill and a decode pool need one: {_BOUNDARY}", "boundary"
            )
    elif parts.order is not None and scenario.boundary is not None:
        yield Problem("has no effect: no KV is handed over by one pool; leave it out", "boundary")


def _spans(parts: Parts) -> Iterator[Problem]:
    """Yield instances that reach beyond a server without a network to do so."""
    if parts.scenario.network is not None:
        return
    for name, pool in parts.scenario.pools.items():
        device = parts.accelerators[name]
        if device is None or pool.estimator.kind == "constant":
            continue
        problems: list[Problem] = []
        with within(problems, f"pools.{name}"):
            node = devices_per_node(pool, device)
            up = device.scale_up
            joined = bool(up.aggregate_bytes_per_s) and up.topology not in (
                "pcie",
                "none",
                "unknown",
            )
            domain = max(node, up.domain or 1) if joined else node
            cut = pool.parallel
            wanted = cut.tp * cut.pp * cut.dp
            if wanted > domain:
                yield Problem(
                    f"an instance of {wanted} {device.name} reaches beyond one scale-up domain of "
                    f"{domain}; state the network that joins the servers, such as {_NETWORK}",
                    "network",
                )


def _ports(parts: Parts) -> Iterator[Problem]:
    network, pools = parts.scenario.network, parts.scenario.pools
    if network is None:
        return
    stated = {"network": network, **{f"network.pools.{n}": own for n, own in network.pools.items()}}
    for name in network.pools:
        if name not in pools:
            yield Problem(f"no such pool; {nearest(name, pools)}", f"network.pools.{name}")
    for path, holder in stated.items():
        nics = getattr(holder, "nics_per_node", None)
        if nics is not None and nics > _MOST_NICS:
            yield Problem(
                f"is {nics:.6g}; a server has at most {_MOST_NICS}", f"{path}.nics_per_node"
            )


def _words(parts: Parts) -> Iterator[Problem]:
    boundary = parts.scenario.boundary
    if boundary is None:
        return
    problems: list[Problem] = []
    if boundary.transfer_engine is not None:
        with within(problems, "boundary.transfer_engine"):
            get_transfer_engine(boundary.transfer_engine)
    if boundary.wire is not None:
        with within(problems, "boundary.wire"):
            encoding_of(boundary.wire)
    yield from problems


def _protocol(parts: Parts) -> Iterator[Problem]:
    boundary = parts.scenario.boundary
    if boundary is None:
        return
    kind = boundary.ownership
    if kind is None and parts.order is not None:
        runtime = parts.runtimes[parts.order[0]]
        own = runtime.protocol if runtime is not None else None
        kind = own.kind if own is not None else None
    if kind is None:
        return
    if kind not in protocol_names():
        yield Problem(
            f"no ownership protocol {kind!r}; {nearest(kind, protocol_names())}",
            "boundary.ownership",
        )
    elif boundary.variant is not None:
        problems: list[Problem] = []
        with within(problems, "boundary.variant"):
            get_protocol(kind).variant(boundary.variant)
        yield from problems


def _same_protocol(parts: Parts) -> Iterator[Problem]:
    """Yield a pair whose engines hand KV over in different ways, unless one way is stated."""
    boundary, order = parts.scenario.boundary, parts.order
    if boundary is None or boundary.ownership is not None or order is None or len(order) < 2:
        return
    giver, taker = (parts.runtimes[name] for name in order)
    if giver is None or taker is None or giver.protocol is None or taker.protocol is None:
        return
    if giver.protocol.kind != taker.protocol.kind:
        yield Problem(
            f"{giver.name} hands KV over by {giver.protocol.kind}, {taker.name} by "
            f"{taker.protocol.kind}; use one runtime on both sides, or state boundary.ownership",
            f"pools.{order[1]}.runtime",
        )


RULES = (_required, _spans, _ports, _words, _protocol, _same_protocol)
