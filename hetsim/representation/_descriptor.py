"""The descriptor: everything that decides which bytes a KV cache holds, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hetsim.errors import Problem, ScenarioError
from hetsim.representation._words import (
    ENCODINGS,
    Enc,
    GroupKind,
    Mem,
    Order,
    Pack,
    ScaleGran,
    ScaleLoc,
    Tile,
)
from hetsim.spec import spec

__all__ = ["Declared", "Representation", "SeqShard"]

_BLOCK = {"block16": 16, "block32": 32, "block128": 128}
_BLOCK_SCALE_BYTES = {"block16": 1, "block32": 1, "block128": 4}
STATIC = ("tensor_static", "channel_static")


@spec
class SeqShard:
    """Context parallelism: tokens dealt to ``size`` ranks in runs of ``interleave_tokens``."""

    size: int
    rank: int
    interleave_tokens: int


@spec
class Declared:
    """What an instance *says* about its cache; handshakes compare these words, not the bytes."""

    dtype: str = ""
    model: str = ""
    version: str = ""
    backend: str = ""


@spec
class Representation:
    """The KV of one cache group on one rank of an instance: content, layout, shard, residence.

    ``layers``, ``heads`` and ``replicated`` follow from the rank; ``ranks()`` gives the records of
    all ranks of the instance. Bytes of one token in one layer of a rank (``row_bytes``)::

        H_rank * ((dim_k + dim_v) * bits / 8 + scale bytes)

    Raises
    ------
    ScenarioError
        If heads cannot be split over the ranks, or the layout words contradict each other.
    """

    semantics_id: str
    """Architecture, weight revision, rope and attention configuration: what the numbers mean."""
    group_kind: GroupKind
    group_layers: tuple[int, ...]
    """Ids of the layers of this group over the whole instance."""
    model_layers: int
    """Layers of the model, which the pipeline ranks split evenly."""
    kv_heads_total: int
    dim_k: int
    """Key dims of a head; latent dims of MLA."""
    dim_v: int
    """Value dims of a head; rope dims of MLA."""
    page_tokens: int
    order: Order
    kv_pack: Pack
    enc: Enc
    scale_gran: ScaleGran = "none"
    scale_loc: ScaleLoc = "none"
    scale_id: str = ""
    """Names the static scale values; ``unit`` means that they are all one."""
    scale_width_bytes: int = 4
    """Bytes of one dynamic scale per token and head (with its zero point, if any)."""
    side_shipped: bool = False
    """Whether scales in a side tensor are part of the transfer."""
    tile: Tile = "linear"
    align_bytes: int = 1
    """Pages of a layer start at multiples of this."""
    mem: Mem = "vram_rdma"
    readonly_at_consumer: bool = False
    """Whether the consumer may read the buffer where it lies, or must copy it."""
    window: int | None = None
    state_bytes: float = 0.0
    """Constant state per sequence of one layer on one rank (SSM)."""
    seq_shard: SeqShard | None = None
    tp: int = 1
    pp: int = 1
    tp_rank: int = 0
    pp_rank: int = 0
    weight_precision: str = ""
    """Precision of the weights that made the KV: quality, not bytes."""
    declared: Declared = Declared()

    def __post_init__(self) -> None:
        problems = [Problem(text) for text in _faults(self)]
        if problems:
            raise ScenarioError(problems)

    @property
    def layers(self) -> tuple[int, ...]:
        """Layer ids on this pipeline rank."""
        if self.pp == 1:
            return self.group_layers
        first = self.model_layers * self.pp_rank // self.pp
        after = self.model_layers * (self.pp_rank + 1) // self.pp
        return tuple(layer for layer in self.group_layers if first <= layer < after)

    @property
    def heads(self) -> tuple[int, int]:
        """KV heads on this tensor rank, from (included) to (excluded)."""
        if self.kv_heads_total <= self.tp:
            head = self.tp_rank * self.kv_heads_total // self.tp
            return head, head + 1
        each = self.kv_heads_total // self.tp
        return self.tp_rank * each, (self.tp_rank + 1) * each

    @property
    def replicated(self) -> bool:
        """Whether another tensor rank holds the same heads."""
        return self.tp > self.kv_heads_total

    @property
    def heads_per_rank(self) -> int:
        """How many KV heads one rank holds."""
        return max(1, self.kv_heads_total // self.tp)

    @property
    def element_bytes(self) -> float:
        """Bytes of one element without scales."""
        return ENCODINGS[self.enc].bits / 8

    @property
    def key_bytes(self) -> float:
        """Bytes of the keys of one token and head, inline scales included."""
        return self._piece_bytes(self.dim_k)

    @property
    def value_bytes(self) -> float:
        """Bytes of the values of one token and head, inline scales included."""
        return self._piece_bytes(self.dim_v)

    def _piece_bytes(self, dim: int) -> float:
        composed = ENCODINGS[self.enc].row_bytes
        if composed:
            # A composed row is one piece; it is booked under the keys.
            scales = 8 if self.scale_loc == "page_tail" else 0
            return float(composed - scales) if dim == self.dim_k else 0.0
        inline = self._scale_bytes(dim) if self.scale_loc == "inline_row" else 0.0
        return self._padded(dim) * self.element_bytes + inline

    def _padded(self, dim: int) -> int:
        # TPU pages pad the head dim to the 128 lanes of a register.
        return -(-dim // 128) * 128 if self.kv_pack == "head_interleaved" else dim

    def _scale_bytes(self, dim: int) -> float:
        if self.scale_gran == "token_head_dyn":
            return float(self.scale_width_bytes) if dim else 0.0
        block = _BLOCK.get(self.scale_gran)
        return -(-dim // block) * _BLOCK_SCALE_BYTES[self.scale_gran] if block else 0.0

    @property
    def outside_scale_bytes(self) -> float:
        """Scale bytes of one token and head that lie outside its row (page tail, side tensor)."""
        if self.scale_loc not in ("page_tail", "side_tensor"):
            return 0.0
        if ENCODINGS[self.enc].row_bytes:
            return 8.0
        return self._scale_bytes(self.dim_k) + self._scale_bytes(self.dim_v)

    @property
    def row_bytes(self) -> float:
        """Bytes of one token in one layer on this rank, all its scales included."""
        if self.group_kind == "ssm_state":
            return 0.0
        return self.heads_per_rank * (self.key_bytes + self.value_bytes + self.outside_scale_bytes)

    @property
    def page_bytes(self) -> float:
        """Bytes of one page of one layer on this rank, rounded up to the alignment."""
        step = max(self.align_bytes, ENCODINGS[self.enc].page_multiple)
        raw = self.page_tokens * self.row_bytes
        return -(-raw // step) * step if step > 1 else raw

    def held_tokens(self, tokens: int) -> int:
        """Tokens of a sequence that this group keeps (a window keeps only the last ones)."""
        return min(tokens, self.window) if self.window else tokens

    def bytes(self, tokens: int) -> float:
        """Bytes that this rank stores for a sequence of ``tokens``, whole pages."""
        share = -(-self.held_tokens(tokens) // (self.seq_shard.size if self.seq_shard else 1))
        pages = -(-share // self.page_tokens)
        return len(self.layers) * (pages * self.page_bytes + self.state_bytes)

    def instance_bytes(self, tokens: int) -> float:
        """Bytes that all ranks of the instance store for a sequence of ``tokens``."""
        return sum(rank.bytes(tokens) for rank in self.ranks())

    @property
    def regions(self) -> int:
        """Memory regions that this rank registers: per layer, or one when blocks hold all layers.

        Separate K and V double them, and a side tensor of scales adds as many again.
        """
        outer = len(self.layers) if self.order[0] == "L" else 1
        parts = 2 if self.kv_pack in ("separate", "slot") else 1
        return outer * (parts + (self.scale_loc == "side_tensor"))

    def ranks(self) -> Iterator[Representation]:
        """Give the record of every rank: context, then pipeline, then tensor ranks."""
        cp = self.seq_shard.size if self.seq_shard else 1
        for cp_rank in range(cp):
            shard = replace(self.seq_shard, rank=cp_rank) if self.seq_shard else None
            for pp_rank in range(self.pp):
                for tp_rank in range(self.tp):
                    yield replace(self, seq_shard=shard, pp_rank=pp_rank, tp_rank=tp_rank)


def _faults(rep: Representation) -> Iterator[str]:
    heads, tp = rep.kv_heads_total, rep.tp
    if min(tp, rep.pp, rep.page_tokens, heads, rep.model_layers) < 1:
        yield "tp, pp, page_tokens, kv_heads_total and model_layers must be at least 1"
    elif heads % tp and tp % heads:
        yield f"{heads} KV heads cannot be split over tp {tp}; use a divisor or a multiple"
    if not (0 <= rep.tp_rank < max(tp, 1) and 0 <= rep.pp_rank < max(rep.pp, 1)):
        yield f"rank ({rep.tp_rank}, {rep.pp_rank}) is outside tp {tp}, pp {rep.pp}"
    if rep.scale_gran in ("none", *STATIC) and rep.scale_loc not in ("none", "checkpoint"):
        yield f"scale_loc {rep.scale_loc!r} needs dynamic or block scales, not {rep.scale_gran!r}"
    if rep.scale_loc == "page_tail" and rep.order in ("LHBN", "BHLN"):
        yield f"page_tail scales need the heads inside a page, not order {rep.order!r}"
    if rep.scale_loc == "page_tail" and rep.kv_pack in ("separate", "slot", "head_interleaved"):
        yield f"page_tail scales lie behind keys and values together, not kv_pack {rep.kv_pack!r}"
    if rep.group_kind == "mla" and rep.kv_pack not in ("latent", "slot"):
        yield f"MLA keeps one latent row: kv_pack must be 'latent', not {rep.kv_pack!r}"
    if ENCODINGS[rep.enc].row_bytes and rep.group_kind != "mla":
        yield f"enc {rep.enc!r} is a row of MLA, not of group {rep.group_kind!r}"
