"""Rows that hold several sequences end to end: losses, states and gradients are those of each one alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import CASES, Run, assert_close, assign, make_run, new_session
from sequence_helpers import INPUTS, STARTS, Plain, assert_equal_to, one_by_one, packed

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError

pytestmark = pytest.mark.usefixtures("chunks_of_two")
STEPS, BATCH = 5, 3


def run_of(cell: Any, **options: Any) -> Run:
    return make_run(cell, STEPS, BATCH, input_size=INPUTS, starts=True, optimizer="sgd", **options)


ONES = np.ones(STEPS)
CELLS: dict[str, Any] = {
    "tanh": CASES["tanh"].make,
    "two layers": lambda: StackedCell([LSTMCell(4), GRUCell(3)]),
    "third-party": Plain,
}


@pytest.mark.parametrize(
    ("cell", "options"),
    [
        ("tanh", {}),
        ("two layers", {"recompute": "sqrt", "input_kind": "real"}),
        ("third-party", {"input_kind": "real"}),
    ],
)
def test_sequences_end_to_end_are_each_one_alone(cell: str, options: dict[str, Any]) -> None:
    run = run_of(CELLS[cell](), **options)
    assert_equal_to(packed(run, run.graph), one_by_one(run, ONES, ONES / (STEPS * BATCH), STARTS))


def test_in_windows_that_count_some_of_their_losses() -> None:
    """Graphs of other widths have starts, too."""
    run = run_of(CASES["gru"].make(), input_kind="real", recompute=2)
    counted = np.arange(STEPS) >= STEPS - 3
    sliding = run.graph.with_steps(STEPS, 3)
    assert_equal_to(packed(run, sliding), one_by_one(run, ONES, counted / (3 * BATCH), STARTS))


def test_in_graphs_that_weigh_what_flows_back() -> None:
    run = run_of(Plain(), input_kind="real")
    flow, weights = np.linspace(0.5, 2, STEPS), np.r_[np.linspace(0.1, 0.3, 4), 0]
    reweighted = run.graph.with_steps(STEPS, reweighted=True)
    assert_equal_to(packed(run, reweighted, flow, weights), one_by_one(run, flow, weights, STARTS))


def test_the_final_state_carries_a_sequence_on_unless_the_next_block_starts_one() -> None:
    """Two blocks of n are one of 2n, flags included."""
    run = make_run(GRUCell(6), 2 * STEPS, BATCH, input_size=INPUTS, starts=True, optimizer=None)
    starts = np.concatenate([STARTS[::-1], STARTS], axis=1)
    half = run.graph.with_steps(STEPS)
    with new_session(run.graph.tf_graph) as session:
        assign(session, run.graph.variables, run.values)
        whole = run.graph.runner(session, run.graph.losses)
        (expected,) = whole(run.inputs, run.targets, run.state, starts=starts)
        step, state, found = half.runner(session, half.losses, half.final_state), run.state, []
        for steps in (slice(0, STEPS), slice(STEPS, 2 * STEPS)):
            losses, state = step(run.inputs[:, steps], run.targets[:, steps], state, starts=starts[:, steps])
            found += losses
    assert_close(found, expected, 0, "losses")


def test_what_is_cleared_may_be_nan_or_infinite() -> None:
    """A state that diverged in one sequence is not the next one's: zero is chosen, not multiplied."""
    run = run_of(StackedCell([LSTMCell(4), GRUCell(3)]))
    starts = np.array(STARTS)
    starts[:, 0] = True
    expected = packed(run, run.graph, starts=starts)
    run.state = tf.nest.map_structure(lambda part: np.full_like(part, np.nan), run.state)
    found = packed(run, run.graph, starts=starts)
    assert_close(found, expected, 0, "after a state of nan")
    assert np.isfinite(np.concatenate([np.ravel(g) for g in found.gradients])).all()


def test_without_flags_nothing_starts_and_without_the_option_nothing_is_made() -> None:
    counts, found = [], []
    for starts in (False, True):
        run = make_run(LSTMCell(4), STEPS, BATCH, input_size=INPUTS, starts=starts, recompute=3)
        kinds = [operation.type for operation in run.graph.tf_graph.get_operations()]
        counts.append((kinds.count("Select"), kinds.count("SelectV2"), kinds.count("PlaceholderWithDefault")))
        found.append([packed(run, run.graph, starts=None), run.fetch(run.graph.total_loss)])
        assert len(run.graph.starts) == starts * STEPS
    # Of two parts of a state: n on the way forward, n - 1 of them again, n - 1 on the way back.
    parts, fed = 2, counts[0][2]
    assert counts == [(0, 0, fed), (parts * (3 * STEPS - 2), 0, fed + 1)]
    assert_close(found[1], found[0], 0, "no starts")


def test_flags_may_be_of_any_type_and_one_step_alone_may_be_fed() -> None:
    run = run_of(CASES["tanh"].make())
    graph = run.graph
    expected = packed(run, graph).total
    for flags in (STARTS.tolist(), STARTS.astype(float), STARTS.astype(np.int8)):
        assert_close(packed(run, graph, starts=flags).total, expected, 0, "by a prepared run")
        run.more = graph.feed(run.inputs, run.targets, run.state, flags)
        assert_close(run.fetch(graph.total_loss), expected, 0, "by a dictionary")
    run.more = {flag: STARTS[:, t] for t, flag in enumerate(graph.starts)}
    assert_close(run.fetch(graph.total_loss), expected, 0, "step by step")


def test_flags_that_are_none_are_refused() -> None:
    graph = UnrolledGraph(CASES["tanh"].make(), STEPS, BATCH, INPUTS, 4, starts=True, optimizer=None)
    block = np.zeros((BATCH, STEPS), int)
    refused: list[tuple[Any, str]] = [
        (STARTS[:, 1:], "have shape [3, 5], got [3, 4]"),
        (STARTS * 0.5, "hold True or False, got 0.5"),
        (STARTS - 1, "hold True or False, got -1"),
        (np.full((3, 5), np.nan), "hold True or False, got nan"),
        (STARTS.astype(str), "hold True or False, got np.str_('True')"),
    ]
    with graph.session() as session:
        run = graph.runner(session, graph.total_loss)
        for starts, problem in refused:
            for feed in (graph.feed, lambda *given: run(*given[:3], starts=given[3])):
                with pytest.raises(OptionError) as error:
                    feed(block, block, graph.zero_state(), starts)
                assert str(error.value) == f"starts must {problem}"


def test_flags_for_a_graph_that_was_made_without_are_refused() -> None:
    graph = UnrolledGraph(CASES["tanh"].make(), STEPS, BATCH, INPUTS, 4, optimizer=None)
    block = np.zeros((BATCH, STEPS), int)
    message = "^starts must be left out, as the graph was made without starts=True$"
    with graph.session() as session:
        run = graph.runner(session, graph.total_loss)
        with pytest.raises(OptionError, match=message):
            run(block, block, graph.zero_state(), starts=STARTS)
    with pytest.raises(OptionError, match=message):
        graph.feed(block, block, graph.zero_state(), STARTS)
