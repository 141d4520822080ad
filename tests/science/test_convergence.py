"""Convergence on the echo task, against the losses derived from its definition.

All runs use batches of 200, Adagrad with a learning rate of 0.1, epochs of 1,000,000 tokens and one
thread, so that results are a function of the seed.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
import pytest

from tf_rnn import cells
from tf_rnn.cells import products
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Echo
from tf_rnn.training import TrainingResult, train

pytestmark = pytest.mark.slow

TASK = Echo()


def learn(
    num_steps: int,
    state_size: int,
    *,
    epochs: int,
    seed: int,
    state: str = "carry",
    evaluations: int | None = None,
    precision: str = "float32",
) -> TrainingResult:
    cell = cells.VanillaCell(state_size)
    graph = UnrolledGraph(cell, num_steps, 200, 2, 2, seed=seed, precision=precision)
    options: dict[str, Any] = {"epochs": epochs, "state": state, "evaluations": evaluations}
    with graph.session(threads=1) as session:
        return train(graph, TASK, **options, session=session, callbacks=())


def test_four_units_learn_only_the_short_lag() -> None:
    """At width 5 with the state carried: 4 units cannot hold the 8 bits that lag 8 requires."""
    results = [learn(5, 4, epochs=5, seed=seed) for seed in range(3)]
    losses = [result.evaluation.loss for result in results]
    mean = statistics.fmean(losses)
    expected = TASK.baselines()["lag 3 alone"]
    assert abs(mean - expected) < 0.004, f"{losses}, not {expected}"
    assert abs(mean - 0.520) < 0.004, f"{losses}"
    for loss, result in zip(losses, results, strict=True):
        scores = result.evaluation.dependency_scores
        assert scores[3] == pytest.approx(1, abs=0.1), f"{scores}"
        assert abs(scores[8]) < 0.2, f"{scores}"
        assert expected - 0.01 < loss < expected + 0.004, f"{loss}, not {expected}"


def test_sixteen_units_learn_both_lags_at_width_10() -> None:
    results = [learn(10, 16, epochs=10, seed=seed) for seed in (0, 1)]
    losses = [result.evaluation.loss for result in results]
    assert statistics.fmean(losses) < 0.460, f"{losses}"
    for loss, result in zip(losses, results, strict=True):
        assert loss > TASK.optimum() - 4 * result.evaluation.standard_error, f"{loss}: below the optimum"
        scores = result.evaluation.dependency_scores
        assert scores == pytest.approx({3: 1, 8: 1}, abs=0.15), f"{scores}"


def test_a_carried_state_reaches_beyond_the_width() -> None:
    """Lag 8 is learnt at width 5, although no error flows back 8 steps."""
    evaluation = learn(5, 16, epochs=10, seed=0).evaluation
    assert evaluation.loss < TASK.baselines()["lag 3 alone"] - 0.03, f"{evaluation.loss}"
    assert evaluation.dependency_scores[8] > 0.5, f"{evaluation.dependency_scores}"


@pytest.mark.parametrize("num_steps", [5, 20])
def test_a_reset_state_comes_close_to_the_floor(num_steps: int) -> None:
    """Lag 3 can only be used at the steps of a block that have seen the input 3 steps before."""
    floor = TASK.floor(num_steps)
    found = [learn(num_steps, 16, epochs=10, seed=seed, state="reset").evaluation for seed in (0, 1)]
    losses = [evaluation.loss for evaluation in found]
    assert statistics.fmean(losses) < floor + 0.006, f"{losses}, not {floor}"
    for evaluation in found:
        lowest = floor - 4 * evaluation.standard_error
        assert evaluation.loss > lowest, f"{evaluation.loss}, but the floor is {floor}"
        share = (num_steps - 3) / num_steps
        assert evaluation.dependency_scores[3] == pytest.approx(share, abs=0.05)
        assert evaluation.dependency_scores[8] < max(0, num_steps - 8) / num_steps + 0.05


def test_width_1_with_a_carried_state_gets_worse_with_training() -> None:
    """The readout learns to use the state, whose memory the one-step gradient then destroys.

    The first takes about a fifth of an epoch; the course of the second depends on the processor.
    Therefore the curve has ten points per epoch.
    """
    curve = [point.valid_loss for point in learn(1, 16, epochs=5, seed=0, evaluations=50).curve]
    assert min(curve) < curve[-1] - 0.02, f"{curve}"
    assert min(curve) < TASK.baselines()["lag 3 alone"] + 0.01, f"{curve}"
    assert min(curve) in curve[1:-1], f"{curve}"


def test_width_1_with_a_reset_state_learns_nothing() -> None:
    expected = TASK.baselines()["no dependency"]
    assert TASK.floor(1) == expected
    evaluation = learn(1, 16, epochs=2, seed=0, state="reset").evaluation
    tolerance = 4 * evaluation.standard_error
    assert evaluation.loss == pytest.approx(expected, abs=tolerance), f"{tolerance}"
    assert evaluation.dependency_scores == pytest.approx({3: 0, 8: 0}, abs=1e-2)


def curves(precision: str) -> np.ndarray:
    """The learning curves of four seeds."""
    results = [learn(10, 16, epochs=3, seed=seed, precision=precision) for seed in range(4)]
    return np.array([[point.valid_loss for point in result.curve if point.updates] for result in results])


def test_bfloat16_operands_learn_what_float32_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """All along the curve the mean over seeds is off by less than seeds differ; both ways to round."""
    plain = curves("float32")
    spread = plain.std(axis=0, ddof=1)
    for has in (True, False):
        monkeypatch.setattr(products, "has_bfloat16", lambda has=has: has)
        mixed = curves("mixed_bfloat16")
        off = np.abs(mixed.mean(axis=0) - plain.mean(axis=0))
        assert (off < spread).all(), f"off by {off}, seeds by {spread}, bfloat16 products: {has}"
        assert (mixed != plain).any(), f"nothing is rounded, bfloat16 products: {has}"
