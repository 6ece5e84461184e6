"""A named workload regime at a stated rate."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from hetsim.errors import ScenarioError, nearest
from hetsim.spec import data_root, shelved, spec
from hetsim.workload._types import Count, RequestsPerSecond, Seconds
from hetsim.workload._workload import Workload

__all__ = ["Regime", "regime_names", "regime_workload"]


def regime_names() -> tuple[str, ...]:
    """Return the names of the regimes in ``hardware_profiles/regimes``, sorted."""
    folder = data_root("hardware_profiles") / "regimes"
    return tuple(sorted(file.stem for file in folder.glob("*.yaml")))


def regime_workload(name: str) -> dict[str, Any]:
    """Return a regime as its file has it: ``title``, ``workload``, ``sources``.

    Raises
    ------
    ScenarioError
        If there is no regime of that name.
    """
    from hetsim.spec._yaml import read_yaml

    brought: dict[str, Any] | None = shelved("regimes", name)
    if brought is not None:
        return brought
    if name not in regime_names():
        raise ScenarioError(f"no regime called {name!r}; {nearest(name, regime_names())}")
    data: dict[str, Any] = read_yaml(data_root("hardware_profiles") / "regimes" / f"{name}.yaml")[0]
    return data


@spec(kind="regime", family="workload")
class Regime:
    """Lengths and burstiness of the file ``name`` in ``hardware_profiles/regimes``."""

    kind: Literal["regime"] = "regime"
    name: str
    """A file of ``hardware_profiles/regimes``: balanced, prefill_heavy, decode_heavy, ..."""
    rate: RequestsPerSecond
    """Mean arrivals per second."""
    requests: Count
    """How many requests in all."""
    warmup: Seconds = 0.0
    """Requests that arrive earlier are simulated, but not measured."""

    def build(self, seed: int, base_dir: Path) -> Workload:
        """Return the regime's workload with this rate and number of requests."""
        from hetsim.units import format_quantity
        from hetsim.workload._build import workload_spec

        stated = {
            "rate": format_quantity(self.rate, "request/second"),
            "requests": self.requests,
            "warmup": format_quantity(self.warmup, "second"),
        }
        made = workload_spec({**regime_workload(self.name)["workload"], **stated}, self.name)
        workload: Workload = made.build(seed, base_dir)
        return Workload(f"regime {self.name}", table=workload.table)
