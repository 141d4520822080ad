"""What `export` writes, read by TensorFlow and Keras alone, against our own graphs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from helpers import CASES, assert_close, chessboard, new_session, random_block, random_state

from tf_rnn.__main__ import main
from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, InfluenceCell, LSTMCell, StackedCell, VanillaCell, describe_cell
from tf_rnn.graph import UnrolledGraph, describe, described_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference import exporting as module
from tf_rnn.inference.exporting import Exported, export
from tf_rnn.inference.keras_layers import KERAS_LAYERS, exchange_gates
from tf_rnn.inference.keras_model import keras_model
from tf_rnn.inference.keras_weights import weights_of_keras
from tf_rnn.inference.saved_model import open_step, write_saved_model
from tf_rnn.inference.weights import assign_weights
from tf_rnn.options import GraphOptions, OptionError
from tf_rnn.training.keeper import kept_config

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STEPS, BATCH = 4, 3
REAL: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"}
KINDS: dict[str, dict[str, Any]] = {
    "classes": {"input_size": 5},
    "embedded": {"input_size": 5, "embedding_size": 2},
    "real": {"input_size": 5, **REAL},
}
KERAS_FILES = {"model.keras", "model.weights.h5"}


class Example(NamedTuple):
    """A network and what it does.

    Attributes:
        description: Of its graph.
        weights: All random, biases too.
        inputs: [BATCH, STEPS, ...]; None where there are none.
        state: S_{-1}, random.
        predictions: From that state, [BATCH, STEPS, num_classes].
        last_state: S_{STEPS-1}, a flat list.
        from_zero: Predictions from a state of zero.
    """

    description: dict[str, Any]
    weights: dict[str, NDArray[Any]]
    inputs: NDArray[Any] | None
    state: Any
    predictions: NDArray[Any]
    last_state: list[NDArray[Any]]
    from_zero: NDArray[Any]


def make_example(cell: Any, *, batch_size: int = BATCH, **options: Any) -> Example:
    generator = np.random.default_rng(211)
    options = {"num_classes": 3, "dtype": "float64", **options}
    with tf.Graph().as_default():
        graph = UnrolledGraph(cell, STEPS, batch_size, **options)
    names = weight_names(graph)
    weights = {
        name: (0.6 * generator.normal(size=variable.shape)).astype(options["dtype"])
        for name, variable in names.items()
    }
    inputs, targets = random_block(generator, graph)
    state = random_state(generator, graph.init_state)
    with new_session(graph.tf_graph) as session:
        assign_weights(session, names, weights)
        predictions, last = session.run(
            [graph.predictions, graph.final_state], graph.feed(inputs, targets, state)
        )
        from_zero = session.run(graph.predictions, graph.feed(inputs, targets, graph.zero_state()))
    return Example(
        describe(graph),
        weights,
        inputs,
        state,
        np.stack(predictions, axis=1),
        tf.nest.flatten(last),
        np.stack(from_zero, axis=1),
    )


def as_model(example: Example, tokens: tuple[str, ...] | None = None) -> Any:
    """What `load` would give."""
    return SimpleNamespace(
        description=example.description,
        weights=example.weights,
        config=example.description | {"task": {"name": "none"}, "training": {}},
        tokens=tokens,
    )


def run_saved_model(
    folder: Path, inputs: NDArray[Any] | None, state: Any
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """All steps by a SavedModel: the predictions, [batch_size, steps, num_classes], and the last state."""
    model = load_saved(folder)
    by_name = dict(zip(model.state, tf.nest.flatten(state), strict=True))
    predictions = []
    for t in range(STEPS):
        fed = by_name if inputs is None else by_name | {"input": inputs[:, t]}
        result = model.step(
            **{name: tf.constant(value, model.inputs[name][1]) for name, value in fed.items()}
        )
        by_name = {name: result[name].numpy() for name in by_name}
        predictions.append(result["prediction"].numpy())
    return np.stack(predictions, axis=1), list(by_name.values())


class Saved(NamedTuple):
    """A SavedModel as TensorFlow reads it.

    Attributes:
        model: What was loaded; the function is good for as long as it is kept.
        step: The function.
        inputs: Shape and dtype by name.
        outputs: Shape and dtype by name.
        state: The names of the state's arrays, from the inputs upwards.
    """

    model: Any
    step: Any
    inputs: dict[str, tuple[list[int | None], str]]
    outputs: dict[str, tuple[list[int | None], str]]
    state: list[str]


def load_saved(folder: Path) -> Saved:
    model = tf.compat.v2.saved_model.load(str(folder))
    step = model.signatures["serving_default"]
    inputs, outputs = (
        {name: (tensor.shape.as_list(), tensor.dtype.name) for name, tensor in tensors.items()}
        for tensors in (step.structured_input_signature[1], step.structured_outputs)
    )
    # "state_0_hidden" stands before "state_0_cell".
    state = sorted(inputs.keys() - {"input"}, key=lambda name: (name.split("_")[1], name.endswith("_cell")))
    return Saved(model, step, inputs, outputs, state)


@pytest.mark.parametrize(
    ("rounded", "kind"),
    chessboard([*((cell, "float64", 1e-12) for cell in CASES), ("stacked", "float32", 1e-5)], KINDS),
    ids=lambda part: part if isinstance(part, str) else f"{part[0]}, {part[1]}",
)
def test_saved_model_keras_and_our_graph_are_one_function(
    tmp_path: Path, rounded: tuple[str, str, float], kind: str
) -> None:
    cell, dtype, tolerance = rounded
    example = make_example(CASES[cell].make(), **KINDS[kind], dtype=dtype)
    done = export(as_model(example), tmp_path / "out")
    assert done.without_keras is None
    predictions, state = run_saved_model(tmp_path / "out" / "saved_model", example.inputs, example.state)
    assert predictions.dtype == state[0].dtype == dtype
    assert_close(predictions, example.predictions, tolerance, "SavedModel")
    assert_close(state, example.last_state, tolerance, "its state")

    model = tf.compat.v2.keras.models.load_model(tmp_path / "out" / "model.keras")
    found = model(example.inputs).numpy()
    assert found.dtype == dtype
    assert_close(found, example.from_zero, tolerance, "Keras")
    assert np.abs(example.from_zero - example.predictions).max() > 1e-2
    # As a graph; before that `predict` makes float32 of real inputs.
    rounding = 1e-6 if kind == "real" else tolerance
    assert_close(model.predict(example.inputs, verbose=0), found, max(tolerance, rounding), "Keras' predict")
    one_step = model(example.inputs[:1, :1]).numpy()  # type: ignore[index]
    assert_close(one_step, found[:1, :1], tolerance, "one example, one step")

    before = [weight.numpy() for weight in model.weights]
    for weight in model.weights:
        weight.assign(np.zeros(weight.shape))
    model.load_weights(tmp_path / "out" / "model.weights.h5")
    assert_close([weight.numpy() for weight in model.weights], before, 0, "weights alone")


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_tied_readouts_and_other_losses(tmp_path: Path, loss: str) -> None:
    """The readout's weights are the embedding's; with real targets classes may be read, too."""
    sizes: dict[str, Any] = {"input_size": 5, "embedding_size": 4, "num_classes": 5}
    example = make_example(LSTMCell(4), **sizes, readout="tied", loss=loss)
    assert list(example.weights) == ["embedding/E", "layer_0/W", "layer_0/b", "readout/b_p"]
    export(as_model(example), tmp_path / "out")
    predictions, _ = run_saved_model(tmp_path / "out" / "saved_model", example.inputs, example.state)
    assert_close(predictions, example.predictions, 1e-12, "SavedModel")
    model = tf.compat.v2.keras.models.load_model(tmp_path / "out" / "model.keras")
    assert_close(model(example.inputs).numpy(), example.from_zero, 1e-12, "Keras")


def test_names_shapes_and_dtypes_are_those_of_the_signature(tmp_path: Path) -> None:
    cell = StackedCell([GRUCell(6), LSTMCell(4)])
    example = make_example(cell, input_size=5, **REAL, dtype="float32")
    signature = write_saved_model(example.description, example.weights, tmp_path / "saved_model")
    state = {
        "state_0": {"shape": [None, 6], "dtype": "float32"},
        "state_1_hidden": {"shape": [None, 4], "dtype": "float32"},
        "state_1_cell": {"shape": [None, 4], "dtype": "float32"},
    }
    assert signature == {
        "signature": "serving_default",
        "inputs": {"input": {"shape": [None, 5], "dtype": "float32"}} | state,
        "outputs": {"prediction": {"shape": [None, 3], "dtype": "float32"}} | state,
    }
    saved = load_saved(tmp_path / "saved_model")
    for found, expected in ((saved.inputs, signature["inputs"]), (saved.outputs, signature["outputs"])):
        assert found == {name: (one["shape"], one["dtype"]) for name, one in expected.items()}


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_batch_is_of_any_size(tmp_path: Path, batch_size: int) -> None:
    """What was described for a batch of 7 gives the same for others."""
    example = make_example(CASES["stacked"].make(), batch_size=7, input_size=5, embedding_size=2)
    write_saved_model(example.description, example.weights, tmp_path / "saved_model")
    assert example.inputs is not None
    rows = slice(2, 2 + batch_size)
    state = tf.nest.map_structure(lambda array: array[rows], example.state)
    predictions, last = run_saved_model(tmp_path / "saved_model", example.inputs[rows], state)
    assert_close(predictions, example.predictions[rows], 1e-12, "predictions")
    assert_close(last, [array[rows] for array in example.last_state], 1e-12, "state")


@pytest.mark.parametrize("embedding_size", [None, 2])
@pytest.mark.parametrize("outside", [-1, 5])
def test_a_class_that_there_is_not_is_an_error(
    tmp_path: Path, embedding_size: int | None, outside: int
) -> None:
    example = make_example(VanillaCell(7), input_size=5, embedding_size=embedding_size)
    write_saved_model(example.description, example.weights, tmp_path / "saved_model")
    saved = load_saved(tmp_path / "saved_model")
    state = tf.zeros([2, 7], tf.float64)
    assert saved.step(input=tf.constant([0, 4]), state_0=state)["prediction"].shape == [2, 3]
    with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
        saved.step(input=tf.constant([0, outside]), state_0=state)


def test_gradients_flow_through_the_saved_model(tmp_path: Path) -> None:
    """To the embedding, too, which our graphs give a gradient of their own that is not saved."""
    example = make_example(VanillaCell(7), input_size=5, embedding_size=2)
    write_saved_model(example.description, example.weights, tmp_path / "saved_model")
    saved = load_saved(tmp_path / "saved_model")
    with tf.compat.v2.GradientTape() as tape:
        fed = {"input": tf.constant([0, 4]), "state_0": tf.zeros([2, 7], tf.float64)}
        scalar = tf.reduce_sum(tf.log(saved.step(**fed)["prediction"]))
    gradients = tape.gradient(scalar, saved.model.variables)
    assert len(gradients) == len(example.weights)
    assert all(np.abs(tf.convert_to_tensor(gradient).numpy()).max() > 0 for gradient in gradients)


WITHOUT_KERAS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "no input": (VanillaCell(7), {"input_size": 0, "input_kind": "none"}, "input_kind is 'none'"),
    "no readout": (GRUCell(3), {"input_size": 5, "readout": "none"}, "readout is 'none'"),
    "influence": (
        InfluenceCell(7),
        {"input_size": 0, "input_kind": "none", "readout": "none", "num_classes": 1, "loss": "squared_error"},
        "Keras has no layer like the cell 'influence'",
    ),
}


@pytest.mark.parametrize("name", list(WITHOUT_KERAS))
def test_where_keras_has_no_equal_there_is_only_the_saved_model(tmp_path: Path, name: str) -> None:
    cell, options, reason = WITHOUT_KERAS[name]
    example = make_example(cell, **options)
    done = export(as_model(example), tmp_path / "out")
    assert done.without_keras is not None
    assert reason in done.without_keras
    assert not KERAS_FILES & {path.name for path in done.files}
    assert "Keras" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    predictions, state = run_saved_model(tmp_path / "out" / "saved_model", example.inputs, example.state)
    assert_close(predictions, example.predictions, 1e-12, "SavedModel")
    assert_close(state, example.last_state, 1e-12, "its state")
    for make in (keras_model, weights_of_keras):
        message = f"^model must be one that Keras has an equal of: .*{re.escape(reason)}"
        with pytest.raises(OptionError, match=message):
            make(example.description, example.weights)


RUN_README = """
import json, re, sys, warnings
sys.modules["tf_rnn"] = None  # an import of it fails
warnings.simplefilter("ignore")
programs = re.findall("```python\\n(.*?)```", open("README.md").read(), re.DOTALL)
names = {}
exec(programs[0], names)
last = names["result"]["prediction"].numpy()
if len(programs) > 1:
    keras = {}
    exec(programs[1], keras)
    shape = [3, 4, *json.load(open("signature.json"))["inputs"]["input"]["shape"][1:]]
    import numpy
    last = numpy.stack([last, keras["model"].predict(numpy.zeros(shape, "int32"), verbose=0)[:, -1]])
print("last", json.dumps(last.tolist()))
"""


@pytest.mark.parametrize("kind", ["embedded", "none"])
def test_the_readme_runs_without_the_package(tmp_path: Path, kind: str) -> None:
    """Four steps of zeros for three examples, by the SavedModel and, where there is one, by Keras."""
    none: dict[str, Any] = {"input_size": 0, "input_kind": "none"}
    example = make_example(StackedCell([GRUCell(6), LSTMCell(4)]), **(KINDS | {"none": none})[kind])
    export(as_model(example, tokens=tuple("abcde")), tmp_path / "out")
    done = subprocess.run(
        [sys.executable, "-I", "-c", RUN_README],
        cwd=tmp_path / "out",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = np.array(json.loads(done.stdout.rsplit("last", maxsplit=1)[1]))
    graph = described_graph(example.description, optimizer=None)
    with new_session(graph.tf_graph) as session:
        assign_weights(session, weight_names(graph), example.weights)
        block = random_block(np.random.default_rng(0), graph)
        inputs, targets = (None if one is None else np.zeros_like(one) for one in block)
        expected = session.run(graph.predictions[-1], graph.feed(inputs, targets, graph.zero_state()))
    assert found.shape == ((3, 3) if kind == "none" else (2, 3, 3))
    assert_close(found, np.broadcast_to(expected, found.shape), 1e-12, done.stdout)


def test_what_is_written(tmp_path: Path) -> None:
    example = make_example(LSTMCell(4), input_size=3)
    out = tmp_path / "made" / "on" / "the way"
    done = export(as_model(example, tokens=("a", "é", "\n")), out)
    names = [
        "config.json",
        "model.keras",
        "model.weights.h5",
        "saved_model",
        "signature.json",
        "vocabulary.json",
    ]
    assert done == Exported([out / name for name in ["README.md", *names]], None)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", *names]
    assert list(out.parent.iterdir()) == [out]
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert {name: config[name] for name in ("cell", "graph")} == example.description
    assert json.loads((out / "vocabulary.json").read_text(encoding="utf-8")) == ["a", "é", "\n"]
    assert "vocabulary.json" in (out / "README.md").read_text(encoding="utf-8")


def test_within_a_graph_of_ones_own(tmp_path: Path) -> None:
    example = make_example(VanillaCell(7), input_size=5)
    with tf.Graph().as_default() as graph:
        assert not tf.executing_eagerly()
        export(as_model(example), tmp_path / "out")
        model = keras_model(example.description, example.weights)
        weights = weights_of_keras(example.description, model)
        assert graph.get_operations() == []
    assert_close(weights, example.weights, 0)
    assert_close(model(example.inputs).numpy(), example.from_zero, 1e-12)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    example = make_example(VanillaCell(7), input_size=5)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("text")
    (tmp_path / "file").write_text("text")
    for name in ("full", "file"):
        with pytest.raises(OptionError, match=r"^out must be a new folder or an empty one, got '.*'$"):
            export(as_model(example), tmp_path / name)
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "text"
    (tmp_path / "empty").mkdir()
    export(as_model(example), tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "full"]
    assert len(list((tmp_path / "empty").iterdir())) == 6


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=["full", "interrupted"]
)
def test_a_failure_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(module, "write_text", fail)
    wanted = OptionError if isinstance(error, OSError) else KeyboardInterrupt
    message = r"^out could not be written: No space left on device \('.*out'\)$" if error.args else None
    with pytest.raises(wanted, match=message):
        export(as_model(make_example(VanillaCell(7), input_size=5)), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_that_was_killed_left_goes_away(tmp_path: Path) -> None:
    left = tmp_path / ".out.partial"
    (left / "saved_model").mkdir(parents=True)
    (left / "half.weights.h5").write_text("half")
    export(as_model(make_example(VanillaCell(7), input_size=5)), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    assert not (tmp_path / "out" / "half.weights.h5").exists()


def test_two_at_once_do_not_get_into_each_others_way(tmp_path: Path) -> None:
    model = as_model(make_example(VanillaCell(7), input_size=5))
    with module.new_folder(tmp_path / "out") as folder:
        (folder / "mine").write_text("text")
        with pytest.raises(OptionError, match=r"^out must be a folder that no other command is writing to"):
            export(model, tmp_path / "out")
        assert (folder / "mine").read_text() == "text"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_exchanging_gates_twice_is_doing_nothing() -> None:
    """As the tables of the gates say: LSTM i f o g to i f c o, GRU r z n to z r h."""
    assert {name: layer.order for name, layer in KERAS_LAYERS.items()} == {
        "vanilla": (0,),
        "gru": (1, 0, 2),
        "lstm": (0, 1, 3, 2),
    }
    gates = np.array([[1, 1, 2, 2, 3, 3], [4, 4, 5, 5, 6, 6]])
    exchanged = exchange_gates(gates, (1, 0, 2))
    assert exchanged.tolist() == [[2, 2, 1, 1, 3, 3], [5, 5, 4, 4, 6, 6]]
    assert exchange_gates(exchanged, (1, 0, 2)).tolist() == gates.tolist()


def test_of_keras_two_biases_of_a_gate_the_sum_counts() -> None:
    layer = KERAS_LAYERS["gru"]
    bias = np.array([[1.0, 2, 3, 4, 5, 6], [10.0, 20, 30, 40, 50, 60]])  # z z r r h h
    found = layer.biases(bias)
    assert {name: value.tolist() for name, value in found.items()} == {
        "b": [33, 44, 11, 22, 5, 6],
        "b_n": [50, 60],
    }
    kernels = np.random.default_rng(3).normal(size=(7, 6))
    ours = layer.from_keras(kernels[:5], kernels[5:], bias)
    assert layer.bias(ours).tolist() == [[11, 22, 33, 44, 5, 6], [0, 0, 0, 0, 50, 60]]


@pytest.mark.parametrize(("cell", "dtype"), chessboard(CASES, ["float32", "float64"]))
def test_weights_come_back_bit_for_bit(cell: str, dtype: str) -> None:
    """Zeros of both signs among them, which adding zero would make one."""
    example = make_example(CASES[cell].make(), input_size=5, embedding_size=2, dtype=dtype)
    for value in example.weights.values():
        value.flat[:2] = 0.0, -0.0
    model = keras_model(example.description, example.weights)
    found = weights_of_keras(example.description, model)
    assert list(found) == list(example.weights)
    for name, value in example.weights.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape), name
        assert found[name].tobytes() == value.tobytes(), name


def test_weights_must_be_those_described(tmp_path: Path) -> None:
    example = make_example(VanillaCell(7), input_size=5)
    for weights in (
        {**example.weights, "readout/U": np.zeros((7, 4))},
        {name: value for name, value in example.weights.items() if name != "readout/U"},
        example.weights | {"layer_1/W": np.zeros(3)},
    ):
        with pytest.raises(OptionError, match=r"^weights must have the names and shapes"):
            write_saved_model(example.description, weights, tmp_path / "saved_model")
    others: list[Any] = [{"cell": []}, {"graph": example.description["graph"]}, None]
    for description in others:
        with pytest.raises(OptionError):
            write_saved_model(description, example.weights, tmp_path / "saved_model")
    assert list(tmp_path.iterdir()) == []


def test_a_width_and_losses_of_any_kind_can_be_described() -> None:
    """A description's loss_steps may be a number that a single step has not."""
    options = GraphOptions(num_steps=9, batch_size=2, input_size=5, num_classes=2, loss_steps=7, dropout=0.5)
    description = {"cell": describe_cell(LSTMCell(3)), "graph": vars(options)}
    with tf.Graph().as_default():
        outputs = open_step(description).outputs
    assert list(outputs) == ["prediction", "state_0_hidden", "state_0_cell"]


def test_an_exported_model_is_no_run_to_go_on_with(tmp_path: Path) -> None:
    """Its configuration is that of a run, which would begin again in there, with other weights."""
    folder = tmp_path / "model"
    export(as_model(make_example(VanillaCell(3), input_size=5)), folder)
    before = sorted(folder.rglob("*"))
    message = f"must be the folder of a training run, {str(folder)!r} holds an exported model"
    with pytest.raises(OptionError, match=f"^resume {re.escape(message)}"):
        kept_config(folder)
    assert sorted(folder.rglob("*")) == before


def test_a_model_is_not_exported_to_where_a_run_clears_away(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoints" / "checkpoint-000007"
    checkpoint.mkdir(parents=True)
    (checkpoint / "manifest.json").touch()
    with pytest.raises(OptionError, match=r"^out must lie elsewhere than a run's checkpoints, got "):
        export(as_model(make_example(VanillaCell(3), input_size=5)), checkpoint / "model")
    assert [path.name for path in checkpoint.iterdir()] == ["manifest.json"]


def run_command(*words: str) -> None:
    assert main(["export", *words]) == 0


def test_the_command_says_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    asked = []

    def load(*args: Any) -> Any:
        asked.append(args)
        return as_model(make_example(VanillaCell(7), input_size=0, input_kind="none"))

    monkeypatch.setattr("tf_rnn.inference.load", load)
    run, out = tmp_path / "run", tmp_path / "out"
    run_command(str(run), str(out), "--checkpoint", "last")
    assert asked == [(run, "last")]
    files = ", ".join(
        str(out / name) for name in ("README.md", "config.json", "saved_model", "signature.json")
    )
    assert capsys.readouterr().out.splitlines() == [
        "no Keras model: a step of a Keras model reads something, input_kind is 'none'",
        f"written: {files}",
    ]


@pytest.mark.parametrize("wrong", ["run", "out"])
def test_bad_input_is_told_before_tensorflow_is_loaded(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "run" / ("other" if wrong == "run" else "checkpoints")).mkdir(parents=True)
    (tmp_path / "out" / "something").mkdir(parents=True)
    code = (
        "import pathlib, sys; from tf_rnn.cli import export\n"
        "try: export.run({'folder': pathlib.Path('run'), 'out': pathlib.Path('out')}, [])\n"
        "except ValueError as e: print(e.option, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["folder" if wrong == "run" else "out", "False"], done.stderr
