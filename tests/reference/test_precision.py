"""Products of bfloat16 operands: where they are, how near their gradients come, and what stays float32."""

from __future__ import annotations

import itertools
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import (
    ALL_CASES,
    CASES,
    Summing,
    ancestors,
    assert_close,
    gradients_of,
    make_run,
    new_session,
)

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, products
from tf_rnn.cells.products import operand, product, products_in
from tf_rnn.graph import StepGraph, UnrolledGraph
from tf_rnn.options import GraphOptions, OptionError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from helpers import Run

pytestmark = pytest.mark.usefixtures("chunks_of_two")
STEPS, BATCH = 5, 3
MIXED = "mixed_bfloat16"
# A bfloat16 number has 8 bits: rounding changes it by at most so much of itself.
ROUNDING = 2.0**-8
# By variable, a gradient is off by at most so many roundings; the worst of all is that of the embedding below
# an LSTM with layer normalisation, by 5.6.
ROUNDINGS = 8
INPUTS: dict[str, dict[str, Any]] = {
    "one-hot": {"input_size": 5},
    "many classes": {"input_size": 40, "num_classes": 40, "initial_state": "learnt"},
    "embedding": {"input_size": 5, "embedding_size": 4, "recompute": 3},
    "many vectors": {"input_size": 40, "embedding_size": 4, "num_classes": 40},
    "numbers": {"input_size": 5, "input_kind": "real", "loss": "squared_error"},
}


def set_instructions(monkeypatch: pytest.MonkeyPatch, *, has: bool) -> None:
    """Makes graphs as on a processor with instructions for bfloat16, or without."""
    monkeypatch.setattr(products, "has_bfloat16", lambda: has)


def run_in(precision: str, cell: Any, **options: Any) -> Run:
    """At weights of usual size: with larger ones the network is chaotic, and any rounding changes a lot."""
    run = make_run(cell, STEPS, BATCH, precision=precision, dtype="float32", **options)
    is_normed = any(layer.options().get("layer_norm") for layer in cell.layers)
    run.values = [value * (0.5 if is_normed else 0.25) for value in run.values]
    if run.graph.options.initial_state == "learnt":
        run.state = run.graph.zero_state()
    return run


def relative_errors(one: Run, other: Run) -> dict[str, float]:
    """By variable, the norm of the difference of two gradients over that of the other one."""
    found, expected = (run.fetch(gradients_of(run.graph)) for run in (one, other))
    return {
        variable.op.name: float(np.linalg.norm(a - b) / np.linalg.norm(b))
        for variable, a, b in zip(other.graph.variables, found, expected, strict=True)
    }


# Each class of cells once, with layer normalisation and without.
CELLS = ["tanh", "gru", "gru_reset_before", "lstm", "stacked", "normed lstm", "normed gru", "normed stacked"]
COVERING = list(zip(CELLS, itertools.cycle(INPUTS), strict=False))


def products_among(operations: Iterable[Any]) -> list[Any]:
    """The matrix products but those that are the sums of biases' gradients."""
    return [op for op in operations if op.type == "MatMul" and op.inputs[0].shape[1] != 1]


def assert_every_product_has_bfloat16_operands_each_cast_once(graph: UnrolledGraph) -> None:
    operations = ancestors([graph.train_step])
    for op in products_among(operations):
        assert {tensor.dtype for tensor in op.inputs} == {tf.bfloat16}, f"{op.name}: {list(op.inputs)}"
    casts = [op for op in operations if op.type == "Cast" and op.outputs[0].dtype == tf.bfloat16]
    assert len({op.inputs[0].name for op in casts}) == len(casts), (
        f"{len(casts)} casts, some of the same tensor"
    )
    kinds = {op.type for op in operations if any(each.dtype == tf.bfloat16 for each in op.outputs)}
    copies = {"Transpose", "ConcatV2", "Identity", "IdentityN", "StridedSlice"}
    assert kinds <= {"Cast", "MatMul", "OneHot", "Const", *copies}, f"{kinds}: too much in bfloat16"


@pytest.mark.parametrize(("cell", "inputs"), COVERING)
def test_products_are_of_bfloat16_and_gradients_those_of_float32_but_for_rounding(
    monkeypatch: pytest.MonkeyPatch, cell: str, inputs: str
) -> None:
    has = list(INPUTS).index(inputs) % 3 != 0
    set_instructions(monkeypatch, has=has)
    one, other = (run_in(each, ALL_CASES[cell].make(), **INPUTS[inputs]) for each in (MIXED, "float32"))
    if has:
        assert_every_product_has_bfloat16_operands_each_cast_once(one.graph)
    errors = relative_errors(one, other)
    assert max(errors.values()) < ROUNDINGS * ROUNDING, f"{errors}"
    assert max(errors.values()) > ROUNDING / 8, f"{errors}: nothing is rounded"


def test_weights_products_are_joined_up_to_so_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunks of 5 steps have 2, 2 and 1; a weight's gradient is a product for each group of them."""
    set_instructions(monkeypatch, has=True)
    options = INPUTS["many vectors"]
    exact = run_in("float32", StackedCell([LSTMCell(4), GRUCell(3)]), **options)
    for rows, groups in {1: [2, 2, 1], 5 * BATCH - 1: [4, 1], 5 * BATCH: [5]}.items():
        monkeypatch.setattr(products, "JOINED_ROWS", rows)
        run = run_in(MIXED, StackedCell([LSTMCell(4), GRUCell(3)]), **options)
        operations = products_among(ancestors([run.graph.train_step]))
        left = [op.inputs[0] for op in operations if op.get_attr("transpose_a")]
        read = [int(each.shape[0]) for each in left if each.op.type != "OneHot"]
        weights = 5  # an input and a recurrent kernel of each of two layers, and the readout's
        assert sorted(read) == sorted(BATCH * steps for steps in groups * weights), f"up to {rows}"
        errors = relative_errors(run, exact)
        assert max(errors.values()) < ROUNDINGS * ROUNDING, f"up to {rows}: {errors}"


def test_without_instructions_all_tensors_but_casts_are_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    set_instructions(monkeypatch, has=False)
    graph = run_in(MIXED, LSTMCell(4), input_size=5, input_kind="real").graph
    operations = ancestors([graph.train_step])
    found = [op for op in operations if any(each.dtype == tf.bfloat16 for each in op.outputs)]
    assert {op.type for op in found} == {"Cast", "ConcatV2", "IdentityN"}
    readers = {reader.type for op in found for reader in op.outputs[-1].consumers()}
    assert readers == {"Cast", "ConcatV2", "IdentityN"}, "a product reads bfloat16"


@pytest.mark.parametrize(
    ("cell", "inputs"), [("stacked", "many vectors"), ("gru_reset_before", "numbers"), ("tanh", "one-hot")]
)
def test_a_float32_graph_is_the_one_of_plain_products(
    monkeypatch: pytest.MonkeyPatch, cell: str, inputs: str
) -> None:
    """Operation for operation, with all their attributes."""
    made = []
    for is_plain in (False, True):
        if is_plain:
            for name, plain in (("product", tf.matmul), ("operand", lambda tensor: tensor)):
                users = [each for each in sys.modules.values() if name in getattr(each, "__dict__", {})]
                own = getattr(products, name)
                for module in (each for each in users if vars(each)[name] is own):
                    monkeypatch.setattr(module, name, plain)
        run = make_run(CASES[cell].make(), STEPS, BATCH, dtype="float32", seed=1, **INPUTS[inputs])
        made.append(run.graph.tf_graph.as_graph_def())
    assert made[0] == made[1]


@pytest.mark.parametrize("has", [True, False])
@pytest.mark.parametrize(
    ("transpose_a", "transpose_b"), [(False, False), (False, True), (True, False), (True, True)]
)
def test_a_product_is_that_of_the_rounded_operands(
    monkeypatch: pytest.MonkeyPatch, has: bool, transpose_a: bool, transpose_b: bool
) -> None:
    """And its gradient that of rounded operands and of what flows back, rounded; sums are not rounded."""
    set_instructions(monkeypatch, has=has)
    rng = np.random.default_rng(7)
    left, right, upstream = (rng.normal(size=size).astype(np.float32) for size in ((3, 5), (5, 4), (3, 4)))
    with tf.Graph().as_default() as graph:
        a, b, d = tf.constant(left), tf.constant(right), tf.constant(upstream)
        given = [tf.transpose(a) if transpose_a else a, tf.transpose(b) if transpose_b else b]
        with products_in(MIXED):
            made = [product(*given, transpose_a=transpose_a, transpose_b=transpose_b) for _ in range(3)]
        rounded = [tf.cast(tf.cast(each, tf.bfloat16), tf.float32) for each in (a, b, d)]
        d_a, d_b = tf.gradients(made, [a, b], [d] * 3)
    with new_session(graph) as session:
        (x, y, z), found = session.run([rounded, [made[0], d_a, d_b]])
    allowed = [np.abs(each) * 2 * ROUNDING * has + 1e-6 for each in (x @ y, z @ y.T, x.T @ z)]
    expected = [x @ y, 3 * z @ y.T, 3 * x.T @ z]
    for one, other, most in zip(found, expected, allowed, strict=True):
        assert one.dtype == np.float32
        assert (np.abs(one - other) <= 3 * most).all(), f"{one}, not {other}"
    assert not np.array_equal(found[1], rounded_to_bfloat16(found[1])), "the sum of three is rounded"


def rounded_to_bfloat16(values: Any) -> Any:
    with new_session(tf.Graph()) as session, session.graph.as_default():
        return session.run(tf.cast(tf.cast(tf.constant(values), tf.bfloat16), tf.float32))


def test_a_products_operands_are_cast_at_the_first_use() -> None:
    with tf.Graph().as_default() as graph, products_in(MIXED):
        a = tf.ones([2, 2])
        assert operand(a) is operand(a)
        assert operand(operand(tf.cast(a, tf.bfloat16))).dtype == tf.bfloat16
        with products_in("float32"):
            assert operand(a) is a
    del graph


def test_what_is_measured_and_run_is_float32() -> None:
    """Forward graphs and single steps of a graph in mixed_bfloat16 are those of one in float32."""
    found = []
    for precision in (MIXED, "float32"):
        run = run_in(precision, CASES["gru"].make(), input_size=5)
        forward, step = run.graph.forward(num_steps=3), StepGraph.of(run.graph, BATCH)
        assert forward.options.precision == step.options.precision == "float32"
        assert run.graph.with_steps(3).options.precision == precision
        run.graph, run.inputs, run.targets = forward, run.inputs[:, :3], run.targets[:, :3]
        run.more = {step.input: run.inputs[:, 0], step.init_state: run.state}
        found.append(run.fetch([forward.losses, forward.predictions, step.prediction]))
    assert_close(found[0], found[1], 0, "float32")


def test_what_flows_back_whoever_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow's own gradient of the loss, asked for later, is that of the same products."""
    set_instructions(monkeypatch, has=True)
    run = run_in(MIXED, LSTMCell(4), **INPUTS["many vectors"])
    with run.graph.tf_graph.as_default():
        asked = tf.gradients(run.graph.total_loss, list(run.graph.variables))
        asked = [tf.convert_to_tensor(gradient) for gradient in asked]
    found, expected = run.fetch([asked, gradients_of(run.graph)])
    for variable, one, other in zip(run.graph.variables, found, expected, strict=True):
        error = np.linalg.norm(one - other) / np.linalg.norm(other)
        assert error < 4 * ROUNDING, f"{variable.name}: {error}"
    assert {op.inputs[0].dtype for op in products_among(ancestors(asked))} == {tf.bfloat16}


def test_cells_that_do_their_own_products_are_refused() -> None:
    message = f"^precision must be 'float32' for a third-party cell, got '{MIXED}'$"
    with tf.Graph().as_default(), pytest.raises(OptionError, match=message):
        UnrolledGraph(Summing(), STEPS, BATCH, 3, 4, input_kind="real", precision=MIXED)


def test_float64_is_not_mixed() -> None:
    message = f"^precision must be 'float32' where dtype is 'float64', got '{MIXED}'$"
    with pytest.raises(OptionError, match=message):
        GraphOptions(num_steps=1, batch_size=1, input_size=2, num_classes=2, dtype="float64", precision=MIXED)
