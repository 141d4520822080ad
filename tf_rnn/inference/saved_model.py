"""The single-step graph as a SavedModel: state in, state out, any number of examples side by side.

    prediction, state = G(input, state)

`tf.saved_model.load` runs it without this package; see `write_saved_model` for what it is called
with.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tf_rnn._tensorflow import tf
from tf_rnn.cells import described_cell
from tf_rnn.graph.describe import described_options
from tf_rnn.graph.naming import weight_names
from tf_rnn.graph.network import Network
from tf_rnn.graph.third_party import calling
from tf_rnn.inference.weights import assign_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.graph.network import Reading
    from tf_rnn.options import GraphOptions

INPUT, PREDICTION = "input", "prediction"
# What this package keeps in collections are Python objects, which are nothing for a file.
OUR_COLLECTIONS = "tf_rnn/"


class OpenStep(NamedTuple):
    """G for any number of examples.

    Attributes:
        cell: The cell.
        network: Embedding, cell and readout.
        variables: All there are.
        inputs: What is fed, by name: X_t where there is one, and the arrays of S_{t-1}.
        outputs: What comes out, by name: P_t, and the arrays of S_t.
        gradients: None: it is only run.
    """

    cell: Any
    network: Network
    variables: tuple[Any, ...]
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    gradients: tuple[Any, ...] = ()


def write_saved_model(
    description: dict[str, Any], weights: Mapping[str, np.ndarray], folder: Path
) -> dict[str, Any]:
    """Writes a network as a SavedModel with one signature, "serving_default".

    Its inputs are

        input       class indices, int32 [batch_size], or real values [batch_size, input_size];
                    not there where a step has no input
        state_0     S_{t-1} of the lowest layer, [batch_size, state_size]; of an LSTM
                    state_0_hidden and state_0_cell
        state_1     of the layer above, and so on

    and its outputs

        prediction  P_t, [batch_size, num_classes]
        state_0     S_t, by the same names

    so that what comes out by the names of the state is what goes in at the next step. S_{-1} = 0 is
    for the caller to feed. Classes that are none of the inputs' are an error when it is run.

    Args:
        description: What `describe` gave.
        weights: By the names of `weight_names`.
        folder: Where; it must not be there yet.

    Returns:
        The signature, ready for JSON: its name under "signature"; under "inputs" and "outputs" a
        shape (null for the number of examples) and a dtype for each name.

    Raises:
        OptionError: If it is no such description, or the weights are not its.
    """
    with tf.Graph().as_default() as graph:
        step = open_step(description)
        # What is asked of a graph there: cell, network, variables and gradients.
        names = weight_names(cast("UnrolledGraph", step))
        with tf.Session(graph=graph) as session:
            assign_weights(session, names, weights)
            _write(session, step, folder)
    return {
        "signature": tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY,
        "inputs": {name: _outline(tensor) for name, tensor in step.inputs.items()},
        "outputs": {name: _outline(tensor) for name, tensor in step.outputs.items()},
    }


def _write(session: Any, step: OpenStep, folder: Path) -> None:
    for name in session.graph.get_all_collection_keys():
        if name.startswith(OUR_COLLECTIONS):
            session.graph.clear_collection(name)
    signature = tf.saved_model.predict_signature_def(step.inputs, step.outputs)
    builder = tf.saved_model.Builder(str(folder))
    builder.add_meta_graph_and_variables(
        session,
        [tf.saved_model.SERVING],
        {tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY: signature},
        clear_devices=True,
        strip_default_attrs=True,
    )
    builder.save()


def _outline(tensor: Any) -> dict[str, Any]:
    return {"shape": tensor.shape.as_list(), "dtype": tensor.dtype.name}


def open_step(description: dict[str, Any]) -> OpenStep:
    """Builds G for any number of examples in the default `tf.Graph`, on new variables.

    Raises:
        OptionError: If it is no description of a graph.
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
    fed_state = _placeholders(cell, options.dtype)
    fed_input, vectors = INPUTS[options.input_kind](network, reading, options, next(iter(fed_state.values())))
    state = tf.nest.pack_sequence_as(cell.state_size, list(fed_state.values()))
    with calling(cell):
        output, state = cell(vectors, state)
    prediction = network.head.predict(reading.head, output)
    states = dict(zip(fed_state, tf.nest.flatten(state), strict=True))
    variables = tuple(tf.global_variables())
    return OpenStep(cell, network, variables, fed_input | fed_state, {PREDICTION: prediction} | states)


def _placeholders(cell: Any, dtype: str) -> dict[str, Any]:
    """Something to feed for each array of the state, by its name, in the order of `tf.nest.flatten`."""
    sizes = zip(state_names(cell), tf.nest.flatten(cell.state_size), strict=True)
    return {name: tf.placeholder(dtype, [None, size], name) for name, size in sizes}


def state_names(cell: Any) -> list[str]:
    """Names of the arrays of a cell's state: the number of the layer, then of the part, if it has parts."""
    layers = enumerate(getattr(cell, "layers", (cell,)))
    return [
        "_".join(["state", str(number), *part])
        for number, layer in layers
        for part in [[field] for field in getattr(layer.state_size, "_fields", ())] or [[]]
    ]


def _classes(network: Network, reading: Reading, options: GraphOptions, _: Any) -> tuple[dict[str, Any], Any]:
    fed = tf.placeholder(tf.int32, [None], INPUT)
    # Unit vectors would hide a class that there is not.
    checks = [tf.debugging.assert_non_negative(fed), tf.debugging.assert_less(fed, options.input_size)]
    with tf.control_dependencies(checks):
        checked = tf.identity(fed)
    if not reading.embedding:
        return {INPUT: fed}, network.encoding.vectors((), checked)
    # Not as the encoding does it: a gradient that is defined in Python is not saved.
    return {INPUT: fed}, tf.gather(reading.embedding[0], checked)


def _real(_: Network, __: Reading, options: GraphOptions, ___: Any) -> tuple[dict[str, Any], Any]:
    fed = tf.placeholder(options.dtype, [None, options.input_size], INPUT)
    return {INPUT: fed}, fed


def _none(_: Network, __: Reading, options: GraphOptions, state: Any) -> tuple[dict[str, Any], Any]:
    return {}, tf.zeros([tf.shape(state)[0], 0], options.dtype)


# What is fed by name, and the vectors that the cell reads: a function of the network, one read of its
# variables, the options, and an array of the state.
INPUTS: dict[str, Callable[[Network, Reading, GraphOptions, Any], tuple[dict[str, Any], Any]]] = {
    "classes": _classes,
    "real": _real,
    "none": _none,
}
