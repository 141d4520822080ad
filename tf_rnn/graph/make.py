"""Graphs from a setup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.cells import make_cell
from tf_rnn.graph.describe import described_graph
from tf_rnn.graph.unrolled import UnrolledGraph
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task


def make_graph(
    setup: Setup,
    task: Task,
    num_steps: int,
    seed: int,
    workers: int = 1,
    reduce_gradients: Callable[..., list[Any]] | None = None,
    cell: Any = None,
) -> UnrolledGraph:
    """Makes a graph on a new cell, in a `tf.Graph` of its own.

    Args:
        setup: The cell, the optimizer, and the options of the network between them.
        task: The setup's task.
        num_steps: The width.
        seed: The seed of the initial weights.
        workers: Number of processes that share the rows of a batch equally; the graph is that of one.
        reduce_gradients: See `UnrolledGraph`.
        cell: Another cell than that of the setup; None for that.

    Raises:
        OptionError: If an option is not allowed.
    """
    return UnrolledGraph(
        cell or make_cell(setup.cell, setup.state_size, setup.num_layers, **setup.cell_options),
        num_steps,
        setup.batch_size // workers,
        task.input_size,
        task.num_classes,
        input_kind=task.input_kind,
        loss=task.loss,
        quantiles=task.quantiles,
        loss_steps=Truncation(setup.style).loss_steps(task.loss_steps),
        embedding_size=setup.embedding_size,
        readout="tied" if setup.tied else task.readout,
        reduction=setup.reduction,
        dropout=setup.dropout,
        init_scale=setup.init_scale,
        recompute=setup.recompute,
        precision=setup.precision,
        starts=task.has_starts,
        target_weights=task.has_target_weights,
        initial_state=setup.initial_state,
        optimizer=setup.optimizer,
        learning_rate=setup.learning_rate,
        clip_norm=setup.clip_norm,
        weight_decay=setup.weight_decay,
        seed=seed,
        reduce_gradients=reduce_gradients,
    )


def remake_graph(
    description: dict[str, Any],
    setup: Setup,
    task: Task,
    num_steps: int,
    seed: int,
    workers: int = 1,
    reduce_gradients: Callable[..., list[Any]] | None = None,
) -> UnrolledGraph:
    """Makes the graph of a description, to be trained as a setup says; see `make_graph`.

    Args:
        description: Of the network, from `describe`.
        setup: Batch size, optimizer, dropout and truncation.
        task: The setup's task.
        num_steps: The width.
        seed: The seed of the initial weights.
        workers: Number of processes that share the rows of a batch equally; the graph is that of one.
        reduce_gradients: See `UnrolledGraph`.

    Raises:
        OptionError: If an option is not allowed.
    """
    names = (
        *("reduction", "dropout", "recompute", "precision"),
        *("optimizer", "learning_rate", "clip_norm", "weight_decay"),
    )
    return described_graph(
        description,
        reduce_gradients,
        num_steps=num_steps,
        batch_size=setup.batch_size // workers,
        loss_steps=Truncation(setup.style).loss_steps(task.loss_steps),
        seed=seed,
        **{name: getattr(setup, name) for name in names},
    )
