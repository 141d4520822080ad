"""Losses of a readout against NumPy, at ordinary and at extreme values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close, new_session
from references import cross_entropy, softmax

from tf_rnn import options
from tf_rnn._tensorflow import tf
from tf_rnn.graph import losses as losses_module
from tf_rnn.graph.losses import LOSSES
from tf_rnn.graph.readout import READOUTS, Readout
from tf_rnn.options import GraphOptions

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture(params=[0, 1000], ids=["our operations", "TensorFlow's"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for few classes and for many, whichever way is taken."""
    monkeypatch.setattr(losses_module, "FEW_CLASSES", request.param)


def make_readout(name: str, output_size: int, num_classes: int) -> Readout:
    options = GraphOptions(
        num_steps=1, batch_size=1, input_size=num_classes, num_classes=num_classes,
        embedding_size=output_size, readout=name, dtype="float64",
    )  # fmt: skip
    return READOUTS[name](output_size, options, "network")


def run_cross_entropy(logits: Any, labels: Any, upstream: Any) -> tuple[Any, Any]:
    """Losses, and the gradient of their sum weighted by `upstream`."""
    with tf.Graph().as_default(), new_session() as session:
        tensor = tf.constant(logits)
        readout = make_readout("none", tensor.shape[1], tensor.shape[1])
        labels = tf.constant(labels, tf.int32)
        (losses,) = LOSSES["cross_entropy"]().of_outputs(readout, (), [tensor], [labels])
        (gradient,) = tf.gradients(losses, [tensor], grad_ys=[tf.constant(upstream, tensor.dtype)])
        found: tuple[Any, Any] = session.run((losses, gradient))
        return found


@pytest.mark.parametrize(("rows", "classes"), [(3, 5), (1, 1), (2, 600)])
@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.usefixtures("both_ways")
def test_cross_entropy_is_log_sum_exp(rows: int, classes: int, scale: float) -> None:
    generator = np.random.default_rng(83)
    logits = scale * generator.normal(size=(rows, classes))
    labels = generator.integers(classes, size=rows)
    upstream = generator.normal(size=rows)
    losses, gradient = run_cross_entropy(logits, labels, upstream)
    assert_close(losses, cross_entropy(logits, labels), 1e-12 * scale, "losses")
    assert losses.shape == (rows,)
    expected = (softmax(logits) - np.eye(classes)[labels]) * upstream[:, np.newaxis]
    assert_close(gradient, expected, 1e-14, "p - onehot")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("both_ways")
def test_extreme_logits(dtype: Any) -> None:
    far = 1e4
    logits = np.array([[far, -far, 0], [far, -far, 0], [-far, -far, -far], [far, far, -far]], dtype)
    labels = [0, 1, 2, 1]
    losses, gradient = run_cross_entropy(logits, labels, np.ones(4))
    assert losses.dtype == gradient.dtype == dtype
    # ln 3 beside 1e4 is known to the spacing of numbers there.
    tolerance = np.spacing(dtype(far))
    expected = np.array([0, 2 * far, np.log(3), np.log(2)])
    assert_close(losses, expected, tolerance, "losses")
    third, half = 1 / 3, 1 / 2
    rows = [[0, 0, 0], [1, -1, 0], [third, third, third - 1], [half, half - 1, 0]]
    assert_close(gradient, np.array(rows), np.finfo(dtype).eps, "gradient")


@pytest.mark.parametrize("offset", [1e4, -1e8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [5, 600])
@pytest.mark.usefixtures("both_ways")
def test_an_offset_of_all_logits_costs_no_digits(classes: int, dtype: Any, offset: float) -> None:
    """The logits are rounded when the offset is added; from there on nothing is lost."""
    generator = np.random.default_rng(11)
    step = 1 if offset == 1e4 else 8  # so that logits of 0, 8, ... differ in float32 at 1e8
    logits = (offset + step * generator.integers(3, size=(7, classes))).astype(dtype)
    labels = generator.integers(classes, size=7)
    exact = logits.astype(np.float64) - offset
    losses, gradient = run_cross_entropy(logits, labels, np.ones(7))
    assert np.ptp(exact) > 0
    assert_close(losses, cross_entropy(exact, labels), 40 * np.finfo(dtype).eps, "losses")
    assert_close(gradient, softmax(exact) - np.eye(classes)[labels], 4 * np.finfo(dtype).eps, "gradient")


@pytest.mark.usefixtures("both_ways")
def test_cross_entropy_in_float32_loses_little() -> None:
    generator = np.random.default_rng(97)
    logits = 5 * generator.normal(size=(7, 600)).astype(np.float32)
    labels = generator.integers(600, size=7)
    losses, _ = run_cross_entropy(logits, labels, np.ones(7))
    assert_close(losses, cross_entropy(logits.astype(float), labels), 1e-5)


def outputs_and_weights(readout: str) -> list[NDArray[np.float64]]:
    """H of 4 rows, then the weights of a readout over 3 classes."""
    generator = np.random.default_rng(97)
    shapes: dict[str, list[tuple[int, ...]]] = {
        "linear": [(4, 5), (5, 3), (3,)],
        "tied": [(4, 5), (3, 5), (3,)],
        "none": [(4, 3)],
    }
    return [generator.normal(size=shape) for shape in shapes[readout]]


@pytest.mark.parametrize("name", list(READOUTS))
@pytest.mark.parametrize("rows", [4, None])
@pytest.mark.usefixtures("both_ways")
def test_a_loss_in_one_with_its_readout_is_the_loss_of_the_readout(name: str, rows: int | None) -> None:
    """Values and all gradients, each row counting by a factor of its own, one of them not at all.

    The graph need not know how many rows there are: a third-party cell may not tell.
    """
    labels, factors = np.array([2, 0, 0, 1]), np.array([0.5, -2, 0, 1])
    with tf.Graph().as_default(), new_session() as session:
        readout = make_readout(name, 5 if name != "none" else 3, 3)
        given = [tf.constant(value) for value in outputs_and_weights(name)]
        given[0] = tf.placeholder_with_default(given[0], [rows, given[0].shape[1]])
        outputs, *weights = given
        (losses,) = LOSSES["cross_entropy"]().of_outputs(
            readout, tuple(weights), [outputs], [tf.constant(labels, tf.int32)]
        )
        plain = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=labels, logits=readout.logits(tuple(weights), outputs)
        )
        found, expected = session.run(
            [(rows, tf.gradients(rows, given, grad_ys=[tf.constant(factors)])) for rows in (losses, plain)]
        )
    assert_close(found[0], expected[0], 1e-14, "losses")
    for of, gradient, same in zip(("H", "kernel", "bias"), found[1], expected[1], strict=False):
        assert_close(gradient, same, 1e-14, of)
    assert len(found[1]) == len(given)


@pytest.mark.parametrize("classes", [losses_module.FEW_CLASSES, losses_module.FEW_CLASSES + 1])
def test_a_class_that_is_none_is_an_error(classes: int) -> None:
    for label in (-1, classes):
        with pytest.raises(tf.errors.InvalidArgumentError):
            run_cross_entropy(np.zeros((1, classes)), [label], np.ones(1))


def options_of(loss: str) -> GraphOptions:
    quantiles = (0.1, 0.5, 0.9) if loss == "pinball" else None
    sizes: dict[str, Any] = {"num_steps": 1, "batch_size": 1, "input_size": 3, "num_classes": 3}
    return GraphOptions(**sizes, loss=loss, quantiles=quantiles)


@pytest.mark.parametrize("name", list(LOSSES))
def test_predictions_and_losses_by_hand(name: str) -> None:
    assert tuple(LOSSES) == options.LOSSES
    logits = np.log(np.array([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    with tf.Graph().as_default(), new_session() as session:
        targets: Any = np.array([1, 2], np.int32)
        expected: tuple[Any, Any] = (np.exp(logits), -np.log([0.25, 0.7]))
        if name == "squared_error":
            targets = logits + np.array([[0.3, 0, 0], [1, -1, 2]])
            expected = (logits, np.array([0.09 / 3, 6 / 3]))
        if name == "pinball":  # e = 0.3, 0, 0 and 1, -1, 2 for the quantiles 0.1, 0.5 and 0.9
            targets = logits + np.array([[0.3, 0, 0], [1, -1, 2]])
            expected = (logits, np.array([0.03 / 3, (0.1 + 0.5 + 1.8) / 3]))
        loss = LOSSES[name].of(options_of(name))
        found = session.run(
            (loss.predict(tf.constant(logits)), loss.losses(tf.constant(logits), tf.constant(targets)))
        )
    assert_close(found, expected, 1e-15, name)
