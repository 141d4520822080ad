"""A graph that keeps few states has the same gradient in less memory."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers import (
    CASES,
    Summing,
    ancestors,
    assert_close,
    assert_loss_and_slopes_agree,
    assert_slopes_agree,
    assign,
    make_run,
)

from tf_rnn._tensorflow import tf
from tf_rnn.analysis.cost import peak_bytes
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.chunks import Chunks
from tf_rnn.options import GraphOptions, OptionError

pytestmark = pytest.mark.usefixtures("chunks_of_two")
STEPS, BATCH = 7, 3
LARGE = 1e9  # operations a step, so that steps are taken in chunks


@pytest.mark.parametrize(
    ("case", "recompute", "segment"),
    [("tanh", 1, 1), ("gru", "sqrt", 3), ("gru_reset_before", 3, 3), ("lstm", 50, STEPS)],
)
def test_the_loss_is_the_naive_one_and_the_gradient_the_numeric_one(
    case: str, recompute: int | str, segment: int
) -> None:
    """Segments of one step, of chunks that do not come out even, and of more steps than there are."""
    run = make_run(CASES[case].make(), STEPS, BATCH, input_size=5, recompute=recompute)
    assert run.graph.options.segment_steps == segment
    assert_loss_and_slopes_agree(run)


@pytest.mark.parametrize(
    "options",
    [
        {"embedding_size": 7, "readout": "tied", "num_classes": 5},
        {"loss_steps": "last", "reduction": "sum", "input_size": 40},
        {"input_kind": "real", "loss": "squared_error"},
        {"embedding_size": 2},
    ],
    ids=str,
)
def test_whatever_the_options(options: dict[str, Any]) -> None:
    given: dict[str, Any] = {"input_size": 5, "recompute": 3} | options
    assert_loss_and_slopes_agree(make_run(VanillaCell(7), STEPS, BATCH, **given))


def test_marked_losses_count_where_they_stand() -> None:
    """Compared with a graph that keeps everything: whole segments are without a loss."""
    found = []
    for recompute in (None, 2):
        run = make_run(GRUCell(4), STEPS, BATCH, input_size=5, loss_steps="marked", recompute=recompute)
        run.targets[:, 2:5] = -1
        run.targets[1] = -1
        gradients = [gradient for gradient, _ in run.graph.gradients]
        found.append(run.fetch([run.graph.total_loss, gradients]))
    assert_close(found[1], found[0], 1e-12, "marked")


def test_what_is_dropped_going_forwards_is_dropped_again() -> None:
    """Numerically: the loss is that of the forward pass, the gradient that of the second one."""
    options: dict[str, Any] = {"input_size": 5, "embedding_size": 3, "dropout": 0.4, "recompute": 3}
    run = make_run(StackedCell([LSTMCell(4), GRUCell(3)]), STEPS, BATCH, **options)
    run.more[run.graph.dropout_seed] = [3, 5]
    assert_slopes_agree(run)


def test_reweighted_graphs_recompute_too() -> None:
    """What is multiplied between two steps is multiplied between two segments."""
    found = []
    for recompute in (None, 2):
        run = make_run(VanillaCell(4), STEPS, BATCH, input_size=5, recompute=recompute, reweighted=True)
        graph = run.graph
        flow, weights = np.linspace(0.5, 2, STEPS), np.r_[np.linspace(0.1, 0.3, 5), 0, 0]
        gradients = [gradient for gradient, _ in graph.gradients]
        with tf.Session(graph=graph.tf_graph) as session:
            assign(session, graph.variables, run.values)
            step = graph.runner(session, graph.total_loss, gradients)
            found.append(step(run.inputs, run.targets, run.state, flow, weights))
    assert_close(found[1], found[0], 1e-12, "reweighted")


def test_training_steps_are_the_same_up_to_rounding() -> None:
    """Clipping and the optimizer's slots included; the lists are complete."""
    weights = []
    for recompute in (None, "sqrt"):
        options: dict[str, Any] = {"optimizer": "adam", "clip_norm": 0.1, "recompute": recompute}
        run = make_run(LSTMCell(4), STEPS, BATCH, input_size=5, **options)
        graph = run.graph
        assert len(graph.states) == len(graph.losses) == len(graph.predictions) == STEPS
        with graph.session(threads=1) as session:
            assign(session, graph.variables, run.values)
            for _ in range(3):
                session.run(graph.train_step, run.fed)
            weights.append(session.run(list(graph.variables)))
    assert_close(weights[1], weights[0], 1e-10, "weights")


@pytest.mark.slow
def test_memory_grows_with_the_segment_not_with_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 steps in segments of 10: 10 states and, of two segments, 20 steps in place of 100."""
    monkeypatch.setattr("tf_rnn.graph.chunks.CHUNK_STEPS", 20)
    peaks = {}
    block = np.random.default_rng(5).integers(5, size=(16, 100))
    for recompute in (None, "sqrt"):
        with tf.Graph().as_default():
            graph = UnrolledGraph(LSTMCell(32), 100, 16, 5, 5, recompute=recompute, seed=1)
        peaks[recompute] = peak_bytes(graph, block, block)
    assert peaks["sqrt"] < peaks[None] / 3, peaks


def test_what_is_made_of_the_weights_alone_waits_for_its_segment() -> None:
    """Kernels transposed and tables of inputs; those of all segments at once would fill the memory."""
    with tf.Graph().as_default() as made:
        graph = UnrolledGraph(LSTMCell(4), STEPS, 8, 5, 5, embedding_size=2, recompute=3, seed=1)
    segments = math.ceil(STEPS / 3)
    operations = made.get_operations()
    tables = {op.inputs[0].op for op in operations if op.type == "GatherV2"}
    transposed = {op for op in operations if op.type == "Transpose"}
    assert (len(tables), len(transposed)) == (1 + segments, segments)
    early = {op.name for op in tables | transposed if graph.total_loss.op not in ancestors([op])}
    assert len(early) == 1, f"{early}: only the table of the way forward should be"


def options_of(num_steps: int, recompute: int | str | None) -> GraphOptions:
    sizes: dict[str, Any] = {"num_steps": num_steps, "batch_size": 1, "input_size": 2, "num_classes": 2}
    return GraphOptions(**sizes, recompute=recompute)


@pytest.mark.parametrize(
    ("num_steps", "recompute", "expected"),
    [
        (7, None, [2, 2, 2, 1]),
        (7, 3, [2, 1, 2, 1, 1]),
        (7, 4, [2, 2, 2, 1]),
        (10, "sqrt", [2, 2, 2, 2, 2]),
        (11, 5, [2, 2, 1, 2, 2, 1, 1]),
        (3, 50, [2, 1]),
    ],
)
def test_segments_are_made_of_whole_chunks(
    num_steps: int, recompute: int | str | None, expected: list[int]
) -> None:
    options = options_of(num_steps, recompute)
    chunks, steps = Chunks(options, LARGE), list(range(num_steps))
    assert [len(chunk) for chunk in chunks.cut(steps)] == expected
    assert [step for chunk in chunks.cut(steps) for step in chunk] == steps
    starts = list(range(0, num_steps, options.segment_steps))
    assert [segment[0][0] for segment in chunks.segments(steps)] == starts


def test_sqrt_is_rounded_up() -> None:
    widths = (1, 2, 16, 17, 1000)
    assert [options_of(n, "sqrt").segment_steps for n in widths] == [1, 2, 4, 5, 32]


def test_a_cell_of_another_kind_is_refused() -> None:
    message = "recompute must be None for a third-party cell, got 3"
    with tf.Graph().as_default(), pytest.raises(OptionError, match=f"^{message}$"):
        UnrolledGraph(Summing(), STEPS, BATCH, 3, 4, input_kind="real", recompute=3)
