"""A network that was trained elsewhere, as a training run of this package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.cells import described_cell
from tf_rnn.graph.make import make_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.exporting import new_folder
from tf_rnn.inference.weights import assign_weights, session_without
from tf_rnn.options import OptionError, shown
from tf_rnn.setup import Setup, check_setup
from tf_rnn.tasks import Language, Task
from tf_rnn.training.budget import Budget
from tf_rnn.training.plan import Plan, run_config
from tf_rnn.training.run_folder import new_run
from tf_rnn.training.schedules import Schedule
from tf_rnn.training.state import TrainingState, read_variables
from tf_rnn.truncation import Truncation

if TYPE_CHECKING:
    import os

    import numpy as np


class ForeignNetwork(NamedTuple):
    """A network and its weights.

    Attributes:
        layers: What `described_cell` takes, from the inputs upwards.
        embedding_size: Size of the embedding; None if there is none.
        weights: By the names of `tf_rnn.graph.naming.weight_names`.
    """

    layers: list[dict[str, Any]]
    embedding_size: int | None
    weights: dict[str, np.ndarray]


def require_task(task: Any) -> None:
    """Raises OptionError unless it is a task whose predictions come from a readout."""
    if not isinstance(task, Task):
        raise OptionError("task", f"must be a Task, got {shown(task)}")
    if task.readout != "linear":
        raise OptionError("task", f"must be one that networks with a readout learn, got {task.name}")


def keep_network(
    network: ForeignNetwork, task: Task, out: str | os.PathLike[str], num_steps: int, batch_size: int
) -> Path:
    """Writes a run whose only checkpoint has the weights of a network, and no history.

    If it is resumed, its optimizer is one that suits the task.

    Args:
        network: The network.
        task: What it was trained on.
        out: The run's folder, new or empty; it is written completely or not at all.
        num_steps: The width of the graph if the run is resumed.
        batch_size: Its rows.

    Returns:
        `out`.

    Raises:
        OptionError: For an option that is not allowed, or that does not suit the task.
    """
    first = network.layers[0]
    setup = Setup(
        task=task,
        cell=first["cell"],
        state_size=first["state_size"],
        embedding_size=network.embedding_size,
        batch_size=batch_size,
    )
    check_setup(setup, task, [num_steps])
    graph = make_graph(setup, task, num_steps, seed=0, cell=described_cell(network.layers))
    plan = Plan(Budget("epochs", 1.0), "carry", None, Truncation(), Schedule(), None, 0)
    config = run_config(graph, task, plan)
    names = weight_names(graph)
    vocabulary = task.vocabulary if isinstance(task, Language) else None
    with (
        new_folder(out) as partial,
        new_run(partial, config, task.unit) as run,
        session_without(graph, names.values()) as session,
    ):
        dtype = graph.options.dtype
        assign_weights(session, names, {name: network.weights[name].astype(dtype) for name in names})
        state = TrainingState(config, read_variables(graph, session), vocabulary=vocabulary)
        run.save(state, set(names), [])
    return Path(out)
