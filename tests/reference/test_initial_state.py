"""A learnt initial state: s_0 takes the place of zero, and its gradient is the sum over all places."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import references as ref
from helpers import (
    CASES,
    Run,
    Summing,
    assert_close,
    assert_loss_and_slopes_agree,
    assign,
    make_run,
    new_session,
)
from sequence_helpers import INPUTS, STARTS, Plain, assert_equal_to, one_by_one, packed

from tf_rnn._tensorflow import tf
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.stepper import Stepper
from tf_rnn.options import OptionError
from tf_rnn.tasks import Arrays
from tf_rnn.training import train

pytestmark = pytest.mark.usefixtures("chunks_of_two")
STEPS, BATCH = 5, 3
# Row 0 starts by its flag, row 1 by the state that it is fed, row 2 is carried on.
FED_NOTHING = np.array([0, 1, 0], bool)
ALL_STARTS = STARTS | (np.arange(STEPS) == 0) & FED_NOTHING[:, np.newaxis]
LEARNT: dict[str, Any] = {"initial_state": "learnt"}
ONES = np.ones(STEPS)


def run_of(cell: Any, **options: Any) -> Run:
    """Random weights and block; some rows are fed what `zero_state` gives, the others a random state."""
    given = {"input_size": INPUTS, "optimizer": "sgd"} | LEARNT | options
    run = make_run(cell, STEPS, BATCH, **given)
    rows = FED_NOTHING[:, np.newaxis]
    run.state = tf.nest.map_structure(
        lambda start, part: np.where(rows, start, part), run.graph.zero_state(), run.state
    )
    return run


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("lstm", {"recompute": "sqrt"}),
        pytest.param("stacked", {"recompute": 2, "input_kind": "real"}, marks=pytest.mark.slow),
        ("third-party", {"input_kind": "real"}),
    ],
)
def test_sequences_end_to_end_are_each_one_alone_from_the_learnt_state(
    cell: str, options: dict[str, Any]
) -> None:
    run = run_of(Plain() if cell == "third-party" else CASES[cell].make(), starts=True, **options)
    assert_equal_to(packed(run, run.graph), one_by_one(run, ONES, ONES / (STEPS * BATCH), ALL_STARTS))


@pytest.mark.parametrize(
    ("make", "recompute"),
    [
        (CASES["relu"].make, None),
        pytest.param(Plain, None, marks=pytest.mark.slow),
    ],
)
def test_in_reweighted_and_sliding_graphs_too(make: Any, recompute: int | None) -> None:
    """The part of s_0's gradient that a window leaves out, and the factor of what flows back over starts."""
    run = run_of(make(), starts=True, input_kind="real", recompute=recompute)
    counted = np.arange(STEPS) >= STEPS - 3
    sliding = run.graph.with_steps(STEPS, 3)
    assert_equal_to(packed(run, sliding), one_by_one(run, ONES, counted / (3 * BATCH), ALL_STARTS))
    flow, weights = np.linspace(0.5, 2, STEPS), np.r_[np.linspace(0.1, 0.3, 4), 0]
    reweighted = run.graph.with_steps(STEPS, reweighted=True)
    assert_equal_to(packed(run, reweighted, flow, weights), one_by_one(run, flow, weights, ALL_STARTS))


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("tanh", {"embedding_size": 3}),
        ("gru", {"recompute": 2, "reduction": "sum", "loss_steps": "last"}),
        ("lstm", {"embedding_size": 4, "readout": "tied", "num_classes": INPUTS}),
    ],
)
def test_without_flags_the_loss_is_that_of_a_plain_unroll_and_gradients_the_numeric_ones(
    cell: str, options: dict[str, Any]
) -> None:
    assert_loss_and_slopes_agree(run_of(CASES[cell].make(), **options))


def test_states_are_those_of_the_equations_from_the_learnt_state() -> None:
    """Gate by gate in NumPy."""
    run = run_of(CASES["stacked"].make(), input_kind="real", optimizer=None)
    learnt = run.graph.network.initial_state
    assert learnt is not None
    with new_session(run.graph.tf_graph) as session:
        assign(session, run.graph.variables, run.values)
        values, s_0 = session.run([list(run.graph.cell.variables), list(learnt.variables)])
        states = session.run(run.graph.states, run.fed)
    fed = zip(s_0, tf.nest.flatten(run.state), strict=True)
    first = [np.where(FED_NOTHING[:, np.newaxis], own, part) for own, part in fed]
    first = tf.nest.pack_sequence_as(run.state, first)
    inputs = [run.inputs[:, t] for t in range(STEPS)]
    _, expected = ref.run_steps(CASES["stacked"].step, values, inputs, first)
    assert_close(states, expected, 1e-13, "states")


@pytest.mark.parametrize("make", [lambda: StackedCell([LSTMCell(4), GRUCell(3)]), Plain])
def test_single_steps_are_the_wide_graph_and_rows_start_again_one_by_one(make: Any) -> None:
    run = run_of(make(), input_kind="real")
    with new_session(run.graph.tf_graph) as session:
        step = StepGraph.of(run.graph, BATCH)
        assign(session, run.graph.variables, run.values)
        stepper, expected = Stepper(step, session), session.run(run.graph.predictions, run.fed)
        fresh = stepper.step(run.inputs[:, 0])
        stepper.state = run.state
        found = [stepper.step(run.inputs[:, t]) for t in range(STEPS)]
        carried, stepper.state = stepper.state, run.state
        stepper.reset()
        assert_close(stepper.step(run.inputs[:, 0]), fresh, 0, "all rows again")
        stepper.state = carried
        goes_on = stepper.step(run.inputs[:, 0])
        stepper.state = carried
        stepper.reset(STARTS[:, 0])
        mixed = stepper.step(run.inputs[:, 0])
        not_fed = session.run(step.prediction, {step.input: run.inputs[:, 0]})
    assert_close(not_fed, fresh, 0, "if no state is fed")
    assert_close(found, expected, 1e-13, "predictions")
    assert_close(mixed, np.where(STARTS[:, :1], fresh, goes_on), 1e-13, "some rows again")
    assert np.abs(fresh - goes_on).max() > 0.01, "nothing to tell apart"


def test_at_first_it_is_the_graph_whose_initial_state_is_zero() -> None:
    """s_0 = 0: losses, states and the other gradients are equal, bit for bit; it costs a choice a part."""
    found, kinds = [], []
    block = np.random.default_rng(3).integers(4, size=(2, BATCH, STEPS))
    for options in ({}, LEARNT):
        cell = LSTMCell(4)
        graph = make_run(cell, STEPS, BATCH, input_size=INPUTS, optimizer="sgd", seed=5, **options).graph
        with graph.session(1) as session:
            gradients = [gradient for gradient, _ in graph.gradients][: len(cell.variables) + 2]
            feed = graph.feed(block[0], block[1], graph.zero_state())
            found.append(session.run([graph.losses, graph.states, gradients], feed))
        made = [operation.type for operation in graph.tf_graph.get_operations()]
        kinds.append([made.count("Select"), made.count("SelectV2"), made.count("Equal")])
    assert_close(found[1], found[0], 0, "s_0 = 0")
    parts = 2
    assert kinds == [[0, 0, 0], [2 * parts, 0, 1]], "one choice forward and one back, however wide the graph"


def test_a_state_with_numbers_in_it_is_no_start() -> None:
    """Only a row of -inf alone is one: a state that overflows in some units goes on, and is nan."""
    run = run_of(GRUCell(6), input_kind="real", optimizer=None)
    run.state = np.where(np.arange(6) == 2, -np.inf, run.state)
    run.state[0] = -np.inf
    losses = np.stack(run.fetch(run.graph.losses), axis=1)
    assert np.isfinite(losses[0]).all()
    starts = FED_NOTHING | (np.arange(BATCH) == 0)
    assert np.isnan(losses[~starts]).all(), losses


def test_what_is_replaced_may_be_nan() -> None:
    run = run_of(LSTMCell(4), starts=True)
    starts = STARTS | (np.arange(STEPS) == 0)
    found = []
    for value in (0.0, np.nan):
        state = tf.nest.map_structure(lambda part, value=value: np.full_like(part, value), run.state)
        run.more = run.graph.feed(run.inputs, run.targets, state, starts)
        found.append(run.fetch([run.graph.losses, [gradient for gradient, _ in run.graph.gradients]]))
    assert_close(found[1], found[0], 0, "after nan")


def test_widths_share_it_under_a_name_of_its_own() -> None:
    run, plain = run_of(StackedCell([LSTMCell(4), VanillaCell(7)])), run_of(Plain(), input_kind="real")
    names = ["initial_state/state_0_hidden", "initial_state/state_0_cell", "initial_state/state_1"]
    for graph in (run.graph, run.graph.with_steps(3), run.graph.forward(2, 1)):
        weights = weight_names(graph)
        assert list(weights)[-3:] == names
        assert [id(weights[name]) for name in names] == list(map(id, run.graph.variables[-3:]))
    shapes = {name: variable.shape.as_list() for name, variable in weight_names(plain.graph).items()}
    third_party = {f"initial_state/state_{part}": [6] for part in range(2)}
    assert {name: shapes[name] for name in shapes if name.startswith("initial")} == third_party


def test_what_lags_measures_does_not_depend_on_how_zero_came_about() -> None:
    """s_0 = 0: the influence of the weights is that of a state of zero."""
    numbers = np.random.default_rng(7).normal(size=(60, 1))
    task = Arrays(numbers, numbers, valid_inputs=numbers, valid_targets=numbers)
    found = []
    for options in ({}, LEARNT):
        with tf.Graph().as_default():
            graph = UnrolledGraph(
                VanillaCell(3), 4, 2, 1, 1, input_kind="real", loss="squared_error", dtype="float64",
                optimizer=None, seed=3, **options,
            )  # fmt: skip
        with graph.session(1) as session:
            found.append(measure_lags(graph, session, task, 4, reference="infinite"))
    assert_close(found[1].gradient_norm, found[0].gradient_norm, 1e-14, "norms")
    assert_close(found[1].relative_bias, found[0].relative_bias, 1e-14, "bias")


class Halving:
    """S_t = S_{t-1} W + X_t V, without a bias."""

    state_size = output_size = 1

    def zero_state(self, batch_size: int, dtype: Any) -> Any:
        return tf.zeros([batch_size, 1], dtype)

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        W, V = (
            tf.get_variable(name, [1, 1], state.dtype, tf.constant_initializer(0.25), use_resource=True)
            for name in ("W", "V")
        )
        state = tf.matmul(state, W) + tf.matmul(inputs, V)
        return state, state


@pytest.mark.parametrize(
    ("lengths", "options"), [((5, 7), {}), pytest.param((6, 6), {"state": "reset"}, marks=pytest.mark.slow)]
)
def test_it_learns_what_every_sequence_begins_with(lengths: tuple[int, ...], options: dict[str, Any]) -> None:
    """Targets that halve from 1 on, and inputs that say nothing of it.

    From zero a linear network adds a constant to a sum of the inputs, which have a mean of 0 and are
    independent, so that it is no better than the variance of the targets. From s_0 it can be exact.
    """
    rng = np.random.default_rng(11)
    steps = [length for length in lengths for _ in range(200)]
    inputs = [rng.choice([-0.5, 0.5], size=(length, 1)) for length in steps]
    targets = [0.5 ** np.arange(length)[:, np.newaxis] for length in steps]
    task = Arrays(inputs, targets, loss="squared_error", valid_inputs=inputs, valid_targets=targets)
    floor = np.var(np.concatenate(targets))
    losses = []
    for initial_state in ("zero", "learnt"):
        with tf.Graph().as_default():
            graph = UnrolledGraph(
                Halving(), 6, 8, 1, 1, input_kind="real", loss="squared_error", starts=task.has_starts,
                initial_state=initial_state, optimizer="adam", learning_rate=0.03, seed=1,
            )  # fmt: skip
        losses.append(train(graph, task, epochs=12, callbacks=[], **options).curve[-1].valid_loss)
    assert 0.98 * floor < losses[0] < 1.05 * floor, f"from zero {losses[0]}, the floor is {floor}"
    assert losses[1] < floor / 1000, f"from s_0 {losses[1]}, from zero {losses[0]}"


class Counting(Summing):
    def zero_state(self, batch_size: int, _: Any) -> Any:
        return tf.zeros([batch_size, 3], tf.int32)


def test_a_state_of_whole_numbers_is_refused() -> None:
    with pytest.raises(OptionError) as error:
        UnrolledGraph(Counting(), 2, 3, 3, 3, input_kind="real", **LEARNT)
    assert str(error.value) == (
        "initial_state must be 'zero' for a cell whose state is not of real numbers, got 'learnt'"
    )
