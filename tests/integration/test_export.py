"""Exported models, run by TensorFlow and Keras alone, against our own graphs."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from command_helpers import succeeds
from helpers import CASES, assert_close, new_session, random_block, random_state

from tf_rnn._tensorflow import tf
from tf_rnn.cells import (
    GRUCell,
    GRUResetBeforeCell,
    InfluenceCell,
    LSTMCell,
    StackedCell,
    VanillaCell,
    describe_cell,
)
from tf_rnn.files import read_config
from tf_rnn.graph import UnrolledGraph, describe, described_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference import exporting as module
from tf_rnn.inference.exporting import Exported, export
from tf_rnn.inference.keras_model import keras_model
from tf_rnn.inference.keras_weights import weights_of_keras
from tf_rnn.inference.saved_model import write_saved_model
from tf_rnn.inference.weights import assign_weights
from tf_rnn.options import GraphOptions, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

STEPS, BATCH = 4, 3
REAL: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"}
# A cell of each kind and options that do not depend on each other; class inputs may come with real targets,
# and a single step could not have `loss_steps` of 3.
NETWORKS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "real": (CASES["stacked"].make, REAL),
    "one-hot": (lambda: StackedCell([GRUResetBeforeCell(6), VanillaCell(7)]), {"loss": "squared_error"}),
    "tied": (lambda: LSTMCell(4), {"embedding_size": 4, "num_classes": 5, "readout": "tied"}),
    "embedded": (lambda: GRUCell(6), {"embedding_size": 2, "dtype": "float32", "loss_steps": 3}),
}
KERAS_FILES = {"model.keras", "model.weights.h5"}


class Example(NamedTuple):
    """A network with random weights, and its predictions.

    Attributes:
        description: From `describe`, without an optimizer; of a network that was trained with dropout.
        weights: Weights by name, biases random, too, but for zeros of both signs, as -0.0 + 0.0 is 0.0.
        inputs: [BATCH, STEPS, ...]; None for a network without inputs.
        state: S_{-1}, random.
        predictions: Predictions from that state, [BATCH, STEPS, num_classes].
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
    options = {"input_size": 5, "num_classes": 3, "dtype": "float64", "optimizer": None, **options}
    with tf.Graph().as_default():
        graph = UnrolledGraph(cell, STEPS, batch_size, **options)
    names = weight_names(graph)
    weights = {
        name: (0.6 * generator.normal(size=variable.shape)).astype(options["dtype"])
        for name, variable in names.items()
    }
    for value in weights.values():
        value.flat[:2] = 0.0, -0.0
    inputs, targets = random_block(generator, graph)
    state = random_state(generator, graph.init_state)
    with new_session(graph.tf_graph) as session:
        assign_weights(session, names, weights)
        predictions, last = session.run(
            [graph.predictions, graph.final_state], graph.feed(inputs, targets, state)
        )
        from_zero = session.run(graph.predictions, graph.feed(inputs, targets, graph.zero_state()))
    description = describe(graph)
    description["graph"]["dropout"] = 0.5
    return Example(
        description,
        weights,
        inputs,
        state,
        np.stack(predictions, axis=1),
        tf.nest.flatten(last),
        np.stack(from_zero, axis=1),
    )


def as_model(example: Example, tokens: tuple[str, ...] | None = None) -> Any:
    """The parts of a loaded model that are exported."""
    return SimpleNamespace(
        description=example.description,
        weights=example.weights,
        config=example.description | {"task": {"name": "none"}, "training": {}},
        tokens=tokens,
    )


def run_saved_model(
    folder: Path, inputs: NDArray[Any] | None, state: Any
) -> tuple[NDArray[Any], list[NDArray[Any]]]:
    """Predictions of all steps, [batch_size, steps, num_classes], and the last state of a SavedModel."""
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
    """A SavedModel, loaded by TensorFlow.

    Attributes:
        model: The loaded object, which keeps the function alive.
        step: The function.
        inputs: Shape and dtype by name.
        outputs: Shape and dtype by name.
        state: Names of the state's arrays, from the lowest layer upwards.
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
    # "state_0_hidden" comes before "state_0_cell".
    state = sorted(inputs.keys() - {"input"}, key=lambda name: (name.split("_")[1], name.endswith("_cell")))
    return Saved(model, step, inputs, outputs, state)


@pytest.mark.parametrize("name", NETWORKS)
def test_saved_model_keras_and_our_graph_predict_the_same(tmp_path: Path, name: str) -> None:
    """For a batch of any size and sequences of any length; weights come back from Keras bit for bit."""
    cell, options = NETWORKS[name]
    example = make_example(cell(), **options)
    assert example.inputs is not None
    dtype = example.predictions.dtype
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    done = export(as_model(example), tmp_path / "out")
    assert done.without_keras is None
    rows = slice(1, None)
    state = tf.nest.map_structure(lambda array: array[rows], example.state)
    predictions, last = run_saved_model(tmp_path / "out" / "saved_model", example.inputs[rows], state)
    assert predictions.dtype == last[0].dtype == dtype
    assert_close(predictions, example.predictions[rows], tolerance, "SavedModel")
    assert_close(last, [array[rows] for array in example.last_state], tolerance, "its state")

    model = tf.compat.v2.keras.models.load_model(tmp_path / "out" / "model.keras")
    found = model(example.inputs).numpy()
    assert found.dtype == dtype
    assert_close(found, example.from_zero, tolerance, "Keras")
    assert np.abs(example.from_zero - example.predictions).max() > 1e-2
    one_step = model(example.inputs[:1, :1]).numpy()
    assert_close(one_step, found[:1, :1], tolerance, "one example, one step")
    if name == "real":  # `predict` converts them to float32 and runs a graph
        assert_close(model.predict(example.inputs, verbose=0), found, 1e-6, "Keras' predict")

    for weight in model.weights:
        weight.assign(np.ones(weight.shape))
    model.load_weights(tmp_path / "out" / "model.weights.h5")
    back = weights_of_keras(example.description, model)
    assert list(back) == list(example.weights)
    for place, value in example.weights.items():
        assert (back[place].dtype, back[place].shape) == (value.dtype, value.shape), place
        assert back[place].tobytes() == value.tobytes(), f"{place}: {back[place]}, not {value}"


def test_the_signature_has_the_names_shapes_and_dtypes(tmp_path: Path) -> None:
    example = make_example(StackedCell([GRUCell(6), LSTMCell(4)]), **REAL, dtype="float32")
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
        "initial_state": "zero",
    }
    saved = load_saved(tmp_path / "saved_model")
    for found, expected in ((saved.inputs, signature["inputs"]), (saved.outputs, signature["outputs"])):
        assert found == {name: (one["shape"], one["dtype"]) for name, one in expected.items()}


@pytest.mark.parametrize("embedding_size", [None, 2])
def test_a_saved_model_checks_classes_and_has_gradients(tmp_path: Path, embedding_size: int | None) -> None:
    """For the embedding, too, whose gradient in our graphs is a function that cannot be saved."""
    example = make_example(VanillaCell(7), embedding_size=embedding_size)
    write_saved_model(example.description, example.weights, tmp_path / "saved_model")
    saved = load_saved(tmp_path / "saved_model")
    state = tf.zeros([2, 7], tf.float64)
    with tf.compat.v2.GradientTape() as tape:
        prediction = saved.step(input=tf.constant([0, 4]), state_0=state)["prediction"]
        scalar = tf.reduce_sum(tf.log(prediction))
    assert prediction.shape == [2, 3]
    gradients = tape.gradient(scalar, saved.model.variables)
    assert len(gradients) == len(example.weights)
    assert all(np.abs(tf.convert_to_tensor(gradient).numpy()).max() > 0 for gradient in gradients)
    for outside in (-1, 5):
        with pytest.raises(tf.errors.InvalidArgumentError, match="assertion failed"):
            saved.step(input=tf.constant([0, outside]), state_0=state)


NO_INPUT: dict[str, Any] = {"input_size": 0, "input_kind": "none"}
WITHOUT_KERAS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "influence": (
        InfluenceCell(7),
        {**NO_INPUT, "readout": "none", "num_classes": 1, "loss": "squared_error"},
        "Keras has no layer like the cell 'influence'",
    ),
    "layer normalisation": (
        StackedCell([LSTMCell(4, layer_norm=True), GRUCell(3)]),
        {},
        "Keras has no layer like the cell 'lstm' with layer normalisation",
    ),
    "learnt initial state": (
        StackedCell([LSTMCell(4), GRUCell(3)]),
        {"initial_state": "learnt"},
        "layers of Keras start from a state of zero, initial_state is 'learnt'",
    ),
}


def assert_not_in_keras(description: dict[str, Any], weights: dict[str, Any], reason: str) -> None:
    for make in (keras_model, weights_of_keras):
        with pytest.raises(OptionError, match=f"^model must have an equivalent in Keras: .*{reason}"):
            make(description, weights)


@pytest.mark.parametrize("name", WITHOUT_KERAS)
def test_without_an_equivalent_in_keras_there_is_only_the_saved_model(tmp_path: Path, name: str) -> None:
    cell, options, reason = WITHOUT_KERAS[name]
    example = make_example(cell, **options)
    done = export(as_model(example), tmp_path / "out")
    assert reason in str(done.without_keras)
    assert done.without_torch
    assert not (KERAS_FILES | {"model.safetensors"}) & {path.name for path in done.files}
    assert "Keras" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    fed = -np.inf if "initial_state" in options else 0.0
    start = tf.nest.map_structure(lambda part: np.full_like(part, fed), example.state)
    saved = tmp_path / "out" / "saved_model"
    predictions, state = run_saved_model(saved, example.inputs, example.state)
    assert_close(predictions, example.predictions, 1e-12, "SavedModel")
    assert_close(state, example.last_state, 1e-12, "its state")
    predictions, _ = run_saved_model(saved, example.inputs, start)
    assert_close(predictions, example.from_zero, 1e-12, "from the initial state")
    assert_not_in_keras(example.description, example.weights, reason)


@pytest.mark.parametrize(
    ("options", "reason"),
    [(NO_INPUT, "input_kind is 'none'"), ({"input_size": 5, "readout": "none"}, "readout is 'none'")],
)
def test_keras_needs_an_input_and_a_readout(options: dict[str, Any], reason: str) -> None:
    graph = GraphOptions(num_steps=2, batch_size=2, num_classes=3, **options)
    assert_not_in_keras({"cell": describe_cell(GRUCell(3)), "graph": vars(graph)}, {}, reason)


RUN_README = """
import json, os, re, sys, warnings
sys.modules["tf_rnn"] = None  # an import of it fails
warnings.simplefilter("ignore")
for folder in sys.argv[1:]:
    os.chdir(folder)
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


@pytest.mark.slow
def test_the_readme_runs_without_the_package(tmp_path: Path) -> None:
    """Four steps of zeros for three examples, by the SavedModel and, where there is one, by Keras."""
    kinds: dict[str, Any] = {"none": NO_INPUT, "learnt": NO_INPUT | {"initial_state": "learnt"}}
    kinds["embedded"] = {"embedding_size": 2}
    examples = {
        kind: make_example(StackedCell([GRUCell(6), LSTMCell(4)]), **options)
        for kind, options in kinds.items()
    }
    folders = [str(tmp_path / kind) for kind in kinds]
    for folder, example in zip(folders, examples.values(), strict=True):
        export(as_model(example, tokens=tuple("abcde")), folder)
    words = [sys.executable, "-I", "-c", RUN_README, *folders]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("last") for line in done.stdout.splitlines() if line.startswith("last")]
    for (kind, example), line in zip(examples.items(), lines, strict=True):
        found = np.array(json.loads(line))
        graph = described_graph(example.description, dropout=0.0)
        with new_session(graph.tf_graph) as session:
            assign_weights(session, weight_names(graph), example.weights)
            block = random_block(np.random.default_rng(0), graph)
            inputs, targets = (None if one is None else np.zeros_like(one) for one in block)
            expected = session.run(graph.predictions[-1], graph.feed(inputs, targets, graph.zero_state()))
        assert found.shape == ((2, 3, 3) if kind == "embedded" else (3, 3))
        assert_close(found, np.broadcast_to(expected, found.shape), 1e-12, done.stdout)


def test_files_are_written_within_another_graph_and_leave_it_alone(tmp_path: Path) -> None:
    example = make_example(LSTMCell(4), input_size=3)
    out = tmp_path / "two" / "levels"
    with tf.Graph().as_default() as graph:
        assert not tf.executing_eagerly()
        done = export(as_model(example, tokens=("a", "é", "\n")), out)
        model = keras_model(example.description, example.weights)
        weights = weights_of_keras(example.description, model)
        assert graph.get_operations() == []
    assert_close(weights, example.weights, 0)
    assert_close(model(example.inputs).numpy(), example.from_zero, 1e-12)
    names = [
        "README.md",
        "config.json",
        *sorted([*KERAS_FILES, "model.safetensors"]),
        "saved_model",
        "signature.json",
        "vocabulary.json",
    ]
    assert done == Exported([out / name for name in names], None, None)
    assert sorted(path.name for path in out.iterdir()) == names
    assert list(out.parent.iterdir()) == [out]
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    assert {name: config[name] for name in ("cell", "graph")} == example.description
    assert json.loads((out / "vocabulary.json").read_text(encoding="utf-8")) == ["a", "é", "\n"]
    # The configuration is that of a run, but the folder is not one to resume.
    with pytest.raises(OptionError, match=r"^resume must be the folder of a training run, .* exported model"):
        read_config(out)


# --- folders ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small() -> Any:
    """A model of which a weight has more than 10,000 bytes."""
    return as_model(make_example(LSTMCell(20)))


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def test_nothing_is_overwritten(tmp_path: Path, small: Any) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("text")
    (tmp_path / "file").write_text("text")
    for name in ("full", "file"):
        with pytest.raises(OptionError, match=r"^out must be a new folder or an empty one, got '.*'$"):
            export(small, tmp_path / name)
    assert (tmp_path / "full" / "mine").read_text() == (tmp_path / "file").read_text() == "text"


def test_an_empty_folder_and_what_a_killed_process_left_are_replaced(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "out").mkdir()
    with monkeypatch.context() as killed:
        killed.setattr(module, "write_text", _interrupt)
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            export(small, tmp_path / "out")
    assert (tmp_path / ".out.partial").is_dir(), "nothing was left"
    done = export(small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]
    assert sorted((tmp_path / "out").iterdir()) == sorted(done.files)


@pytest.mark.parametrize("largest", [3_000, 18_000])
def test_a_full_disk_leaves_nothing(tmp_path: Path, small: Any, largest: int) -> None:
    """Refused by the system while the weights or the graph are written."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, limits[1]))
    try:
        with pytest.raises(OptionError, match=r"^out could not be written: File too large \('.*out'\)$"):
            export(small, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "write_text", _interrupt)  # the last file
    with pytest.raises(KeyboardInterrupt):
        export(small, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_one_process_at_a_time_writes_a_folder(tmp_path: Path, small: Any) -> None:
    with module.new_folder(tmp_path / "out") as folder:
        (folder / "mine").write_text("text")
        with pytest.raises(OptionError, match=r"^out must be a folder that no other command is writing to"):
            export(small, tmp_path / "out")
        assert (folder / "mine").read_text() == "text"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_third_party_cells_are_refused_before_anything_is_written(tmp_path: Path, small: Any) -> None:
    layer = {"cell": "mine", "state_size": 20}
    model = SimpleNamespace(**vars(small) | {"description": small.description | {"cell": [layer]}})
    message = r"^model must have cells of tf_rnn \(.*\) to be .* exported, got the third-party cell 'mine'$"
    with pytest.raises(OptionError, match=message):
        export(model, tmp_path / "out")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


# --- weights ---------------------------------------------------------------------------------------


def test_other_weights_and_malformed_descriptions_are_refused(tmp_path: Path) -> None:
    example = make_example(VanillaCell(7))
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


# --- commands --------------------------------------------------------------------------------------


def test_the_command_says_why_there_is_no_keras_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    example = make_example(VanillaCell(7), **NO_INPUT)
    monkeypatch.setattr("tf_rnn.inference.load", lambda *_: as_model(example))
    printed, _ = succeeds(["export", str(tmp_path / "run"), str(tmp_path / "out")], capsys)
    assert "no Keras model: a model of Keras has an input and a readout, input_kind is 'none'\n" in printed
    assert str(tmp_path / "out" / "saved_model") in printed
