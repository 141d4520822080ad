"""Export of a trained model, for use without this package.

    saved_model/        the single-step graph with the state as input and output; see `write_saved_model`
    signature.json      names, shapes and dtypes of its inputs and outputs
    model.keras         the equivalent Keras model, from whole sequences to the predictions of all steps
    model.weights.h5    the weights of that model alone
    model.safetensors   the weights as PyTorch names them, for nn.RNN, nn.GRU or nn.LSTM; see `torch_export`
    model.onnx          on request, the equivalent ONNX model; see `onnx_model`
    config.json         the configuration of the run
    vocabulary.json     for a language model: the tokens in the order of their classes
    README.md           instructions

The two Keras files are written if the network has an equivalent in Keras, model.safetensors if it has one in
PyTorch, which need not be installed.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.files import (
    CONFIG,
    LOCK,
    SIGNATURE,
    as_path,
    is_own_file,
    require_empty,
    write_json,
    write_text,
)
from tf_rnn.inference.keras_model import keras_model, no_keras, outside_of_graphs
from tf_rnn.inference.onnx_model import onnx_model
from tf_rnn.inference.readme import readme
from tf_rnn.inference.saved_model import write_saved_model
from tf_rnn.inference.torch_export import no_torch, program, safetensors, state_dict
from tf_rnn.inference.units import units_of
from tf_rnn.lock import locked
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import numpy as np

    from tf_rnn.inference.load import Model

SAVED_MODEL, README = "saved_model", "README.md"
# Makes a temporary folder one of ours.
MARK = "temporary folder of tf_rnn"
TORCH_WEIGHTS = "model.safetensors"
KERAS_MODEL, KERAS_WEIGHTS, VOCABULARY = "model.keras", "model.weights.h5", "vocabulary.json"
ONNX_MODEL = "model.onnx"


class Exported(NamedTuple):
    """The files that `export` has written.

    Attributes:
        files: Their paths; the SavedModel's folder counts as one.
        without_keras: The reason why there is no Keras model, in words; None if there is one.
        without_torch: The reason why there are no weights for PyTorch, likewise.
    """

    files: list[Path]
    without_keras: str | None
    without_torch: str | None


def export(model: Model, out: str | os.PathLike[str], *, onnx: bool = False) -> Exported:
    """Writes a trained model for use without this package.

    Args:
        model: A model from `load`.
        out: A new or empty folder; it is written completely or not at all.
        onnx: Whether to write an ONNX model as well, for which the package `onnx` must be installed.

    Returns:
        The files.

    Raises:
        OptionError: For `out`, if it is not empty or cannot be written; for `model`, if it has a third-party
            cell; for `onnx`, if the package is not installed or the network has no equivalent in ONNX.
    """
    without_keras, without_torch = no_keras(model.description), no_torch(model.description)
    in_onnx = onnx_model(model.description, model.weights).SerializeToString() if onnx else None
    with new_folder(out) as folder:
        units = units_of(model.config["task"])
        signature = write_saved_model(model.description, model.weights, folder / SAVED_MODEL, units)
        write_json(folder / SIGNATURE, signature)
        if without_keras is None:
            _write_keras(model.description, model.weights, folder)
        if without_torch is None:
            content = safetensors(state_dict(model.description, model.weights))
            (folder / TORCH_WEIGHTS).write_bytes(content)
        if in_onnx is not None:
            (folder / ONNX_MODEL).write_bytes(in_onnx)
        write_json(folder / CONFIG, model.config)
        if model.tokens is not None:
            write_json(folder / VOCABULARY, list(model.tokens))
        names = sorted(path.name for path in folder.iterdir())
        text = readme(
            signature,
            units,
            has_keras=without_keras is None,
            torch_program=None if without_torch else program(model.description),
            has_onnx=onnx,
            has_vocabulary=model.tokens is not None,
        )
        write_text(folder / README, text)
    return Exported([Path(out) / name for name in (README, *names)], without_keras, without_torch)


def _write_keras(description: dict[str, Any], weights: Mapping[str, np.ndarray], folder: Path) -> None:
    model = keras_model(description, weights)

    def write() -> None:
        model.save(folder / KERAS_MODEL)
        model.save_weights(folder / KERAS_WEIGHTS)

    outside_of_graphs(write)


@contextlib.contextmanager
def new_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """Yields a temporary folder next to `out`: renamed to `out` at the end, deleted after an error.

    Raises:
        OptionError: For `out`, if it is not empty, cannot be written, or is being written by another process,
            or something else has the name of the temporary folder.
    """
    folder = as_path("out", out).resolve()
    try:
        require_empty(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            locked("out", folder.with_name(f".{folder.name}{LOCK}"), folder),
            _temporary(folder.with_name(f".{folder.name}.partial")) as partial,
        ):
            yield partial
            if folder.is_dir():
                folder.rmdir()
            partial.rename(folder)
    except (OSError, tf.errors.OpError) as error:
        raise OptionError("out", f"could not be written: {_reason(error)} ({str(folder)!r})") from error


@contextlib.contextmanager
def _temporary(folder: Path) -> Iterator[Path]:
    """Yields an empty folder within a marked one, which is deleted at the end and after a killed process.

    Raises:
        OptionError: For `out`, if there is something of that name without the mark; it is left alone.
    """
    if folder.is_symlink() or folder.exists():
        if folder.is_symlink() or not is_own_file(folder / MARK):
            problem = f"{str(folder)!r} is in the way, and is not of this package; move it"
            raise OptionError("out", f"could not be written: {problem}")
        shutil.rmtree(folder)
    folder.mkdir()
    try:
        (folder / MARK).touch()
        content = folder / "content"
        content.mkdir()
        yield content
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _reason(error: Exception) -> str:
    """The cause of a failed write; TensorFlow has it as `path; cause`, on a line among others."""
    causes = re.findall(r"; ([^;\n]+)$", str(error), re.MULTILINE)
    first_line, *_ = str(error).splitlines() or [type(error).__name__]
    return str(getattr(error, "strerror", None) or (causes or [first_line])[0])
