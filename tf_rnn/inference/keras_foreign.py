"""Importing a Keras model that was made and trained elsewhere as a training run."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py  # type: ignore[import-untyped]  # what Keras keeps weights with, required by TensorFlow
import numpy as np

from tf_rnn.files import as_path, is_own_file
from tf_rnn.inference.foreign import keep_network, require_task
from tf_rnn.inference.keras_archive import read_archive, require_stored
from tf_rnn.inference.keras_stack import GATES, KerasLayer, described_stack, network_of
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.tasks import Task

ARCHIVE, WEIGHTS = ".keras", ".weights.h5"
# The groups of layers in a file of weights, and of the variables within.
GROUPS = {"SimpleRNN": "simple_rnn", "TimeDistributed": "time_distributed"}
WITHIN = dict.fromkeys(GATES, "/cell/vars") | {"TimeDistributed": "/layer/vars"}


def from_keras(
    model: Any,
    task: Task,
    out: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    num_steps: int = 20,
    batch_size: int = 1,
) -> Path:
    """Makes a training run from a Keras model, nothing of which is run.

        folder = tf_rnn.from_keras(model, task, "runs/mine")              # or "model.keras"
        study = tf_rnn.lags(folder, task, num_steps=100)

    The model is a row of `SimpleRNN`, `GRU` (with the reset gate after the product or before it) and `LSTM`
    layers, stateful or not, an `Embedding` before them if inputs are classes, and a `Dense` after them, alone
    or in `TimeDistributed`. Where the last layer returns its last output only, the run predicts at every
    step. Dropout, which acts in training only, is left out. The run's only checkpoint has these weights and
    no history: `load(out, task=task)` uses it, `resume` trains it further.

    Args:
        model: A `keras.Sequential` or functional model, or the path of a .keras file.
        task: What the network was trained on: sizes and kinds of inputs and targets. Of a text, the tokens
            must be in the order of the network's classes (`tf_rnn.tasks.Text(data, vocabulary=...)`).
        out: The run's folder, new or empty; it is written completely or not at all.
        weights: A .weights.h5 file of a model with these layers; None for the weights of `model`.
        num_steps: The width of the graph if the run is resumed.
        batch_size: Its rows.

    Returns:
        `out`.

    Raises:
        OptionError: For `model` or `weights`, if it cannot be read, or holds what cannot be taken over:
            another layer, `go_backwards`, `recurrent_dropout`, masks, another activation; for another option,
            if it is not allowed.
    """
    require_task(task)
    path = None if weights is None else _existing("weights", weights, WEIGHTS)
    return keep_network(network_of(_read_model(model, path), task), task, out, num_steps, batch_size)


def _existing(option: str, given: Any, ending: str) -> Path:
    path = as_path(option, given)
    if not path.name.endswith(ending):
        problem = "; a .weights.h5 file is given as weights, beside a model" if option == "model" else ""
        raise OptionError(option, f"must be a {ending} file, got {str(path)!r}{problem}")
    if not is_own_file(path):
        raise OptionError(option, f"must be a file, there is none at {str(path)!r}")
    return path


def _read_model(model: Any, weights: Path | None) -> list[KerasLayer]:
    if isinstance(model, str | os.PathLike):
        path = _existing("model", model, ARCHIVE)
        with tempfile.TemporaryDirectory() as folder:
            return _undamaged("model", path, lambda: _read_archive(path, weights, Path(folder)))
    if not hasattr(model, "get_config") or not hasattr(model, "layers"):
        raise OptionError("model", f"must be a Keras model or the path of a .keras file, got {shown(model)}")
    try:
        kind, config = type(model).__name__, model.get_config()
    except NotImplementedError as error:
        raise OptionError("model", "must be a Sequential or functional model, not one of your own") from error
    stack = described_stack(kind, config if isinstance(config, Mapping) else {})
    if weights is not None:
        return _undamaged("weights", weights, lambda: _with_stored(stack, weights))
    arrays = {layer.name: layer.get_weights() for layer in model.layers}
    return [layer._replace(arrays=arrays.get(layer.outer[1], ())) for layer in stack]


def _undamaged(option: str, path: Path, read: Callable[[], list[KerasLayer]]) -> list[KerasLayer]:
    try:
        return read()
    except OptionError:
        raise
    except Exception as error:  # readers of damaged files raise errors of all kinds
        line, *_ = str(error).splitlines() or [type(error).__name__]
        raise OptionError(option, f"must be undamaged, {str(path)!r} cannot be read: {line}") from error


def _read_archive(path: Path, weights: Path | None, folder: Path) -> list[KerasLayer]:
    if not zipfile.is_zipfile(path):
        raise ValueError("it is no archive of files")
    unpacked = folder / WEIGHTS[1:]
    config = read_archive(path, unpacked)
    return _with_stored(described_stack(config["class_name"], config["config"]), weights or unpacked)


def _with_stored(stack: list[KerasLayer], path: Path) -> list[KerasLayer]:
    """Layers with the arrays of a file, in which they are numbered by class: `lstm`, `lstm_1`, ..."""
    require_stored(path, least=0)
    counts: dict[str, int] = {}
    found, names = [], []
    with h5py.File(path) as file:
        for layer in stack:
            kind, _ = layer.outer
            number = counts[kind] = counts.get(kind, -1) + 1
            place = GROUPS.get(kind, kind.lower()) + (f"_{number}" if number else "")
            place += WITHIN.get(kind, "/vars")
            variables = file["layers"].get(place, {})
            names += [f"{place}/{name}" for name in variables]
            arrays = [np.asarray(variables[str(each)]) for each in range(len(variables))]
            found.append(layer._replace(arrays=arrays))
        stored: list[str] = []
        file["layers"].visititems(lambda name, item: stored.append(name) if hasattr(item, "shape") else None)
    if sorted(names) != sorted(name for name in stored if "seed_generator" not in name):
        raise OptionError("weights", f"must be those of a model with these layers, {str(path)!r} has others")
    return found
