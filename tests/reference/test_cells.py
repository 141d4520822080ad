"""The cells against NumPy, numeric gradients, Keras and TensorFlow's own unrolling; their errors."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import (
    CASES,
    assert_close,
    assert_gradients_agree,
    assert_slopes_agree,
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

EVERY_CELL = pytest.mark.parametrize("name", list(CASES))


@EVERY_CELL
@pytest.mark.parametrize(("batch_size", "input_size"), [(3, 5), (1, 5), (3, 1), (3, 0), (1, 0)])
def test_a_step_is_that_of_the_formulas(name: str, batch_size: int, input_size: int) -> None:
    generator = np.random.default_rng(11)
    with tf.Graph().as_default(), new_session() as session:
        cell = CASES[name].make()
        inputs = tf.placeholder(tf.float64, [batch_size, input_size])
        zero_state = cell.zero_state(batch_size, tf.float64)
        output, state = cell(inputs, zero_state)
        values = random_values(generator, cell.variables)
        assign(session, cell.variables, values)
        x, before = generator.normal(size=inputs.shape), random_state(generator, zero_state)
        fed = dict(zip(tf.nest.flatten(zero_state), tf.nest.flatten(before), strict=True))
        found = session.run((output, state), {inputs: x, **fed})
        assert_close(found, CASES[name].step(values, x, before), 1e-12, name)
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


@EVERY_CELL
def test_gradients_are_the_numeric_ones(name: str) -> None:
    generator = np.random.default_rng(23)
    batch_size, num_steps, input_size = 3, 4, 5
    with tf.Graph().as_default(), new_session() as session:
        cell = CASES[name].make()
        inputs = tf.placeholder(tf.float64, [num_steps, batch_size, input_size])
        init_state = cell.zero_state(batch_size, tf.float64)
        outputs, states = unroll(cell, tf.unstack(inputs), init_state)
        shown = tf.nest.flatten([outputs, states[-1]])
        weighted = [tf.reduce_sum(tensor * generator.normal(size=tensor.shape)) for tensor in shown]
        scalar = tf.add_n(weighted)
        wanted = [inputs, *tf.nest.flatten(init_state), *cell.variables]
        gradients = tf.gradients(scalar, wanted)

        values = random_values(generator, cell.variables, 0.4)
        before = tf.nest.flatten(random_state(generator, init_state))
        arrays = [generator.normal(size=inputs.shape), *before, *values]
        tensors = [inputs, *tf.nest.flatten(init_state)]

        def run(fetch: Any) -> Any:
            assign(session, cell.variables, values)
            return session.run(fetch, dict(zip(tensors, arrays, strict=False)))

        found = run(gradients)
        for tensor, gradient, array in zip(wanted, found, arrays, strict=True):
            expected = numeric_gradient(lambda: float(run(scalar)), array)
            assert np.abs(expected).max() > 1e-3, f"nothing to compare for {tensor.name}"
            assert_close(gradient, expected, 1e-7, f"{name}, {tensor.name}")


LAYERS = [name for name in CASES if len(CASES[name].make().layers) == 1]


@pytest.mark.parametrize("name", LAYERS)
def test_the_way_back_is_the_derivative_of_the_step(name: str) -> None:
    """`backward` against `tf.gradients` of `combine`, and against differences of it.

    The local derivatives are computed together with those of another step.
    """
    generator = np.random.default_rng(29)
    batch_size = 3
    with tf.Graph().as_default(), new_session() as session:
        cell = CASES[name].make()
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
        own_others = list(cell.other_bias_gradients([step.recurrent[:2], step.recurrent[2:]]))

        assign(session, cell.variables, random_values(generator, cell.variables))
        arrays = [generator.normal(size=tensor.shape) for tensor in wanted]
        fed = dict(zip(wanted, arrays, strict=True))
        found, found_expected = session.run([[pair[0] for pair in pairs], [pair[1] for pair in pairs]], fed)
        assert_close(found, found_expected, 1e-14, name)
        found_others, expected_others = session.run([own_others, of_others], fed)
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
    if name == "gru":
        gates = np.split(W, 3, axis=1)
        (z, r, h), (_z, _r, _h) = np.split(bias[0], 3), np.split(bias[1], 3)
        return [
            np.concatenate([gates[1], gates[0], gates[2]], axis=1),
            np.concatenate([r + _r, z + _z, h]),
            _h,
        ]
    return [W, bias]


@pytest.mark.parametrize("name", ["tanh", "relu", "gru", "lstm"])
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


@pytest.mark.parametrize(("activation", "f"), [("tanh", np.tanh), ("relu", lambda x: x * (x > 0))])
def test_concatenated_and_split_form_are_one_function(activation: str, f: Callable[[Any], Any]) -> None:
    generator = np.random.default_rng(41)
    x, S = generator.normal(size=(3, 5)), generator.normal(size=(3, 7))
    with tf.Graph().as_default(), new_session() as session:
        cell = VanillaCell(7, activation)
        output, _ = cell(tf.constant(x), tf.constant(S))
        values = random_values(generator, cell.variables)
        assign(session, cell.variables, values)
        found = session.run(output)
    (W, b), (U, W_s) = values, (values[0][:5], values[0][5:])
    assert_close(found, f(np.concatenate([x, S], axis=1) @ W + b), 1e-14, "concatenated")
    assert_close(found, f(x @ U + S @ W_s + b), 1e-14, "split")


@EVERY_CELL
@pytest.mark.parametrize(
    ("built", "with_state"), [(True, True), (False, False)], ids=["built-state", "lazy-zero"]
)
def test_tensorflows_own_unrolling_gives_the_same(name: str, built: bool, with_state: bool) -> None:
    generator = np.random.default_rng(43)
    x = generator.normal(size=(3, 4, 5))

    def run_static(cell: Any, state: Any) -> tuple[Any, Any]:
        steps = tf.unstack(tf.constant(x), axis=1)
        outputs, last = tf.nn.static_rnn(cell, steps, state, dtype=tf.float64)
        return tf.stack(outputs, axis=1), last

    def run_dynamic(cell: Any, state: Any) -> tuple[Any, Any]:
        inputs = tf.constant(x)
        outputs, last = tf.nn.dynamic_rnn(cell, inputs, initial_state=state, dtype=tf.float64)
        return outputs, last

    def run_ours(cell: Any, state: Any) -> tuple[Any, Any]:
        first = cell.zero_state(3, tf.float64) if state is None else state
        outputs, states = unroll(cell, tf.unstack(tf.constant(x), axis=1), first)
        return tf.stack(outputs, axis=1), states[-1]

    before = random_state(generator, CASES[name].make().zero_state(3)) if with_state else None
    values: list[Any] = []
    results = []
    for run in (run_ours, run_static, run_dynamic):
        with tf.Graph().as_default(), new_session() as session:
            cell = CASES[name].make()
            if built:
                cell.build(5, tf.float64)
            state = tf.nest.map_structure(tf.constant, before) if with_state else None
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
    start = before if with_state else zero
    outputs_in_numpy, _ = run_steps(CASES[name].step, values, np.moveaxis(x, 1, 0), start)
    assert_close(results[0][0], np.stack(outputs_in_numpy, axis=1), 1e-12, "NumPy")
    assert_close(results[1], results[0], 1e-12, "static_rnn")
    assert_close(results[2], results[0], 1e-12, "dynamic_rnn")


def initial_values(
    make: Callable[[], Any],
    seed: int | None = 5,
    input_size: int = 5,
    ops_before: int = 0,
    init_scale: float | None = None,
) -> list[Any]:
    with tf.Graph().as_default(), new_session() as session:
        for _ in range(ops_before):
            tf.random_normal([2])
        cell = make()
        cell.build(input_size, tf.float64, seed, init_scale)
        session.run(tf.global_variables_initializer())
        values: list[Any] = session.run(list(cell.variables))
        return values


@EVERY_CELL
def test_initial_values_are_functions_of_seed_and_name(name: str) -> None:
    make = CASES[name].make
    first = initial_values(make)
    assert_close(initial_values(make, ops_before=3), first, 0, "operations made before")
    other = initial_values(make, seed=6)
    assert np.abs(other[0] - first[0]).min() > 0, "another seed gave some of the same weights"


def test_every_variable_has_a_seed_of_its_own() -> None:
    # Two layers of one shape: equal seeds would show as equal weights.
    one, other = initial_values(lambda: StackedCell([VanillaCell(5), VanillaCell(5)]))[::2]
    assert np.abs(one - other).min() > 0
    gates = np.split(initial_values(lambda: LSTMCell(5))[0], 4, axis=1)
    for number, gate in enumerate(gates):
        for another in gates[:number]:
            assert np.abs(gate - another).min() > 0, "two gates start from the same weights"
    without_seed = [initial_values(lambda: GRUCell(3), seed=None)[0] for _ in range(2)]
    assert np.abs(without_seed[0] - without_seed[1]).min() > 0


@pytest.mark.parametrize("make", [VanillaCell, GRUCell, LSTMCell])
@pytest.mark.parametrize(("input_size", "d"), [(5, 7), (1, 1), (0, 7)])
def test_every_gate_starts_from_an_orthogonal_block(make: Any, input_size: int, d: int) -> None:
    W, *_ = initial_values(lambda: make(d), input_size=input_size)
    assert W.shape == (input_size + d, make.num_gates * d)
    for block in np.split(W[input_size:], make.num_gates, axis=1):
        assert_close(block @ block.T, np.eye(d), 1e-12, "W_s W_s^T")


@pytest.mark.parametrize("make", [VanillaCell, GRUCell, LSTMCell])
def test_other_initial_blocks(make: Any) -> None:
    W, *_ = initial_values(lambda: make(7, recurrent_init="identity"))
    for block in np.split(W[5:], make.num_gates, axis=1):
        assert_close(block, np.eye(7), 0, "identity")
    W, *_ = initial_values(lambda: make(60, recurrent_init="glorot"), input_size=40)
    inputs, recurrent = W[:40], W[40:]
    # Uniform in +-limit: within it, and with thousands of draws close to it on both sides. The limit
    # is that of one gate's block, not of all gates together.
    for block, size in [(inputs, 40), (recurrent, 60)]:
        limit = np.sqrt(6 / (size + 60))
        assert 0.99 * limit < block.max() <= limit, f"{block.max()}, not just below {limit}"
        assert -limit <= block.min() < -0.99 * limit, f"{block.min()}, not just above {-limit}"


@pytest.mark.parametrize("make", [VanillaCell, GRUCell, LSTMCell])
@pytest.mark.parametrize("gain", [1.5, 0.25])
def test_orthogonal_blocks_have_their_gain_as_spectral_radius(make: Any, gain: float) -> None:
    W, *_ = initial_values(lambda: make(7, recurrent_gain=gain))
    plain, *_ = initial_values(lambda: make(7))
    for block in np.split(W[5:], make.num_gates, axis=1):
        # Of an orthogonal matrix every eigenvalue, and every singular value, has size 1.
        assert_close(np.abs(np.linalg.eigvals(block)), np.full(7, gain), 1e-12, "eigenvalues")
        assert_close(np.linalg.svd(block)[1], np.full(7, gain), 1e-12, "singular values")
    assert_close(W[:5], plain[:5], 0, "rows that meet the inputs")
    assert_close(W[5:], gain * plain[5:], 0, "rows that meet the state")


@pytest.mark.parametrize("init", ["identity", "glorot"])
def test_the_gain_is_of_other_initial_blocks_too(init: str) -> None:
    W, *_ = initial_values(lambda: LSTMCell(3, recurrent_init=init, recurrent_gain=1.5))
    plain, *_ = initial_values(lambda: LSTMCell(3, recurrent_init=init))
    assert_close(W, np.concatenate([plain[:5], 1.5 * plain[5:]]), 0, init)


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


@pytest.mark.parametrize("make", [VanillaCell, GRUCell, LSTMCell])
@pytest.mark.parametrize("scale", [0.05, 3.0])
def test_weights_uniform_in_a_scale(make: Any, scale: float) -> None:
    W, *biases = initial_values(lambda: make(40), input_size=50, init_scale=scale)
    assert W.shape == (90, 40 * make.num_gates)
    for block in (W, W[:50], W[50:], *np.split(W, make.num_gates, axis=1)):
        assert_uniform(block, scale)
    _, *expected = initial_values(lambda: make(40), input_size=50)
    assert_close(biases, expected, 0, "biases are as they were")
    # The same draws, stretched: the values of one seed and name.
    other, *_ = initial_values(lambda: make(40), input_size=50, init_scale=1.0, ops_before=2)
    assert_close(W, scale * other, 1e-15 * scale, "another scale")
    another, *_ = initial_values(lambda: make(40), seed=6, input_size=50, init_scale=scale)
    assert np.abs(another - W).min() > 0
    assert_close(initial_values(lambda: make(40), init_scale=None), initial_values(lambda: make(40)), 0)


def test_every_layer_is_uniform_in_a_scale() -> None:
    W, *_, deep_W, _ = initial_values(lambda: StackedCell([GRUCell(50), LSTMCell(50)]), init_scale=0.1)
    for values in (W, deep_W):
        assert_uniform(values, 0.1)
    one, other = initial_values(lambda: StackedCell([VanillaCell(5), VanillaCell(5)]), init_scale=0.1)[::2]
    assert np.abs(one - other).min() > 0, "two layers start from the same weights"


@pytest.mark.parametrize("scale", [0, -0.1, float("inf"), "0.1", True])
def test_init_scale_is_above_0(scale: Any) -> None:
    message = f"^init_scale must be a number above 0, got {re.escape(repr(scale))}$"
    with tf.Graph().as_default() as graph:
        with pytest.raises(OptionError, match=message):
            GRUCell(3).build(5, init_scale=scale)
        assert not graph.get_operations()


def test_initial_biases() -> None:
    assert_close(initial_values(lambda: VanillaCell(3))[1:], [np.zeros(3)], 0)
    assert_close(initial_values(lambda: GRUCell(3))[1:], [np.zeros(9), np.zeros(3)], 0)
    expected = np.array([0, 0, 1, 1, 0, 0, 0, 0])
    assert_close(initial_values(lambda: LSTMCell(2))[1:], [expected], 0, "default")
    found = initial_values(lambda: LSTMCell(2, forget_bias=-2.5))[1:]
    assert_close(found, [-2.5 * expected], 0, "forget_bias")


def test_variables_have_the_documented_names_and_shapes() -> None:
    def described(cell: Any) -> list[Any]:
        with tf.Graph().as_default():
            assert not cell.built
            assert cell.variables == ()
            cell.build(5)
            assert cell.built
            return [(v.op.name, v.shape.as_list(), v.dtype.base_dtype) for v in cell.variables]

    f = tf.float32
    vanilla = [("vanilla/W", [8, 3], f), ("vanilla/b_s", [3], f)]
    assert described(VanillaCell(3)) == vanilla
    gru = [("gru/W", [8, 9], f), ("gru/b", [9], f), ("gru/b_n", [3], f)]
    assert described(GRUCell(3)) == gru
    assert described(LSTMCell(3)) == [("lstm/W", [8, 12], f), ("lstm/b", [12], f)]
    stacked = StackedCell([VanillaCell(3), StackedCell([VanillaCell(1), GRUCell(2)])])
    assert described(stacked) == [
        *vanilla,
        ("vanilla_1/W", [4, 1], f),
        ("vanilla_1/b_s", [1], f),
        ("gru/W", [3, 6], f),
        ("gru/b", [6], f),
        ("gru/b_n", [2], f),
    ]
    assert stacked.state_size == (3, 1, 2)
    assert stacked.output_size == 2
    assert LSTMCell(3).state_size == LSTMState(hidden=3, cell=3)


def test_registry_has_the_words_of_config() -> None:
    assert tuple(CELLS) == options.CELLS
    assert {name: cell.name for name, cell in CELLS.items()} == {name: name for name in CELLS}
    assert CELLS["lstm"] is LSTMCell


def test_making_a_cell_by_name() -> None:
    for name, kind in CELLS.items():
        cell = make_cell(name, 5)
        assert type(cell) is kind
        assert tf.nest.flatten(cell.state_size)[0] == 5
    deep = make_cell("lstm", 5, num_layers=3)
    assert [type(layer) for layer in deep.layers] == [LSTMCell] * 3
    assert deep.state_size == (LSTMState(5, 5),) * 3
    words = "cell must be one of vanilla, gru, lstm, influence; got 'rnn'"
    with pytest.raises(OptionError, match=f"^{words}$"):
        make_cell("rnn", 5)
    with pytest.raises(OptionError, match=r"^num_layers must be a whole number of at least 1, got 0$"):
        make_cell("gru", 5, num_layers=0)


def test_making_a_cell_with_options() -> None:
    options: dict[str, Any] = {"activation": "relu", "recurrent_init": "identity", "recurrent_gain": 1.5}
    assert_close(
        initial_values(lambda: make_cell("vanilla", 4, **options)),
        initial_values(lambda: VanillaCell(4, **options)),
        0,
    )
    deep = initial_values(lambda: make_cell("gru", 4, 2, recurrent_init="identity", recurrent_gain=0.5))
    for W in deep[::3]:
        assert_close(W[-4:], np.tile(0.5 * np.eye(4), 3), 0, "every layer has the options")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lstm", {"activation": "relu"}, "activation must be left out unless cell is vanilla"),
        ("gru", {"forget_bias": 1.0}, "forget_bias must be left out unless cell is lstm"),
        (
            "influence",
            {"recurrent_gain": 1.5},
            "recurrent_gain must be left out unless cell is vanilla or gru or lstm",
        ),
        ("vanilla", {"num_positive": 3}, "num_positive must be left out unless cell is influence"),
        ("gru", {"width": 3}, "width must be left out as no cell has it"),
        ("lstm", {"forget_bias": "high"}, "forget_bias must be a number, got 'high'"),
        ("lstm", {"forget_bias": float("nan")}, "forget_bias must be a number, got nan"),
        ("influence", {"start": [1]}, "start must be a number, got [1]"),
        ("influence", {"num_positive": 6}, "num_positive must be a whole number of at most 5, got 6"),
        ("influence", {"num_positive": -1}, "num_positive must be a whole number of at least 0, got -1"),
        ("influence", {"num_positive": True}, "num_positive must be a whole number of at least 0, got True"),
        ("vanilla", {"recurrent_gain": "1"}, "recurrent_gain must be a number above 0, got '1'"),
        (
            "vanilla",
            {"recurrent_gain": 10**400},
            f"recurrent_gain must be a number above 0, got 1{99 * '0'} ... {20 * '0'}",
        ),
        ("vanilla", {"recurrent_gain": 0}, "recurrent_gain must be a number above 0, got 0"),
        ("lstm", {"recurrent_gain": -1.5}, "recurrent_gain must be a number above 0, got -1.5"),
        ("gru", {"recurrent_gain": float("inf")}, "recurrent_gain must be a number above 0, got inf"),
        ("vanilla", {"activation": "gelu"}, "activation must be one of tanh, relu; got 'gelu'"),
        (
            "gru",
            {"recurrent_init": "eye"},
            "recurrent_init must be one of orthogonal, glorot, identity; got 'eye'",
        ),
    ],
)
def test_options_of_other_cells_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make_cell(name, 5, **options)


ONE = VanillaCell(2)
WHOLE = "state_size must be a whole number of at least 1, got "
INITS = "recurrent_init must be one of orthogonal, glorot, identity; got "


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VanillaCell(0), WHOLE + "0"),
        (lambda: GRUCell(-1), WHOLE + "-1"),
        (lambda: LSTMCell(2.5), WHOLE + "2.5"),  # type: ignore[arg-type]
        (lambda: LSTMCell(True), WHOLE + "True"),
        (lambda: VanillaCell("3"), WHOLE + "'3'"),  # type: ignore[arg-type]
        (lambda: VanillaCell(2, "sigmoid"), "activation must be one of tanh, relu; got 'sigmoid'"),
        (lambda: VanillaCell(2, recurrent_init="eye"), INITS + "'eye'"),
        (lambda: GRUCell(2, "zeros"), INITS + "'zeros'"),
        (lambda: LSTMCell(2, recurrent_init=None), INITS + "None"),  # type: ignore[arg-type]
        (lambda: StackedCell([]), "cells must be a list of at least one cell, got []"),
        (lambda: StackedCell([2]), "cells must be a list of at least one cell, got [2]"),  # type: ignore[list-item]
        (
            lambda: StackedCell([ONE, GRUCell(3), ONE]),
            "cells must be different objects, got the same cell twice",
        ),
        (
            lambda: StackedCell([ONE, StackedCell([GRUCell(3), ONE])]),
            "cells must be different objects, got the same cell twice",
        ),
    ],
)
def test_option_errors(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        make()


@EVERY_CELL
def test_a_cell_is_built_once(name: str) -> None:
    with tf.Graph().as_default():
        cell = CASES[name].make()
        cell.build(5, tf.float64)
        variables = cell.variables
        cell.build(5, tf.float64)
        assert len(tf.global_variables()) == len(variables)
        assert all(a is b for a, b in zip(cell.variables, variables, strict=True))
        size = r"^input_size must be 5, as the cell was built, got 6$"
        with pytest.raises(OptionError, match=size):
            cell.build(6, tf.float64)
        with pytest.raises(OptionError, match=size):
            cell(tf.zeros([3, 6], tf.float64), cell.zero_state(3, tf.float64))
        dtype = r"^dtype must be 'float64', as the cell was built, got 'float32'$"
        with pytest.raises(OptionError, match=dtype):
            cell.build(5, "float32")
    other = r"^the cell's variables are in another tf\.Graph; make a new cell for this one$"
    with tf.Graph().as_default(), pytest.raises(ValueError, match=other):
        cell.build(5, tf.float64)


@pytest.mark.parametrize("size", [-1, 1.5])
def test_input_size_is_whole(size: Any) -> None:
    message = f"^input_size must be a whole number of at least 0, got {re.escape(str(size))}$"
    with tf.Graph().as_default(), pytest.raises(OptionError, match=message):
        GRUCell(3).build(size)


@pytest.mark.parametrize(
    ("option", "make"),
    [
        ("recurrent_gain", lambda value: GRUCell(3, recurrent_gain=abs(value))),
        ("forget_bias", lambda value: LSTMCell(3, forget_bias=value)),
        ("start", lambda value: InfluenceCell(start=value)),
    ],
)
def test_weights_start_from_numbers_of_the_dtype(option: str, make: Callable[[float], Any]) -> None:
    """A larger one would be inf. What is refused has made no variable; float64 has it."""

    def step(cell: Any, dtype: str) -> None:
        cell(tf.zeros([2, 1], dtype), cell.zero_state(2, dtype))

    with tf.Graph().as_default():
        cell = make(-1e39)
        shown = r"-?1e\+39"
        with pytest.raises(OptionError, match=f"^{option} must be a number that float32 has, got {shown}$"):
            step(cell, "float32")
        assert tf.global_variables() == []
        step(cell, "float64")


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
def test_a_cell_needs_combine_alone(monkeypatch: pytest.MonkeyPatch, recompute: int | None) -> None:
    """Its derivative is found by TensorFlow; gradients are the naive ones and the numeric ones."""
    monkeypatch.setattr("tf_rnn.graph.chunks.TINY_STEP", 0)
    monkeypatch.setattr("tf_rnn.graph.chunks.CHUNK_STEPS", 2)
    run = make_run(StackedCell([Leaking(4), LSTMCell(3)]), 5, 3, input_size=6, recompute=recompute)
    assert_gradients_agree(run)
    assert_slopes_agree(run)


# --- seeds ---------------------------------------------------------------------------------------


def test_initial_weights_are_a_function_of_the_seed_alone() -> None:
    """Whatever else is in the tf.Graph, and whatever scope the cell is built in."""

    def build(seed: int) -> list[Any]:
        cell = StackedCell([VanillaCell(4), LSTMCell(3), VanillaCell(4)])
        cell.build(4, seed=seed)
        return [layer.variables[0] for layer in cell.layers]

    with tf.Graph().as_default(), new_session() as session:
        kernels = [build(5)]
        with tf.variable_scope("elsewhere"):
            kernels += [build(5), build(6)]
        session.run(tf.global_variables_initializer())
        first, same, other = session.run(kernels)
    assert_close(same, first, 0, "the same seed")
    assert np.abs(other[0] - first[0]).max() > 1e-3, "another seed"
    below, above = first[0], first[2][3:]
    assert np.abs(below[-4:] - above).max() > 1e-3, "layers differ"


@pytest.mark.parametrize(("option", "value"), [("seed", 4), ("init_scale", 0.5)])
def test_a_second_build_with_another_start_is_refused(option: str, value: float) -> None:
    with tf.Graph().as_default():
        cell = VanillaCell(4)
        cell.build(3, seed=2, init_scale=0.25)
        cell.build(3)
        cell.build(3, seed=2, init_scale=0.25)
        with pytest.raises(OptionError, match=f"^{option} must be .*, as the cell was built, got {value}$"):
            cell.build(3, **{option: value})  # type: ignore[arg-type]
