"""Importing a PyTorch network as a training run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_rnn.graph.make import make_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.exporting import new_folder
from tf_rnn.inference.torch_files import read_arrays
from tf_rnn.inference.torch_weights import network_of
from tf_rnn.inference.weights import assign_weights, session_without
from tf_rnn.options import OptionError, shown
from tf_rnn.options.declared import CELL_OPTIONS
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

    from tf_rnn.inference.torch_weights import TorchNetwork


def from_torch(
    weights: Any,
    task: Task,
    out: str | os.PathLike[str],
    *,
    activation: str = "tanh",
    embedding: str | None = None,
    readout: str | None = None,
    num_steps: int = 20,
    batch_size: int = 1,
) -> Path:
    """Makes a training run from the weights of a network in PyTorch, which need not be installed.

        safetensors.torch.save_file(model.state_dict(), "model.safetensors")     # or
        np.savez("model.npz", **{name: value.numpy() for name, value in model.state_dict().items()})

    The network is an `nn.RNN`, `nn.GRU` or `nn.LSTM` of any number of layers, with or without biases, and an
    `nn.Linear` that reads its output; for classes of inputs an `nn.Embedding`, or unit vectors. Dropout
    leaves no weights. The run's only checkpoint has these weights and no history: `load(out, task=task)` uses
    it, `resume` trains it further. What `torch.save` writes is a pickle, and not read.

    Args:
        weights: `model.state_dict()`, a mapping of names to arrays, or the path of a .npz or .safetensors
            file.
        task: What the network was trained on: sizes and kinds of inputs and targets. Of a text, the tokens
            must be in the order of the network's classes (`tf_rnn.tasks.Text(data, vocabulary=...)`).
        out: The run's folder, new or empty; it is written completely or not at all.
        activation: That of `nn.RNN`, which its weights do not say: "tanh" or "relu".
        embedding: The name of the embedding in the model; None to find it by its shape.
        readout: The name of the readout in the model; None to find it by its shape.
        num_steps: The width of the graph if the run is resumed.
        batch_size: Its rows.

    Returns:
        `out`.

    Raises:
        OptionError: For `weights`, if it cannot be read or is another network (bidirectional, with
            projections, a cell alone, further layers); for `embedding` or `readout`, if there is none of this
            name; for another option, if it is not allowed.
    """
    if not isinstance(task, Task):
        raise OptionError("task", f"must be a Task, got {shown(task)}")
    CELL_OPTIONS["activation"].check(activation)
    network = network_of(read_arrays(weights), task, {"embedding": embedding, "readout": readout})
    setup = _setup(network, task, activation, batch_size)
    check_setup(setup, task, [num_steps])
    _keep(network, setup, num_steps, out)
    return Path(out)


def _setup(network: TorchNetwork, task: Task, activation: str, batch_size: int) -> Setup:
    """What is trained further: the network, with an optimizer that suits the task."""
    if network.cell != "vanilla" and activation != "tanh":
        raise OptionError("activation", f"must be left out for nn.{network.cell.upper()}, got {activation!r}")
    return Setup(
        task=task,
        cell=network.cell,
        state_size=network.state_size,
        num_layers=network.num_layers,
        embedding_size=network.embedding_size,
        cell_options={"activation": activation} if network.cell == "vanilla" else {},
        batch_size=batch_size,
    )


def _keep(network: TorchNetwork, setup: Setup, num_steps: int, out: str | os.PathLike[str]) -> None:
    """Writes the run."""
    task = setup.make_task()
    graph = make_graph(setup, task, num_steps, seed=0)
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
