"""YAML to typed, checked scenarios.

Read ``_types.py`` first: every field of a scenario. ``_find.py`` finds a file, ``_load.py`` reads
it, applies ``--set`` and ``--workload`` (``_sets.py``), and names every problem at its line
(``_places.py``); the rules between fields are the ``_rules_*.py``. ``_resolve.py`` writes the whole
back out and ``_profiles.py`` what it takes from the catalogue, ``_schema.py`` is for editors,
``_starter.py`` for beginners. A new rule is one function in its section's file.
"""

from hetsim.scenario._check import check_scenario
from hetsim.scenario._find import no_such_file, scenario_names, shipped_scenario
from hetsim.scenario._load import Loaded, load_data, load_scenario, split_format
from hetsim.scenario._parts import (
    accelerator_of,
    devices_per_node,
    host_of,
    model_of,
    pools_in_order,
    runtime_of,
)
from hetsim.scenario._places import Place, Places, locate, places_of
from hetsim.scenario._prices import missing_prices, stated_price
from hetsim.scenario._profiles import Profiles, without_profiles
from hetsim.scenario._resolve import (
    dump_scenario,
    embedded_yaml,
    notes_on_profiles,
    plain_scenario,
    resolve,
    resolved_yaml,
)
from hetsim.scenario._rules_faults import fault_pool
from hetsim.scenario._schema import scenario_schema
from hetsim.scenario._sets import apply_set, parse_key, parse_set
from hetsim.scenario._starter import starter
from hetsim.scenario._types import (
    Boundary,
    ConstantCosts,
    Fault,
    Limits,
    Name,
    Parallel,
    Placement,
    Pool,
    PrecisionSpec,
    Recovery,
    RooflineCosts,
    Scenario,
    Slo,
)

__all__ = [
    "Boundary",
    "ConstantCosts",
    "Fault",
    "Limits",
    "Loaded",
    "Name",
    "Parallel",
    "Place",
    "Placement",
    "Places",
    "Pool",
    "PrecisionSpec",
    "Profiles",
    "Recovery",
    "RooflineCosts",
    "Scenario",
    "Slo",
    "accelerator_of",
    "apply_set",
    "check_scenario",
    "devices_per_node",
    "dump_scenario",
    "embedded_yaml",
    "fault_pool",
    "host_of",
    "load_data",
    "load_scenario",
    "locate",
    "missing_prices",
    "model_of",
    "no_such_file",
    "notes_on_profiles",
    "parse_key",
    "parse_set",
    "places_of",
    "plain_scenario",
    "pools_in_order",
    "resolve",
    "resolved_yaml",
    "runtime_of",
    "scenario_names",
    "scenario_schema",
    "shipped_scenario",
    "split_format",
    "starter",
    "stated_price",
    "without_profiles",
]
