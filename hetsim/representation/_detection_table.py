"""What each runtime does about each mismatch of representations: a table, no code.

Source: KV boundary study of 2026-11, sections 1.4 to 1.6 and finding 12. Cells are deduced from
the checks that the sources of each runtime hold. Those of vLLM NIXL on page size, format and
tensor parallelism were also played on a real pair (calibration/VALIDATION.md).

Cells: ``R`` refused at connect, ``r`` refused per request or crash, ``C`` converted or handled,
``S`` silently wrong, ``ok`` harmless, ``-`` not offered by the runtime, ``?`` not established.
A cell may be a list of (condition, cell) pairs; the first condition that holds decides.
"""

from __future__ import annotations

from typing import Literal

__all__ = ["COLUMNS", "DECLARED_CHECKS", "TABLE", "Cell", "Mismatch"]

Mismatch = Literal[
    "same_width_dtype",
    "fn_vs_fnuz",
    "different_width_dtype",
    "ds_mla_revision",
    "static_scales",
    "side_scales",
    "page_size",
    "order",
    "tp_gqa",
    "tp_block_scales",
    "pp",
    "fine_tune",
    "shape",
    "weight_precision",
    "draft_group",
]
Cell = str | tuple[tuple[str, str], ...]

_COLUMN_NAMES = (
    "vllm_nixl",
    "vllm_mooncake",
    "sglang",
    "trtllm_cpp",
    "trtllm_v2",
    "lmdeploy",
    "ascend_pull",
    "ascend_layerwise",
    "tpu",
    "mooncake_store",
    "qaic",
)

# The hash of vLLM NIXL can be switched off; lengths of regions are still compared.
_NIXL_HASH = (("no_compat_check", "r"), ("else", "R"))
_NIXL_NAME = (("no_compat_check", "S"), ("else", "R"))
# D's page must be a multiple of P's: vllm 0.32.0, kv_transfer/kv_connector/utils.py,
# block_size_ratio, and nixl/base_worker.py, _validate_remote_agent_handshake (same in 0.33.0).
# D joins small blocks as if each token were a row (kv_postprocess_blksize_on_receive); a back end
# that tiles its keys is not asked. The CPU back end keeps them as [head_dim, block] (cpu_attn.py;
# element d of token t lies at d * block + t): a real pair of 0.32.0 then serves wrong text.
_NIXL_PAGE = (
    ("host_buffer", "R"),
    ("producer_tp_larger", "R"),
    ("tiled_page_multiple", "S"),
    ("page_multiple", "C"),
    ("else", "R"),
)
_NIXL_ORDER = (("permute_to_nhd", "C"), ("else", "R"))
_NIXL_TP = (("heads_not_contiguous", "R"), ("replicated_producer_tp_larger", "R"), ("else", "C"))
_SGLANG_ORDER = (("tp_differs", "R"), ("else", "S"))
_SGLANG_PP = (("consumer_pp_one", "C"), ("else", "R"))
_ASCEND_QUANT = (("bf16_to_int8", "C"), ("else", "?"))
_ASCEND_TP = (("producer_tp_multiple", "C"), ("else", "?"))

_ROWS: dict[Mismatch, tuple[Cell, ...]] = {
    "same_width_dtype": (_NIXL_NAME, "S", "R", "R", "S", "S", "?", "?", "?", "S", "?"),
    "fn_vs_fnuz": ("S", "S", "S", "S", "S", "S", "-", "-", "-", "S", "-"),
    "different_width_dtype": (
        _NIXL_HASH,
        "r",
        "R",
        "R",
        "R",
        "S",
        "?",
        _ASCEND_QUANT,
        "?",
        "S",
        "?",
    ),
    "ds_mla_revision": ("r", "r", "R", "-", "r", "-", "-", "-", "-", "S", "-"),
    "static_scales": ("S", "S", "S", "S", "S", "S", "S", "S", "S", "S", "?"),
    "side_scales": ("S", "S", "R", "?", "?", "ok", "?", "?", "?", "S", "?"),
    "page_size": (_NIXL_PAGE, "C", "R", "R", "R", "S", "?", "?", "?", "S", "-"),
    "order": (_NIXL_ORDER, "R", _SGLANG_ORDER, "S", "S", "S", "?", "?", "?", "S", "-"),
    "tp_gqa": (_NIXL_TP, "C", "C", "C", "C", "R", _ASCEND_TP, "C", "?", "?", "-"),
    "tp_block_scales": ("R", "R", "R", "?", "?", "R", "-", "-", "-", "?", "-"),
    "pp": ("C", "?", _SGLANG_PP, "C", "C", "R", "?", "?", "?", "?", "-"),
    "fine_tune": ("S", "S", "S", "S", "S", "S", "S", "S", "S", "S", "S"),
    "shape": (_NIXL_HASH, "r", "S", "R", "R", "S", "S", "S", "r", "S", "r"),
    "weight_precision": ("ok",) * 11,
    "draft_group": (_NIXL_HASH, "r", "?", "?", "?", "?", "r", "r", "?", "?", "?"),
}

TABLE: dict[str, dict[Mismatch, Cell]] = {
    column: {mismatch: cells[index] for mismatch, cells in _ROWS.items()}
    for index, column in enumerate(_COLUMN_NAMES)
}

# Before vllm-project/vllm#26759 the connector asserted equal pages on both sides.
TABLE["vllm_nixl_legacy"] = {**TABLE["vllm_nixl"], "page_size": "R"}

COLUMNS: dict[str, str] = {
    "vllm_nixl_pull": "vllm_nixl",
    "vllm_nixl_pull_legacy": "vllm_nixl_legacy",
    "vllm_nixl_push": "vllm_nixl",
    "vllm_mooncake": "vllm_mooncake",
    "trtllm_cpp": "trtllm_cpp",
    "trtllm_v2": "trtllm_v2",
    "sglang_early": "sglang",
    "sglang_prefill_complete": "sglang",
    "ascend_pull": "ascend_pull",
    "ascend_layerwise": "ascend_layerwise",
    "lmdeploy_dlslime": "lmdeploy",
    "tpu": "tpu",
    "mooncake_store": "mooncake_store",
    "qaic_shm": "qaic",
}
"""Which column a runtime preset reads."""

DECLARED_CHECKS: dict[str, tuple[str, ...]] = {
    "vllm_nixl": ("dtype", "model", "version", "backend"),
    "vllm_nixl_legacy": ("dtype", "model", "version", "backend"),
    "sglang": ("dtype",),
}
"""Which stated words a handshake compares, whatever the bytes are."""
