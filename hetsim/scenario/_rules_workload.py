"""Rules of ``workload``: files that exist, numbers that can be simulated, lengths that fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hetsim.errors import InfeasibleError, Problem, nearest
from hetsim.model import Model
from hetsim.scenario._parts import Parts
from hetsim.scenario._places import Places, locate
from hetsim.workload import regime_names, trace_formats

__all__ = ["RULES", "refuse_too_long"]

_BYTES_PER_REQUEST = 100.0
"""Lower bound of what a request takes in memory: its row in the table and in the record."""
_SHORTEST_SHARE = 0.01
_MOST_TURNS = 1000


def _files(parts: Parts) -> Iterator[Problem]:
    for path, holder in _holders(parts.scenario.workload):
        stated, word = getattr(holder, "path", None), getattr(holder, "format", None)
        if stated is not None and not _exists(parts.base_dir, stated):
            yield Problem(
                f"no such file {stated[:200]!r}; paths are relative to the scenario's folder",
                f"{path}.path",
            )
        if word is not None and word not in trace_formats():
            yield Problem(
                f"no trace format {word!r}; {nearest(word, trace_formats())}", f"{path}.format"
            )


def _exists(base_dir: Path, stated: str) -> bool:
    if not stated or "\0" in stated:
        return False
    try:
        return (base_dir / stated).exists()
    except (OSError, ValueError):
        return False


def _holders(load: Any) -> list[tuple[str, Any]]:
    """Return the workload and its length laws, which may each refer to a file."""
    found = [("workload", load)]
    for role in ("input", "output"):
        law = getattr(load, role, None)
        if law is not None and not isinstance(law, int):
            found.append((f"workload.{role}", law))
    return found


def _regime(parts: Parts) -> Iterator[Problem]:
    load = parts.scenario.workload
    if load.kind == "regime" and load.name not in regime_names():
        yield Problem(
            f"no regime {load.name!r}; {nearest(load.name, regime_names())}", "workload.name"
        )


def _requests(parts: Parts) -> Iterator[Problem]:
    load, limits = parts.scenario.workload, parts.scenario.limits
    requests = getattr(load, "requests", None) or getattr(load, "limit", None) or 0
    if requests > limits.rows:
        yield Problem(
            f"{requests} requests are more rows than limits.rows allows ({limits.rows:g}); "
            "ask for fewer, or raise it",
            _count_path(load),
        )
    elif requests * _BYTES_PER_REQUEST > limits.memory:
        yield Problem(
            f"{requests} requests take at least {requests * _BYTES_PER_REQUEST / 1e9:.3g} GB, more "
            f"than limits.memory ({limits.memory / 1e9:.3g} GB); ask for fewer, or raise it",
            _count_path(load),
        )
    users = getattr(load, "users", None) or getattr(load, "concurrency", None) or 0
    if users > limits.rows:
        yield Problem(
            f"{users} users are more than limits.rows allows ({limits.rows:g})", "workload"
        )


def _count_path(load: Any) -> str:
    return "workload.requests" if getattr(load, "requests", None) else "workload.limit"


def _draws(parts: Parts) -> Iterator[Problem]:
    """Yield laws that take more draws than a run may hold, before anything is drawn."""
    load, limits = parts.scenario.workload, parts.scenario.limits
    most = min(limits.rows, limits.memory / _BYTES_PER_REQUEST)
    if load.kind == "sessions":
        # Sessions are drawn from five mean lengths before the first request on.
        draws = 2.0 * load.requests + 5.0 * (load.turns - 1.0) * load.gap * load.rate
        if not draws <= most:
            yield Problem(
                f"{load.turns:g} turns {load.gap:g} s apart at {load.rate:g} req/s keep too many "
                f"sessions alive ({draws:.3g} turns to draw, at most {most:.3g}); ask for fewer",
                "workload.turns",
            )
    if load.kind == "mmpp":
        changes = load.requests / max(load.rate * (load.quiet + load.busy), 5e-324)
        if not changes <= most:
            yield Problem(
                f"states of {load.quiet:g} s and {load.busy:g} s change {changes:.3g} times in the "
                f"run, at most {most:.3g}; make them longer",
                "workload.quiet",
            )
    talk = getattr(load, "conversation", None)
    if talk is not None and talk.turns > _MOST_TURNS:
        yield Problem(
            f"is {talk.turns}; more than {_MOST_TURNS} turns outgrow any context",
            "workload.conversation.turns",
        )


def _spreads(parts: Parts) -> Iterator[Problem]:
    for path, law in _holders(parts.scenario.workload)[1:]:
        for field in ("cv", "sigma"):
            value = getattr(law, field, None)
            if value is not None and not 1e-6 <= value <= 100:
                yield Problem(f"is {value:g}; must lie between 1e-6 and 100", f"{path}.{field}")


def _scale(parts: Parts) -> Iterator[Problem]:
    scale = getattr(parts.scenario.workload, "rate_scale", 1.0)
    if not 1e-6 <= scale <= 1e6:
        yield Problem(f"is {scale:g}; must lie between 1e-6 and 1e6", "workload.rate_scale")


def _warmup(parts: Parts) -> Iterator[Problem]:
    warmup, horizon = getattr(parts.scenario.workload, "warmup", 0.0), parts.scenario.horizon
    if horizon is not None and warmup >= horizon:
        yield Problem(
            f"{warmup:g} s is not before the horizon of {horizon:g} s: nothing would be measured",
            "workload.warmup",
        )


def refuse_too_long(parts: Parts, places: Places, file: str) -> None:
    """Refuse a workload of which 99 of 100 requests exceed the model's context.

    Raises
    ------
    InfeasibleError
        With need, have, short by, and the terms.
    """
    load, model = parts.scenario.workload, parts.model
    lengths = [_shortest(getattr(load, role, None)) for role in ("input", "output")]
    if model is None or lengths[0] is None:
        return
    holder = getattr(load, "conversation", None) or load
    prefix = int(getattr(holder, "shared_prefix", 0))
    terms = {"input": lengths[0], "output": lengths[1] or 0, "shared prefix": prefix}
    need = sum(terms.values())
    if need <= model.max_context:
        return
    place = locate([Problem(_too_long(need, model), "workload.input")], places, file)[0]
    raise InfeasibleError(
        str(place), [(name, f"{size} tokens") for name, size in terms.items() if size]
    )


def _too_long(need: int, model: Model) -> str:
    have = model.max_context
    return (
        f"99 of 100 requests need {need} tokens or more of context; {model.name} has {have}: short "
        f"by {need - have}; use shorter lengths or a model with a longer context"
    )


def _shortest(law: Any) -> int | None:
    """Return the length that only 1 of 100 requests stays below; None where a file must tell."""
    if isinstance(law, int):
        return law
    if law is None or getattr(law, "path", None) is not None:
        return None
    import numpy as np

    return int(law.resolve(Path()).quantile(np.array([_SHORTEST_SHARE]))[0])


RULES = (_files, _regime, _requests, _draws, _spreads, _scale, _warmup)
