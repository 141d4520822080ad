"""What is fetched beside a training step belongs to the weights before the update."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import CASES, Summing, ancestors, assert_close, assign, random_block, random_values

from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell, StackedCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.optimizers import OPTIMIZERS


def reads(tensors: list[Any], variable: Any) -> int:
    return sum(
        op.type in {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
        and op.inputs[0] is variable.handle
        for op in ancestors(tensors)
    )


@pytest.mark.parametrize(
    ("cell", "optimizer"),
    list(zip(["tanh", "gru", "gru_reset_before", "lstm", "stacked"], OPTIMIZERS, strict=True)),
)
@pytest.mark.usefixtures("chunks_of_two")
def test_each_variable_is_read_once(cell: str, optimizer: str) -> None:
    kinds: list[dict[str, Any]] = [
        {"input_size": 2},
        {"input_size": 40, "embedding_size": 3, "clip_norm": 0.5},
        {"input_size": 520, "embedding_size": 3},
    ]
    options = kinds[list(OPTIMIZERS).index(optimizer) % len(kinds)]
    graph = UnrolledGraph(CASES[cell].make(), 3, 3, num_classes=2, optimizer=optimizer, **options)
    with graph.tf_graph.as_default():
        fetched = [
            graph.total_loss,
            graph.train_step,
            graph.gradient_norm,
            *tf.nest.flatten([graph.losses, graph.predictions, graph.states]),
            *(tf.convert_to_tensor(gradient) for gradient, _ in graph.gradients),
        ]
    for variable in graph.variables:
        assert reads(fetched, variable) == 1, variable.name
        assert reads([graph.total_loss], variable) == 1, variable.name


@pytest.mark.parametrize(("cell", "size"), [("lstm", 2), ("gru", 40), ("tanh", 520), ("foreign", 520)])
@pytest.mark.usefixtures("chunks_of_two")
def test_an_embedding_that_is_read_out_is_read_once(cell: str, size: int) -> None:
    made = Summing() if cell == "foreign" else CASES[cell].make()
    options: dict[str, Any] = {"embedding_size": made.output_size, "readout": "tied"}
    options |= {"clip_norm": 0.5, "dropout": 0.5}
    graph = UnrolledGraph(made, 3, 3, size, size, optimizer="adam", **options)
    fetched = [graph.total_loss, graph.train_step, *graph.losses, *graph.predictions]
    for variable in graph.variables:
        assert reads(fetched, variable) == 1, variable.name


def test_reading_twice_would_be_noticed() -> None:
    with tf.Graph().as_default():
        variable = tf.get_variable("v", [3], use_resource=True)
        once = variable.read_value()
        assert reads([once * once], variable) == 1
        assert reads([once * variable], variable) == 2
        assert reads([tf.gather(variable, [0]) * once], variable) == 2


@pytest.mark.parametrize(("optimizer", "clip_norm"), [("sgd", None), ("adam", 0.5)])
def test_fetches_beside_a_training_step_are_those_before_it(optimizer: str, clip_norm: float | None) -> None:
    generator = np.random.default_rng(73)
    cell = StackedCell([LSTMCell(4), VanillaCell(5)])
    options: dict[str, Any] = {"optimizer": optimizer, "learning_rate": 0.05, "clip_norm": clip_norm}
    graph = UnrolledGraph(cell, 3, 2, 5, 4, **options)
    values = [graph.total_loss, graph.predictions, graph.final_state, graph.gradient_norm]
    values += [[gradient for gradient, _ in graph.gradients]]
    threads = tf.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=4)
    threads.graph_options.rewrite_options.disable_meta_optimizer = True
    state, changes = graph.zero_state(), []
    with (
        tf.Session(graph=graph.tf_graph, config=threads) as together,
        graph.session() as apart,
        graph.tf_graph.as_default(),
    ):
        together.run(tf.global_variables_initializer())
        start = random_values(generator, graph.variables)
        for session in (together, apart):
            assign(session, graph.variables, start)
        for run in range(100):
            fed = graph.feed(*random_block(generator, graph), state)
            expected = apart.run(values, fed)
            found = together.run([*values, graph.train_step], fed)
            assert_close(found[:-1], expected, 0, f"run {run}")
            apart.run(graph.train_step, fed)
            changes.append(abs(apart.run(graph.total_loss, fed) - expected[0]))
            state = expected[2]
        assert_close(together.run(graph.variables), apart.run(graph.variables), 0, "weights")
    # The update shows in the loss nearly every time, so that reading after it would have, too.
    assert np.median(changes) > 1e-3, changes
