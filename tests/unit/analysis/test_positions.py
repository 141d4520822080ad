"""The loss by position since a fresh state: against NumPy, and for networks whose memory is known."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assign
from references import cross_entropy, relu_step, run_steps

from tf_rnn.analysis.positions import ByPosition, by_position, lay_out, measure_positions
from tf_rnn.cells import VanillaCell
from tf_rnn.comparison.widths import Mean, state_width
from tf_rnn.graph import UnrolledGraph
from tf_rnn.tasks import Arrays, Echo
from tf_rnn.training import Evaluator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tf_rnn.tasks import Task

ECHO = Echo(length=100, valid_length=6000)  # lags 3 and 8
MARGIN = 0.01 * ECHO.optimum()
STEPS, LONGEST, MOST = 5, 20, 8000


def delay_line(size: int, *taps: int) -> list[NDArray[np.float64]]:
    """Weights of a ReLU cell that shifts its input bits: unit i holds X_{t-i}; taps are read out."""
    W, kernel = np.zeros((2 + size, size)), np.zeros((size, 2))
    W[1, 0] = 1
    W[2 + np.arange(size - 1), 1 + np.arange(size - 1)] = 1
    kernel[list(taps), 1] = np.linspace(2, -1, len(taps))
    return [W, np.zeros(size), kernel, np.array([0.5, 0.0])]


def graph_with(values: list[Any], task: Task = ECHO, num_steps: int = STEPS) -> tuple[UnrolledGraph, Any]:
    """A graph with these weights, and its session."""
    cell = VanillaCell(len(values[1]), activation="relu")
    options: dict[str, Any] = {"loss_steps": task.loss_steps, "dtype": "float64"}
    graph = UnrolledGraph(cell, num_steps, 3, task.input_size, task.num_classes, **options)
    session = graph.session(threads=1)
    assign(session, graph.variables, values)
    return graph, session


def measured(values: list[Any], task: Task = ECHO, num_steps: int = STEPS) -> ByPosition:
    graph, session = graph_with(values, task, num_steps)
    with session:
        return measure_positions(graph, session, task, LONGEST, MOST)


def losses_in_numpy(values: list[Any], starts: NDArray[Any], length: int) -> NDArray[Any]:
    """The losses of each step after a state of zero at each start, [starts, length]."""
    steps = starts[:, np.newaxis] + np.arange(length)
    inputs, targets = (part[steps] for part in ECHO.stream("valid"))
    vectors = [np.eye(2)[inputs[:, t]] for t in range(length)]
    outputs, _ = run_steps(relu_step, values[:2], vectors, np.zeros((len(starts), len(values[1]))))
    logits = [output @ values[2] + values[3] for output in outputs]
    return np.stack([cross_entropy(each, targets[:, t]) for t, each in enumerate(logits)], axis=1)


def test_losses_equal_those_of_a_naive_loop() -> None:
    values = [np.random.default_rng(7).normal(size=part.shape) / 2 for part in delay_line(4, 3)]
    found, layout = measured(values), lay_out(6000, STEPS, LONGEST, 1, MOST)
    assert (layout.positions, layout.steps, layout.row_length) == (20, 50, 250)
    assert (len(layout.rows), len(layout.starts)) == (24, 400)
    fresh = losses_in_numpy(values, layout.starts, 20)
    rows = losses_in_numpy(values, layout.rows, 250)
    place, after = np.divmod(layout.starts, 250)
    carried = np.stack([rows[place, after + k] for k in range(20)], axis=1)
    assert found.fresh == pytest.approx(fresh.mean(axis=0), abs=1e-12)
    assert found.carried == pytest.approx(carried.mean(axis=0), abs=1e-12)
    errors = (fresh - carried).std(axis=0, ddof=1) / math.sqrt(400)
    assert found.errors == pytest.approx(errors, abs=1e-12)
    assert found.steps == 50


@pytest.mark.parametrize(("size", "taps"), [(1, (0,)), (9, (3, 8)), (12, (3, 8))])
def test_a_memory_of_m_steps_needs_exactly_m(size: int, taps: tuple[int, ...]) -> None:
    """The first input that is read out is the first of m; units beyond it make no difference."""
    found, m = measured(delay_line(size, *taps)), max(taps) + 1
    assert found.fresh[m - 1 :] == found.carried[m - 1 :], "to the last bit"
    excess = np.array(found.fresh, float) - np.array(found.carried, float)
    assert np.abs(excess[: m - 1]).min(initial=1) > 0
    assert state_width(Mean.of([found]), None, MARGIN, "nats")[:2] == (m, str(m))


def test_an_evaluation_that_resets_the_state_is_the_mean_over_positions() -> None:
    """Which is why it is not used: at a reset every 9 steps it is far from its limit, the state is not."""
    values = delay_line(9, 3, 8)
    found, (graph, session) = measured(values), graph_with(values, num_steps=9)
    with session:
        reset, carried = (Evaluator(graph, ECHO, state)(session) for state in ("reset", "carry"))
    error = 4 * reset.standard_error
    assert reset.loss == pytest.approx(np.mean(np.array(found.fresh[:9], float)), abs=error)
    assert reset.loss - carried.loss > 5 * MARGIN
    assert found.fresh[8] == found.carried[8]


def test_only_steps_with_a_target_count() -> None:
    """In examples of 6 steps, each a block, only the last one has a loss."""
    inputs = np.random.default_rng(0).integers(0, 2, size=(200, 6))
    targets = np.full((200, 6), -1)
    targets[:, 5] = inputs[:, 2]  # three steps before
    task = Arrays(inputs, targets, valid_fraction=0.5)
    found = measured(delay_line(4, 3), task, num_steps=6)
    assert [k for k, loss in enumerate(found.fresh, start=1) if loss is not None] == [6, 12, 18]
    assert found.carried[5] == found.fresh[5]
    anywhere = measured(delay_line(4, 3), task, num_steps=5)  # in rows of such blocks starts lie anywhere
    assert None not in anywhere.fresh
    assert anywhere.fresh[3:] == anywhere.carried[3:]


@pytest.mark.parametrize("period", [1, 7])
@pytest.mark.parametrize("num_steps", [1, 5, 14, 60])
@pytest.mark.parametrize("length", [7, 14, 35, 700, 70_000])
def test_starts_lie_where_the_state_has_been_carried(length: int, num_steps: int, period: int) -> None:
    layout = lay_out(length, num_steps, 20, period, 3000)
    within = layout.starts % layout.row_length
    assert layout.row_length % period == 0
    assert (within >= layout.steps).all()
    assert (within + layout.positions <= layout.row_length).all()
    assert (layout.starts % math.gcd(num_steps, period) == 0).all()
    assert 0 < len(layout.starts) <= max(2, 3000 // layout.positions)
    assert layout.rows[-1] + layout.row_length <= length
    if length == 70_000:
        assert layout.steps >= 10 * num_steps
        assert layout.positions == max(20, num_steps)


def test_what_is_not_finite_or_met_once_is_missing() -> None:
    fresh = np.array([[1.0, 2.0, 3.0, 4.0], [3.0, 2.0, 3.0, 4.0]])
    carried = np.array([[0.0, np.inf, np.nan, 4.0], [1.0, 2.0, 1.0, 4.0]])
    counted = np.array([[True, True, False, True], [True, True, True, True]])
    found = by_position(fresh, carried, counted, 50)
    assert found == ByPosition([2.0, 2.0, None, 4.0], [0.5, None, None, 4.0], [0.5, None, None, 0.0], 50)


@pytest.mark.parametrize(
    "changes", [{"fresh": [0.5]}, {"steps": -1}, {"errors": [math.nan, 0.0]}, {"carried": ["a", 0.5]}]
)
def test_other_values_are_refused(changes: dict[str, Any]) -> None:
    whole: dict[str, Any] = {"fresh": [0.5, 0.5], "carried": [0.5, None], "errors": [0.5, None], "steps": 3}
    ByPosition(**whole)
    with pytest.raises((ValueError, TypeError)):
        ByPosition(**(whole | changes))
