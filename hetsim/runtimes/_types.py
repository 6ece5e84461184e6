"""What a runtime preset says: one serving engine with one way to hand KV over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, fields
from typing import Literal

from hetsim.errors import Problem, ScenarioError
from hetsim.ownership import Options, Plan, Timers, get_plan, get_protocol
from hetsim.spec import spec

Scheduler = Literal["vllm", "sglang", "trtllm", "static"]
CheckPolicy = Literal[
    "none",
    "hash",
    "lengths",
    "page_and_dtype",
    "full_struct",
    "element_size",
    "block_count",
    "minimal",
    "pool_key",
    "prompt_hash",
]
OnError = Literal["fail", "recompute", "none"]
OnPreempt = Literal["recompute", "retract", "reload", "none"]


@spec
class Protocol:
    """An ownership protocol and one of its variants, by name."""

    kind: str
    variant: str


@spec
class SmallDevice:
    """Limits that an engine chooses on a device with less memory (or of a named make)."""

    below_bytes: float
    names: tuple[str, ...] = ()
    """Words in the names of larger devices that get these limits too."""
    max_batched_tokens: int
    max_seqs: int


@spec
class Limits:
    """The step limits of an engine on a given device."""

    max_batched_tokens: int
    max_seqs: int


@spec
class Runtime:
    """One serving engine as it behaves by default, with a source for every number."""

    name: str
    title: str
    engine: str
    version: str
    use: Literal["colocated", "disaggregated", "test"]
    scheduler: Scheduler

    page_tokens: int
    """Tokens of one KV block."""
    order: str
    """Axes of the KV cache from the outermost, such as LBHN; ``any`` where the engine has none."""
    kv_pack: str
    """Where K and V lie: separate, planes, merged_row, head_interleaved, latent, slot."""
    tile: str = "linear"
    align_page_to: int = 1
    """A transferred prefix is cut to a multiple of so many tokens."""

    protocol: Protocol | None
    """How KV changes hands; None where it never leaves the instance."""
    check_policy: CheckPolicy
    timers: Timers
    on_error: OnError
    on_preempt: OnPreempt
    first_token_from: Literal["prefill", "decode", "decode_on_arrival", "decode_on_join"]
    """``decode``: D computes the last prompt token again and with it the first output token;
    ``decode_on_arrival``: P computed the token, D streams it once the KV has landed;
    ``decode_on_join``: P computed it, D streams it after the first step that has a slot for it."""

    max_batched_tokens: int
    """Tokens of one step, prompt and decode together."""
    prefill_chunk_tokens: int
    """Prompt tokens of one request in one step."""
    max_seqs: int
    small_device: SmallDevice | None = None
    chunked_prefill: bool
    mixed_steps: bool
    """One step may carry prompt chunks and decodes."""
    capacity_policy: Literal["preempt", "guaranteed_no_evict", "retract"]
    """What admission assumes about output lengths, and what happens when blocks run out."""
    reserve_tokens_per_request: int = 0
    """Tokens that D keeps free for each request inside when it reserves ahead; 0 = none."""
    memory_utilisation: float
    memory_rule: Literal["of_total", "of_free", "weights_and_kv"]
    """The ratio applies to the device's memory, to what weights and reserve leave of it, or to
    weights and KV alone (activations live in the rest)."""
    reserve_bytes: float
    """Memory per device for activations, graphs and the runtime itself."""

    host_step_s: float
    host_per_sequence_s: float
    request_overhead_s: float
    request_overhead_moe_ratio: float
    """Request overhead of a mixture-of-experts model over that of a dense one."""
    handoff_overhead_s: float
    """Fixed time of a disaggregated request beside compute and transfer, in place of
    ``request_overhead_s``; 0 where the engine does not disaggregate."""
    admission_steps: float
    """Steps waited before the first token: admission and streaming cadence."""
    handoff_steps: float = 0.0
    """Decode steps of D that pass before a disaggregated request is begun: it goes through D's
    loop, which looks for requests once in so many steps."""
    kernel_scale_decode: float
    kernel_scale_prefill: float
    floor_scale: float
    """Share of a kernel's isolated floor that survives inside graphs."""
    floor_scale_moe: float
    two_batch_overlap: bool = False
    """Steps that exchange tokens with experts run in two halves, one computing beside the other's
    exchange; every engine that can leaves it off until it is asked for."""

    granularity: Literal["request", "chunk", "layer"]
    coalesce: bool
    """Consecutive blocks become one descriptor above the transfer engine."""
    staging: Literal["none", "host", "device_buffer", "shared_memory"]
    staging_bytes: float = 0.0
    rse: Mapping[str, float] = field(default_factory=dict)
    """Relative standard errors of the fitted constants, by field name."""
    correlation: Mapping[str, float] = field(default_factory=dict)
    """Correlations of their logarithms, by ``first/second``; absent is none."""
    sources: Mapping[str, str]
    """Source of every number and choice, by field name; ``default`` for the rest."""
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = [*self._impossible(), *self._unsourced(), *self._unknown_protocol()]
        problems += self._unsure()
        if problems:
            raise ScenarioError(problems)

    def _impossible(self) -> list[Problem]:
        problems = [
            Problem(f"must be at least 1; seen {getattr(self, name)}", name)
            for name in ("page_tokens", "max_batched_tokens", "prefill_chunk_tokens", "max_seqs")
            if getattr(self, name) < 1
        ]
        problems += [
            Problem(f"must be at least 0; seen {getattr(self, name)}", name)
            for name in _NOT_NEGATIVE
            if not getattr(self, name) >= 0
        ]
        problems += [
            Problem(f"must be above 0; seen {getattr(self, name)}", name)
            for name in (
                "kernel_scale_decode",
                "kernel_scale_prefill",
                "request_overhead_moe_ratio",
            )
            if not getattr(self, name) > 0
        ]
        if not 0 < self.memory_utilisation <= 1:
            problems.append(
                Problem(f"must be in (0, 1]; seen {self.memory_utilisation}", "memory_utilisation")
            )
        return problems

    def _unsourced(self) -> list[Problem]:
        known = {field.name for field in fields(self)} | {"default"}
        return [
            Problem("a source for a field that does not exist", f"sources.{name}")
            for name in self.sources
            if name not in known
        ]

    def _unsure(self) -> list[Problem]:
        """Return what is wrong with the errors of constants."""
        known = {field.name for field in fields(self)}
        problems = [
            Problem(f"must be the error of a field, from 0 to 2; seen {value}", f"rse.{name}")
            for name, value in self.rse.items()
            if name not in known or not 0.0 <= value <= 2.0
        ]
        problems += [
            Problem(
                f"must be first/second, both with an rse, from -1 to 1; seen {value}",
                f"correlation.{name}",
            )
            for name, value in self.correlation.items()
            if not (set(name.split("/")) <= set(self.rse) and -1.0 <= value <= 1.0)
        ]
        return problems

    def _unknown_protocol(self) -> list[Problem]:
        if self.protocol is None:
            return []
        try:
            get_protocol(self.protocol.kind).variant(self.protocol.variant)
        except ScenarioError as error:
            return [Problem(problem.message, "protocol") for problem in error.problems]
        return []

    def source(self, field: str) -> str:
        """Return where a field was read."""
        return self.sources.get(field) or self.sources.get("default", "")

    def limits(self, memory_bytes: float, device: str = "") -> Limits:
        """Return the step limits on a device of ``memory_bytes`` called ``device``."""
        small = self.small_device
        if small is None or (
            memory_bytes >= small.below_bytes and not any(word in device for word in small.names)
        ):
            return Limits(max_batched_tokens=self.max_batched_tokens, max_seqs=self.max_seqs)
        return Limits(max_batched_tokens=small.max_batched_tokens, max_seqs=small.max_seqs)

    def plan(
        self,
        *,
        kind: str = "",
        variant: str = "",
        timers: Timers | None = None,
        convert: bool = False,
        handles: int = 1,
    ) -> Plan:
        """Return the compiled ownership plan; words left out are this preset's own.

        A ``kind`` other than the preset's brings its own default variant and timers, since the
        preset's would mean nothing there.

        Raises
        ------
        ScenarioError
            If the preset is co-located and no ``kind`` is given, or a name is unknown.
        """
        own = self.protocol
        if not kind and own is None:
            raise ScenarioError(
                Problem(f"runtime {self.name} never hands KV over; name an ownership protocol")
            )
        if own is not None and kind in ("", own.kind):
            kind = own.kind
            if variant in ("", own.variant):
                variant, timers = own.variant, timers or self.timers
        options = Options(
            on_error="recompute" if self.on_error == "recompute" else "fail",
            on_preempt="recompute" if self.on_preempt == "none" else self.on_preempt,
            convert=convert,
            handles=handles,
        )
        return get_plan(kind, variant, timers, options)


_NOT_NEGATIVE = (
    "reserve_bytes",
    "host_step_s",
    "host_per_sequence_s",
    "request_overhead_s",
    "handoff_overhead_s",
    "handoff_steps",
    "admission_steps",
    "reserve_tokens_per_request",
    "floor_scale",
    "floor_scale_moe",
    "staging_bytes",
)
