"""A readout whose weights are the embedding's: its values, the gradient of both uses, its training."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import references as ref
from helpers import (
    CASES,
    Summing,
    assert_close,
    assert_gradients_agree,
    assert_loss_and_slopes_agree,
    assert_slopes_agree,
    assign,
    dense,
    gradients_of,
    input_vectors,
    make_run,
    new_session,
)

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.options import OptionError

# 3 examples and 5 steps are 15 rows: tables of up to 7 classes are projected whole, those of up to 512
# looked up by a product, larger ones scattered.
CLASSES = {"few": 4, "many": 11, "scattered": 520}
CELLS = {name: case.make().output_size for name, case in CASES.items()}


def tied(classes: int, size: int, **options: Any) -> dict[str, Any]:
    given = {"input_size": classes, "num_classes": classes, "embedding_size": size, "readout": "tied"}
    return given | options


@pytest.mark.parametrize(("cell", "classes"), [("tanh", "few"), ("gru", "many"), ("lstm", "scattered")])
@pytest.mark.usefixtures("chunks_of_two")
def test_values_and_gradients(cell: str, classes: str) -> None:
    run = make_run(CASES[cell].make(), 5, 3, **tied(CLASSES[classes], CELLS[cell]))
    E, *of_cell, b_p = run.values
    vectors = input_vectors(run.graph, run.inputs, run.values)
    outputs, _ = ref.run_steps(CASES[cell].step, of_cell, vectors, run.state)
    logits = [h @ E.T + b_p for h in outputs]
    losses = [ref.cross_entropy(row, run.targets[:, t]) for t, row in enumerate(logits)]
    found = run.fetch([run.graph.predictions, run.graph.losses, run.graph.total_loss])
    assert_close(found[0], [ref.softmax(row) for row in logits], 1e-12, "predictions")
    assert_close(found[1], losses, 1e-12, "losses")
    assert_close(found[2], np.mean(losses), 1e-12, "total loss")
    assert_slopes_agree(run)


@pytest.mark.parametrize("options", [{"reduction": "sum"}, {"loss": "squared_error", "loss_steps": "last"}])
def test_gradients_of_other_losses(options: dict[str, Any]) -> None:
    assert_loss_and_slopes_agree(make_run(GRUCell(3), 4, 2, **tied(5, 3, **options)))


@pytest.mark.parametrize("classes", [5, 520])
def test_the_gradient_of_the_embedding_is_the_sum_of_its_two_uses(classes: int) -> None:
    """The numeric gradient, and the two parts by cutting one use off at a time."""
    run = make_run(GRUCell(3), 4, 2, **tied(classes, 3))
    E = run.values[0]
    rows = sorted({*run.inputs.ravel(), *run.targets.ravel(), 0, classes - 1})
    with new_session(run.graph.tf_graph) as session:

        def loss() -> float:
            assign(session, run.graph.variables, run.values)
            return float(session.run(run.graph.total_loss, run.fed))

        assign(session, run.graph.variables, run.values)
        found = session.run(gradients_of(run.graph)[0], run.fed)
        for row in rows:
            expected = ref.numeric_gradient(loss, E[row : row + 1])
            assert_close(found[row : row + 1], expected, 1e-8, f"row {row}")
        assign(session, run.graph.variables, run.values)
        with run.graph.tf_graph.as_default():
            reading = run.graph._reading
            (both,) = dense(tf.gradients(run.graph.total_loss, list(reading.embedding)))
            parts = tf.gradients(
                run.graph.total_loss, [*reading.embedding, reading.head[0]], stop_gradients=[reading.head[0]]
            )
            looked_up, read_out, whole = session.run([*dense(parts), both], run.fed)
    assert_close(found, whole, 1e-15, "TensorFlow's own")
    assert_close(found, looked_up + read_out, 1e-15, "sum")
    for part in (looked_up, read_out):
        assert np.abs(part).max() > 1e-3, "a use that has no gradient"


def test_variables_and_their_number() -> None:
    graph = UnrolledGraph(StackedCell([LSTMCell(4), GRUCell(3)]), 4, 2, **tied(11, 3))
    names = ["lstm/E", "lstm/W", "lstm/b", "gru/W", "gru/b", "gru/b_n", "lstm/b_p"]
    assert [variable.op.name for variable in graph.variables] == names
    other = UnrolledGraph(StackedCell([LSTMCell(4), GRUCell(3)]), 4, 2, **tied(11, 3, readout="linear"))
    sizes = [sum(v.shape.num_elements() for v in each.variables) for each in (graph, other)]
    assert sizes[1] - sizes[0] == 3 * 11


@pytest.mark.usefixtures("chunks_of_two")
def test_rows_are_written_into_the_gradient_once() -> None:
    """Not once for each chunk, as TensorFlow would: a table of words is large."""
    graph = UnrolledGraph(GRUCell(3), 8, 2, **tied(520, 3, optimizer="sgd"))
    kinds = [op.type for op in graph.tf_graph.get_operations()]
    assert kinds.count("TensorScatterAdd") == 1
    assert "UnsortedSegmentSum" not in kinds


def test_tied_and_dropped() -> None:
    run = make_run(StackedCell([GRUCell(5), LSTMCell(3)]), 4, 2, **tied(520, 3, dropout=0.3))
    run.more = {run.graph.dropout_seed: [5, 2]}
    assert_slopes_agree(run)


@pytest.mark.parametrize("classes", [5, 520])
def test_a_foreign_cell_may_be_tied(classes: int) -> None:
    run = make_run(Summing(), 4, 2, **tied(classes, 3, optimizer="sgd"))
    assert [variable.op.name for variable in run.graph.variables] == ["cell/E", "cell/b_p"]
    assert isinstance(run.graph.gradients[0].gradient, tf.Tensor)
    assert_gradients_agree(run)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embedding_size": None}, "embedding_size must be given where readout is 'tied', got None"),
        ({"num_classes": 4}, "num_classes must be input_size (5) where readout is 'tied', got 4"),
        (
            {"embedding_size": 6},
            "embedding_size must be the cell's output size, 7, where readout is 'tied', got 6",
        ),
    ],
)
def test_what_cannot_be_tied(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        UnrolledGraph(VanillaCell(7), 4, 3, **(tied(5, 7) | options))
