"""The recurrent product has the gradients of the product that it is, and lays W^T out once."""

from __future__ import annotations

import numpy as np
from helpers import assert_close

from tf_rnn._tensorflow import tf
from tf_rnn.cells import LSTMCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.products import recurrent_product

ROWS, D, COLUMNS = 3, 5, 7


def test_values_and_gradients_are_those_of_the_product() -> None:
    """Against NumPy, and of the matrix too: whoever asks for it gets the whole sum over uses."""
    rng = np.random.default_rng(1)
    one, two = rng.standard_normal((2, ROWS, D))
    matrix, upstream = rng.standard_normal((D, COLUMNS)), rng.standard_normal((ROWS, COLUMNS))
    with tf.Graph().as_default(), tf.Session() as session:
        rows, W = [tf.constant(one), tf.constant(two)], tf.constant(matrix)
        products = [recurrent_product(H, W) for H in rows]
        gradients = tf.gradients(products, [*rows, W], [tf.constant(upstream)] * 2)
        found, found_gradients = session.run([products, gradients])
    assert_close(found, [one @ matrix, two @ matrix], 1e-14, "products")
    assert_close(found_gradients[:2], [upstream @ matrix.T] * 2, 1e-14, "of the rows")
    assert_close(found_gradients[2], (one + two).T @ upstream, 1e-14, "of the matrix")


def test_a_matrix_is_transposed_once_however_wide_the_graph() -> None:
    counts = {}
    for num_steps in (2, 9):
        graph = UnrolledGraph(LSTMCell(4), num_steps, 3, 5, 2).tf_graph
        counts[num_steps] = sum(operation.type == "Transpose" for operation in graph.get_operations())
    assert counts[2] == counts[9], counts


def test_each_graph_and_each_matrix_has_a_transpose_of_its_own() -> None:
    for _ in range(2):
        with tf.Graph().as_default() as graph, tf.Session() as session:
            matrices = [tf.fill([2, 3], value) for value in (1.0, 5.0)]
            rows = tf.ones([1, 2])
            gradients = [tf.gradients(recurrent_product(rows, matrix), rows)[0] for matrix in matrices]
            assert all(gradient.graph is graph for gradient in gradients)
            expected = [np.full([1, 2], 3.0), np.full([1, 2], 15.0)]
            assert_close(session.run(gradients), expected, 0, "gradients")
