"""The outputs of a trained network along a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.training.evaluation import stacked_predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.inference.load import Model

# Steps that are run at a time.
WIDTH = 50


def outputs(model: Model, inputs: NDArray[Any], state: Any = None) -> tuple[NDArray[np.floating[Any]], Any]:
    """Runs a network along one sequence.

        P_t, S_t = G(X_t, S_{t-1})

    Args:
        model: The trained network.
        inputs: X_t, [length] or [length, input_size].
        state: S_{-1} for a batch of one; None for zero.

    Returns:
        The predictions P_t, [length, num_classes], and the last state.
    """
    state = model.graph.zero_state() if state is None else state
    whole = len(inputs) // WIDTH * WIDTH
    parts = []
    for width, start, stop in ((WIDTH, 0, whole), (1, whole, len(inputs))):
        if start == stop:
            continue
        graph = model.graph.forward(num_steps=width)
        run = graph.runner(model.session, graph.cached(stacked_predictions), graph.final_state)
        targets = _no_targets(graph)
        for step in range(start, stop, width):
            predictions, state = run(inputs[np.newaxis, step : step + width], targets, state)
            parts.append(predictions[0])
    return np.concatenate(parts) if parts else np.zeros((0, model.graph.options.num_classes)), state


def _no_targets(graph: UnrolledGraph) -> NDArray[Any]:
    """Targets that are fed, but not read."""
    options = graph.options
    if options.loss == "cross_entropy":
        return np.zeros((1, options.num_steps), np.int32)
    return np.zeros((1, options.num_steps, options.num_classes), options.dtype)
