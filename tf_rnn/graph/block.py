"""The tensors that a block of data is fed to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.graph.feeding import checked_array, checked_state, require_range, require_weights
from tf_rnn.graph.initial_state import state_placeholder, zero_state
from tf_rnn.graph.prepared import flat, make_callable
from tf_rnn.graph.starts import Starts
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.graph.network import Network
    from tf_rnn.options import GraphOptions


class Block:
    """Placeholders of inputs, targets, state, starts and weights; see `UnrolledGraph.feed`.

    Attributes:
        inputs: n tensors X_t.
        targets: n tensors Y_t.
        packed_targets: All targets, [batch_size, num_steps, ...].
        init_state: S_{-1}, in the structure of the cell's state.
        starts: Where sequences start; None in a graph without starts whose initial state is zero.
        target_weights: How much each target counts, [batch_size, num_steps]; None in a graph without.

    Args:
        network: Encodes the inputs, takes the losses of the targets.
        options: Options of the graph.
    """

    def __init__(self, network: Network, options: GraphOptions) -> None:
        self._options = options
        self._packed_inputs = network.encoding.placeholder(options.batch_size, options.num_steps)
        self.packed_targets = network.head.loss.placeholder(options)
        self.inputs: list[Any] = tf.unstack(self._packed_inputs, axis=1)
        self.targets: list[Any] = tf.unstack(self.packed_targets, axis=1)
        self.init_state: Any = state_placeholder(network.cell, options)
        has_starts = options.starts or options.initial_state == "learnt"
        self.starts = Starts(options, self.init_state) if has_starts else None
        self.target_weights: Any = None
        if options.target_weights:
            ones = tf.ones([options.batch_size, options.num_steps], options.dtype)
            self.target_weights = tf.placeholder_with_default(ones, ones.shape, name="target_weights")
        optional = {"starts": self.starts and self.starts.packed, "target_weights": self.target_weights}
        self._optional = {name: tensor for name, tensor in optional.items() if tensor is not None}

    def zero_state(self) -> Any:
        """See `tf_rnn.graph.initial_state.zero_state`."""
        return zero_state(self.init_state, self._options)

    def feed(self, inputs: Any, targets: Any, state: Any, starts: Any, target_weights: Any) -> dict[Any, Any]:
        """The feed dictionary of arrays that fit; OptionError for those that do not."""
        options = self._options
        fed = {self.packed_targets: checked_array("targets", targets, self.packed_targets)}
        if options.loss == "cross_entropy":
            counted = fed[self.packed_targets][:, -options.num_loss_steps :]  # the others are not read
            at_least = -1 if options.loss_steps == "marked" else 0
            require_range("targets", counted, options.num_classes, at_least=at_least)
        if options.input_size:
            fed[self._packed_inputs] = checked_array("inputs", inputs, self._packed_inputs)
            if options.input_kind == "classes":
                require_range("inputs", fed[self._packed_inputs], options.input_size)
        for name, value in self._given(starts, target_weights).items():
            tensor = self._optional[name]
            fed[tensor] = checked_array(name, value, tensor)
            if name == "target_weights":
                require_weights(name, fed[tensor])
        return fed | checked_state(state, self.init_state)

    def runner(self, session: Any, fetches: Sequence[Any], feeding: Sequence[Any]) -> Callable[..., Any]:
        """A prepared run (inputs, targets, state, values of `feeding`..., optional) -> values of fetches."""
        fed = [self.packed_targets, *tf.nest.flatten(self.init_state), *feeding]
        defaults = {
            name: np.full(tensor.shape, name == "target_weights", tensor.dtype.as_numpy_dtype)
            for name, tensor in self._optional.items()
        }
        fed += self._optional.values()
        has_inputs = bool(self._options.input_size)
        if has_inputs:
            fed.insert(0, self._packed_inputs)
        run = make_callable(session, fetches, fed)

        def run_block(
            inputs: Any,
            targets: Any,
            state: Any,
            *values: Any,
            starts: Any = None,
            target_weights: Any = None,
        ) -> Any:
            given = [inputs] if has_inputs else []
            more = defaults
            if starts is not None or target_weights is not None:
                more = defaults | self._given(starts, target_weights)
            return run(*given, targets, *flat(state), *values, *more.values())

        return run_block

    def _given(self, starts: Any, target_weights: Any) -> dict[str, Any]:
        """What is given of what need not be, by name; OptionError in a graph without it."""
        given = {"starts": starts, "target_weights": target_weights}
        given = {name: value for name, value in given.items() if value is not None}
        for name in given:
            if name not in self._optional:
                raise OptionError(name, f"must be left out, as the graph was made without {name}=True")
        return given
