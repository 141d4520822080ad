"""What is measured of a network on sequences that start within rows: nothing comes from before a start."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from helpers import assert_close, assign, random_values
from sequence_helpers import CLASSES, INPUTS, Sequences

from tf_rnn._tensorflow import tf
from tf_rnn.analysis import measure_positions
from tf_rnn.analysis.at import input_gradient_norms, measure_at
from tf_rnn.analysis.bias import truncation_bias
from tf_rnn.analysis.contributions import contributions
from tf_rnn.analysis.lags import measure_lags
from tf_rnn.analysis.tangents import lyapunov_exponent
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.lags import gradient_norms

if TYPE_CHECKING:
    from tf_rnn.tasks import Stream

BATCH, STEPS = 3, 3
TASK = Sequences(valid_length=62)


def graph_of(cell: Any, num_steps: int = STEPS, batch_size: int = BATCH, **options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"optimizer": None, "dtype": "float64", "starts": True, "seed": 3}
    return UnrolledGraph(cell, num_steps, batch_size, INPUTS, CLASSES, **given | options)


def alone_of(graph: UnrolledGraph, num_steps: int) -> UnrolledGraph:
    """A graph of one row on the same variables that knows no starts."""
    return graph_of(graph.cell, num_steps, 1, starts=False)


def first_of_last(starts: Any) -> list[int]:
    """In each row, the first step of the sequence that its last step is in, from 0."""
    return [int(np.flatnonzero(np.append(True, row[1:]))[-1]) for row in starts]


def test_what_each_lag_adds_is_what_it_adds_in_the_last_sequence_alone() -> None:
    """And so is the norm of the gradient by lag; block after block, each from the state before it."""
    graph = graph_of(StackedCell([LSTMCell(4), GRUCell(3)]))
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(2), graph.variables))
        found = measure_lags(graph, session, TASK, STEPS)
        norms, products, state = [], np.zeros((STEPS, STEPS)), graph.zero_state()
        run = graph.runner(session, graph.states)
        for block in TASK.blocks(BATCH, STEPS, "valid"):
            assert block.starts is not None
            (states,) = run(block.inputs, block.targets, state, starts=block.starts)
            parts: Any = 0.0
            for row, first in enumerate(first_of_last(block.starts)):
                alone = graph.cached(alone_of, STEPS - first)
                fetches = [alone.cached(gradient_norms), alone.cached(contributions)]
                one = slice(row, row + 1)
                before = alone.zero_state()
                if not block.starts[row, first]:
                    before = tf.nest.map_structure(lambda part, one=one: part[one], state)
                fed = alone.feed(block.inputs[one, first:], block.targets[one, first:], before)
                own_norms, own_parts = session.run(fetches, fed)
                norms.append(np.pad(own_norms[:, 0], (0, first)))
                parts = parts + np.pad(own_parts / BATCH, ((0, first), (0, 0)))
            products += parts @ parts.T
            state = states[-1]
        assert found.positions == 6
        assert_close(np.array(found.gradient_norm), np.mean(norms, axis=0), 1e-12, "norms")
        assert_close(np.array(found.relative_bias), truncation_bias(products)[0], 1e-10, "bias")


def test_no_gradient_grows_without_bound_over_sequences() -> None:
    """So that no exponent is measured; where one is asked for, a change is forgotten at the first start."""
    graph = graph_of(GRUCell(6))
    with graph.session() as session:
        found = measure_lags(graph, session, TASK, STEPS, reference="infinite")
        assert (found.lyapunov, found.grows) == (None, False)
        assert np.isfinite(found.relative_bias).all()
        assert lyapunov_exponent(graph, session, TASK, "valid") == (-np.inf, 0)


def test_one_prediction_owes_nothing_to_what_was_before_its_sequence() -> None:
    graph = graph_of(GRUCell(6))
    stream = TASK.stream("valid")
    assert stream.starts is not None
    first, at = 11, 13
    assert np.flatnonzero(stream.starts[: at + 1]).tolist() == [0, 7, 8, 9, first]
    alone = graph.cached(alone_of, 3)
    with graph.session() as session:
        assign(session, graph.variables, random_values(np.random.default_rng(2), graph.variables))
        found = measure_at(graph, session, TASK, STEPS, at)
        fetches = [alone.cached(input_gradient_norms), alone.losses[-1]]
        piece = slice(first, at + 1)
        fed = alone.feed(stream.inputs[None, piece], stream.targets[None, piece], alone.zero_state())
        norms, loss = session.run(fetches, fed)
    assert_close(np.array(found.norms), np.pad(norms[:, 0], (0, 2 * STEPS - 3)), 1e-13, "norms")
    assert_close(found.loss, loss[0], 1e-13, "loss")


def test_a_state_that_is_never_carried_is_as_good_fresh() -> None:
    """Where every step is a start, at any position; else not."""

    class Single(Sequences):
        def stream(self, split: str = "train", epoch: int = 0) -> Stream:
            stream = super().stream(split, epoch)
            return dataclasses.replace(stream, starts=np.ones(len(stream.targets), bool))

    graph, differences = graph_of(GRUCell(6)), []
    with graph.session() as session:
        for task in (Single(valid_length=200), Sequences(valid_length=200)):
            found = measure_positions(graph, session, task, 4, 1000)
            differences.append(np.array(found.fresh) - np.array(found.carried))
    assert_close(differences[0], np.zeros(len(differences[0])), 1e-14, "every step a start")
    assert np.abs(differences[1]).max() > 1e-4
