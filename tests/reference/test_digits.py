"""Small differences of large numbers keep their digits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import CASES, assert_close, assign, new_session, random_block, random_values
from references import cross_entropy, softmax

from tf_rnn._tensorflow import tf
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.losses import FEW_CLASSES, LOSSES
from tf_rnn.graph.readout import READOUTS
from tf_rnn.options import GraphOptions


def run_losses(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Losses and gradients of rows of logits."""
    classes = logits.shape[1]
    with tf.Graph().as_default(), new_session() as session:
        options = GraphOptions(
            num_steps=1, batch_size=1, input_size=classes, num_classes=classes, readout="none"
        )
        readout = READOUTS["none"](classes, options, "network")
        outputs = tf.constant(logits)
        labels = tf.constant(labels, tf.int32)
        (losses,) = LOSSES["cross_entropy"]().of_outputs(readout, (), [outputs], [labels])
        found: tuple[Any, Any] = session.run((losses, tf.gradients(losses, outputs)[0]))
        return found


@pytest.mark.parametrize("offset", [1e4, -1e4, 1e8, -1e8])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [FEW_CLASSES, FEW_CLASSES + 1, 600])
def test_an_offset_of_all_logits_costs_no_digits(classes: int, dtype: Any, offset: float) -> None:
    """The logits are rounded when the offset is added; from there on nothing is lost."""
    generator = np.random.default_rng(11)
    step = 8 if offset in (1e8, -1e8) else 1  # so that logits of 0, 8, ... differ in float32 at 1e8
    logits = (offset + step * generator.integers(3, size=(7, classes))).astype(dtype)
    labels = generator.integers(classes, size=7)
    exact = logits.astype(np.float64) - offset
    losses, gradient = run_losses(logits, labels)
    assert np.ptp(exact) > 0
    assert_close(losses, cross_entropy(exact, labels), 40 * np.finfo(dtype).eps, "losses")
    assert_close(gradient, softmax(exact) - np.eye(classes)[labels], 4 * np.finfo(dtype).eps, "gradient")


@pytest.mark.parametrize("name", CASES)
def test_fed_factors_leave_the_forward_pass_unchanged(name: str) -> None:
    """Whatever the flow, states and losses are those of the plain graph, bit for bit."""
    generator = np.random.default_rng(5)
    with tf.Graph().as_default():
        plain = UnrolledGraph(CASES[name].make(), 4, 3, 5, 2, optimizer=None)
        fed = UnrolledGraph(plain.cell, 4, 3, 5, 2, optimizer=None, reweighted=True)
    inputs, targets = random_block(generator, plain)
    with plain.session() as session:
        assign(session, plain.variables, random_values(generator, plain.variables))
        block = (inputs, targets, plain.zero_state())
        expected = plain.runner(session, plain.states, plain.losses)(*block)
        flow = np.array([1000 / 3, 0.1, -7.7, 1])
        found = fed.runner(session, fed.states, fed.losses)(*block, flow, np.ones(4))
    assert_close(found, expected, 0)
