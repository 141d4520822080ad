"""How inputs become what a cell reads: vectors, and projections that skip making them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import assert_close, assign, new_session, random_values

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell
from tf_rnn.graph.encoding import ONE_HOT_ROWS, look_up, make_encoding
from tf_rnn.options import GraphOptions


@pytest.mark.parametrize("rows", [1, 5, ONE_HOT_ROWS, ONE_HOT_ROWS + 1])
def test_looking_up_sums_the_gradients_of_a_row(rows: int) -> None:
    generator = np.random.default_rng(101)
    table, upstream = generator.normal(size=(rows, 3)), generator.normal(size=(6, 3))
    indices = np.array([4, 0, 4, rows - 1, 0, 4]) % rows
    with tf.Graph().as_default(), new_session() as session:
        tensor = tf.constant(table)
        found = look_up(tensor, tf.constant(indices, tf.int32))
        (gradient,) = tf.gradients(found, [tensor], grad_ys=[tf.constant(upstream)])
        assert isinstance(gradient, tf.IndexedSlices) == (rows > ONE_HOT_ROWS)
        values, gradients = session.run([found, tf.convert_to_tensor(gradient)])
    assert_close(values, table[indices], 0, "rows")
    expected = np.zeros((rows, 3))
    np.add.at(expected, indices, upstream)
    assert_close(gradients, expected, 1e-14, "gradient")


KINDS: dict[str, dict[str, Any]] = {
    "classes": {"input_size": 4},
    "many classes": {"input_size": 7},
    "embedded": {"input_size": 4, "embedding_size": 5},
    "many embedded": {"input_size": 7, "embedding_size": 5},
    "real": {"input_size": 4, "input_kind": "real"},
    "none": {"input_size": 0, "input_kind": "none"},
}


# Tables of 4 classes are projected whole from 8 rows on, of 7 from 14 on.
ROWS = {
    "classes": [7, 8], "many classes": [13, 14], "embedded": [7, 8], "many embedded": [13, 14],
    "real": [8], "none": [8],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "rows"), [(kind, rows) for kind in KINDS for rows in ROWS[kind]])
def test_projections_are_those_of_the_vectors(kind: str, rows: int) -> None:
    generator = np.random.default_rng(103)
    options = GraphOptions(num_steps=2, batch_size=3, num_classes=2, dtype="float64", **KINDS[kind])
    with tf.Graph().as_default(), new_session() as session:
        cell = GRUCell(3)
        cell.build(options.vector_size, tf.float64)
        encoding = make_encoding(options, tf.zeros_initializer())
        variables = (*encoding.variables, *cell.variables)
        values = random_values(generator, variables)
        assign(session, variables, values)
        W, b = values[-3], values[-2]
        if options.input_kind == "classes":
            inputs: Any = np.array([3, 0, 2, 3, 3], np.int32)
            table = values[0] if options.embedding_size else np.eye(options.input_size)
            vectors = table[inputs]
        else:
            inputs = vectors = generator.normal(size=(5, options.input_size))
        read, weights = encoding.read(), cell.read()
        projection = encoding.projector(read, cell, weights, rows)(tf.constant(inputs))
        tensor = tf.constant(inputs)
        placeholder = encoding.placeholder(3, 2)
        assert placeholder.shape.as_list() == [3, 2, *inputs.shape[1:]], "batch first"
        assert placeholder.dtype == tensor.dtype
        given = [] if projection.vectors is None else [projection.vectors]
        found = session.run([encoding.vectors(read, tensor), projection.rows, *given])
    assert_close(found[0], vectors, 0, "vectors")
    assert_close(found[1], vectors @ W[: options.vector_size] + b, 1e-14, "projections")
    for given in found[2:]:
        assert_close(given, vectors, 0, "vectors that were projected")
