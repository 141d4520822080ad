"""What every cell is: one time step, linear in inputs and state before it is nonlinear.

A step is taken in three parts, so that an n-wide graph can take each where it is cheapest:

    projected = X_t W_x + b          for many time steps in one product: `project`
    recurrent = H_{t-1} W_s          one product a step, the only one that has to wait
    S_t       = f(projected, recurrent, S_{t-1})      element by element: `combine`

W_x and W_s are the upper and lower rows of one variable W, rows being examples, so that
projected + recurrent = (X_t || H_{t-1}) W + b, the concatenated form. The output of a step is the part
H_t of its state. `backward` is the derivative of `combine`, the one part of a step whose derivative
depends on the cell; `slopes` is what of it can be made for many steps at once.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import RECURRENT, gate_kernel, matrix_initializer
from tf_rnn.options import (
    LARGEST_SIZE,
    OptionError,
    require_choice,
    require_number_of,
    require_positive,
    require_whole,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Weights(NamedTuple):
    """One read of a cell's variables.

    Attributes:
        input_kernel: W_x, [input_size, num_gates * state_size].
        recurrent_kernel: W_s, [state_size, num_gates * state_size].
        biases: The bias of `project`, [num_gates * state_size], then whatever others the cell has.
    """

    input_kernel: Any
    recurrent_kernel: Any
    biases: tuple[Any, ...]


class StepGradient(NamedTuple):
    """What flows back out of the part of a step that works element by element.

    Attributes:
        projected: dL/d(projected), [batch_size, num_gates * state_size].
        recurrent: dL/d(recurrent), likewise; the same tensor for a cell that adds the two.
        state: dL/dS_{t-1} without what flows through `recurrent`, in the structure of the state; None
            in place of a part to which nothing else flows.
    """

    projected: Any
    recurrent: Any
    state: Any


class Cell(abc.ABC):
    """One time step of a recurrent network: a duck-typed TensorFlow v1 RNN cell.

    Args:
        state_size: Number of units d, at least 1.
        recurrent_init: "orthogonal", "glorot" or "identity", for each gate's rows of W that meet
            the state.
        recurrent_gain: What these rows are multiplied by; orthogonal ones then have this spectral
            radius.

    Raises:
        OptionError: If an option is not allowed.
    """

    name: ClassVar[str]
    num_gates: ClassVar[int]

    def __init__(
        self, state_size: int, recurrent_init: str = "orthogonal", recurrent_gain: float = 1.0
    ) -> None:
        self._units = require_whole("state_size", state_size, at_most=LARGEST_SIZE)
        self._recurrent_init = require_choice("recurrent_init", recurrent_init, RECURRENT)
        self._recurrent_gain = require_positive("recurrent_gain", recurrent_gain)
        self._variables: tuple[Any, ...] = ()
        self._input_size = 0
        self._scope = ""

    def options(self) -> dict[str, Any]:
        """The constructor's options, ready for JSON; `CELLS[name](**options)` is an equal cell."""
        return {
            "state_size": self._units,
            "recurrent_init": self._recurrent_init,
            "recurrent_gain": self._recurrent_gain,
        }

    @property
    def layers(self) -> tuple[Cell, ...]:
        """The cells of one layer each, from the inputs upwards: this one alone."""
        return (self,)

    def split_state(self, state: Any) -> tuple[Any, ...]:
        """The states of `layers`, from the state of the whole."""
        return (state,)

    def join_states(self, states: Iterable[Any]) -> Any:
        """The state of the whole, from the states of `layers`."""
        (state,) = states
        return state

    @property
    def state_size(self) -> Any:
        """Size of the state, in the structure of the state."""
        return self._units

    @property
    def output_size(self) -> int:
        """Number of units d."""
        return self._units

    @property
    def built(self) -> bool:
        """Whether the variables exist."""
        return bool(self._variables)

    @property
    def variables(self) -> tuple[Any, ...]:
        """W [input_size + state_size, num_gates * state_size], then the biases."""
        return self._variables

    @property
    def scope(self) -> str:
        """The variable scope that the cell's variables live in."""
        return self._scope

    def build(
        self,
        input_size: int,
        dtype: Any = tf.float32,
        seed: int | None = None,
        init_scale: float | None = None,
    ) -> None:
        """Makes the variables in the current `tf.Graph`; a second call only checks.

        Args:
            input_size: Number of inputs at each step; 0 for none.
            dtype: float32 or float64.
            seed: The initial weights are a function of it and of the variables' names.
            init_scale: W starts uniform in +-init_scale; None for the cell's own way.

        Raises:
            OptionError: If `init_scale` is not above 0, an option of the cell is no number of the dtype,
                or the cell was built for another input size or dtype.
            ValueError: If it was built in another `tf.Graph`.
        """
        if self.built:
            self._check_built(input_size, tf.as_dtype(dtype))
            return
        self._input_size = require_whole("input_size", input_size, at_least=0)
        if init_scale is not None:
            require_positive("init_scale", init_scale)
        for option, value in self.options().items():
            if isinstance(value, float):
                require_number_of(option, value, tf.as_dtype(dtype).name)
        with tf.variable_scope(None, default_name=self.name) as scope:
            self._scope = scope.name
            shape = [input_size + self._units, self.num_gates * self._units]
            start = self._initial_kernel(seed, init_scale)
            kernel = tf.get_variable("W", shape, dtype, start, use_resource=True)
            self._variables = (kernel, *self._make_biases(dtype))

    def _initial_kernel(self, seed: int | None, init_scale: float | None) -> Any:
        name = f"{self._scope}/W"
        if init_scale is not None:
            return matrix_initializer(name, seed, init_scale)
        return gate_kernel(
            name,
            self._input_size,
            self._units,
            self.num_gates,
            self._recurrent_init,
            self._recurrent_gain,
            seed,
        )

    def _check_built(self, input_size: int, dtype: Any) -> None:
        if input_size != self._input_size:
            raise OptionError(
                "input_size", f"must be {self._input_size}, as the cell was built, got {input_size}"
            )
        built = self._variables[0].dtype.base_dtype
        if dtype != built:
            raise OptionError("dtype", f"must be {built.name!r}, as the cell was built, got {dtype.name!r}")
        with tf.init_scope():  # the body of a loop is a graph of its own, within the one meant
            graph = tf.get_default_graph()
        if self._variables[0].graph is not graph:
            raise ValueError("the cell's variables are in another tf.Graph; make a new cell for this one")

    def _make_biases(self, dtype: Any) -> tuple[Any, ...]:
        size = [self.num_gates * self._units]
        return (tf.get_variable("b", size, dtype, tf.zeros_initializer(), use_resource=True),)

    def read(self) -> Weights:
        """Reads each variable once."""
        kernel, *biases = (variable.read_value() for variable in self._variables)
        return Weights(kernel[: self._input_size], kernel[self._input_size :], tuple(biases))

    def zero_state(self, batch_size: int, dtype: Any = tf.float32) -> Any:
        """S_{-1} = 0: tensors [batch_size, state_size] in the structure of the state."""
        return tf.nest.map_structure(lambda size: tf.zeros([batch_size, size], dtype), self.state_size)

    def hidden(self, state: Any) -> Any:
        """H_t, the part of the state that is the output and meets W_s, [batch_size, state_size]."""
        return state

    def with_hidden(self, state: Any, hidden: Any) -> Any:
        """The same state, or its gradient, with another H_t."""
        return hidden

    def project(self, weights: Weights, inputs: Any) -> Any:
        """X W_x + b for any number of rows: [rows, input_size] -> [rows, num_gates * state_size]."""
        return tf.matmul(inputs, weights.input_kernel) + weights.biases[0]

    @abc.abstractmethod
    def combine(self, weights: Weights, projected: Any, recurrent: Any, state: Any) -> tuple[Any, Any]:
        """S_t, the part of a step that works element by element.

        Args:
            weights: One read of the variables.
            projected: X_t W_x + b, [batch_size, num_gates * state_size].
            recurrent: H_{t-1} W_s, [batch_size, num_gates * state_size].
            state: S_{t-1}.

        Returns:
            The state S_t, and whatever `slopes` needs to know of the step.
        """

    def slopes(self, kept: Sequence[Any]) -> Sequence[Any]:
        """What `backward` needs of each step: as much of the derivative as does not wait for what flows back.

        Args:
            kept: What `combine` returned beside the state at each of several steps; returned as it is,
                unless a cell makes something of it, which it can for all of the steps at once.
        """
        return kept

    @abc.abstractmethod
    def backward(self, slopes: Any, upstream: Any) -> StepGradient:
        """The derivative of `combine`.

        Args:
            slopes: What `slopes` made of what `combine` returned beside the state.
            upstream: dL/dS_t, in the structure of the state.
        """

    def other_bias_gradients(self, recurrents: list[Any]) -> tuple[Any, ...]:
        """dL/db of the biases that `combine` adds, those after the first.

        Args:
            recurrents: dL/d(recurrent) of all steps, in tensors [rows, num_gates * state_size].
        """
        return ()

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """One step: ([batch_size, input_size], S_{t-1}) -> (output [batch_size, state_size], S_t)."""
        self.build(int(inputs.shape[-1]), inputs.dtype)
        weights = self.read()
        recurrent = tf.matmul(self.hidden(state), weights.recurrent_kernel)
        state, _ = self.combine(weights, self.project(weights, inputs), recurrent, state)
        return self.hidden(state), state
