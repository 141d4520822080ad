"""A trained model for use without this package.

    saved_model/        the single-step graph, state in, state out: see `write_saved_model`
    signature.json      what it is called with: names, shapes, dtypes
    model.keras         the equal Keras model, whole sequences in, predictions of all steps out
    model.weights.h5    its weights alone
    config.json         how the run was set up
    vocabulary.json     of a model of language: the tokens in the order of their classes
    README.md           how all of this is used

The two Keras files are there where Keras has an equal model.
"""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn._tensorflow import tf
from tf_rnn.files import CONFIG, SIGNATURE, as_path, require_empty, write_json, write_text
from tf_rnn.inference.keras_model import keras_model, outside_of_graphs, without_equal
from tf_rnn.inference.saved_model import INPUT, write_saved_model
from tf_rnn.lock import LOCK, locked
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping

    import numpy as np

    from tf_rnn.inference.load import Model

SAVED_MODEL, README = "saved_model", "README.md"
KERAS_MODEL, KERAS_WEIGHTS, VOCABULARY = "model.keras", "model.weights.h5", "vocabulary.json"


class Exported(NamedTuple):
    """What `export` wrote.

    Attributes:
        files: In the folder, the SavedModel's folder counting as one.
        without_keras: Why there is no Keras model among them, in words; None where there is one.
    """

    files: list[Path]
    without_keras: str | None


def export(model: Model, out: str | os.PathLike[str]) -> Exported:
    """Writes a trained model for use without this package.

    Args:
        model: What `load` gave.
        out: A folder that is new or empty; it is there as a whole or, if something goes wrong, not
            at all.

    Returns:
        What was written.

    Raises:
        OptionError: For `out`, if there is something in it, or it cannot be written.
    """
    problem = without_equal(model.description)
    with new_folder(out) as folder:
        signature = write_saved_model(model.description, model.weights, folder / SAVED_MODEL)
        write_json(folder / SIGNATURE, signature)
        if problem is None:
            _write_keras(model.description, model.weights, folder)
        write_json(folder / CONFIG, model.config)
        if model.tokens is not None:
            write_json(folder / VOCABULARY, list(model.tokens))
        names = sorted(path.name for path in folder.iterdir())
        write_text(folder / README, _readme(signature, names))
    return Exported([Path(out) / name for name in (README, *names)], problem)


def _write_keras(description: dict[str, Any], weights: Mapping[str, np.ndarray], folder: Path) -> None:
    model = keras_model(description, weights)

    def write() -> None:
        model.save(folder / KERAS_MODEL)
        model.save_weights(folder / KERAS_WEIGHTS)

    outside_of_graphs(write)


@contextlib.contextmanager
def new_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """A folder to fill beside `out`, which takes its place if nothing goes wrong, and else goes away.

    Raises:
        OptionError: For `out`, if there is something in it, or it cannot be written.
    """
    folder = as_path("out", out).resolve()
    try:
        require_empty(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            locked("out", folder.with_name(f".{folder.name}{LOCK}"), folder),
            _passing(folder.with_name(f".{folder.name}.partial")) as partial,
        ):
            yield partial
            if folder.is_dir():
                folder.rmdir()
            partial.rename(folder)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or (str(error).splitlines() or [type(error).__name__])[0]
        raise OptionError("out", f"could not be written: {reason} ({str(folder)!r})") from error


@contextlib.contextmanager
def _passing(folder: Path) -> Iterator[Path]:
    """An empty folder, which is gone afterwards; what a process that was killed left in it is gone before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _readme(signature: dict[str, Any], names: list[str]) -> str:
    parts = [SAVED_MODEL_TEXT.format(example=example(signature))]
    if KERAS_MODEL in names:
        parts.append(KERAS_TEXT.format(shape=_sequence_shape(signature)))
    if VOCABULARY in names:
        parts.append(VOCABULARY_TEXT)
    return "\n".join([*parts, CONFIG_TEXT])


def example(signature: dict[str, Any]) -> str:
    """A program that runs the SavedModel of a signature, from the folder that it is in."""
    inputs = dict(signature["inputs"])
    read = f"{INPUT}={_zeros(inputs.pop(INPUT))}, " if INPUT in inputs else ""
    state = "".join(f'    "{name}": {_zeros(array)},\n' for name, array in inputs.items())
    return EXAMPLE.format(name=signature["signature"], state=state, input=read)


def _zeros(array: dict[str, Any]) -> str:
    shape = ", ".join(str(size or "batch_size") for size in array["shape"])
    return f'tf.zeros([{shape}], "{array["dtype"]}")'


def _sequence_shape(signature: dict[str, Any]) -> str:
    _, *size = signature["inputs"][INPUT]["shape"]
    kind = "real numbers" if size else "class indices"
    return f"{kind} [{', '.join(['batch_size', 'num_steps', *map(str, size)])}]"


EXAMPLE = """\
import tensorflow as tf

batch_size = 3
model = tf.saved_model.load("saved_model")
step = model.signatures["{name}"]
state = {{
{state}}}
for _ in range(4):
    result = step({input}**state)
    state = {{name: result[name] for name in state}}
    print(result["prediction"].numpy())
"""

SAVED_MODEL_TEXT = """\
# A trained recurrent network

`saved_model` takes one time step of any number of examples, from the input and the state before it to the
prediction and the state after it. The state is zero at first; then what comes out goes in again, by the same
names. `signature.json` has their shapes and dtypes.

```python
{example}```
"""

KERAS_TEXT = """\
`model.keras` is the equal Keras model. It reads whole sequences, {shape},
from a state of zero, and gives the predictions of all steps. `model.weights.h5` holds its weights alone.

```python
import tensorflow as tf

model = tf.keras.models.load_model("model.keras")
```

Saved again after some more training, under the same name, it can be brought back to a training run:
`python -m tf_rnn import` with this folder.
"""

VOCABULARY_TEXT = """\
`vocabulary.json` has the tokens; the class index of a token is its place among them, from 0.
"""

CONFIG_TEXT = """\
`config.json` says how the network was trained.
"""
