"""What a model needs: shapes, parameters, KV and FLOP per token; no device and no precision.

Read ``_types.py`` first (what a model is), then ``attention/gqa.py`` (what a layer asks of one
tensor-parallel rank) and ``_load.py`` (from a name or a config.json to a ``Model``).
A model: one file in ``hardware_profiles/models/``. An architecture: one file in ``readers/``.
An attention kind: one file in ``attention/``.
"""

from hetsim.model._gemm import Gemm
from hetsim.model._load import get_model
from hetsim.model._mlp import expert_gemms, mlp_gemms, mlp_parameters, router_gemms, shared_gemms
from hetsim.model._names import model_names
from hetsim.model._params import active_parameters, embedding_parameters, parameters
from hetsim.model._sharding import tp_problems
from hetsim.model._types import Attention, LayerGroup, Mlp, Model
from hetsim.model.attention import AttentionKind, attention_of

__all__ = [
    "Attention",
    "AttentionKind",
    "Gemm",
    "LayerGroup",
    "Mlp",
    "Model",
    "active_parameters",
    "attention_of",
    "embedding_parameters",
    "expert_gemms",
    "get_model",
    "mlp_gemms",
    "mlp_parameters",
    "model_names",
    "parameters",
    "router_gemms",
    "shared_gemms",
    "tp_problems",
]
