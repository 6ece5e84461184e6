"""Run claims: each a sweep that resumes, then a verdict from its table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hetsim._version import MODEL_VERSION, __version__
from hetsim.decisions._claims import combine, judge
from hetsim.decisions._claims_cells import Cell, ClaimTable, Finding
from hetsim.decisions._claims_load import LoadedClaim, claim_names, load_claim
from hetsim.decisions._claims_table import grades_of, table_of
from hetsim.decisions._claims_types import Joint
from hetsim.errors import Problem, ScenarioError
from hetsim.sweep import SweepResult, load_sweep_result, sweep

__all__ = ["run_claim", "run_claims"]

Told = Callable[[str, int, int], None]
"""Told the claim, its finished runs, and all of them."""


def run_claims(
    names: Sequence[str] = (),
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    joint: str | Path | None = None,
    progress: Told | None = None,
) -> dict[str, Any]:
    """Run claims (all that come with hetsim, if none is named) and return their verdicts.

    With ``out``, every claim has its sweep directory below it, which resumes, and the verdicts are
    written to ``claims.json`` and ``claims.md``, beside those of claims that were not named.
    ``joint`` is the directory of a sweep that answers
    for the axes that interact, in place of the small one of the claim.

    Raises
    ------
    ScenarioError
        With every problem of every claim, before anything runs.
    """
    claims = _loaded(names or claim_names())
    found = {
        "hetsim_version": __version__,
        "model_version": MODEL_VERSION,
        "claims": [
            run_claim(one, out=out, workers=workers, joint=joint, progress=progress)
            for one in claims
        ],
    }
    if out is not None:
        from hetsim.decisions._claims_write import write_claims

        write_claims(Path(out), {**found, "claims": _with_kept(Path(out), found["claims"])})
    return found


def _with_kept(folder: Path, claims: Any) -> list[dict[str, Any]]:
    """Return the claims with those of an earlier run that were not asked again, in one order.

    A verdict of another model version keeps its number: it was not computed by this one.
    """
    import json

    try:
        earlier = json.loads((folder / "claims.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        earlier = {}
    version = earlier.get("model_version") if isinstance(earlier, dict) else None
    known = earlier.get("claims", []) if isinstance(earlier, dict) else []
    found = {one["name"]: {"model_version": version, **one} for one in known if "name" in one}
    found |= {one["name"]: one for one in claims}
    order = [name for name in claim_names() if name in found]
    order += sorted(set(found) - set(order))
    return [found[name] for name in order]


def _loaded(names: Iterable[str]) -> list[LoadedClaim]:
    """Return the claims, or raise the problems of all of them."""
    made: list[LoadedClaim] = []
    problems: list[Problem] = []
    for name in names:
        try:
            made.append(load_claim(name))
        except ScenarioError as error:
            problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return made


def run_claim(
    claim: LoadedClaim,
    *,
    out: str | Path | None = None,
    workers: int | None = None,
    joint: str | Path | None = None,
    progress: Told | None = None,
) -> dict[str, Any]:
    """Return the verdict of one claim as plain data."""
    if joint is not None and all(isinstance(test, Joint) for test in claim.spec.tests):
        return _judged(claim, load_sweep_result(joint))
    name = _name(claim)
    told = (lambda done, total, _: progress(name, done, total)) if progress is not None else None
    folder = Path(out) / name if out is not None else None
    if folder is not None:
        folder.parent.mkdir(parents=True, exist_ok=True)
    return _judged(claim, sweep(claim.sweep, out=folder, workers=workers, progress=told))


def _name(claim: LoadedClaim) -> str:
    return Path(claim.file).stem or claim.spec.name


def _judged(claim: LoadedClaim, result: SweepResult) -> dict[str, Any]:
    table = table_of(claim, result)
    findings = [judge(test, table) for test in claim.spec.tests]
    made = _words(claim, table, findings)
    made["model_version"] = MODEL_VERSION
    return {**made, "seeds": list(result.manifest["seeds"]), "grades": grades_of(result)}


def _words(claim: LoadedClaim, table: ClaimTable, findings: list[Finding]) -> dict[str, Any]:
    spec, whole = claim.spec, combine(findings)
    return {
        "name": _name(claim),
        "claim": spec.claim,
        "verdict": whole.verdict,
        "depends_on": whole.on,
        "confidence": whole.confidence,
        "by": whole.says,
        "regimes": list(dict.fromkeys(", ".join(c.values()) or "all" for c in table.conditions)),
        "response": {"metric": spec.response.metric, "measure": spec.response.measure},
        "budget": spec.budget.rule,
        "errors": dict(zip(table.alternatives, claim.errors, strict=False)),
        "tests": [
            {**_finding(one), "test": _test(test)}
            for test, one in zip(spec.tests, findings, strict=True)
        ],
        "published": asdict(spec.published) if spec.published is not None else None,
    }


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "verdict": found.verdict,
        "depends_on": found.on,
        "confidence": found.confidence,
        "by": found.says,
        "conditions": [_cell(cell) for cell in found.cells],
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "condition": dict(cell.condition),
        "outcome": cell.outcome,
        "ratio": cell.ratio,
        "interval": cell.interval,
        "p_wrong": cell.p_wrong,
        "first": cell.first,
        "second": cell.second,
        "says": cell.says,
    }


def _test(test: Any) -> dict[str, Any]:
    from hetsim.decisions._claims_types import Test
    from hetsim.spec._check import plain_data

    plain: dict[str, Any] = plain_data(Test, test)
    return plain
