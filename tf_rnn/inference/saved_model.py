"""The single-step graph as a SavedModel, with the state as input and output, for any batch size.

    prediction, state = G(input, state)

`tf.saved_model.load` runs it without this package; `write_saved_model` documents its signature.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tf_rnn._tensorflow import tf
from tf_rnn.cells import described_cell
from tf_rnn.graph.describe import described_options
from tf_rnn.graph.initial_state import state_names
from tf_rnn.graph.naming import weight_names
from tf_rnn.graph.network import Network
from tf_rnn.graph.starts import started
from tf_rnn.graph.third_party import calling
from tf_rnn.inference.weights import assign_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.graph.network import Reading
    from tf_rnn.inference.units import Units
    from tf_rnn.options import GraphOptions

INPUT, PREDICTION, IN_UNITS = "input", "prediction", "in_units"
# The collections of this package hold Python objects, which cannot be written to a file.
OUR_COLLECTIONS = "tf_rnn/"


class OpenStep(NamedTuple):
    """G for any batch size.

    Attributes:
        cell: The cell.
        network: Embedding, cell and readout.
        variables: All variables.
        inputs: Placeholders by name: X_t where there is one, and the arrays of S_{t-1}.
        outputs: Tensors by name: P_t, and the arrays of S_t.
        values: Placeholders by name from which the input is computed unless it is fed; empty for none.
        gradients: Empty, as it is not trained.
    """

    cell: Any
    network: Network
    variables: tuple[Any, ...]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    values: dict[str, Any]
    gradients: tuple[Any, ...] = ()


def write_saved_model(
    description: dict[str, Any], weights: Mapping[str, np.ndarray], folder: Path, units: Units | None = None
) -> dict[str, Any]:
    """Writes a network as a SavedModel with the signature "serving_default".

    Its inputs are

        input       class indices, int32 [batch_size], or real values [batch_size, input_size];
                    absent if the network has no input
        state_0     S_{t-1} of the lowest layer, [batch_size, state_size]; for an LSTM
                    state_0_hidden and state_0_cell
        state_1     of the layer above, and so on

    and its outputs

        prediction  P_t, [batch_size, num_classes]
        state_0     S_t, by the same names

    The state outputs of one step are the state inputs of the next; the caller feeds S_{-1} = 0, or -inf where
    the initial state is learnt. A class index out of range raises an error when the model is run.

    With units there is a second signature, "in_units", whose `prediction` is in the units of the targets.
    Instead of `input` it takes what there is in the table:

        values      numbers as they were measured, nan where missing, float64 [batch_size, values]
        previous    the last known ones, nan before the first step; `previous` is an output as well, which
                    is this input of the next step
        words       strings [batch_size, words], "" where missing
        series      the name of the series, strings [batch_size]; any other stands for a new one
        time        the local time that the calendar is of, in seconds since 1970, float64 [batch_size]

    Args:
        description: From `describe`.
        weights: Weights by the names of `weight_names`.
        folder: A folder that does not exist yet.
        units: How inputs and predictions are scaled, for a second signature; None for none.

    Returns:
        The signature, ready for JSON: its name under "signature"; under "inputs" and "outputs" the
        shape (null for the batch size) and dtype of each name; under "initial_state" "zero" or "learnt".
        With units, those of "in_units" under that name.

    Raises:
        OptionError: If the description is malformed, or the weights do not belong to it.
    """
    with tf.Graph().as_default() as graph:
        step = open_step(description, units)
        signatures = {tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: (step.inputs, step.outputs)}
        if units is not None:
            state = {name: tensor for name, tensor in step.inputs.items() if name != INPUT}
            prediction = units.in_units(step.outputs[PREDICTION], step.values)
            known = units.known(step.values)
            signatures[IN_UNITS] = step.values | state, step.outputs | {PREDICTION: prediction} | known
        names = weight_names(cast("UnrolledGraph", step))  # it has what is needed of a graph
        with tf.Session(graph=graph) as session:
            assign_weights(session, names, weights)
            _write(session, signatures, folder)
    (name, first), *others = ((name, _outline(*tensors)) for name, tensors in signatures.items())
    initial = described_options(description).initial_state
    return {"signature": name, **first, "initial_state": initial, **dict(others)}


def _write(session: Any, signatures: dict[str, tuple[Any, Any]], folder: Path) -> None:
    for name in session.graph.get_all_collection_keys():
        if name.startswith(OUR_COLLECTIONS):
            session.graph.clear_collection(name)
    builder = tf.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(
        session,
        [tf.saved_model.SERVING],
        {name: tf.saved_model.predict_signature_def(*tensors) for name, tensors in signatures.items()},
        clear_devices=True,
        strip_default_attrs=True,
    )
    builder.save()


def _outline(inputs: dict[str, Any], outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        side: {
            name: {"shape": tensor.shape.as_list(), "dtype": tensor.dtype.name}
            for name, tensor in tensors.items()
        }
        for side, tensors in (("inputs", inputs), ("outputs", outputs))
    }


def open_step(description: dict[str, Any], units: Units | None = None) -> OpenStep:
    """Builds G for any batch size in the default `tf.Graph`, on new variables.

    Args:
        description: From `describe`.
        units: How inputs are scaled, where they may be fed as they were measured.

    Raises:
        OptionError: If the description is malformed.
    """
    options = dataclasses.replace(
        described_options(description),
        num_steps=1,
        batch_size=1,
        loss_steps="all",
        optimizer=None,
        dropout=0.0,
    )
    cell = described_cell(description.get("cell"))
    network = Network(cell, options)
    reading = network.read()
    init_state = _state_placeholders(cell, options.dtype)
    batch_size = tf.shape(next(iter(init_state.values())))[0]
    values = {} if units is None else units.placeholders()
    if units is None:
        inputs, vectors = INPUTS[options.input_kind](network, reading, options, batch_size)
    else:
        scaled = units.scaled(values, options.dtype)
        vectors = tf.placeholder_with_default(scaled, [None, options.input_size], INPUT)
        inputs = {INPUT: vectors}
    packed = tf.nest.pack_sequence_as(cell.state_size, list(init_state.values()))
    with calling(cell):
        output, state = cell(vectors, started(options, packed, reading))
    prediction = network.head.predict(reading.head, output)
    final_state = dict(zip(init_state, tf.nest.flatten(state), strict=True))
    variables = tuple(tf.global_variables())
    outputs = {PREDICTION: prediction} | final_state
    return OpenStep(cell, network, variables, inputs | init_state, outputs, values)


def _state_placeholders(cell: Any, dtype: str) -> dict[str, Any]:
    """A placeholder for each array of the state by name, in the order of `tf.nest.flatten`."""
    sizes = zip(state_names(cell), tf.nest.flatten(cell.state_size), strict=True)
    return {name: tf.placeholder(dtype, [None, size], name) for name, size in sizes}


def _classes(network: Network, reading: Reading, options: GraphOptions, _: Any) -> tuple[dict[str, Any], Any]:
    indices = tf.placeholder(tf.int32, [None], INPUT)
    # A one-hot encoding would turn a class out of range into zeros.
    checks = [
        tf.debugging.assert_non_negative(indices),
        tf.debugging.assert_less(indices, options.input_size),
    ]
    with tf.control_dependencies(checks):
        checked = tf.identity(indices)
    if not reading.embedding:
        return {INPUT: indices}, network.encoding.vectors((), checked)
    # Not by `network.encoding`: its gradient is known to this package alone.
    return {INPUT: indices}, tf.gather(reading.embedding[0], checked)


def _real(_: Network, __: Reading, options: GraphOptions, ___: Any) -> tuple[dict[str, Any], Any]:
    values = tf.placeholder(options.dtype, [None, options.input_size], INPUT)
    return {INPUT: values}, values


def _none(_: Network, __: Reading, options: GraphOptions, batch_size: Any) -> tuple[dict[str, Any], Any]:
    return {}, tf.zeros([batch_size, 0], options.dtype)


# (network, one read of its variables, options, batch size) -> placeholders by name, vectors for the cell.
INPUTS: dict[str, Callable[[Network, Reading, GraphOptions, Any], tuple[dict[str, Any], Any]]] = {
    "classes": _classes,
    "real": _real,
    "none": _none,
}
