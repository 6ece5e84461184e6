"""A request waits some decode steps of D before it is begun."""

from types import SimpleNamespace

import pytest

from hetsim.costs import ConstantModel
from hetsim.engine import Engine
from hetsim.serving import Seq
from hetsim.stages._cadence import Cadence


def _cadence(engine: Engine, steps_s: list[float], seen: list[tuple[float, int]]) -> Cadence:
    pool = SimpleNamespace(
        alive=[SimpleNamespace(step_s=value, segment=None) for value in steps_s],
        plan=SimpleNamespace(model=ConstantModel(prefill_s=1.0, decode_s=0.02)),
    )
    return Cadence(engine, pool, 15.0, lambda seq: seen.append((engine.now, seq.rid)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("steps_s", "expected_s"),
    [([0.01, 0.03, 0.0], 0.45), ([0.0, 0.0], 0.3), ([], 0.3)],
)
def test_the_wait_is_a_number_of_steps_of_the_busiest(
    steps_s: list[float], expected_s: float
) -> None:
    engine, seen = Engine(), []
    _cadence(engine, steps_s, seen).submit(Seq(7, 0.0, 100, 10, []))
    engine.run()
    assert seen == [(pytest.approx(expected_s), 7)]


def test_who_has_gone_meanwhile_is_not_begun() -> None:
    engine, seen = Engine(), []
    seq = Seq(7, 0.0, 100, 10, [])
    _cadence(engine, [0.01], seen).submit(seq)
    seq.gone = True
    engine.run()
    assert seen == []
