"""The README.md of an exported model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.inference.saved_model import IN_UNITS, INPUT
from tf_rnn.inference.units import PREVIOUS, SERIES, TIME, VALUES, WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tf_rnn.inference.units import Units

ZEROS = 'tf.zeros({shape}, "{dtype}")'
FILLED = 'tf.fill({shape}, tf.constant({value}, "{dtype}"))'
# Series and labels that are named before it is said how many more there are.
MOST_SHOWN = 5


class Start(NamedTuple):
    """What is fed before the first step: in words, and in a program."""

    words: str
    value: str


STARTS = {
    "zero": Start("zeros ", ZEROS),
    "learnt": Start(
        "-inf, which stands for the initial state that was learnt,\n",
        FILLED.replace("{value}", 'float("-inf")'),
    ),
}


def readme(
    signature: dict[str, Any],
    units: Units | None,
    *,
    has_keras: bool,
    torch_program: str | None,
    has_onnx: bool,
    has_vocabulary: bool,
) -> str:
    """Instructions for the files of an export.

    Args:
        signature: From `write_saved_model`.
        units: How inputs and predictions are scaled, where they come from a table.
        has_keras: Whether there is a Keras model.
        torch_program: A program in PyTorch for the weights; None if there are none for it.
        has_onnx: Whether there is an ONNX model.
        has_vocabulary: Whether there is a vocabulary.
    """
    start = STARTS[signature["initial_state"]]
    parts = [SAVED_MODEL_TEXT.format(start=start.words, example=_example(signature, start.value))]
    if has_keras:
        parts.append(KERAS_TEXT.format(shape=_sequence_shape(signature)))
    if torch_program is not None:
        parts.append(TORCH_TEXT.format(program=torch_program))
    if has_onnx:
        parts.append(_onnx_text(signature))
    if has_vocabulary:
        parts.append(VOCABULARY_TEXT)
    if units is not None:
        parts += [_scales(units), _predictions(units), _in_units(units, signature, start.value)]
    return "\n".join([*parts, CONFIG_TEXT])


def _scales(units: Units) -> str:
    """What the inputs of a network are, and how they are scaled."""
    means, spreads = units.table()
    names = [entry.column for entry in units.values]
    scales = dict(zip(names, zip(means[0], spreads[0], strict=True), strict=True))
    rows = [f"| {column} | {mean:.9g} | {spread:.9g} |" for column, (mean, spread) in scales.items()]
    whose = f" (of the series {units.series[0]}; those of all are in `config.json`)" if units.series else ""
    numbers = NUMBERS_TEXT.format(rows="\n".join(rows), whose=whose) if rows else ""
    change = CHANGE_TEXT if units.fit.difference else ""
    return INPUTS_TEXT.format(inputs=_quoted(units.inputs), numbers=numbers, change=change)


def _predictions(units: Units) -> str:
    """What the predictions are."""
    if not units.targets:
        return LABELS_TEXT.format(labels=_first(units.labels))
    quantiles = units.quantiles
    return TARGETS_TEXT.format(
        targets=", ".join(units.targets),
        horizon=units.horizon,
        each=f", and of each step the quantiles {', '.join(map(str, quantiles))}" if quantiles else "",
        level="the last known value" if units.fit.difference else "mean",
    )


def _in_units(units: Units, signature: dict[str, Any], start: str) -> str:
    """What the second signature takes, and a program that runs it."""
    inputs = signature[IN_UNITS]["inputs"]
    meanings = {
        VALUES: f"{_quoted(entry.title for entry in units.values)} as they were measured; nan where missing",
        PREVIOUS: "nan before the first row, then the output `previous` of the row before",
        WORDS: f"{_quoted(entry.title for entry in units.words)}; an empty string where missing",
        SERIES: f"which series the row is of: {_first(units.series)}; with any other name, numbers are "
        "scaled as those of all series together",
        TIME: f"the local time of the {'next ' if units.targets else ''}row in seconds since 1970 began",
    }
    lines = [f"- `{name}`: {text}" for name, text in meanings.items() if name in inputs]
    fed = {
        name: _filled(array, FILLED.replace("{value}", '""') if array["dtype"] == "string" else ZEROS)
        for name, array in inputs.items()
        if name in meanings and name != PREVIOUS
    }
    state = {name: _filled(array, start) for name, array in inputs.items() if name not in meanings}
    if PREVIOUS in inputs:
        state[PREVIOUS] = _filled(inputs[PREVIOUS], FILLED.replace("{value}", 'float("nan")'))
    return IN_UNITS_TEXT.format(
        inputs="\n".join(lines),
        units=", its `prediction` is in the units of the targets" if units.targets else "",
        row=_lines(fed),
        state=_lines(state),
    )


def _first(names: tuple[str, ...]) -> str:
    """Names, the first of them where there are many; `config.json` has them all."""
    more = ["... (see `config.json`)"] if len(names) > MOST_SHOWN else []
    return ", ".join([*names[:MOST_SHOWN], *more])


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _lines(values: dict[str, str]) -> str:
    """The entries of a dictionary in a program."""
    return "".join(f'    "{name}": {value},\n' for name, value in values.items())


def _example(signature: dict[str, Any], start: str) -> str:
    """A program that runs the SavedModel of a signature, from the folder of the export."""
    inputs = dict(signature["inputs"])
    read = f"{INPUT}={_filled(inputs.pop(INPUT), ZEROS)}, " if INPUT in inputs else ""
    state = _lines({name: _filled(array, start) for name, array in inputs.items()})
    return EXAMPLE.format(name=signature["signature"], state=state, input=read)


def _filled(array: dict[str, Any], value: str) -> str:
    shape = ", ".join(str(size or "batch_size") for size in array["shape"])
    return value.format(shape=f"[{shape}]", dtype=array["dtype"])


def _onnx_text(signature: dict[str, Any]) -> str:
    """A program that runs the ONNX model, two steps after another."""
    inputs = dict(signature["inputs"])
    shape = ", ".join(map(str, ["batch_size", 1, *inputs.pop(INPUT)["shape"][1:]]))
    kind = "float32" if len(signature["inputs"][INPUT]["shape"]) > 1 else "int64"
    sizes = ", ".join(f'"{name}": {array["shape"][1]}' for name, array in inputs.items())
    return ONNX_TEXT.format(shape=shape, kind=kind, sizes=sizes)


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

`saved_model` computes one time step for any batch size: from an input and the previous state to a prediction
and the next state. Start with a state of {start}and feed the state outputs of each step to the inputs of the
same name at the next. `signature.json` lists all names, shapes and dtypes.

```python
{example}```
"""

KERAS_TEXT = """\
`model.keras` is the equivalent Keras model. It reads whole sequences, {shape},
from a state of zeros, and returns the predictions of all steps. `model.weights.h5` holds its weights alone.

```python
import tensorflow as tf

model = tf.keras.models.load_model("model.keras")
```

After further training, save it under the same name; `python -m tf_rnn import` turns this folder back into a
run that can be resumed.
"""

TORCH_TEXT = """\
`model.safetensors` holds the weights as PyTorch names them. This module reads them with the package
`safetensors`, and returns the logits of all steps (of real targets the predictions) and the state.

```python
{program}```
"""

ONNX_TEXT = """\
`model.onnx` is the same network for ONNX runtimes, in single precision: any number of steps at once, with the
state in and out.

```python
import numpy as np
import onnxruntime

batch_size, sizes = 3, {{{sizes}}}
session = onnxruntime.InferenceSession("model.onnx")
state = {{name: np.zeros([batch_size, size], np.float32) for name, size in sizes.items()}}
for _ in range(4):
    values = np.zeros([{shape}], np.{kind})
    prediction, *next_state = session.run(None, {{"input": values, **state}})
    state = dict(zip(state, next_state))
    print(prediction[:, -1])
```
"""

VOCABULARY_TEXT = """\
`vocabulary.json` lists the tokens; the class index of a token is its position, counted from 0.
"""

INPUTS_TEXT = """\
The inputs of a step, in this order: {inputs}.
{numbers}{change}A name with `+k` is the value k steps ahead; one with `=` is 1 where that is the word, else
0; `missing` is 1 where the last value stands in for one that is missing; a calendar is sine and cosine of
2 pi times the part of the day, the week (from Monday on) or the year that has passed.
"""

NUMBERS_TEXT = """\
Numbers are scaled, (value - mean) / spread{whose}:

| column | mean | spread |
|---|---|---|
{rows}

"""

CHANGE_TEXT = """\
Targets are read as the change since the step before, by the spread.
"""

TARGETS_TEXT = """\
The predictions are those of {targets}, target by target, {horizon} steps ahead of
each{each}: value = prediction * spread + {level}.
"""

LABELS_TEXT = """\
The predictions are the probabilities of the labels {labels}.
"""

IN_UNITS_TEXT = """\
The signature `in_units` of the SavedModel does this itself{units}. Instead of `input` it takes

{inputs}

```python
import tensorflow as tf

batch_size = 3
model = tf.saved_model.load("saved_model")
step = model.signatures["in_units"]
row = {{
{row}}}
state = {{
{state}}}
for _ in range(4):
    result = step(**row, **state)
    state = {{name: result[name] for name in state}}
    print(result["prediction"].numpy())
```
"""

CONFIG_TEXT = """\
`config.json` is the configuration of the training run.
"""
