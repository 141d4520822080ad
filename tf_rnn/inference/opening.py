"""Opening a trained network wherever it comes from: a run, an export, Keras or PyTorch."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.files import CHECKPOINTS, SIGNATURE, as_path, is_own_file, is_there
from tf_rnn.inference.keras_foreign import ARCHIVE, from_keras
from tf_rnn.inference.keras_import import import_keras
from tf_rnn.inference.load import Model, load
from tf_rnn.inference.torch_files import DAMAGE, READERS
from tf_rnn.inference.torch_import import from_torch
from tf_rnn.options import OptionError
from tf_rnn.setup import Setup
from tf_rnn.tasks import TASKS, Arrays, Task

if TYPE_CHECKING:
    from collections.abc import Callable

ARRAYS = ".npz"
OF_ARRAYS = ("inputs", "targets", "valid_inputs", "valid_targets")
SIZES = ("input_size", "num_classes")
FORMATS = f"{ARCHIVE}, {', '.join(READERS)} file, the folder of a run or of an export"


def open_model(
    model: Any, task: Task | str | None = None, *, activation: str | None = None, **options: Any
) -> tuple[Model, Task]:
    """Opens a trained network with data for it.

    Args:
        model: A `Model`; the folder of a run or of an export; a Keras model or .keras file; the state dict
            of a PyTorch module, or a .npz or .safetensors file of it.
        task: What it was trained on: a `Task`, or a name in `tf_rnn.tasks.TASKS`. None for a run or an export
            that names its task, and where `data` are arrays.
        activation: "relu" for an `nn.RNN` with that activation.
        **options: Those of the named task; for a run or an export other `data` for its task, and their
            `encoding`. `data` may be an .npz file with `inputs` and `targets`, as `tf_rnn.tasks.Arrays` takes
            them, and maybe `input_size` and `num_classes`; all are held out, unless it has
            `valid_inputs` and `valid_targets`.

    Returns:
        The model and the task.

    Raises:
        OptionError: If the network cannot be read, or options contradict it or each other.
    """
    given = _as_arrays(task, options)
    if isinstance(model, Model):
        return _with_data(model, given, options)
    if isinstance(model, str | os.PathLike):
        path = as_path("model", model)
        if path.is_dir():
            _refuse_activation(activation)
            return _of_folder(path, given, options)
        if not is_own_file(path):
            raise OptionError("model", f"must be a {FORMATS}; there is none at {str(path)!r}")
        if path.suffix not in (ARCHIVE, *READERS):
            raise OptionError("model", f"must be a {FORMATS}; got {str(path)!r}")
        is_torch = path.suffix in READERS
    else:
        path, is_torch = model, isinstance(model, Mapping)
    found = _task_of_options(given, options)
    if is_torch:
        more = {} if activation is None else {"activation": activation}
        return _converted(lambda out: _named_model(from_torch, path, found, out, **more), found)
    _refuse_activation(activation)
    return _converted(lambda out: from_keras(path, found, out), found)


def _refuse_activation(activation: str | None) -> None:
    if activation is not None:
        raise OptionError("activation", "must be left out unless model is the weights of an nn.RNN")


def _named_model(convert: Callable[..., Path], *arguments: Any, **options: Any) -> Path:
    """Calls `from_torch`, whose weights are called model here."""
    try:
        return convert(*arguments, **options)
    except OptionError as error:
        raise OptionError("model" if error.option == "weights" else error.option, error.problem) from error


def _converted(convert: Callable[[Path], Path], task: Task) -> tuple[Model, Task]:
    """The model of a run that is made in a folder that does not last."""
    with tempfile.TemporaryDirectory() as folder:
        return load(convert(Path(folder) / "run"), task=task), task


def _of_folder(folder: Path, task: Task | str | None, options: dict[str, Any]) -> tuple[Model, Task]:
    own = task if isinstance(task, Task) else None
    if is_there(folder, CHECKPOINTS):
        return _with_data(load(folder, task=own), task, options)
    if not is_there(folder, SIGNATURE):
        raise OptionError("model", f"must be a {FORMATS}; got {str(folder)!r}")
    with tempfile.TemporaryDirectory() as place:
        try:
            run = import_keras(folder, Path(place) / "run")
        except OptionError as error:
            raise OptionError("model", error.problem) from error
        return _with_data(load(run, task=own), task, options)


def _with_data(model: Model, task: Task | str | None, options: dict[str, Any]) -> tuple[Model, Task]:
    """A model of this package, which knows its task, and the data."""
    if isinstance(task, Task):
        return model, task
    name = model.config["task"]["name"]
    if task is not None and task != name:
        raise OptionError(
            "task", f"must be {name}, as the model was trained on it, or left out; got {task!r}"
        )
    for option in options:
        if option not in ("data", "encoding"):
            raise OptionError(option, "must be left out, as the model knows its task")
    return model, model.evaluator.task(**options)


def _task_of_options(task: Task | str | None, options: dict[str, Any]) -> Task:
    if isinstance(task, Task):
        return task
    if task is None:
        raise OptionError(
            "task",
            f"must be given for a model from elsewhere ({', '.join(TASKS)}), or data as an {ARRAYS} file of "
            "inputs and targets",
        )
    return Setup.of(task=task, **options).make_task()


def _as_arrays(task: Task | str | None, options: dict[str, Any]) -> Task | str | None:
    """The task itself, or one made of a file of arrays among the options."""
    if isinstance(task, Task) and options:
        raise OptionError(next(iter(options)), "must be left out where task is a Task")
    data = options.get("data")
    if not isinstance(data, str | os.PathLike) or not str(data).endswith(ARRAYS):
        return task
    for option in options.keys() - {"data"} | ({"task"} if task is not None else set()):
        raise OptionError(option, f"must be left out where data is an {ARRAYS} file")
    path = as_path("data", data)
    if not is_own_file(path):
        raise OptionError("data", f"must be a file, there is none at {str(path)!r}")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except DAMAGE as error:
        raise OptionError("data", f"must be an undamaged {ARRAYS} file, got {str(path)!r}") from error
    if not set(OF_ARRAYS[:2]) <= set(arrays) <= {*OF_ARRAYS, *SIZES}:
        names = ", ".join(arrays) or "nothing"
        more = ", ".join((*OF_ARRAYS[2:], *SIZES))
        raise OptionError(
            "data", f"must have inputs and targets, and beside them only {more}; it has {names}"
        )
    held_out = {f"valid_{name}": arrays[name] for name in OF_ARRAYS[:2]}
    return Arrays(**(held_out | {name: part if part.ndim else part.item() for name, part in arrays.items()}))
