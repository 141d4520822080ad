"""What the steps before a window of data contribute to the gradient of its last loss.

With S_0 the state that the window starts from, and W the weights, the gradient over the whole past is

    dL/dW = sum over the window's lags of c_k + (dL/dS_0) P,   P = dS_0/dW

where P, the influence of the weights on the state through all earlier steps, is carried forward in time.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.analysis.bias import Parts
from tf_rnn.analysis.contributions import flows, last_loss, sampled_weights, weights_of
from tf_rnn.analysis.tangents import state_tangent

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Stream

# Random directions where the influence matrix is too large.
DIRECTIONS = 50
# What the influence matrix may cost: multiplications per window of data, and hence numbers in it.
MOST_PRODUCTS = 2**30
FEW_UNITS = 32


class Past:
    """What a subclass carries over the data, window by window.

    Attributes:
        directions: Number of random directions; 0 where nothing is estimated.

    Args:
        graph: A graph as wide as the windows.
        session: An open session of it.
    """

    directions = 0

    def __init__(self, graph: UnrolledGraph, session: Any) -> None:
        self._graph, self._session = graph, session
        self._runs: dict[int, Callable[..., Any]] = {}
        self.forget()

    def start(self, lead: Stream) -> Any:
        """The state at the start of a window, from the steps of its example before it; maybe none."""
        self.forget()
        state, steps = self._graph.zero_state(), lead.targets.shape[1]
        if steps:
            self.advance(lead, state)
            graph = self._graph.forward(num_steps=steps)
            run = graph.runner(self._session, graph.final_state)
            (state,) = run(lead.inputs, lead.targets, state, starts=lead.starts)
        return state

    def advance(self, window: Stream, state: Any) -> None:
        """Makes a window, which starts from a state, part of the past."""
        steps = window.targets.shape[1]
        if steps not in self._runs:
            self._runs[steps] = self._runner(self._graph.forward(num_steps=steps))
        run = functools.partial(self._runs[steps], window.inputs, window.targets, state, starts=window.starts)
        self._carry(run)

    def forget(self) -> None:
        """Begins at zero."""
        raise NotImplementedError

    def parts(self, lags: np.ndarray, d_start: np.ndarray) -> Parts:
        """The contributions to the gradient of a window's last loss.

        Args:
            lags: Those of the window's lags, [num_steps, weights], maybe of a sample of the weights.
            d_start: dL/dS_0, [batch_size, state].
        """
        raise NotImplementedError

    def _runner(self, graph: UnrolledGraph) -> Callable[..., Any]:
        raise NotImplementedError

    def _carry(self, run: Callable[..., Any]) -> None:
        """Takes a function of what the run is fed beyond the window."""
        raise NotImplementedError


class Influence(Past):
    """The influence matrix of each row, [batch_size, state, weights], in float64: exact.

        P_t = J_t P_{t-1} + F_t,   J_t = dS_t/dS_{t-1},   F_t = dS_t/dW with S_{t-1} held

    is real-time recurrent learning. Here a step of it is a window of the graph: J and F, the derivatives of
    the window's last state, come from one backward pass for each number in the state. P is the same.

    Source: Williams & Zipser 1989; over several steps at a time, Schmidhuber 1992.
    """

    def forget(self) -> None:
        """See `Past.forget`."""
        self._matrix = np.zeros(
            (self._graph.batch_size, _state_numbers(self._graph), _weight_numbers(self._graph))
        )

    def _runner(self, graph: UnrolledGraph) -> Callable[..., Any]:
        seeds, d_start, d_weights = graph.cached(_backward_of_state)
        return graph.runner(self._session, d_start, d_weights, feeding=seeds)

    def _carry(self, run: Callable[..., Any]) -> None:
        rows, numbers, _ = self._matrix.shape
        jacobian, direct = np.empty((rows, numbers, numbers)), np.empty_like(self._matrix)
        sizes = [int(part.shape[1]) for part in tf.nest.flatten(self._graph.init_state)]
        for number, unit in enumerate(np.eye(numbers, dtype=self._graph.options.dtype)):
            seeds = np.split(np.tile(unit, (rows, 1)), np.cumsum(sizes)[:-1], axis=1)
            jacobian[:, number], direct[:, number] = run(*seeds)
        self._matrix = jacobian @ self._matrix + direct

    def parts(self, lags: np.ndarray, d_start: np.ndarray) -> Parts:
        """See `Past.parts`."""
        older = np.tensordot(d_start.astype(np.float64), self._matrix, axes=2)
        return Parts.of_lags(lags, older)


class Directions(Past):
    """The tangent of the state along random directions v of the weights, P v: unbiased, for any cell.

    v is normal with unit variance, so that the mean over m directions of (g . v)(h . v) estimates <g, h>;
    that of a squared norm has a relative noise of at most sqrt(2 / m). Where there are no more weights than
    directions, the directions are the axes, and nothing is estimated.

    Args:
        graph: A graph as wide as the windows.
        session: An open session of it.
        rows: See `sampled_weights`.
        count: The number m of directions.
        seed: Of the directions.
    """

    def __init__(
        self, graph: UnrolledGraph, session: Any, rows: int, count: int = DIRECTIONS, seed: int = 0
    ) -> None:
        self._size, self._seed = _weight_numbers(graph), seed
        self._chosen, self._scale = sampled_weights(self._size, max(rows, graph.num_steps))
        self._count = min(count, self._size)
        self.directions = count if self._size > count else 0
        with graph.tf_graph.as_default():
            self._shapes = [weights.shape.as_list() for weights in weights_of(graph)]
        super().__init__(graph, session)

    def forget(self) -> None:
        """See `Past.forget`."""
        zeros = [np.zeros_like(part) for part in tf.nest.flatten(self._graph.zero_state())]
        self._tangents = [zeros] * self._count

    def _runner(self, graph: UnrolledGraph) -> Callable[..., Any]:
        given, found = graph.cached(state_tangent)
        return graph.runner(self._session, *found, feeding=given)

    def _carry(self, run: Callable[..., Any]) -> None:
        for number, tangent in enumerate(self._tangents):
            self._tangents[number] = run(*tangent, *self._weights(number))

    def parts(self, lags: np.ndarray, d_start: np.ndarray) -> Parts:
        """See `Past.parts`."""
        along = np.empty((len(lags) + 1, self._count))
        for number, tangent in enumerate(self._tangents):
            along[:-1, number] = lags @ self._direction(number)
            along[-1, number] = np.sum(d_start * np.concatenate(tangent, axis=1), dtype=np.float64)
        return Parts(lags.astype(np.float64), along)

    def _direction(self, number: int) -> np.ndarray:
        """A direction, over the weights that count."""
        if not self.directions:
            return np.asarray(np.eye(self._size)[number] * np.sqrt(self._size))
        size = self._size if self._chosen is None else len(self._chosen)
        return np.random.default_rng([self._seed, number]).standard_normal(size)

    def _weights(self, number: int) -> list[np.ndarray]:
        """The same in the shapes of the weights."""
        chosen = slice(None) if self._chosen is None else self._chosen
        flat = np.zeros(self._size, self._graph.options.dtype)
        flat[chosen] = self._scale * self._direction(number)
        ends = np.cumsum([int(np.prod(shape)) for shape in self._shapes])
        return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), self._shapes, strict=False)]


def whole_past(graph: UnrolledGraph, session: Any, rows: int) -> Past:
    """The influence matrix if it is small enough, else random directions.

    Args:
        graph: A graph as wide as the windows.
        session: An open session of it.
        rows: See `sampled_weights`.
    """
    units = _state_numbers(graph)
    numbers = graph.batch_size * units * _weight_numbers(graph)
    is_small = numbers * max(units, FEW_UNITS) <= MOST_PRODUCTS
    chosen, _ = sampled_weights(_weight_numbers(graph), max(rows, graph.num_steps))
    if graph.network.is_layered and is_small and chosen is None:
        return Influence(graph, session)
    return Directions(graph, session, rows)


def start_gradient(graph: UnrolledGraph) -> Any:
    """dL/dS_{-1} of the last loss, the parts of the state side by side, [batch_size, state]."""
    starts = tf.nest.flatten(graph.init_state)
    return tf.concat(tf.gradients(last_loss(graph), starts, unconnected_gradients="zero"), axis=1)


def _backward_of_state(graph: UnrolledGraph) -> tuple[list[Any], Any, Any]:
    """What flows back from a fed gradient of the last state, in each row.

    Returns:
        The gradient of each part of S_{n-1}, to feed; that of S_{-1}, [batch_size, state]; and that of the
        weights, [batch_size, weights].
    """
    ends, starts = tf.nest.flatten(graph.final_state), tf.nest.flatten(graph.init_state)
    seeds = [tf.placeholder(end.dtype, end.shape, name="seed") for end in ends]
    d_starts = tf.gradients(ends, starts, seeds, unconnected_gradients="zero")
    rows, d_weights = graph.batch_size, []
    for steps in flows(graph, ends, seeds):
        inputs, projected, recurrent = tf.nest.map_structure(lambda *parts: tf.stack(parts, axis=1), *steps)
        for pairs in ([(inputs, projected)], recurrent):
            products = [tf.matmul(left, right, transpose_a=True) for left, right in pairs]
            d_weights.append(tf.reshape(tf.concat(products, axis=2), [rows, -1]))
    return seeds, tf.concat(d_starts, axis=1), tf.concat(d_weights, axis=1)


def _state_numbers(graph: UnrolledGraph) -> int:
    return sum(int(part.shape[1]) for part in tf.nest.flatten(graph.init_state))


def _weight_numbers(graph: UnrolledGraph) -> int:
    with graph.tf_graph.as_default():
        return sum(weights.shape.num_elements() for weights in weights_of(graph))
