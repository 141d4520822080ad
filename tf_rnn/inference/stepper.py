"""Running a network one step at a time."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.feeding import checked_array, converted
from tf_rnn.graph.prepared import make_callable
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from tf_rnn.graph import StepGraph


class Stepper:
    """Runs a single-step graph and keeps its state between steps.

        P_t, S_t = G(X_t, S_{t-1})

    A stepper has one state, so that threads must not share it; each takes `another`.

    Args:
        graph: A single-step graph.
        session: An open session of that graph.

    Attributes:
        state: S_{t-1}, NumPy arrays in the structure of the cell's state.
    """

    def __init__(self, graph: StepGraph, session: Any) -> None:
        self._graph = graph
        self._has_input = graph.options.input_kind != "none"
        fed = [graph.input] if self._has_input else []
        fed += tf.nest.flatten(graph.init_state)
        self._run = make_callable(session, [graph.prediction, graph.state], fed)
        self.state: Any = None
        self.reset()

    def another(self) -> Stepper:
        """A stepper of the same network with a state of its own, the initial state at first."""
        other = copy.copy(self)
        other.reset()
        return other

    def reset(self, rows: Any = None) -> None:
        """Sets the state to the initial one, of all rows or of those in which a sequence starts.

        Args:
            rows: Truth values, or zeros and ones, [batch_size]; None for all rows.

        Raises:
            OptionError: If they are no such flags. The state is unchanged.
        """
        first = self._graph.zero_state()
        if rows is None:
            self.state = first
            return
        flags = converted("rows", rows, np.dtype(bool))
        if flags.shape != (self._graph.options.batch_size,):
            raise OptionError(
                "rows", f"must have shape {[self._graph.options.batch_size]}, got {list(flags.shape)}"
            )
        self.state = tf.nest.map_structure(
            lambda start, part: np.where(flags[:, np.newaxis], start, part), first, self.state
        )

    def step(self, x: Any = None) -> np.ndarray:
        """Takes one step.

        Args:
            x: X_t, class indices [batch_size] or real values [batch_size, input_size]; None for a network
                without inputs.

        Returns:
            P_t, [batch_size, num_classes].

        Raises:
            OptionError: If the shape is wrong, or a class index is out of range. The state is unchanged.
        """
        given = [checked_array("x", x, self._graph.input)] if self._has_input else []
        if self._graph.options.input_kind == "classes":
            _require_classes(x, self._graph.options.input_size)
        prediction, self.state = self._run(*given, *tf.nest.flatten(self.state))
        return np.asarray(prediction)


def _require_classes(x: Any, input_size: int) -> None:
    """Raises OptionError for an index out of range, which a one-hot encoding would turn into zeros."""
    outside = [index for index in np.ravel(x) if not 0 <= index < input_size]
    if outside:
        raise OptionError("x", f"must hold classes from 0 to {input_size - 1}, got {outside[0]}")
