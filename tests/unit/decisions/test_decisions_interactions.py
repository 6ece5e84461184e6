"""Verdicts on synthetic responses of known structure, and how often they are wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hetsim.decisions import (
    Factor,
    Responses,
    cell_weights,
    interactions_of,
    regret_from_base,
    regret_uniform,
    tables_of,
)


def responses_of(
    value: Callable[..., float],
    *,
    shape: tuple[int, ...] = (3, 3, 3),
    noise: float = 0.01,
    seed: int = 0,
    seeds: int = 3,
    regime: str = "r",
) -> Responses:
    """Return designs worth ``value(levels)``, each seed with its own scale and noise."""
    codes = np.array(list(np.ndindex(*shape)), dtype=np.int64)
    rng = np.random.default_rng(seed)
    mean = np.array([value(*code) for code in codes], dtype=float)
    moved = np.exp(noise * rng.standard_normal((len(codes), seeds)))
    common = np.exp(0.3 * rng.standard_normal(seeds))
    values = mean[:, None] * moved * common
    factors = tuple(
        Factor("abcdef"[n], tuple(str(level) for level in range(levels)))
        for n, levels in enumerate(shape)
    )
    words = ("decode-bound: KV capacity of pool decode",) * len(codes)
    whole = np.ones(len(codes), bool)
    return Responses(regime, factors, codes, values, mean > 0.0, whole, words)


def verdicts(found: dict, regime: str = "r") -> dict[tuple[str, str], str]:
    return {(p["a"], p["b"]): p["verdict"] for p in found["regimes"][regime]["pairs"]}


def test_additive_decisions_are_independent() -> None:
    found = interactions_of([responses_of(lambda a, b, c: 20 + a + 3 * b - 2 * c)])
    assert set(verdicts(found).values()) == {"independent"}
    assert found["regimes"]["r"]["components"] == [["a"], ["b"], ["c"]]


def test_pure_interaction_is_binding_although_every_margin_is_flat() -> None:
    found = interactions_of([responses_of(lambda a, b, c: 10 + 3 * (a == b) + 2 * c)])
    assert verdicts(found) == {
        ("a", "b"): "binding",
        ("a", "c"): "independent",
        ("b", "c"): "independent",
    }
    assert found["regimes"]["r"]["components"] == [["a", "b"], ["c"]]


def test_an_interaction_that_never_changes_the_choice_is_independent() -> None:
    """A large share is not a regret: c helps b, but the best levels are the same all along."""
    found = interactions_of([responses_of(lambda a, b, c: 10 + a + 2 * c + 5 * b * (c + 1))])
    pair = next(p for p in found["regimes"]["r"]["pairs"] if (p["a"], p["b"]) == ("b", "c"))
    assert pair["share"] > 0.02
    assert pair["verdict"] == "independent"


def test_what_cannot_run_is_zero_for_regret_and_absent_from_shares() -> None:
    """Without the masked corner the response is additive; the mask makes a and b joint."""

    def value(a: int, b: int, c: int) -> float:
        return 0.0 if (a, b) == (2, 2) else 10 + 3 * a + 3 * b + c

    found = interactions_of([responses_of(value)])["regimes"]["r"]
    pair = next(p for p in found["pairs"] if (p["a"], p["b"]) == ("a", "b"))
    assert found["infeasible_ratio"] == pytest.approx(1 / 9)
    assert found["anova_points"] == 18
    assert pair["share"] == pytest.approx(0.0, abs=1e-3)
    # From the base each is best at its last level: together they cannot run at all. The means over
    # the other's levels know of the corner, and avoid it.
    assert pair["base"]["regret"] == pytest.approx(1.0, abs=1e-6)
    assert pair["base"]["verdict"] == "binding"
    assert pair["verdict"] == "independent" or pair["regret"] > 0.0


def test_a_triple_that_no_pair_explains_joins_all_three() -> None:
    found = interactions_of(
        [responses_of(lambda a, b, c: 10 + 4 * ((a + b + c) % 3 == 0), noise=0.003)]
    )
    one = found["regimes"]["r"]
    assert [t["members"] for t in one["triples"] if t["verdict"] == "binding"] == [["a", "b", "c"]]
    assert one["components"] == [["a", "b", "c"]]


def test_a_decision_that_turns_with_the_regime_is_bound_to_it() -> None:
    data = [
        responses_of(lambda a, b, c: 10 + 2 * a + b + c, regime="up"),
        responses_of(lambda a, b, c: 16 - 4 * a + b + c, regime="down", seed=1),
    ]
    found = interactions_of(data)
    assert verdicts(found, "up")["a", "regime"] == "binding"
    assert verdicts(found, "down")["b", "regime"] == "independent"
    pair = next(p for p in found["regimes"]["up"]["pairs"] if p["b"] == "regime")
    assert (pair["for_all"], pair["here"]) == ("0", "2")


def test_both_forms_of_margins_by_hand() -> None:
    table = np.array([[[6.0, 5.0], [0.0, 8.0]]])
    assert float(regret_uniform(table)[0]) == pytest.approx(3 / 8, abs=1e-6)
    assert float(regret_from_base(table)[0]) == pytest.approx(2 / 8, abs=1e-6)
    assert float(regret_uniform(np.zeros((1, 2, 2)))[0]) == 0.0


def test_cells_of_an_uneven_design_come_from_a_fit() -> None:
    codes = np.array(list(np.ndindex(3, 3, 3)), dtype=np.int64)[1:]
    y = 5.0 + codes @ np.array([1.0, 2.0, 4.0])
    table = tables_of(y[None, :], cell_weights(codes, (3, 3, 3), (0, 1)), (3, 3))[0]
    assert table == pytest.approx(9.0 + np.add.outer([0, 1, 2], [0.0, 2.0, 4.0]))


@pytest.mark.slow
def test_wrong_verdicts_are_rare_over_many_families() -> None:
    """Null data: no pair has any regret, with noise that leaves each choice in doubt."""
    wrong = 0
    for trial in range(60):
        rng = np.random.default_rng(trial)
        steps = [np.cumsum(rng.uniform(0.0, 0.05, 3)) for _ in range(4)]
        data = responses_of(
            lambda a, b, c, d, s=steps: 1.0 + s[0][a] + s[1][b] + s[2][c] + s[3][d],
            shape=(3, 3, 3, 3),
            noise=0.03,
            seed=trial,
        )
        found = interactions_of([data], count=1000)
        wrong += "binding" in verdicts(found).values()
    assert wrong <= 3


@pytest.mark.slow
def test_a_disjoint_seed_set_never_turns_a_verdict_round() -> None:
    for trial in range(12):
        rng = np.random.default_rng(100 + trial)
        effects = rng.uniform(0.0, 0.4, (3, 3, 3))
        pair = rng.uniform(0.0, 0.6, (3, 3))

        def value(a: int, b: int, c: int, e: object = effects, p: object = pair) -> float:
            return float(1.0 + e[0, a, 0] + e[1, b, 0] + e[2, c, 0] + p[a, b])  # type: ignore[index]

        words = [
            verdicts(interactions_of([responses_of(value, noise=0.02, seed=1000 * s + trial)]))
            for s in (1, 2)
        ]
        for key in words[0]:
            assert {words[0][key], words[1][key]} != {"binding", "independent"}
