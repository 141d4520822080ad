"""Trains the network of `--task series` in tf_rnn and in Keras, at the same width and on the same blocks.

Keras has a stateful LSTM of the same size, the same optimizer and the same limit on the gradient's norm;
initial weights differ. The held-out losses should be equal within what seeds differ by.

    python -m benchmarks.series_in_keras [--num-steps 50] [--seeds 3]
"""

from __future__ import annotations

import argparse
import statistics
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

import tf_rnn
from tf_rnn.reporting import Table
from tf_rnn.reporting.terminal import print_table

if TYPE_CHECKING:
    from tf_rnn.tasks import Series


def in_keras(experiment: tf_rnn.Experiment, task: Series, num_steps: int, seed: int) -> float:
    """The held-out loss after the training that suits the task."""
    setup = experiment.setup
    tf.keras.utils.set_random_seed(seed)
    network = build(setup.state_size, task, setup.batch_size)
    optimizer = tf.keras.optimizers.Adam(setup.learning_rate, global_clipnorm=setup.clip_norm)

    @tf.function
    def update(inputs: Any, targets: Any) -> None:
        with tf.GradientTape() as tape:
            loss = masked_loss(network(inputs, training=True), targets)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))

    tokens, epoch = 0, 0
    while tokens < task.defaults.tokens:
        network.layers[0].reset_states()
        for inputs, targets in task.blocks(setup.batch_size, num_steps, epoch=epoch):
            update(inputs, targets)
            tokens += setup.batch_size * num_steps
            if tokens >= task.defaults.tokens:
                break
        epoch += 1
    whole = build(setup.state_size, task, 1)
    whole.set_weights(network.get_weights())
    inputs, targets = task.stream("valid")
    return float(masked_loss(whole(inputs[np.newaxis]), targets[np.newaxis]))


def build(state_size: int, task: Series, batch_size: int) -> Any:
    """A stateful LSTM and a dense layer."""
    return tf.keras.Sequential(
        [
            tf.keras.Input(batch_shape=(batch_size, None, task.input_size)),
            tf.keras.layers.LSTM(state_size, return_sequences=True, stateful=True),
            tf.keras.layers.Dense(task.num_classes),
        ]
    )


def masked_loss(predictions: Any, targets: Any) -> Any:
    """The mean squared error of the targets that are known."""
    known = tf.math.logical_not(tf.math.is_nan(targets))
    squares = tf.where(known, predictions - tf.where(known, targets, 0.0), 0.0) ** 2
    return tf.reduce_sum(squares) / tf.reduce_sum(tf.cast(known, tf.float32))


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--num-steps", type=int, nargs="+", default=[10, 50])
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    experiment = tf_rnn.Experiment("series")
    task: Any = experiment.task
    rows = []
    for width in given.num_steps:
        ours, theirs = [], []
        for seed in range(given.seeds):
            run = experiment.train(
                width, tokens=task.defaults.tokens, evaluations=1, seed=seed, callbacks=(), threads=1
            )
            ours.append(run.curve[-1].valid_loss)
            theirs.append(in_keras(experiment, task, width, seed))
        rows.append([str(width), *(shown(losses) for losses in (ours, theirs))])
    print_table(
        Table("Held-out loss, mean ± standard deviation over seeds", ["width", "tf_rnn", "Keras"], rows)
    )


def shown(losses: list[float]) -> str:
    """A mean and its spread."""
    spread = statistics.stdev(losses) if len(losses) > 1 else float("nan")
    return f"{statistics.mean(losses):.4f} ± {spread:.4f}"


if __name__ == "__main__":
    main()
