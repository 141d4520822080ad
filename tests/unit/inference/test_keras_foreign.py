"""Keras models that were made elsewhere: equal predictions and gradients, and what is refused by name."""

from __future__ import annotations

import json
import re
import zipfile
from typing import TYPE_CHECKING, Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
from helpers import assert_close
from helpers import dense as dense_gradients
from model_helpers import made_up_text

import tf_rnn
from tf_rnn._tensorflow import tf
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.keras_model import keras_model
from tf_rnn.options import OptionError
from tf_rnn.tasks import Arrays, Task, Text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tf_rnn.inference import Model

INPUTS, TARGETS, LENGTH, ROWS, STEPS = 3, 2, 40, 3, 5
rng = np.random.default_rng(5)
VALUES = Arrays(rng.normal(size=(LENGTH, INPUTS)), rng.normal(size=(LENGTH, TARGETS)))
CLASSES = Arrays(
    rng.integers(0, INPUTS, LENGTH), rng.integers(0, TARGETS, LENGTH), input_size=3, num_classes=2
)


def layers() -> Any:
    return tf.compat.v2.keras.layers


def seeded(model: Any, seed: int = 3) -> Any:
    """The model with all weights random, biases too: Keras begins with zeros, which hide a swapped gate."""
    generator = np.random.default_rng(seed)
    model.set_weights([generator.normal(scale=0.4, size=weight.shape) for weight in model.get_weights()])
    return model


def stack(*parts: Any, shape: Any = (None, INPUTS), batch: int | None = None) -> Any:
    keras = tf.compat.v2.keras
    return seeded(keras.Sequential([keras.Input(shape, batch_size=batch), *parts]))


def lstm(units: int = 5, **options: Any) -> Any:
    return layers().LSTM(units, **({"return_sequences": True} | options))


def gru(units: int = 4, **options: Any) -> Any:
    return layers().GRU(units, **({"return_sequences": True} | options))


def simple(units: int = 6, **options: Any) -> Any:
    return layers().SimpleRNN(units, **({"return_sequences": True} | options))


def dense(units: int = TARGETS, **options: Any) -> Any:
    return layers().Dense(units, **options)


def softmax() -> Any:
    return dense(activation="softmax")


def functional() -> Any:
    keras = tf.compat.v2.keras
    inputs = keras.Input([None, INPUTS])
    hidden = layers().Dropout(0.3)(lstm(3, dropout=0.2)(gru()(layers().GaussianNoise(0.1)(inputs))))
    return seeded(keras.Model(inputs, layers().TimeDistributed(dense())(hidden)))


# What each is given as, as well: the model itself, its file, or its weights and a model without them.
NETWORKS: dict[str, tuple[Task, str, Callable[[], Any]]] = {
    "stack of all": (
        VALUES, "file", lambda: stack(lstm(), gru(reset_after=False), simple(), gru(7), lstm(2), dense()),
    ),
    "no biases": (
        VALUES,
        "weights",
        lambda: stack(
            simple(use_bias=False, activation="relu"),
            gru(use_bias=False),
            gru(reset_after=False, use_bias=False),
            dense(use_bias=False),
        ),
    ),
    "functional, dropout, time distributed": (VALUES, "weights", functional),
    "no Dense": (VALUES, "model", lambda: stack(lstm(), gru(TARGETS))),
    "unit vectors": (CLASSES, "model", lambda: stack(lstm(), softmax())),
    "embedding": (
        CLASSES,
        "file",
        lambda: stack(layers().Embedding(INPUTS, 4), lstm(), gru(), softmax(), shape=(None,)),
    ),
    "logits": (
        CLASSES, "model", lambda: stack(layers().Embedding(INPUTS, 4), simple(), dense(), shape=(None,)),
    ),
}  # fmt: skip


def given(task: Task, rows: int = 1) -> list[Any]:
    """Inputs and targets of a task in rows, as it has them."""
    stream = task.stream("train")
    steps = len(stream.targets) // rows
    return [
        part[: rows * steps].reshape(rows, steps, *part.shape[1:]) for part in (stream.inputs, stream.targets)
    ]


def as_read(task: Task, model: Any, inputs: Any) -> Any:
    """What the Keras model reads: unit vectors where it has no embedding."""
    return np.eye(INPUTS)[inputs] if task is CLASSES and len(model.input_shape) > 2 else inputs


def taken(model: Any, task: Task, folder: Path, **more: Any) -> Model:
    """What the run of a Keras model is loaded as, of a narrow graph."""
    return tf_rnn.load(tf_rnn.from_keras(model, task, folder, num_steps=2, **more), task=task)


def predictions(model: Model, inputs: Any) -> np.ndarray:
    """Step by step."""
    return np.concatenate([model.stepper.step(x[np.newaxis]) for x in inputs])


def probabilities(model: Any, outputs: Any) -> Any:
    """The outputs, of which those of a Dense for classes may be logits."""
    if model.layers[-1].get_config().get("activation") != "linear":
        return outputs
    powers = np.exp(outputs)
    return powers / powers.sum(axis=-1, keepdims=True)


WITH_GRADIENTS = ("stack of all", "no biases", "unit vectors", "embedding")
SOURCES: dict[str, Callable[[Any, Path], tuple[Any, dict[str, Any]]]] = {
    "model": lambda model, _: (model, {}),
    "file": lambda model, folder: (model.save(folder / "m.keras") or folder / "m.keras", {}),
    "weights": lambda model, folder: (
        type(model).from_config(model.get_config()),
        {"weights": model.save_weights(folder / "m.weights.h5") or folder / "m.weights.h5"},
    ),
}


@pytest.mark.parametrize("network", NETWORKS)
def test_predictions_and_gradients_are_those_of_keras(network: str, tmp_path: Path) -> None:
    task, source, make = NETWORKS[network]
    model = make()
    origin, more = SOURCES[source](model, tmp_path)
    found = taken(origin, task, tmp_path / "run", **more)
    (inputs,), _ = given(task)
    expected = np.asarray(model(as_read(task, model, inputs[np.newaxis]), training=False))[0]
    expected = expected if task is VALUES else probabilities(model, expected)
    assert_close(predictions(found, inputs), expected, 1e-6, network)
    if network in WITH_GRADIENTS:
        assert_gradients_agree(found, model, task)


def as_ours(cell: str, gradients: list[np.ndarray]) -> list[np.ndarray]:
    """Keras' gradients in the order of our gates (Keras: LSTM i, f, c, o; GRU z, r, h)."""
    kernel, recurrent, *bias = gradients
    W, order = (
        np.concatenate([kernel, recurrent]),
        {"vanilla": [0], "lstm": [0, 1, 3, 2]}.get(cell, [1, 0, 2]),
    )

    def ordered(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    if not bias:
        return [ordered(W)]
    if cell == "gru":
        return [ordered(W), ordered(bias[0][0]), np.split(bias[0][1], 3)[2]]
    return [ordered(W), ordered(bias[0])]


def gradients_of_keras(model: Any, task: Task, inputs: Any, targets: Any) -> list[np.ndarray]:
    with tf.compat.v2.GradientTape() as tape:
        outputs = model(as_read(task, model, inputs), training=False)
        if task is VALUES:
            loss = tf.reduce_mean(tf.square(outputs - targets.astype(np.float32)))
        else:
            chosen = tf.reduce_sum(outputs * np.eye(TARGETS, dtype=np.float32)[targets], axis=-1)
            loss = -tf.reduce_mean(tf.math.log(chosen))
    return [np.asarray(each) for each in dense_gradients(tape.gradient(loss, model.trainable_variables))]


def assert_gradients_agree(loaded: Model, model: Any, task: Task) -> None:
    """Of the mean loss over 3 rows of 5 steps, through time from a state of zero."""
    inputs, targets = (part[:, :STEPS] for part in given(task, ROWS))
    expected = gradients_of_keras(model, task, inputs, targets)
    graph = loaded.graph.forward(num_steps=STEPS, batch_size=ROWS)
    names = weight_names(graph)
    with graph.tf_graph.as_default():
        wanted = dense_gradients(tf.gradients(graph.total_loss, list(names.values())))
    values = loaded.session.run(wanted, graph.feed(inputs, targets, graph.zero_state()))
    found = dict(zip(names, values, strict=True))
    if "embedding/E" in found:
        assert_close(found.pop("embedding/E"), expected.pop(0), 1e-5, "embedding")
    compared = 0
    for number, layer in enumerate(loaded.config["cell"]):
        ours = [value for name, value in found.items() if name.startswith(f"layer_{number}/")]
        count = 3 if model.layers[0].get_config().get("use_bias", True) else 2
        for mine, theirs in zip(ours, as_ours(layer["cell"], expected[:count]), strict=False):
            assert np.abs(theirs).max() > 1e-4, "nothing to compare"
            assert_close(mine, theirs, 1e-5, f"layer {number}")
            compared += 1
        expected = expected[count:]
    for name, theirs in zip(("readout/U", "readout/b_p"), expected, strict=False):
        assert_close(found[name], theirs, 1e-5, name)
    assert compared >= len(loaded.config["cell"])


def test_a_stateful_model_is_the_run_with_its_state_carried(tmp_path: Path) -> None:
    """Two calls of the model are one run over both; it returns its last output only."""
    model = stack(lstm(stateful=True), gru(stateful=True, return_sequences=False), dense(), batch=1)
    inputs = VALUES.stream("train").inputs[:10]
    found = [np.asarray(model(inputs[None, part]))[0] for part in (slice(0, 4), slice(4, 10))]
    expected = predictions(taken(model, VALUES, tmp_path / "run"), inputs)
    assert_close(found, [expected[3], expected[9]], 1e-6, "last outputs")


def test_a_text_model_is_evaluated(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(made_up_text(900), encoding="utf-8")
    task = Text(path)
    size = task.num_classes
    embedding, readout = layers().Embedding(size, 4), dense(size, activation="softmax")
    model = stack(embedding, gru(reset_after=False), readout, shape=(None,))
    loaded = tf_rnn.load(tf_rnn.from_keras(model, task, tmp_path / "run", num_steps=2))
    inputs, targets = task.stream("valid")
    chosen = np.asarray(model(inputs[np.newaxis]))[0, np.arange(len(targets)), targets]
    found = loaded.evaluator("valid", num_steps=5).loss
    assert found == pytest.approx(-np.log(chosen).mean(), abs=1e-6)


def test_our_own_model_comes_back_bit_for_bit(tmp_path: Path) -> None:
    """Classes as unit vectors, by layers without weights."""
    first = taken(NETWORKS["unit vectors"][-1](), CLASSES, tmp_path / "run")
    keras_model(first.description, first.weights).save(tmp_path / "model.keras")
    again = taken(tmp_path / "model.keras", CLASSES, tmp_path / "again").weights
    for name, value in first.weights.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


# --- refusals ----------------------------------------------------------------------------------------


def with_attention() -> Any:
    keras = tf.compat.v2.keras
    inputs = keras.Input([None, INPUTS])
    hidden = lstm()(inputs)
    return keras.Model(inputs, dense()(layers().Attention(name="look")([hidden, hidden])))


def with_a_shortcut() -> Any:
    keras = tf.compat.v2.keras
    inputs = keras.Input([None, INPUTS])
    hidden = lstm(INPUTS)(inputs)
    return keras.Model(inputs, dense()(layers().Add(name="sum")([hidden, inputs])))


def with_a_state() -> Any:
    keras = tf.compat.v2.keras
    inputs, state = keras.Input([None, INPUTS]), keras.Input([4])
    return keras.Model([inputs, state], dense()(gru(name="g")(inputs, initial_state=state)))


def of_my_own() -> Any:
    class Mine(tf.compat.v2.keras.Model):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn, self.head = lstm(), dense()

        def call(self, x: Any) -> Any:
            return self.head(self.rnn(x))

    model = Mine()
    model(np.zeros((1, 2, INPUTS), np.float32))
    return model


NOT = "model must be a network that can be taken over, not one with"
# Two are networks for classes.
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "bidirectional": (
        lambda: stack(layers().Bidirectional(lstm(), name="both"), dense()),
        f"{NOT} Bidirectional 'both'; known",
    ),
    "backwards": (
        lambda: stack(lstm(go_backwards=True, name="a"), dense()),
        f"{NOT} go_backwards=True in LSTM 'a'; it must be False",
    ),
    "recurrent dropout": (
        lambda: stack(gru(recurrent_dropout=0.25, name="a"), dense()),
        f"{NOT} recurrent_dropout=0.25 in GRU 'a'; it must be 0",
    ),
    "attention": (with_attention, f"{NOT} Attention 'look'; known are SimpleRNN, GRU, LSTM, "),
    "a shortcut": (with_a_shortcut, f"{NOT} Add 'sum'; known are "),
    "a state from elsewhere": (
        with_a_state,
        "model must be layers in a row, each reading the one before",
    ),
    "one's own": (of_my_own, "model must be a Sequential or "),
    "another activation": (
        lambda: stack(lstm(activation="relu", name="a"), dense()),
        f"{NOT} activation='relu' in LSTM 'a'; it must be 'tanh'",
    ),
    "a linear unit": (
        lambda: stack(simple(activation="linear", name="a"), dense()),
        f"{NOT} activation='linear' in SimpleRNN 'a'; it must be 'tanh' or 'relu'",
    ),
    "another gate": (
        lambda: stack(gru(recurrent_activation="hard_sigmoid", name="a"), dense()),
        f"{NOT} recurrent_activation='hard_sigmoid' in GRU 'a'; it must be 'sigmoid'",
    ),
    "a mask": (
        lambda: stack(
            layers().Embedding(INPUTS, 4, mask_zero=True, name="e"), lstm(), softmax(), shape=(None,)
        ),
        f"{NOT} mask_zero=True in Embedding 'e'; it must be False",
    ),
    "half precision": (
        lambda: stack(lstm(name="a", dtype="mixed_float16"), dense()),
        f"{NOT} LSTM 'a' of dtype 'mixed_float16'",
    ),
    "a layer before": (
        lambda: stack(dense(4, name="d"), lstm(), dense()),
        f"{NOT} Dense 'd' for the task arrays, whose inputs",
    ),
    "a layer between": (
        lambda: stack(lstm(), dense(4, name="d"), lstm(), dense()),
        f"{NOT} Dense 'd' between recurrent layers",
    ),
    "two Dense": (
        lambda: stack(lstm(), dense(4, name="d"), dense(name="e")),
        "model must have one Dense after the recurrent layers for this task, got Dense 'd', Dense 'e'",
    ),
    "an activation of Dense": (
        lambda: stack(lstm(), dense(activation="tanh", name="d")),
        f"{NOT} activation='tanh' in Dense 'd'; it must be linear",
    ),
    "no recurrent layer": (
        lambda: stack(dense()),
        "model must have a layer SimpleRNN, GRU or LSTM, got Dense",
    ),
    "other targets": (
        lambda: stack(lstm(), dense(3, name="d")),
        "model must have 2 units in Dense 'd' for the task arrays, got 3",
    ),
    "other inputs": (
        lambda: stack(lstm(name="a"), dense(), shape=(None, 4)),
        "model must have weights of the shapes [[3, 20], [5, 20], [20]] in LSTM 'a', got [[4, 20], ",
    ),
    "other classes": (
        lambda: stack(layers().Embedding(5, 4, name="e"), lstm(), softmax(), shape=(None,)),
        "model must have input_dim 3 in Embedding 'e' for the task arrays, got 5",
    ),
    "a number": (lambda: 3, "model must be a Keras model or the path of a .keras file, got 3"),
    "a pickle": (lambda: "model.pkl", "model must be a .keras file, got 'model.pkl'"),
    "weights alone": (
        lambda: "a.weights.h5",
        "model must be a .keras file, got 'a.weights.h5'; a .weights.h5 file is given as weights, ",
    ),
    "nothing": (lambda: "model.keras", "model must be a file, there is none at 'model.keras'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_taken_over_is_refused_by_name(case: str, tmp_path: Path) -> None:
    make, message = REFUSED[case]
    task = CLASSES if case in ("a mask", "other classes") else VALUES
    with pytest.raises(OptionError, match=f"^{re.escape(message)}") as caught:
        tf_rnn.from_keras(make(), task, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_task_without_a_readout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        OptionError, match=r"^task must be one that networks with a readout learn, got influence$"
    ):
        tf_rnn.from_keras(stack(lstm(), dense()), tf_rnn.tasks.Influence(), tmp_path / "run")


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(content["config.json"])
    change(config)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (content | {"config.json": json.dumps(config).encode()}).items():
            archive.writestr(name, data)


def first_lstm(config: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = config["config"]["layers"][1]
    return found


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a program": (lambda config: first_lstm(config).update(class_name="Lambda"), f"{NOT} Lambda "),
    "a registered layer": (
        lambda config: first_lstm(config).update(registered_name="Mine>LSTM"),
        f"{NOT} LSTM ",
    ),
    "an object": (
        lambda config: first_lstm(config)["config"].update(activation={"class_name": "mine"}),
        f"{NOT} activation={{",
    ),
    "more than there is": (
        lambda config: first_lstm(config)["config"].update(units=2**31),
        "model must have weights of the shapes",
    ),
    "no layers": (lambda config: config.update(config={}), "model must be a Sequential or Functional model"),
    "no class": (lambda config: config.pop("class_name"), "model must be undamaged, "),
}


@pytest.mark.parametrize("case", CHANGES)
def test_an_archive_that_claims_something_else_is_refused(case: str, tmp_path: Path) -> None:
    change, message = CHANGES[case]
    stack(lstm(), dense()).save(tmp_path / "m.keras")
    rewritten(tmp_path / "m.keras", change)
    with pytest.raises(OptionError, match=f"^{re.escape(message)}") as caught:
        tf_rnn.from_keras(tmp_path / "m.keras", VALUES, tmp_path / "run")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_damaged_files_and_weights_of_others_are_refused(tmp_path: Path) -> None:
    model, path = stack(lstm(), dense()), tmp_path / "m.weights.h5"
    for content, message in ((b"no archive", "it is no archive of files"), (b"PK", "")):
        (tmp_path / "m.keras").write_bytes(content)
        with pytest.raises(OptionError, match=rf"^model must be undamaged, .* cannot be read: {message}"):
            tf_rnn.from_keras(tmp_path / "m.keras", VALUES, tmp_path / "run")
    stack(lstm(), lstm(), dense()).save_weights(path)
    with pytest.raises(OptionError, match=r"^weights must be those of a model with these layers, "):
        tf_rnn.from_keras(model, VALUES, tmp_path / "run", weights=path)
    model.save_weights(path)
    with h5py.File(path, "r+") as file:
        file.create_dataset("zeros", (1 << 40,), np.float32, chunks=(1 << 20,), compression="gzip")
    with pytest.raises(OptionError, match=r"^weights must be undamaged, .* not stored in full in this file$"):
        tf_rnn.from_keras(model, VALUES, tmp_path / "run", weights=path)
    model.layers[0].set_weights([np.full(w.shape, np.nan) for w in model.layers[0].get_weights()])
    with pytest.raises(OptionError, match=r"^model must have finite weights, those of layer_0/W are not$"):
        tf_rnn.from_keras(model, VALUES, tmp_path / "run")
    assert not (tmp_path / "run").exists()
