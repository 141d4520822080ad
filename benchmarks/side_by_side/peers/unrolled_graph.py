"""tf_rnn as shown in its README: the n-wide graph with all its lists, and the session loop."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn import UnrolledGraph, cells

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.side_by_side.configurations import Configuration
    from benchmarks.side_by_side.problem import Layer, Problem, Weights

CELLS = {"vanilla": "VanillaCell", "gru": "GRUCell", "lstm": "LSTMCell"}


def make(problem: Problem, *, prepared: bool = True, **options: Any) -> Callable[[Any, Any], float]:
    """Builds the training step.

    Args:
        problem: Model and data.
        prepared: Whether to use `UnrolledGraph.runner`, as `tf_rnn.train` does, instead of `session.run`
            with a feed dictionary.
        **options: Further options of the graph.
    """
    graph = make_graph(problem.configuration, **options)
    session = graph.session()
    with graph.tf_graph.as_default():
        for variable, value in zip(graph.variables, _values(problem.weights), strict=True):
            variable.load(value, session)
    fetches = (graph.total_loss, graph.final_state, graph.train_step)
    run = graph.runner(session, *fetches) if prepared else functools.partial(_run, graph, session, fetches)
    scale = problem.configuration.loss_scale
    state = graph.zero_state()

    def step(inputs: Any, targets: Any) -> float:
        nonlocal state
        loss, state, _ = run(inputs, targets, state)
        return float(loss) / scale

    return step


def _run(graph: UnrolledGraph, session: Any, fetches: Any, inputs: Any, targets: Any, state: Any) -> Any:
    return session.run(fetches, feed_dict=graph.feed(inputs, targets, state))


def make_graph(configuration: Configuration, **options: Any) -> UnrolledGraph:
    """Builds the graph of a configuration on a new cell, in its own `tf.Graph`."""
    kind = getattr(cells, CELLS[configuration.cell])
    layers = [kind(configuration.state_size) for _ in range(configuration.num_layers)]
    return UnrolledGraph(
        layers[0] if len(layers) == 1 else cells.StackedCell(layers),
        num_steps=configuration.num_steps,
        batch_size=configuration.batch_size,
        input_size=configuration.num_classes,
        num_classes=configuration.num_classes,
        embedding_size=configuration.state_size if configuration.is_embedded else None,
        optimizer=configuration.optimizer,
        learning_rate=configuration.learning_rate,
        clip_norm=configuration.clip_norm,
        reduction=configuration.reduction,
        **options,
    )


def _values(weights: Weights) -> list[Any]:
    """Weights in the order of `UnrolledGraph.variables`: embedding, layers, readout."""
    layers = [value for layer in weights.layers for value in _layer_values(layer)]
    embedding = [] if weights.embedding is None else [weights.embedding]
    return [*embedding, *layers, weights.readout_kernel, weights.readout_bias]


def _layer_values(layer: Layer) -> list[Any]:
    kernel = np.concatenate([layer.input_kernel, layer.recurrent_kernel])
    return [kernel, layer.bias, *([] if layer.candidate_bias is None else [layer.candidate_bias])]
