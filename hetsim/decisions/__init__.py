"""What the points of a sweep say about decisions: which are joint, what beats what, how surely.

Read ``_interactions.py`` first (the question of this room), then what it is made of, each a pure
function of arrays: ``_responses.py`` (points to arrays), ``_noise.py`` (what the means could have
been as well), ``_regret.py`` (deciding one at a time against together), ``_anova.py`` (shares),
``_verdicts.py`` (bounds and words), ``_graph.py``. ``_breakeven.py`` finds where two alternatives
swap, ``_ranking.py`` how sure an order is and what overturns it, ``_robustness.py`` what one design
for all regimes costs; ``_worth.py`` is how they value a scenario. ``_claims.py`` judges a piece of
guidance by its own experiment.
"""

from hetsim.decisions._anova import anova_shares, effects_of
from hetsim.decisions._breakeven import BREAKEVEN_KEY, Alternative, breakeven
from hetsim.decisions._claims import combine, judge
from hetsim.decisions._claims_cells import Cell, ClaimTable, Finding
from hetsim.decisions._claims_load import claim_data, claim_names, claim_schema, load_claim
from hetsim.decisions._claims_published import (
    markdown_published,
    run_published,
    span,
    write_published,
)
from hetsim.decisions._claims_run import run_claim, run_claims
from hetsim.decisions._claims_types import ClaimSpec
from hetsim.decisions._claims_write import markdown_claims
from hetsim.decisions._constraints import CONSTRAINTS, constraint_of, constraints_of
from hetsim.decisions._crossing import crossings
from hetsim.decisions._designs import Design, by_regime, scenario_of
from hetsim.decisions._draw import draw_breakeven, frontier_points
from hetsim.decisions._figures import (
    decision_graph,
    interaction_table,
    plot_decision_graph,
    plot_interactions,
    plot_robustness,
    robustness_table,
)
from hetsim.decisions._graph import components
from hetsim.decisions._interactions import interactions, interactions_of
from hetsim.decisions._noise import replicates
from hetsim.decisions._parameters import Parameter, changed, parameters_of
from hetsim.decisions._quality import composed_error, format_error
from hetsim.decisions._ranking import distinct, probability_table, ranking
from hetsim.decisions._rectangle import largest_rectangle
from hetsim.decisions._recut import best_split
from hetsim.decisions._regret import cell_weights, regret_from_base, regret_uniform, tables_of
from hetsim.decisions._responses import Factor, Responses, responses
from hetsim.decisions._robustness import regret_table, robustness
from hetsim.decisions._span import Span, parse_span
from hetsim.decisions._verdicts import CONFIDENCE, THRESHOLD, bounds, interval, verdict
from hetsim.decisions._worth import Worth, log_ratio, usd_per_h
from hetsim.decisions._write import add_record, write_answer

__all__ = [
    "BREAKEVEN_KEY",
    "CONFIDENCE",
    "CONSTRAINTS",
    "THRESHOLD",
    "Alternative",
    "Cell",
    "ClaimSpec",
    "ClaimTable",
    "Design",
    "Factor",
    "Finding",
    "Parameter",
    "Responses",
    "Span",
    "Worth",
    "add_record",
    "anova_shares",
    "best_split",
    "bounds",
    "breakeven",
    "by_regime",
    "cell_weights",
    "changed",
    "claim_data",
    "claim_names",
    "claim_schema",
    "combine",
    "components",
    "composed_error",
    "constraint_of",
    "constraints_of",
    "crossings",
    "decision_graph",
    "distinct",
    "draw_breakeven",
    "effects_of",
    "format_error",
    "frontier_points",
    "interaction_table",
    "interactions",
    "interactions_of",
    "interval",
    "judge",
    "largest_rectangle",
    "load_claim",
    "log_ratio",
    "markdown_claims",
    "markdown_published",
    "parameters_of",
    "parse_span",
    "plot_decision_graph",
    "plot_interactions",
    "plot_robustness",
    "probability_table",
    "ranking",
    "regret_from_base",
    "regret_table",
    "regret_uniform",
    "replicates",
    "responses",
    "robustness",
    "robustness_table",
    "run_claim",
    "run_claims",
    "run_published",
    "scenario_of",
    "span",
    "tables_of",
    "usd_per_h",
    "verdict",
    "write_answer",
    "write_published",
]
