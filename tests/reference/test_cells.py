"""The cells against NumPy, numeric gradients, Keras and TensorFlow's own unrolling; their errors."""

from __future__ import annotations

import importlib
import itertools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import (
    ALL_CASES,
    CASES,
    assert_close,
    assert_loss_and_slopes_agree,
    assign,
    make_run,
    new_session,
    random_state,
    random_values,
)
from references import columns, numeric_gradient, run_steps, sigmoid

from tf_rnn import options
from tf_rnn._tensorflow import tf
from tf_rnn.cells import (
    CELLS,
    Cell,
    GRUCell,
    GRUResetBeforeCell,
    InfluenceCell,
    LSTMCell,
    LSTMState,
    StackedCell,
    VanillaCell,
    make_cell,
)
from tf_rnn.graph import unroll
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.cells import Weights


# Each cell at odd sizes, with one of everything, or without inputs; `test_gradients.py` has all at odd sizes.
SIZES = zip(ALL_CASES, itertools.cycle([(3, 5), (1, 1), (3, 0)]), strict=False)


@pytest.mark.parametrize(("name", "batch_size", "input_size"), [(name, *sizes) for name, sizes in SIZES])
def test_a_step_is_that_of_the_formulas(name: str, batch_size: int, input_size: int) -> None:
    generator = np.random.default_rng(11)
    with tf.Graph().as_default(), new_session() as session:
        cell = ALL_CASES[name].make()
        inputs = tf.placeholder(tf.float64, [batch_size, input_size])
        zero_state = cell.zero_state(batch_size, tf.float64)
        output, state = cell(inputs, zero_state)
        values = random_values(generator, cell.variables)
        assign(session, cell.variables, values)
        x, before = generator.normal(size=inputs.shape), random_state(generator, zero_state)
        fed = dict(zip(tf.nest.flatten(zero_state), tf.nest.flatten(before), strict=True))
        found = session.run((output, state), {inputs: x, **fed})
        assert_close(found, ALL_CASES[name].step(values, x, before), 1e-12, name)
        tf.nest.assert_same_structure(found[1], cell.state_size)
        assert found[0].shape == (batch_size, cell.output_size)
        zeros = session.run(zero_state)
        tf.nest.assert_same_structure(zeros, cell.state_size)
        assert_close(zeros, [np.zeros(a.shape) for a in tf.nest.flatten(before)], 0, "zero state")


def test_gates_of_an_lstm_are_those_of_the_formulas() -> None:
    generator = np.random.default_rng(17)
    with tf.Graph().as_default(), new_session() as session:
        cell = LSTMCell(4)
        inputs = tf.placeholder(tf.float64, [3, 5])
        state = cell.zero_state(3, tf.float64)
        gates = cell.gates(inputs, state)
        _, after = cell(inputs, state)
        assert len(tf.global_variables()) == 2, "the gates have variables of their own"
        values = random_values(generator, cell.variables)
        assign(session, cell.variables, values)
        x, before = generator.normal(size=inputs.shape), random_state(generator, state)
        found, new = session.run((gates, after), {inputs: x, state.hidden: before[0], state.cell: before[1]})
    (W_i, W_f, W_o, W_g), (b_i, b_f, b_o, b_g) = (columns(value, 4) for value in values)
    both = np.concatenate([x, before[0]], axis=1)
    expected = [sigmoid(both @ W + b) for W, b in ((W_i, b_i), (W_f, b_f), (W_o, b_o))]
    assert type(found).__name__ == "LSTMGates"
    assert_close(found, expected, 1e-12, "gates")
    written = found.input * np.tanh(both @ W_g + b_g)
    assert_close(new.cell, found.forget * before[1] + written, 1e-12, "cell")
    assert_close(new.hidden, found.output * np.tanh(new.cell), 1e-12, "hidden")


@pytest.mark.parametrize("name", [name for name in ALL_CASES if name != "normed stacked"])
def test_gradients_are_the_numeric_ones(name: str) -> None:
    """Along a random direction of the inputs, of the initial state and of each variable."""
    generator = np.random.default_rng(23)
    batch_size, num_steps, input_size = 3, 2, 5
    with tf.Graph().as_default(), new_session() as session:
        cell = ALL_CASES[name].make()
        inputs = tf.placeholder(tf.float64, [num_steps, batch_size, input_size])
        init_state = cell.zero_state(batch_size, tf.float64)
        outputs, states = unroll(cell, tf.unstack(inputs), init_state)
        results = tf.nest.flatten([outputs, states[-1]])
        weighted = [tf.reduce_sum(tensor * generator.normal(size=tensor.shape)) for tensor in results]
        scalar = tf.add_n(weighted)
        fed = [inputs, *tf.nest.flatten(init_state)]
        gradients = tf.gradients(scalar, [*fed, *cell.variables])
        arrays = [generator.normal(size=tensor.shape) for tensor in fed]
        arrays += random_values(generator, cell.variables, 0.4)

        def run(fetch: Any) -> Any:
            assign(session, cell.variables, arrays[len(fed) :])
            return session.run(fetch, dict(zip(fed, arrays, strict=False)))

        found = run(gradients)
        for at, (tensor, gradient) in enumerate(zip([*fed, *cell.variables], found, strict=True)):
            start, losses = arrays[at], []
            direction = generator.normal(size=start.shape)
            for step in (1e-6, -1e-6):
                arrays[at] = start + step * direction
                losses.append(run(scalar))
            slope = (losses[0] - losses[1]) / 2e-6
            assert abs(slope) > 1e-3, f"nothing to compare for {tensor.name}"
            tolerance = 1e-8 * max(1.0, float(np.linalg.norm(direction)))
            assert_close(np.sum(gradient * direction), slope, tolerance, f"{name}, {tensor.name}")
            arrays[at] = start


LAYERS = [name for name in ALL_CASES if len(ALL_CASES[name].make().layers) == 1]


@pytest.mark.parametrize("name", LAYERS)
def test_the_way_back_is_the_derivative_of_the_step(name: str) -> None:
    """`backward` against `tf.gradients` of `combine`, and against differences of it.

    The local derivatives are computed together with those of another step.
    """
    generator = np.random.default_rng(29)
    batch_size = 3
    with tf.Graph().as_default(), new_session() as session:
        cell = ALL_CASES[name].make()
        cell.build(5, tf.float64)
        weights, before = cell.read(), cell.zero_state(batch_size, tf.float64)
        columns = int(weights.recurrent_kernel.shape[1])
        projected, recurrent = (tf.placeholder(tf.float64, [batch_size, columns]) for _ in range(2))
        after, residuals = cell.combine(weights, projected, recurrent, before)
        upstream = [generator.normal(size=part.shape) for part in tf.nest.flatten(after)]
        _, residuals_of_another = cell.combine(weights, recurrent, projected, after)
        _, derivatives = cell.local_derivatives([residuals_of_another, residuals])
        step = cell.backward(derivatives, tf.nest.pack_sequence_as(after, list(map(tf.constant, upstream))))
        own = [step.projected, step.recurrent, *tf.nest.flatten(step.state)]

        wanted = [projected, recurrent, *tf.nest.flatten(before)]
        scalar = tf.add_n(
            [tf.reduce_sum(part * up) for part, up in zip(tf.nest.flatten(after), upstream, strict=True)]
        )
        others = list(weights.biases[1:])
        expected, of_others = tf.gradients(scalar, wanted), tf.gradients(scalar, others) if others else []
        assert [part is None for part in own] == [part is None for part in expected]
        pairs = [(one, other) for one, other in zip(own, expected, strict=True) if one is not None]
        own_others = step.biases or cell.other_bias_gradients([step.recurrent[:2], step.recurrent[2:]])

        assign(session, cell.variables, random_values(generator, cell.variables))
        arrays = [generator.normal(size=tensor.shape) for tensor in wanted]
        fed = dict(zip(wanted, arrays, strict=True))
        found, found_expected = session.run([[pair[0] for pair in pairs], [pair[1] for pair in pairs]], fed)
        assert_close(found, found_expected, 1e-14, name)
        found_others, expected_others = session.run([list(own_others), of_others], fed)
        assert_close(found_others, expected_others, 1e-13, f"{name}, other biases")
        numeric = numeric_gradient(lambda: float(session.run(scalar, fed)), arrays[0])
        assert_close(found[0], numeric, 1e-8, f"{name}, differences")


def as_ours(name: str, weights: list[Any]) -> list[Any]:
    """Keras' weights in the order of our gates (Keras: LSTM i, f, c, o; GRU z, r, h)."""
    kernel, recurrent, bias = weights
    W = np.concatenate([kernel, recurrent])
    if name == "lstm":
        order = [0, 1, 3, 2]
        gates, biases = np.split(W, 4, axis=1), np.split(bias, 4)
        return [np.concatenate([part[i] for i in order], axis=-1) for part in (gates, biases)]
    if name == "gru_reset_before":
        return [
            np.concatenate([np.split(part, 3, axis=-1)[i] for i in (1, 0, 2)], axis=-1) for part in (W, bias)
        ]
    if name == "gru":
        gates = np.split(W, 3, axis=1)
        (z, r, h), (_z, _r, _h) = np.split(bias[0], 3), np.split(bias[1], 3)
        return [
            np.concatenate([gates[1], gates[0], gates[2]], axis=1),
            np.concatenate([r + _r, z + _z, h]),
            _h,
        ]
    return [W, bias]


@pytest.mark.parametrize("name", ["tanh", "relu", "gru", "gru_reset_before", "lstm"])
def test_a_keras_layer_with_the_same_weights_gives_the_same(name: str) -> None:
    layers = importlib.import_module("keras").layers
    generator = np.random.default_rng(37)
    batch_size, num_steps, input_size = 3, 4, 5
    cell = CASES[name].make()
    options = {"return_sequences": True, "return_state": True, "dtype": "float64"}
    layer = {
        "tanh": lambda: layers.SimpleRNN(7, **options),
        "relu": lambda: layers.SimpleRNN(7, activation="relu", **options),
        "gru": lambda: layers.GRU(6, reset_after=True, **options),
        "gru_reset_before": lambda: layers.GRU(6, reset_after=False, **options),
        "lstm": lambda: layers.LSTM(4, **options),
    }[name]()
    layer.build((batch_size, num_steps, input_size))
    weights = random_values(generator, layer.trainable_weights)
    layer.set_weights(weights)
    x = generator.normal(size=(batch_size, num_steps, input_size))
    before = random_state(generator, cell.zero_state(batch_size))
    result = layer(x, initial_state=[np.asarray(part) for part in tf.nest.flatten(before)])
    expected = [np.asarray(part) for part in result]

    with tf.Graph().as_default(), new_session() as session:
        outputs, states = unroll(cell, tf.unstack(tf.constant(x), axis=1), before)
        assign(session, cell.variables, as_ours(name, weights))
        found = session.run([tf.stack(outputs, axis=1), *tf.nest.flatten(states[-1])])
    assert_close(found, expected, 1e-10, name)


@pytest.mark.parametrize(("name", "built"), [("stacked", True), ("gru", False)])
def test_tensorflows_own_unrolling_gives_the_same(name: str, built: bool) -> None:
    """With a cell that is built and a state, or with neither."""
    generator = np.random.default_rng(43)
    x = generator.normal(size=(3, 2, 5))

    def run_dynamic(cell: Any, state: Any) -> tuple[Any, Any]:
        inputs = tf.constant(x)
        outputs, last = tf.nn.dynamic_rnn(cell, inputs, initial_state=state, dtype=tf.float64)
        return outputs, last

    def run_ours(cell: Any, state: Any) -> tuple[Any, Any]:
        first = cell.zero_state(3, tf.float64) if state is None else state
        outputs, states = unroll(cell, tf.unstack(tf.constant(x), axis=1), first)
        return tf.stack(outputs, axis=1), states[-1]

    before = random_state(generator, CASES[name].make().zero_state(3)) if built else None
    values: list[Any] = []
    results = []
    for run in (run_ours, run_dynamic):
        with tf.Graph().as_default(), new_session() as session:
            cell = CASES[name].make()
            if built:
                cell.build(5, tf.float64)
            state = tf.nest.map_structure(tf.constant, before) if built else None
            outputs, last = run(cell, state)
            tf.nest.assert_same_structure(last, cell.state_size)
            tensors = [outputs, *tf.nest.flatten(last)]
            scalar = tf.add_n([tf.reduce_sum(tf.sin(3 * tensor)) for tensor in tensors])
            gradients = tf.gradients(scalar, list(cell.variables))
            values = values or random_values(generator, cell.variables, 0.4)
            assign(session, cell.variables, values)
            results.append(session.run([*tensors, *gradients]))
            assert len(tf.global_variables()) == len(values), tf.global_variables()
    zero = tf.nest.map_structure(np.zeros_like, random_state(generator, cell.zero_state(3)))
    start = before if built else zero
    outputs_in_numpy, _ = run_steps(CASES[name].step, values, np.moveaxis(x, 1, 0), start)
    assert_close(results[0][0], np.stack(outputs_in_numpy, axis=1), 1e-12, "NumPy")
    assert_close(results[1], results[0], 1e-12, "dynamic_rnn")


# --- initial values -------------------------------------------------------------------------------


def initial_values(
    make: Callable[[], Any],
    seed: int | None = 5,
    input_size: int = 5,
    ops_before: int = 0,
    init_scale: float | None = None,
) -> list[Any]:
    with tf.Graph().as_default(), tf.variable_scope(f"after_{ops_before}"), new_session() as session:
        for _ in range(ops_before):
            tf.random_normal([2])
        cell = make()
        cell.build(input_size, tf.float64, seed, init_scale)
        session.run(tf.global_variables_initializer())
        values: list[Any] = session.run(list(cell.variables))
        return values


@pytest.mark.parametrize("name", ["tanh", "gru_reset_before", "normed lstm", "stacked"])
def test_initial_values_are_functions_of_seed_and_name(name: str) -> None:
    """Whatever else is in the tf.Graph, and whatever scope the cell is built in."""
    make = ALL_CASES[name].make
    first = initial_values(make)
    assert_close(initial_values(make, ops_before=3), first, 0, "operations made before")
    other = initial_values(make, seed=6)
    assert np.abs(other[0] - first[0]).min() > 0, "another seed gave some of the same weights"


@pytest.mark.parametrize("init_scale", [None, 0.1])
def test_every_layer_and_gate_has_a_seed_of_its_own(init_scale: float | None) -> None:
    """Equal seeds would show as equal weights of equal shapes."""

    def kernels(make: Callable[[], Any], **options: Any) -> list[Any]:
        return initial_values(make, init_scale=init_scale, **options)[::2]

    one, other = kernels(lambda: StackedCell([VanillaCell(5), VanillaCell(5)]))
    gates = np.split(kernels(lambda: LSTMCell(5))[0], 4, axis=1)
    pairs = [(one, other), *itertools.combinations(gates, 2)]
    pairs.append((kernels(lambda: GRUCell(3), seed=None)[0], kernels(lambda: GRUCell(3), seed=None)[0]))
    for a, b in pairs:
        assert np.abs(a - b).min() > 0


MAKERS = pytest.mark.parametrize("make", [VanillaCell, GRUCell, GRUResetBeforeCell, LSTMCell])


@pytest.mark.parametrize(
    ("make", "gain", "input_size", "d"),
    [(VanillaCell, 1.0, 1, 1), (GRUCell, 1.0, 0, 7), (GRUResetBeforeCell, 1.5, 5, 7), (LSTMCell, 0.25, 5, 7)],
)
def test_every_gate_starts_from_an_orthogonal_block_times_the_gain(
    make: Any, gain: float, input_size: int, d: int
) -> None:
    W, *_ = initial_values(lambda: make(d, recurrent_gain=gain), input_size=input_size)
    plain, *_ = initial_values(lambda: make(d), input_size=input_size)
    assert W.shape == (input_size + d, make.num_gates * d)
    for block in np.split(W[input_size:], make.num_gates, axis=1):
        assert_close(block @ block.T, gain**2 * np.eye(d), 1e-12, "W_s W_s^T")
        assert_close(np.abs(np.linalg.eigvals(block)), np.full(d, gain), 1e-12, "spectral radius")
    assert_close(W, np.concatenate([plain[:input_size], gain * plain[input_size:]]), 0, "rows of the state")


@MAKERS
def test_other_initial_blocks(make: Any) -> None:
    W, *_ = initial_values(lambda: make(7, recurrent_init="identity", recurrent_gain=1.5))
    for block in np.split(W[5:], make.num_gates, axis=1):
        assert_close(block, 1.5 * np.eye(7), 0, "identity")
    W, *_ = initial_values(lambda: make(60, recurrent_init="glorot", recurrent_gain=0.5), input_size=40)
    # Uniform up to a limit, which is that of one gate's block, not of all gates together.
    assert_uniform(W[:40], np.sqrt(6 / (40 + 60)))
    assert_uniform(W[40:], 0.5 * np.sqrt(6 / (60 + 60)))


def assert_uniform(values: Any, scale: float) -> None:
    """Within +-scale up to its borders, with the mean and the variance of a uniform distribution.

    A uniform u in +-s has mean 0, variance s^2 / 3, and E u^4 = s^4 / 5, so that u^2 has the variance
    s^4 / 5 - s^4 / 9 = 4 s^4 / 45. Of N draws none lies within 20 s / N of a border with probability
    e^-10; means are off by more than 5 standard errors with 6e-7.
    """
    count = values.size
    border = scale * (1 - 20 / count)
    assert border < values.max() <= scale, f"{values.max()}, not just below {scale}"
    assert -scale <= values.min() < -border, f"{values.min()}, not just above {-scale}"
    assert abs(values.mean()) < 5 * scale * np.sqrt(1 / (3 * count)), values.mean()
    off = np.mean(values**2) - scale**2 / 3
    assert abs(off) < 5 * scale**2 * np.sqrt(4 / (45 * count)), off


@pytest.mark.parametrize(("make", "scale"), [(LSTMCell, 0.05), (GRUResetBeforeCell, 3.0)])
def test_weights_uniform_in_a_scale(make: Any, scale: float) -> None:
    def stacked() -> Any:
        return StackedCell([make(40), GRUCell(50)])

    W, *biases = initial_values(stacked, input_size=50, init_scale=scale)
    deep_W, *deep_biases = biases[-3:]
    for block in (W[:50], W[50:], *np.split(W, make.num_gates, axis=1), deep_W):
        assert_uniform(block, scale)
    _, *expected = initial_values(stacked, input_size=50)
    assert_close([*biases[:-3], *deep_biases], [*expected[:-3], *expected[-2:]], 0, "biases are unchanged")
    other, *_ = initial_values(stacked, input_size=50, init_scale=1.0, ops_before=2)
    assert_close(W, scale * other, 1e-15 * scale, "the draws of a scale of 1, stretched")


def test_initial_biases() -> None:
    assert_close(initial_values(lambda: VanillaCell(3))[1:], [np.zeros(3)], 0)
    assert_close(initial_values(lambda: GRUCell(3))[1:], [np.zeros(9), np.zeros(3)], 0)
    forget = np.array([0, 0, 1, 1, 0, 0, 0, 0])
    assert_close(initial_values(lambda: LSTMCell(2))[1:], [forget], 0, "default")
    found = initial_values(lambda: LSTMCell(2, forget_bias=-2.5))[1:]
    assert_close(found, [-2.5 * forget], 0, "forget_bias")


# --- making and building --------------------------------------------------------------------------


def test_variables_have_the_documented_names_and_shapes() -> None:
    def described(cell: Any) -> list[tuple[str, list[int]]]:
        with tf.Graph().as_default():
            assert (cell.built, cell.variables) == (False, ())
            cell.build(5)
            assert cell.built
            assert {v.dtype.base_dtype for v in cell.variables} == {tf.float32}
            return [(v.op.name, v.shape.as_list()) for v in cell.variables]

    vanilla = [("vanilla/W", [8, 3]), ("vanilla/b_s", [3])]
    assert described(VanillaCell(3)) == vanilla
    assert described(LSTMCell(3)) == [("lstm/W", [8, 12]), ("lstm/b", [12])]
    stacked = StackedCell([VanillaCell(3), StackedCell([VanillaCell(1), GRUCell(2)])])
    gru = [("gru/W", [3, 6]), ("gru/b", [6]), ("gru/b_n", [2])]
    assert described(stacked) == [*vanilla, ("vanilla_1/W", [4, 1]), ("vanilla_1/b_s", [1]), *gru]
    assert (stacked.state_size, stacked.output_size) == ((3, 1, 2), 2)
    assert LSTMCell(3).state_size == LSTMState(hidden=3, cell=3)


def test_making_a_cell_by_name() -> None:
    assert tuple(CELLS) == options.CELLS
    for name, kind in CELLS.items():
        cell = make_cell(name, 5)
        assert (type(cell), kind.name) == (kind, name)
        assert tf.nest.flatten(cell.state_size)[0] == 5
    deep = make_cell("lstm", 5, num_layers=3)
    assert [type(layer) for layer in deep.layers] == [LSTMCell] * 3
    assert deep.state_size == (LSTMState(5, 5),) * 3
    given: dict[str, Any] = {"activation": "relu", "recurrent_init": "identity", "recurrent_gain": 1.5}
    expected = initial_values(lambda: VanillaCell(4, **given))
    assert_close(initial_values(lambda: make_cell("vanilla", 4, **given)), expected, 0)
    given = {"recurrent_init": "identity", "recurrent_gain": 0.5}
    for W in initial_values(lambda: make_cell("gru", 4, 2, **given))[::3]:
        assert_close(W[-4:], np.tile(0.5 * np.eye(4), 3), 0, "every layer has the options")


ONE = VanillaCell(2)
TWICE = "cells must be different objects, got the same cell twice"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: make_cell("rnn", 5),
            "cell must be one of vanilla, gru, gru_reset_before, lstm, influence; got 'rnn'",
        ),
        (lambda: make_cell("gru", 5, 0), "num_layers must be a whole number of at least 1, got 0"),
        (lambda: make_cell("gru", 5, forget_bias=1.0), "forget_bias must be left out unless cell is lstm"),
        (lambda: make_cell("gru", 5, width=3), "width must be left out as no cell has it"),
        (
            lambda: make_cell("influence", 5, recurrent_gain=1.5),
            "recurrent_gain must be left out unless cell is vanilla or gru or gru_reset_before or lstm",
        ),
        (lambda: InfluenceCell(5, 6), "num_positive must be a whole number of at most 5, got 6"),
        (lambda: VanillaCell(0), "state_size must be a whole number of at least 1, got 0"),
        (lambda: GRUCell(2, recurrent_gain=0), "recurrent_gain must be a number above 0, got 0"),
        (lambda: GRUCell(2).build(-1), "input_size must be a whole number of at least 0, got -1"),
        (lambda: GRUCell(2).build(5, init_scale=0), "init_scale must be a number above 0, got 0"),
        (lambda: StackedCell([]), "cells must be a list of at least one cell, got []"),
        (lambda: StackedCell([2]), "cells must be a list of at least one cell, got [2]"),  # type: ignore[list-item]
        (lambda: StackedCell([ONE, GRUCell(3), ONE]), TWICE),
        (lambda: StackedCell([ONE, StackedCell([GRUCell(3), ONE])]), TWICE),
    ],
)
def test_what_is_refused(make: Callable[[], Any], message: str) -> None:
    with tf.Graph().as_default() as graph:
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            make()
        assert not graph.get_operations()


@pytest.mark.parametrize("name", ["tanh", "lstm", "stacked", "normed gru"])
def test_a_cell_is_built_once(name: str) -> None:
    given: dict[str, Any] = {"dtype": "float64", "seed": 2, "init_scale": 0.25}
    with tf.Graph().as_default():
        cell = ALL_CASES[name].make()
        cell.build(5, **given)
        variables = cell.variables
        cell.build(5, **given)
        cell.build(5, "float64")
        assert len(tf.global_variables()) == len(variables)
        assert all(a is b for a, b in zip(cell.variables, variables, strict=True))
        for option, value in {"input_size": 6, "dtype": "float32", "seed": 4, "init_scale": 0.5}.items():
            message = f"^{option} must be .*, as the cell was built, got {value!r}$"
            with pytest.raises(OptionError, match=message):
                cell.build(**{"input_size": 5, "dtype": "float64", option: value})
        with pytest.raises(OptionError, match=r"^input_size must be 5, as the cell was built, got 6$"):
            cell(tf.zeros([3, 6], tf.float64), cell.zero_state(3, tf.float64))
    other = r"^the cell's variables are in another tf\.Graph; make a new cell for this one$"
    with tf.Graph().as_default(), pytest.raises(ValueError, match=other):
        cell.build(5, tf.float64)


# --- a cell of `combine` alone -------------------------------------------------------------------


class Leaking(Cell):
    """S_t = (1 - g) S_{t-1} + g tanh(c + b_c), with g = sigmoid of the first half; b_c is a second bias."""

    name = "leaking"
    num_gates = 2

    def _make_biases(self, dtype: Any) -> tuple[Any, ...]:
        zeros = tf.zeros_initializer()
        return (
            tf.get_variable("b", [2 * self._units], dtype, zeros, use_resource=True),
            tf.get_variable("b_c", [self._units], dtype, zeros, use_resource=True),
        )

    def combine(self, weights: Weights, projected: Any, recurrent: Any, state: Any) -> tuple[Any, Any]:
        gate, candidate = tf.split(projected + recurrent, 2, axis=1)
        gate = tf.sigmoid(gate)
        return (1 - gate) * state + gate * tf.tanh(candidate + weights.biases[1]), None


@pytest.mark.parametrize("recompute", [None, 2])
@pytest.mark.usefixtures("chunks_of_two")
def test_a_cell_needs_combine_alone(recompute: int | None) -> None:
    """Its derivative is found by TensorFlow; gradients are the numeric ones."""
    run = make_run(StackedCell([Leaking(4), LSTMCell(3)]), 3, 3, input_size=6, recompute=recompute)
    assert_loss_and_slopes_agree(run)
