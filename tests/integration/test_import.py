"""From Keras back to a training run: nothing is lost, and another model is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest
from command_helpers import succeeds

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell
from tf_rnn.graph import UnrolledGraph, described_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference import load
from tf_rnn.inference.exporting import export
from tf_rnn.inference.keras_import import import_keras
from tf_rnn.inference.weights import assign_weights
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text
from tf_rnn.training import train

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.inference import Model

SENTENCE = "the cat sat on the mat, and the rat sat on the hat; "
UPDATES = 3


def make_graph(task: Text, *, tied: bool) -> UnrolledGraph:
    cell = StackedCell([GRUCell(6), LSTMCell(4)])
    readout = "tied" if tied else "linear"
    size: dict[str, Any] = {"embedding_size": 4} if tied else {}
    with tf.Graph().as_default():
        return UnrolledGraph(
            cell, 2, 3, task.input_size, task.num_classes, readout=readout, optimizer="adam", seed=3, **size
        )


class Runs(NamedTuple):
    """A folder with a training run, `run`, and its export, `out`; the run's model and task."""

    folder: Path
    model: Model
    task: Text

    @property
    def out(self) -> Path:
        return self.folder / "out"


@pytest.fixture(scope="module", params=["one-hot"])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """One-hot unless a test wants it tied."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "data.txt").write_text(SENTENCE * 20, encoding="utf-8")
    task = Text(data=folder / "data.txt")
    graph = make_graph(task, tied=request.param == "tied")
    train(graph, task, updates=UPDATES, out=folder / "run", callbacks=())
    model = load(folder / "run", "last")
    export(model, folder / "out")
    return Runs(folder, model, task)


@pytest.fixture
def exported(runs: Runs, tmp_path: Path) -> Path:
    """A copy of the export, to be changed."""
    return Path(shutil.copytree(runs.out, tmp_path / "exported"))


def read_keras(exported: Path) -> Any:
    return tf.compat.v2.keras.models.load_model(exported / "model.keras")


def assert_gives_back(back: Path, runs: Runs) -> None:
    """The import is the run that was exported, bit for bit."""
    before, after = runs.model, load(back)
    assert list(after.weights) == list(before.weights)
    for name, value in before.weights.items():
        assert after.weights[name].tobytes() == value.tobytes(), f"{name}: {after.weights[name]}, not {value}"
    assert (after.config, after.tokens) == (before.config, before.tokens)


@pytest.mark.parametrize("runs", ["tied"], indirect=True)
def test_an_import_is_what_was_exported_and_can_be_resumed(runs: Runs, tmp_path: Path) -> None:
    """It starts from the loss that the exported model ended with, without history."""
    back = import_keras(runs.out, tmp_path / "back")
    assert list(tmp_path.iterdir()) == [back]
    assert_gives_back(back, runs)
    assert (back / "metrics.jsonl").read_text(encoding="utf-8") == ""
    described = described_graph(runs.model.description)
    result = train(described, runs.task, updates=2, resume=back, callbacks=())
    kept = json.loads((runs.folder / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert kept["step"] == UPDATES
    assert result.curve[0].valid_loss == pytest.approx(kept["valid_loss"], rel=1e-6)
    assert [point.updates for point in result.curve] == [0, 2]


def test_weights_alone_are_enough_and_the_optimizer_starts_anew(
    exported: Path, runs: Runs, tmp_path: Path
) -> None:
    """One update after the import is one update from the same weights in a new graph."""
    without_model(exported)
    back = import_keras(exported, tmp_path / "back")
    assert_gives_back(back, runs)
    described = described_graph(runs.model.description)
    found = train(described, runs.task, updates=1, resume=back, callbacks=())
    graph = make_graph(runs.task, tied=False)
    with graph.session(1) as session:
        assign_weights(session, weight_names(graph), runs.model.weights)
        train(graph, runs.task, updates=1, session=session, callbacks=())
        expected = session.run(weight_names(graph))
    assert list(found.weights) == list(expected)
    for name, value in found.weights.items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-7, err_msg=name)


def test_training_in_keras_is_imported(exported: Path, runs: Runs, tmp_path: Path) -> None:
    """From a model with other names, and a layer that only matters in training."""
    model = read_keras(exported)
    before = runs.model.weights
    keras = tf.compat.v2.keras
    inputs = keras.Input([None], dtype="int32")
    outputs = inputs
    for layer in model.layers[1:]:
        if layer.name == "readout":
            outputs = keras.layers.Dropout(0.5, seed=1)(outputs)
        outputs = type(layer).from_config(layer.get_config() | {"name": f"my_{layer.name}"})(outputs)
    further = keras.Model(inputs, outputs)
    further.set_weights(model.get_weights())
    further.compile("sgd", "sparse_categorical_crossentropy", run_eagerly=True)
    examples = np.arange(12).reshape(3, 4)
    further.fit(examples, examples + 1, verbose=0)
    further.save(exported / "model.keras")

    loaded = load(import_keras(exported, tmp_path / "back"))
    changes = {name: np.abs(value - before[name]).max() for name, value in loaded.weights.items()}
    assert min(changes.values()) > 1e-6, changes
    expected = further(examples[:1]).numpy()[0]
    found = [loaded.stepper.step([x])[0] for x in examples[0]]
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-5)


def rebuild(exported: Path, **changes: dict[str, Any]) -> None:
    """Replaces the Keras model by one with other options for some layers."""
    keras = tf.compat.v2.keras
    model = read_keras(exported)
    inputs = keras.Input(model.input_shape[1:], dtype="int32")
    outputs = inputs
    for layer in model.layers[1:]:
        outputs = type(layer).from_config(layer.get_config() | changes.get(layer.name, {}))(outputs)
    other = keras.Model(inputs, outputs)
    other.save(exported / "model.keras")
    other.save_weights(exported / "model.weights.h5")


def without_model(exported: Path) -> None:
    """Leaves the weights alone."""
    (exported / "model.keras").unlink()


def without_both(exported: Path) -> None:
    without_model(exported)
    (exported / "model.weights.h5").unlink()


def add_to_readout(exported: Path, value: float) -> None:
    model = read_keras(exported)
    kernel = model.get_layer("readout").kernel
    kernel.assign(kernel + np.full(kernel.shape, value))
    model.save(exported / "model.keras")


def with_other_weights(exported: Path) -> None:
    rebuild(exported, layer_1={"units": 5})
    without_model(exported)


def with_text_for_weights(exported: Path) -> None:
    without_model(exported)
    (exported / "model.weights.h5").write_text("a text")


def change_config(exported: Path, place: str, value: Any) -> None:
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    config[place] = value
    (exported / "config.json").write_text(json.dumps(config))


INFLUENCE = [{"cell": "influence", "state_size": 23}]
OTHER_LAYERS = "must have the layers .*LSTM [^;]*; got .*LSTM "
# What is done to an export, and the message about its Keras model.
OF_MODEL: dict[str, tuple[Callable[[Path], Any], str]] = {
    "another size": (lambda out: rebuild(out, layer_1={"units": 5}), OTHER_LAYERS),
    "other gates": (lambda out: rebuild(out, layer_0={"reset_after": False}), OTHER_LAYERS),
    "no bias": (lambda out: rebuild(out, readout={"use_bias": False}), OTHER_LAYERS),
    "another function": (
        lambda out: rebuild(out, layer_1={"activation": "relu"}),
        "must compute what the network described does; .* something else",
    ),
    "the last step only": (
        lambda out: rebuild(out, layer_1={"return_sequences": False}),
        "must compute what the network described does; .* something else",
    ),
    "a text": (
        lambda out: (out / "model.keras").write_text("a text"),
        "must be one that Keras can read, '.*model.keras' is not: ",
    ),
    "weights of another size": (
        with_other_weights,
        r"must have the layers .*; the weights in '.*' ",
    ),
    "a text for weights": (with_text_for_weights, "must be one that Keras can read, '.*h5' is not: "),
    "neither": (without_both, r"must be in model\.keras or model\.weights\.h5, '.*' has neither"),
    "weights that are nan": (
        lambda out: add_to_readout(out, np.nan),
        "must have finite weights, those of readout/U are not$",
    ),
    "influence": (
        lambda out: change_config(out, "cell", INFLUENCE),
        "must have an equivalent in Keras: .* cell 'influence'",
    ),
    "third-party cell": (
        lambda out: change_config(out, "cell", [{"cell": "mine", "state_size": 4}]),
        "must have cells of tf_rnn .*, got the third-party cell 'mine'$",
    ),
}
OF_FOLDER: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no config": (lambda out: (out / "config.json").unlink(), "must be a folder that export wrote, with a "),
    "no run": (
        lambda out: change_config(out, "graph", None),
        "must be a folder that export wrote, with a config.json, got ",
    ),
    "odd sizes": (
        lambda out: change_config(out, "cell", [{"cell": "lstm", "state_size": "many"}]),
        "must hold the Keras model of its config.json; cell must be described",
    ),
    "no vocabulary": (
        lambda out: (out / "vocabulary.json").write_text("[1]"),
        "must have a list of tokens in",
    ),
    "half a vocabulary": (lambda out: (out / "vocabulary.json").write_text("["), "must be undamaged, "),
}


@pytest.mark.parametrize("case", [*OF_MODEL, *OF_FOLDER])
def test_another_model_and_damage_are_refused_in_one_line(exported: Path, tmp_path: Path, case: str) -> None:
    change, problem = (OF_MODEL | OF_FOLDER)[case]
    change(exported)
    start = "must hold the Keras model of its config.json; model " if case in OF_MODEL else ""
    with pytest.raises(OptionError, match=f"^exported {re.escape(start)}{problem}") as caught:
        import_keras(exported, tmp_path / "back")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [exported]


@pytest.mark.parametrize("runs", ["tied"], indirect=True)
def test_a_tied_readout_must_still_be_the_embedding(exported: Path, tmp_path: Path) -> None:
    add_to_readout(exported, 1e-6)
    with pytest.raises(OptionError, match=r"^exported .*; model must have a last Dense whose .* is tied; "):
        import_keras(exported, tmp_path / "back")


def test_weights_of_a_deeper_network_are_refused(exported: Path, tmp_path: Path) -> None:
    """Keras would silently read the first layers only."""
    keras = tf.compat.v2.keras
    without_model(exported)
    change_config(exported, "cell", [{"cell": "lstm", "state_size": 4}])
    classes = len(json.loads((exported / "vocabulary.json").read_text(encoding="utf-8")))
    lstm = {"units": 4, "return_sequences": True}
    for depth in (2, 1):
        stack = [keras.layers.LSTM(**lstm) for _ in range(depth)]
        model = keras.Sequential([keras.Input([None, classes]), *stack, keras.layers.Dense(classes)])
        model.save_weights(exported / "model.weights.h5")
        if depth == 2:
            with pytest.raises(OptionError, match=r"the weights in '.*' "):
                import_keras(exported, tmp_path / "back")
    assert load(import_keras(exported, tmp_path / "back")).weights["layer_0/W"].shape == (classes + 4, 16)


def test_the_command_and_a_folder_that_is_not_empty(
    runs: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    back = tmp_path / "back"
    printed, _ = succeeds(["import", str(runs.out), str(back)], capsys)
    assert f"python -m tf_rnn train --resume {back}" in printed
    assert load(back).tokens == tuple(sorted(set(SENTENCE)))
    assert_gives_back(back, runs)
    before = sorted(back.rglob("*"))
    with pytest.raises(OptionError, match=r"^out must be a new folder or an empty one, got '.*back'$"):
        import_keras(runs.out, back)
    assert sorted(back.rglob("*")) == before


@pytest.mark.parametrize("name", ["config.json", "vocabulary.json", "model.keras", "model.weights.h5"])
def test_a_link_out_of_the_folder_is_refused(exported: Path, tmp_path: Path, name: str) -> None:
    """Even if it leads to the right file."""
    if name == "model.weights.h5":
        without_model(exported)
    (exported / name).rename(tmp_path / name)
    (exported / name).symlink_to(tmp_path / name)
    with pytest.raises(OptionError, match=r"^exported must "):
        import_keras(exported, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("kind", ["link", "storage"])
def test_weights_in_another_file_are_refused(exported: Path, tmp_path: Path, kind: str) -> None:
    """HDF5 has links and storage in other files."""
    without_model(exported)
    path, elsewhere = exported / "model.weights.h5", tmp_path / "elsewhere.h5"
    shutil.copy(path, elsewhere)
    names: list[str] = []
    with h5py.File(path, "r+") as file:
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        name = next(name for name in names if name.startswith("layers/"))
        shape, dtype = file[name].shape, file[name].dtype
        del file[name]
        if kind == "link":
            file[name] = h5py.ExternalLink(str(elsewhere), name)
        else:
            file.create_dataset(name, shape, dtype, external=[(str(elsewhere), 0, h5py.h5f.UNLIMITED)])
    with pytest.raises(OptionError, match=r"^exported must "):
        import_keras(exported, tmp_path / "back")
