"""The base class of cells: one time step, linear in inputs and state before it is nonlinear.

A step has three parts, each of which an n-wide graph computes where it is cheapest:

    projected = X_t W_x + b          for many time steps in one product: `project`
    recurrent = H_{t-1} W_s          one product a step, the only one that has to wait
    S_t       = f(projected, recurrent, S_{t-1})      element by element: `combine`

W_x and W_s are the upper and lower rows of one variable W, rows being examples, so that
projected + recurrent = (X_t || H_{t-1}) W + b, the concatenated form. With layer normalisation

    projected = g_x * N(X_t W_x) + b,   recurrent = g_s * N(H_{t-1} W_s)

and `combine` is the same; N is `tf_rnn.cells.norm.normalized`, gate by gate. The output of a step is the part
H_t of its state. A new cell needs `name`, `num_gates` and `combine`. `backward`, the derivative of
`combine`, is found by TensorFlow unless a cell gives a faster one; `local_derivatives` is the part of
that which can be computed for many steps at once.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.cells.initial import RECURRENT, gate_kernel, matrix_initializer
from tf_rnn.cells.norm import Normalized, normalized
from tf_rnn.cells.products import product
from tf_rnn.options import (
    LARGEST_SIZE,
    OptionError,
    call_text,
    require_choice,
    require_number_of,
    require_positive,
    require_whole,
)
from tf_rnn.options.rules import Flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Weights(NamedTuple):
    """One read of a cell's variables.

    Attributes:
        input_kernel: W_x, [input_size, num_gates * state_size].
        recurrent_kernel: W_s, [state_size, num_gates * state_size].
        biases: The bias of `project`, [num_gates * state_size], then any others of the cell.
        gains: g_x and g_s, [num_gates * state_size]; none without layer normalisation.
    """

    input_kernel: Any
    recurrent_kernel: Any
    biases: tuple[Any, ...]
    gains: tuple[Any, ...] = ()


class Recurrent(NamedTuple):
    """The recurrent argument of `Cell.combine`; where it was normalised, what the derivative needs."""

    rows: Any
    normalized: Normalized | None = None


class StepInputs(NamedTuple):
    """The arguments of `Cell.combine`, saved of a step whose cell saves nothing else."""

    weights: Weights
    projected: Any
    recurrent: Any
    state: Any


class StepGradient(NamedTuple):
    """The gradient of `Cell.combine` with respect to its arguments.

    Attributes:
        projected: dL/d(projected), [batch_size, num_gates * state_size].
        recurrent: dL/d(recurrent), likewise; the same tensor for a cell that adds the two.
        state: dL/dS_{t-1} without what flows through `recurrent`, in the structure of the state; None
            for the part H_{t-1} where nothing else flows to it.
        biases: dL/db of the biases after the first; empty where `Cell.other_bias_gradients` gives them.
    """

    projected: Any
    recurrent: Any
    state: Any
    biases: tuple[Any, ...] = ()


class Cell(abc.ABC):
    """One time step of a recurrent network: a duck-typed TensorFlow v1 RNN cell.

    Args:
        state_size: Number of units d, at least 1.
        recurrent_init: "orthogonal", "glorot" or "identity", for each gate's rows of W that multiply
            the state.
        recurrent_gain: The factor of these rows; orthogonal ones then have this spectral radius.
        layer_norm: Whether X_t W_x and H_{t-1} W_s are normalised, each by itself, over the units of each
            gate (Ba, Kiros & Hinton 2016). The cell has two variables more, g_x and g_s
            [num_gates * state_size], ones at first.

    Raises:
        OptionError: If an option is not allowed.
    """

    name: ClassVar[str]
    num_gates: ClassVar[int]

    def __init__(
        self,
        state_size: int,
        recurrent_init: str = "orthogonal",
        recurrent_gain: float = 1.0,
        layer_norm: bool = False,
    ) -> None:
        self._units = require_whole("state_size", state_size, at_most=LARGEST_SIZE)
        self._recurrent_init = require_choice("recurrent_init", recurrent_init, RECURRENT)
        self._recurrent_gain = require_positive("recurrent_gain", recurrent_gain)
        self._layer_norm = Flag().check("layer_norm", layer_norm)
        if self._layer_norm and self._units == 1:
            raise OptionError(
                "state_size", "must be at least 2 with layer_norm, as one unit is its mean, got 1"
            )
        self._variables: tuple[Any, ...] = ()
        self._input_size = 0
        self._scope = ""
        self._seed_name = self.name
        self._start: dict[str, Any] = {}

    def __repr__(self) -> str:
        return call_text(type(self), self.options())

    def options(self) -> dict[str, Any]:
        """The constructor's options, ready for JSON; `CELLS[name](**options)` is an equal cell."""
        return {
            "state_size": self._units,
            "recurrent_init": self._recurrent_init,
            "recurrent_gain": self._recurrent_gain,
        } | ({"layer_norm": True} if self._layer_norm else {})  # the first descriptions lack it

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
        """W [input_size + state_size, num_gates * state_size], then the biases and the gains."""
        return self._variables

    @property
    def scope(self) -> str:
        """The variable scope of the cell's variables."""
        return self._scope

    @property
    def seed_name(self) -> str:
        """What the seeds of the cell's initial weights are made from, beside the seed."""
        return self._seed_name

    def build(
        self,
        input_size: int,
        dtype: Any = "float32",
        seed: int | None = None,
        init_scale: float | None = None,
        seed_name: str | None = None,
    ) -> None:
        """Makes the variables in the current `tf.Graph`; a second call only checks its arguments.

        Args:
            input_size: Number of inputs at each step; 0 for none.
            dtype: float32 or float64.
            seed: The initial weights are a function of it and of `seed_name` alone; None for random
                ones, and in a second call for those that there are.
            init_scale: W starts uniform in +-init_scale; None for the cell's default, and in a second
                call for whatever it was built with.
            seed_name: Distinguishes the layers of one network; None for the cell's name.

        Raises:
            OptionError: If `init_scale` is not above 0, an option of the cell does not fit into the
                dtype, or the cell was built with another input size, dtype, seed or scale.
            ValueError: If it was built in another `tf.Graph`.
        """
        if self.built:
            self._check_built(input_size, tf.as_dtype(dtype))
            self._check_start(seed=seed, init_scale=init_scale)
            return
        self._input_size = require_whole("input_size", input_size, at_least=0)
        if init_scale is not None:
            require_positive("init_scale", init_scale)
        for option, value in self.options().items():
            if isinstance(value, float):
                require_number_of(option, value, tf.as_dtype(dtype).name)
        self._start = {"seed": seed, "init_scale": init_scale}
        self._seed_name = seed_name or self.name
        with tf.variable_scope(None, default_name=self.name) as scope:
            self._scope = scope.name
            shape = [input_size + self._units, self.num_gates * self._units]
            start = self._initial_kernel(seed, init_scale)
            kernel = tf.get_variable("W", shape, dtype, start, use_resource=True)
            self._variables = (kernel, *self._make_biases(dtype), *self._make_gains(dtype))

    def _initial_kernel(self, seed: int | None, init_scale: float | None) -> Any:
        name = f"{self._seed_name}/W"
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

    def _check_start(self, **given: Any) -> None:
        for option, value in given.items():
            if value is not None and value != self._start[option]:
                raise OptionError(
                    option, f"must be {self._start[option]}, as the cell was built, got {value!r}"
                )

    def _check_built(self, input_size: int, dtype: Any) -> None:
        if input_size != self._input_size:
            raise OptionError(
                "input_size", f"must be {self._input_size}, as the cell was built, got {input_size}"
            )
        built = self._variables[0].dtype.base_dtype
        if dtype != built:
            raise OptionError("dtype", f"must be {built.name!r}, as the cell was built, got {dtype.name!r}")
        with tf.init_scope():  # the body of a loop is a graph within the one that is meant
            graph = tf.get_default_graph()
        if self._variables[0].graph is not graph:
            raise ValueError("the cell's variables are in another tf.Graph; make a new cell for this one")

    def _make_biases(self, dtype: Any) -> tuple[Any, ...]:
        size = [self.num_gates * self._units]
        return (tf.get_variable("b", size, dtype, tf.zeros_initializer(), use_resource=True),)

    def _make_gains(self, dtype: Any) -> tuple[Any, ...]:
        size, ones = [self.num_gates * self._units], tf.ones_initializer()
        names = ("g_x", "g_s") if self._layer_norm else ()
        return tuple(tf.get_variable(name, size, dtype, ones, use_resource=True) for name in names)

    def read(self) -> Weights:
        """Reads each variable once."""
        kernel, *others = (variable.read_value() for variable in self._variables)
        biases, gains = (others[:-2], others[-2:]) if self._layer_norm else (others, [])
        return Weights(kernel[: self._input_size], kernel[self._input_size :], tuple(biases), tuple(gains))

    def zero_state(self, batch_size: int, dtype: Any = "float32") -> Any:
        """S_{-1} = 0: tensors [batch_size, state_size] in the structure of the state."""
        return tf.nest.map_structure(lambda size: tf.zeros([batch_size, size], dtype), self.state_size)

    def hidden(self, state: Any) -> Any:
        """H_t, the part of the state that is the output and multiplies W_s, [batch_size, state_size]."""
        return state

    def with_hidden(self, state: Any, hidden: Any) -> Any:
        """A copy of a state, or of its gradient, with another H_t."""
        return hidden

    def project(self, weights: Weights, inputs: Any) -> Any:
        """`finish` of X W_x, any number of rows: [rows, input_size] -> [rows, num_gates * state_size]."""
        return self.finish(weights, product(inputs, weights.input_kernel))

    def finish(self, weights: Weights, products: Any) -> Any:
        """X W_x + b of the products X W_x, or g_x * N(X W_x) + b, row by row."""
        if weights.gains:
            products = weights.gains[0] * normalized(products, self._units).rows
        return products + weights.biases[0]

    def recur(self, weights: Weights, products: Any) -> Recurrent:
        """What `combine` takes of the products H_{t-1} W_s: themselves, or g_s * N(H_{t-1} W_s)."""
        if not weights.gains:
            return Recurrent(products)
        found = normalized(products, self._units)
        return Recurrent(weights.gains[1] * found.rows, found)

    @abc.abstractmethod
    def combine(self, weights: Weights, projected: Any, recurrent: Any, state: Any) -> tuple[Any, Any]:
        """S_t, the part of a step that works row by row: no row may depend on another.

        Args:
            weights: One read of the variables.
            projected: X_t W_x + b, [batch_size, num_gates * state_size]; see `finish`.
            recurrent: H_{t-1} W_s, [batch_size, num_gates * state_size]; see `recur`.
            state: S_{t-1}.

        Returns:
            The state S_t, and the residuals that `local_derivatives` needs of the step: None to leave
            `backward` to automatic differentiation.
        """

    def local_derivatives(self, residuals: Sequence[Any]) -> Sequence[Any]:
        """The part of the derivative that does not depend on the upstream gradient, for several steps.

        A cell may compute it for all of the steps at once; by default it is the residuals themselves.

        Args:
            residuals: Those of `combine`, for each step.

        Returns:
            What `backward` needs, for each step.
        """
        return residuals

    def backward(self, local_derivatives: Any, upstream: Any) -> StepGradient:
        """The derivative of `combine`; by default automatic, from the step computed again.

        Args:
            local_derivatives: Of the step.
            upstream: dL/dS_t, in the structure of the state.
        """
        weights, *arguments = local_derivatives
        # Copies, so that TensorFlow searches this one step for gradients, not all that follow from it.
        wanted = tf.nest.map_structure(tf.identity, (*arguments, weights.biases[1:]))
        projected, recurrent, before, biases = wanted
        weights = weights._replace(biases=(weights.biases[0], *biases))
        state, _ = self.combine(weights, projected, recurrent, before)
        found = tf.gradients(
            tf.nest.flatten(state),
            tf.nest.flatten(wanted),
            tf.nest.flatten(upstream),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        return StepGradient(*tf.nest.pack_sequence_as(wanted, found))

    def other_bias_gradients(self, recurrents: list[Any]) -> tuple[Any, ...]:
        """dL/db of the biases after the first, where `backward` does not give them.

        Args:
            recurrents: dL/d(recurrent) of all steps, in tensors [rows, num_gates * state_size].
        """
        return ()

    def recurrent_factors(
        self, before: Any, residuals: Sequence[Any], projected: Any, recurrent: Any
    ) -> list[tuple[Any, Any]]:
        """Factors of dL/dW_s over some steps: its columns are left^T right for each pair, side by side.

        Only a cell that multiplies something else than H_{t-1} by rows of W_s has others than these.

        Args:
            before: H_{t-1} of the steps as products read it (`operand`), [rows, state_size].
            residuals: Those of `combine`, for each step.
            projected: dL/d(projected), [rows, num_gates * state_size].
            recurrent: dL/d(recurrent), likewise.
        """
        return [(before, recurrent)]

    def __call__(self, inputs: Any, state: Any) -> tuple[Any, Any]:
        """One step: ([batch_size, input_size], S_{t-1}) -> (output [batch_size, state_size], S_t)."""
        self.build(int(inputs.shape[-1]), inputs.dtype)
        weights = self.read()
        recurrent = self.recur(weights, product(self.hidden(state), weights.recurrent_kernel))
        state, _ = self.combine(weights, self.project(weights, inputs), recurrent.rows, state)
        return self.hidden(state), state
