"""The closed loop: measure kernels, fit, predict, then really run a prefill-decode pair, compare.

Read ``_loop.py`` first (the whole), then ``_cases.py`` (what is run), ``_transformer.py`` and
``_cache.py`` (a real decoder), ``_prefill.py``, ``_decode.py``, ``_wire.py`` (the two processes),
``_pair.py`` (their parent), ``_rounds.py`` and ``_compare.py`` (statistics and verdict: pure),
``_predict.py`` (the same requests through hetsim itself), ``_record.py`` (what is written).
"""

from hetsim.calibrate.loop._cache import Codec, KvCache
from hetsim.calibrate.loop._cases import Ask, Case, Handoff, ModelKey, cases_of
from hetsim.calibrate.loop._compare import Row, compare, judge
from hetsim.calibrate.loop._loop import LoopOptions, run_loop
from hetsim.calibrate.loop._pair import Pair
from hetsim.calibrate.loop._record import free_path, page_with, table_text, write_record
from hetsim.calibrate.loop._reference import reference_tokens
from hetsim.calibrate.loop._shapes import SIZES, Dims, config_of, dims_of
from hetsim.calibrate.loop._transformer import Transformer, attend_each, rotated

__all__ = [
    "SIZES",
    "Ask",
    "Case",
    "Codec",
    "Dims",
    "Handoff",
    "KvCache",
    "LoopOptions",
    "ModelKey",
    "Pair",
    "Row",
    "Transformer",
    "attend_each",
    "cases_of",
    "compare",
    "config_of",
    "dims_of",
    "free_path",
    "judge",
    "page_with",
    "reference_tokens",
    "rotated",
    "run_loop",
    "table_text",
    "write_record",
]
