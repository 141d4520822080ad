"""Importing a PyTorch network as a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.inference.foreign import keep_network, require_task
from tf_rnn.inference.torch_files import read_arrays
from tf_rnn.inference.torch_weights import network_of
from tf_rnn.options.declared import CELL_OPTIONS

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from tf_rnn.tasks import Task


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
    require_task(task)
    CELL_OPTIONS["activation"].check(activation)
    names = {"embedding": embedding, "readout": readout}
    network = network_of(read_arrays(weights), task, names, activation)
    return keep_network(network, task, out, num_steps, batch_size)
