"""Importing a Keras model as a training run.

The folder is one that `export` has written, of which two files are needed:

    model.keras         or, if that is missing, model.weights.h5
    config.json         the configuration of the run; for a language model vocabulary.json, too

To import weights from elsewhere, train a network of that description for a moment, export it, and set the
weights of its Keras model:

    model = keras.models.load_model("model.keras")
    model.get_layer("layer_0").set_weights([kernel, recurrent_kernel, bias])
    model.save("model.keras")

with the layers `embedding`, `layer_0`, ..., `readout`; or replace model.keras by another model with the
same layers, whatever their names. Keras does not tie a readout in training: the weights of Dense must still
be those of the embedding.
"""

from __future__ import annotations

import functools
import json
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py  # type: ignore[import-untyped]  # what Keras keeps weights with, required by TensorFlow

from tf_rnn.files import CONFIG, as_path, is_own_file, is_there, read_json, require_readable, usable_config
from tf_rnn.graph.describe import described_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.exporting import KERAS_MODEL, KERAS_WEIGHTS, VOCABULARY, new_folder
from tf_rnn.inference.keras_archive import (
    largest_size,
    least_weights,
    model_of_config,
    read_archive,
    require_stored,
)
from tf_rnn.inference.keras_model import empty_model, outside_of_graphs, require_equal
from tf_rnn.inference.keras_weights import outline, weights_of_keras
from tf_rnn.inference.weights import assign_weights, session_without
from tf_rnn.options import OptionError
from tf_rnn.training.run_folder import new_run
from tf_rnn.training.state import TrainingState, read_variables

if TYPE_CHECKING:
    import os
    from collections.abc import Callable


def import_keras(exported: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Makes a training run from the present weights of an exported Keras model.

    Its only checkpoint has these weights, initial optimizer slots and no history: `train(resume=out)`
    starts from them, `load(out)` uses them.

    Args:
        exported: A folder written by `export`.
        out: The run's folder, new or empty; it is written completely or not at all.

    Returns:
        `out`.

    Raises:
        OptionError: For `exported`, if a file is missing or damaged, or the Keras model is not the network
            of its config.json; for `out`, if it is not empty or cannot be written.
    """
    folder = as_path("exported", exported)
    require_readable("exported", folder)
    config, vocabulary = _read_config(folder), _read_vocabulary(folder)
    try:
        description = {name: config[name] for name in ("cell", "graph")}
        weights = weights_of_keras(description, _read_model(folder, description))
        # Nothing that is saved depends on these sizes.
        graph = described_graph(description, num_steps=1, batch_size=1, loss_steps="all", dropout=0.0)
    except OptionError as error:
        raise OptionError("exported", f"must hold the Keras model of its {CONFIG}; {error}") from error
    names = weight_names(graph)
    with (
        new_folder(out) as partial,
        new_run(partial, config, "nats") as run,
        session_without(graph, names.values()) as session,
    ):
        assign_weights(session, names, weights)
        state = TrainingState(config, read_variables(graph, session), vocabulary=vocabulary)
        run.save(state, set(weights), [])
    return Path(out)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return usable_config("exported", folder, read_json(folder / CONFIG))
    except OptionError as error:
        raise OptionError(
            "exported", f"must be a folder that export wrote, with a {CONFIG}, got {str(folder)!r}"
        ) from error


def _read_vocabulary(folder: Path) -> tuple[str, ...] | None:
    path = folder / VOCABULARY
    if not path.exists() and not path.is_symlink():
        return None
    unreadable = OptionError("exported", f"must be undamaged, {str(path)!r} cannot be read")
    if not is_own_file(path):
        raise unreadable
    try:
        tokens = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise unreadable from error
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise OptionError("exported", f"must have a list of tokens in {str(path)!r}")
    return tuple(tokens)


def _read_model(folder: Path, description: dict[str, Any]) -> Any:
    require_equal(description)
    for name, read in READERS.items():
        if is_there(folder, name):
            if not is_own_file(folder / name):
                raise _unreadable(folder / name, "it is no file of this folder")
            return outside_of_graphs(functools.partial(read, folder / name, description))
    raise OptionError("model", f"must be in {' or '.join(READERS)}, {str(folder)!r} has neither")


def _load_model(path: Path, description: dict[str, Any]) -> Any:
    if not zipfile.is_zipfile(path):
        raise _unreadable(path, "it is no archive of files")
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / KERAS_WEIGHTS
        try:
            config = read_archive(path, weights)
            require_stored(weights, least_weights(description))
            model = model_of_config(config, largest_size(description))
        except Exception as error:  # Keras and readers of damaged files raise errors of all kinds
            raise _unreadable(path, _first_sentence(error)) from error
        return _filled(model, weights, path)


def _load_weights(path: Path, description: dict[str, Any]) -> Any:
    try:
        require_stored(path, least_weights(description))
    except Exception as error:
        raise _unreadable(path, _first_sentence(error)) from error
    return _filled(empty_model(description), path, path)


def _filled(model: Any, weights: Path, path: Path) -> Any:
    """A model with the weights of a file; `path` is named in errors."""
    try:
        count = _count_weights(weights)
        with warnings.catch_warnings(action="ignore"):  # the error repeats them
            model.load_weights(weights)
    except ValueError as error:
        raise _other_layers(path, model) from error
    except Exception as error:
        raise _unreadable(path, _first_sentence(error)) from error
    if count > len(model.weights):  # Keras takes those that it needs
        raise _other_layers(path, model)
    return model


def _count_weights(path: Path) -> int:
    """The number of weights in a file, without those of optimizers and seeds of dropout."""
    names: list[str] = []
    with h5py.File(path) as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return sum(name.startswith("layers/") and "seed_generator" not in name for name in names)


def _other_layers(path: Path, model: Any) -> OptionError:
    return OptionError("model", f"must have the layers {outline(model)}; the weights in {str(path)!r} differ")


def _unreadable(path: Path, reason: str) -> OptionError:
    return OptionError("model", f"must be one that Keras can read, {str(path)!r} is not: {reason}")


def _first_sentence(error: Exception) -> str:
    line, *_ = str(error).splitlines() or [type(error).__name__]
    return line.partition(". ")[0]


# In order of preference.
READERS: dict[str, Callable[[Path, dict[str, Any]], Any]] = {
    KERAS_MODEL: _load_model,
    KERAS_WEIGHTS: _load_weights,
}
