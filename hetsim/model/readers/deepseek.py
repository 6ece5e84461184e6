"""Latent attention and routed experts: DeepSeek V2, V3, R1, V3.2, Kimi K2, GLM-4.7-Flash, GLM-5."""

from __future__ import annotations

from dataclasses import replace

from hetsim.model._config import Config
from hetsim.model._types import Attention, Mlp, Model
from hetsim.model.readers._common import dense_layers, dense_mlp, frame
from hetsim.model.readers.moe import note_mtp, routed
from hetsim.spec import register

__all__ = ["mla"]


def mla(cfg: Config, **more: object) -> Attention:
    """Return the latent attention that ``cfg`` states, with its indexer if it has one."""
    q_rank = cfg.count("q_lora_rank", default=0, low=0)
    made: dict[str, object] = {
        "kind": "mla",
        "heads": cfg.count("num_attention_heads"),
        "kv_heads": 1,
        "q_lora_rank": q_rank,
        "kv_lora_rank": cfg.count("kv_lora_rank"),
        "nope_dim": cfg.count("qk_nope_head_dim"),
        "rope_dim": cfg.count("qk_rope_head_dim", low=0),
        "v_head_dim": cfg.count("v_head_dim"),
        "bias": cfg.flag("attention_bias"),
        "out_bias": cfg.flag("attention_bias"),
    }
    if "index_topk" in cfg:
        index_dim = cfg.count("index_head_dim")
        # The indexer normalises its keys with a scale and a shift.
        made |= {
            "index_heads": cfg.count("index_n_heads"),
            "index_dim": index_dim,
            "index_topk": cfg.count("index_topk"),
            "extra_params": 2 * index_dim,
        }
    return Attention(**{**made, **more})  # type: ignore[arg-type]


def latent_moe(cfg: Config) -> Mlp:
    """Return routed experts with ``n_shared_experts`` shared ones of the same width."""
    inter = cfg.count("moe_intermediate_size")
    shared = cfg.count("n_shared_experts", default=0, low=0)
    bias = cfg.word("topk_method") == "noaux_tc"
    return routed(cfg, inter, shared_inter=shared * inter, router_bias=bias)


def read_deepseek(cfg: Config) -> Model:
    """Return a decoder with latent attention, leading dense layers, then routed experts."""
    moe, count = latent_moe(cfg), cfg.layers()
    note_mtp(cfg, "num_nextn_predict_layers")
    layers = [
        (att, dense_mlp(cfg) if flat else moe)
        for att, flat in zip(_attentions(cfg, count), dense_layers(cfg, count), strict=False)
    ]
    return frame(cfg, layers)


def _attentions(cfg: Config, count: int) -> list[Attention]:
    """Return each layer's attention; ``shared`` ones reuse the selection of an earlier indexer."""
    own = mla(cfg)
    reuse = replace(own, index_heads=0, index_dim=0, extra_params=0)
    if "indexer_types" in cfg:
        shared = [kind == "shared" for kind in cfg.words("indexer_types", count)]
    elif "index_topk_freq" in cfg:
        every = cfg.count("index_topk_freq")
        first = cfg.count("index_skip_topk_offset", default=1, low=0)
        shared = [i >= first and (i - first + 1) % every != 0 for i in range(count)]
    else:
        shared = [False] * count
    return [reuse if again else own for again in shared]


for _type in (
    "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite", "glm_moe_dsa", "kimi_k2",
):  # fmt: skip
    register("model_reader", _type)(read_deepseek)
