"""A prepared run gives what a run of the session gives, and refuses what would not fit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn._tensorflow import tf
from tf_rnn.graph.prepared import make_callable
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

PRIVATE = "_make_callable_from_options"
ROWS = np.array([[1.5, -2.0, 0.25], [4.0, 8.0, -0.5]])


class Small(NamedTuple):
    """A graph with something of everything."""

    matrix: Any
    rows: Any
    scale: Any
    variable: Any
    product: Any
    counted: Any
    session: Any


@pytest.fixture
def small() -> Iterator[Small]:
    with tf.Graph().as_default():
        matrix = tf.placeholder(tf.float64, [2, 3], name="deep/matrix")
        rows = tf.placeholder(tf.int32, [None, 2], name="rows")
        scale = tf.placeholder_with_default(tf.constant(2.0), [], name="scale")
        variable = tf.get_variable("count", [], tf.float64, tf.zeros_initializer(), use_resource=True)
        product = matrix * tf.cast(scale, tf.float64)
        counted = variable.assign_add(tf.cast(tf.reduce_sum(rows), tf.float64)).op
        with tf.Session() as session:
            session.run(variable.initializer)
            yield Small(matrix, rows, scale, variable, product, counted, session)


def test_every_kind_of_fetch_comes_back_in_its_place(small: Small) -> None:
    fetches = [
        small.counted,
        {"twice": small.product, "nested": (small.rows + 1, small.counted)},
        small.product,
        small.variable,
    ]
    run = make_callable(small.session, fetches, [small.matrix, small.rows])
    counted, nested, product, _ = run(ROWS, np.array([[1, 2], [3, 4], [5, 6]], np.int32))
    assert counted is None
    assert_close(product, 2 * ROWS, 0)
    assert_close(nested["twice"], 2 * ROWS, 0)
    assert_close(nested["nested"][0], np.array([[2, 3], [4, 5], [6, 7]]), 0)
    assert nested["nested"][1] is None
    assert small.session.run(small.variable) == 21, "it is run once however often it is fetched"
    run(ROWS, np.array([[7, 9]], np.int32))
    assert small.session.run(small.variable) == 37


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((ROWS.T, [[1, 2]]), "matrix must have shape [2, 3], got [3, 2]"),
        ((5.0, [[1, 2]]), "matrix must have shape [2, 3], got []"),
        ((ROWS, [[1, 2, 3]]), "rows must have shape [None, 2], got [1, 3]"),
        ((ROWS, [1, 2]), "rows must have shape [None, 2], got [2]"),
        ((), "values must be 2 (matrix, rows), got 0"),
        ((ROWS, [[1, 2]], 2.0), "values must be 2 (matrix, rows), got 3"),
    ],
)
def test_another_shape_or_number_is_refused(small: Small, values: tuple[Any, ...], message: str) -> None:
    """Broadcast it would be a wrong result without a word."""
    run = make_callable(small.session, [small.product, small.rows + 1], [small.matrix, small.rows])
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(*values)


def test_the_public_function_replaces_a_missing_private_one(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later TensorFlow may not have what the fast way needs."""
    fetches = [small.counted, (small.product, small.rows + 1), small.product]
    feeds = [small.matrix, small.rows]
    fast = make_callable(small.session, fetches, feeds)(ROWS, [[1, 2]])
    owner = next(kind for kind in type(small.session).__mro__ if PRIVATE in vars(kind))
    monkeypatch.delattr(owner, PRIVATE)
    run = make_callable(small.session, fetches, feeds)
    found = run(ROWS.tolist(), [[1, 2]])
    assert found[0] is None
    assert_close(found[1:], fast[1:], 0)
    assert small.session.run(small.variable) == 6, "the operation is run once by each"
    with pytest.raises(OptionError, match=r"^matrix must have shape"):
        run(ROWS.T, [[1, 2]])
