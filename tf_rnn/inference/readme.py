"""The README.md of an exported model."""

from __future__ import annotations

from typing import Any, NamedTuple

from tf_rnn.inference.saved_model import IN_UNITS, INPUT
from tf_rnn.inference.units import PREVIOUS

ZEROS = 'tf.zeros({shape}, "{dtype}")'


class Start(NamedTuple):
    """What is fed before the first step: in words, and in a program."""

    words: str
    value: str


STARTS = {
    "zero": Start("zeros ", ZEROS),
    "learnt": Start(
        "-inf, which stands for the initial state that was learnt,\n",
        'tf.fill({shape}, tf.constant(float("-inf"), "{dtype}"))',
    ),
}


def readme(
    signature: dict[str, Any],
    task: dict[str, Any],
    *,
    has_keras: bool,
    torch_program: str | None,
    has_onnx: bool,
    has_vocabulary: bool,
) -> str:
    """Instructions for the files of an export.

    Args:
        signature: From `write_saved_model`.
        task: The task in the run's configuration.
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
    if "fit" in task and "target" in task["options"]:
        parts.append(_units(task))
    if IN_UNITS in signature:
        parts.append(IN_UNITS_TEXT + (PREVIOUS_TEXT if PREVIOUS in signature[IN_UNITS]["inputs"] else ""))
    return "\n".join([*parts, CONFIG_TEXT])


def _units(task: dict[str, Any]) -> str:
    """What inputs and predictions of a network of series are, and in which units."""
    fit, options = task["fit"], task["options"]
    name = next(iter(fit["scales"]))
    scales = fit["scales"][""] | fit["scales"][name]
    rows = [f"| {column} | {mean:.9g} | {spread:.9g} |" for column, (mean, spread) in scales.items()]
    targets, quantiles = ", ".join(options["target"]), options["quantiles"]
    return UNITS_TEXT.format(
        inputs=", ".join(f"`{each}`" for each in task["input_names"]),
        rows="\n".join(rows),
        whose=f" (of the series {name}; those of all are in `config.json`)" if name else "",
        targets=targets,
        horizon=options["horizon"],
        each=f", and of each step the quantiles {', '.join(map(str, quantiles))}" if quantiles else "",
        level="the last known value" if fit["difference"] else "mean",
        change=CHANGE_TEXT if fit["difference"] else "",
    )


def _example(signature: dict[str, Any], start: str) -> str:
    """A program that runs the SavedModel of a signature, from the folder of the export."""
    inputs = dict(signature["inputs"])
    read = f"{INPUT}={_filled(inputs.pop(INPUT), ZEROS)}, " if INPUT in inputs else ""
    state = "".join(f'    "{name}": {_filled(array, start)},\n' for name, array in inputs.items())
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

UNITS_TEXT = """\
The inputs of a step, in this order: {inputs}.
Numbers are scaled, (value - mean) / spread{whose}:

| column | mean | spread |
|---|---|---|
{rows}

{change}A name with `+k` is the value k steps ahead; `missing` is 1 where the last value stands in for one
that is missing. The predictions are those of {targets}, target by target, {horizon} steps ahead of
each{each}: value = prediction * spread + {level}.
"""

CHANGE_TEXT = """\
Targets are read as the change since the step before, by the spread.
"""

IN_UNITS_TEXT = """\
The signature `in_units` of the SavedModel does this scaling itself: it takes `values`, as they were measured
and in the same order, instead of `input`, and its `prediction` is in the units of the targets.
"""

PREVIOUS_TEXT = """\
As targets are read as changes, it takes their values of the step before, too, as `previous`; at the first
step they are those of that step.
"""

CONFIG_TEXT = """\
`config.json` is the configuration of the training run.
"""
