"""From Keras back to a training run: nothing is lost, and what does not fit is told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest

from tf_rnn.__main__ import main
from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell
from tf_rnn.graph import UnrolledGraph, described_graph
from tf_rnn.inference import load
from tf_rnn.inference.exporting import export
from tf_rnn.inference.keras_import import import_keras
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text
from tf_rnn.training import Silence, train

if TYPE_CHECKING:
    from collections.abc import Callable

SENTENCE = "the cat sat on the mat, and the rat sat on the hat; "
UPDATES = 3


def layers() -> Any:
    return tf.compat.v2.keras.layers


def make_graph(task: Text, *, tied: bool) -> UnrolledGraph:
    cell = StackedCell([GRUCell(6), LSTMCell(4)])
    readout = "tied" if tied else "linear"
    size = {"embedding_size": 4} if tied else {}
    with tf.Graph().as_default():
        return UnrolledGraph(
            cell, 5, 3, task.input_size, task.num_classes, readout=readout, optimizer="adam", seed=3, **size
        )


@pytest.fixture(scope="module", params=["one-hot", "tied"])
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training run, `run`, and what was exported of it, `out`."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "data.txt").write_text(SENTENCE * 20, encoding="utf-8")
    task = Text(data=folder / "data.txt")
    graph = make_graph(task, tied=request.param == "tied")
    train(graph, task, updates=UPDATES, out=folder / "run", listener=Silence())
    export(load(folder / "run", "last"), folder / "out")
    return folder


@pytest.fixture
def exported(runs: Path, tmp_path: Path) -> Path:
    """A copy of what was exported, to be changed."""
    return Path(shutil.copytree(runs / "out", tmp_path / "exported"))


def read_keras(exported: Path) -> Any:
    return tf.compat.v2.keras.models.load_model(exported / "model.keras")


def test_there_and_back_again_nothing_is_lost(runs: Path, tmp_path: Path) -> None:
    back = import_keras(runs / "out", tmp_path / "back")
    before, after = load(runs / "run", "last"), load(back)
    assert list(after.weights) == list(before.weights)
    for name, value in before.weights.items():
        assert after.weights[name].tobytes() == value.tobytes(), name
    assert after.config == before.config
    assert after.tokens == before.tokens
    assert list(tmp_path.iterdir()) == [back]


def test_the_weights_alone_will_do(exported: Path, tmp_path: Path) -> None:
    weights = load(import_keras(exported, tmp_path / "one")).weights
    (exported / "model.keras").unlink()
    same = load(import_keras(exported, tmp_path / "other")).weights
    assert {name: value.tobytes() for name, value in weights.items()} == {
        name: value.tobytes() for name, value in same.items()
    }


def test_nothing_is_trained_yet(runs: Path, tmp_path: Path) -> None:
    """One checkpoint, with Adam's memory as at the start, and no count of anything."""
    back = import_keras(runs / "out", tmp_path / "back")
    (checkpoint,) = (back / "checkpoints").iterdir()
    saved = tf.train.load_checkpoint(str(checkpoint / "variables"))
    shapes = saved.get_variable_to_shape_map()
    moments = [name for name in shapes if name.rpartition("/")[2] in {"m", "v", "Adam", "Adam_1"}]
    assert len(moments) == 2 * len(load(back).weights)
    assert not any(saved.get_tensor(name).any() for name in moments)
    assert saved.get_tensor("optimizer/beta1_power") == np.float32(0.9)
    run = json.loads((checkpoint / "run.json").read_text(encoding="utf-8"))
    assert (run["record"]["updates"], run["record"]["curve"], run["best"]) == (0, [], None)
    assert (back / "metrics.jsonl").read_text(encoding="utf-8") == ""


def test_the_run_can_be_gone_on_with(runs: Path, tmp_path: Path) -> None:
    """Training begins with the loss that the exported model ended with, and goes on from there."""
    back = import_keras(runs / "out", tmp_path / "back")
    before = load(runs / "run", "last")
    task = Text(data=runs / "data.txt")
    result = train(described_graph(before.description), task, updates=2, resume=back, listener=Silence())
    kept = json.loads((runs / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert kept["step"] == UPDATES
    assert result.curve[0].valid_loss == pytest.approx(kept["valid_loss"], rel=1e-6)
    assert [point.updates for point in result.curve] == [0, 2]
    assert load(back, "last").evaluator("valid").tokens > 0


@pytest.mark.parametrize("runs", ["one-hot"], indirect=True)
def test_what_keras_has_trained_further_comes_along(exported: Path, tmp_path: Path) -> None:
    """In a model of other names, with a layer that only training knows."""
    model = read_keras(exported)
    before = load(import_keras(exported, tmp_path / "before")).weights
    keras = tf.compat.v2.keras
    inputs = keras.Input([None], dtype="int32")
    outputs = inputs
    for layer in model.layers[1:]:
        if layer.name == "readout":
            outputs = layers().Dropout(0.5, seed=1)(outputs)
        outputs = type(layer).from_config(layer.get_config() | {"name": f"my_{layer.name}"})(outputs)
    further = keras.Model(inputs, outputs)
    further.set_weights(model.get_weights())
    further.compile("sgd", "sparse_categorical_crossentropy")
    examples = np.arange(12).reshape(3, 4)
    further.fit(examples, examples + 1, verbose=0)
    further.save(exported / "model.keras")
    further.save_weights(exported / "model.weights.h5")

    loaded = load(import_keras(exported, tmp_path / "back"))
    changes = {name: np.abs(value - before[name]).max() for name, value in loaded.weights.items()}
    assert min(changes.values()) > 1e-6, changes
    expected = further.predict(examples[:1], verbose=0)[0]
    found = [loaded.stepper.step([x])[0] for x in examples[0]]
    np.testing.assert_allclose(np.stack(found), expected, atol=1e-5)

    (exported / "model.keras").unlink()
    same = load(import_keras(exported, tmp_path / "of_the_weights")).weights
    assert {name: value.tobytes() for name, value in loaded.weights.items()} == {
        name: value.tobytes() for name, value in same.items()
    }


def rebuild(exported: Path, **changes: dict[str, Any]) -> None:
    """Puts a model there that has other options for the layers named."""
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
    """So that the weights alone are read."""
    (exported / "model.keras").unlink()


def without_both(exported: Path) -> None:
    without_model(exported)
    (exported / "model.weights.h5").unlink()


def with_other_weights(exported: Path) -> None:
    rebuild(exported, layer_1={"units": 5})
    without_model(exported)


def with_a_program(exported: Path) -> None:
    """A Lambda is one, which reading the model would run."""
    keras = tf.compat.v2.keras
    inputs = keras.Input([None], dtype="int32")
    keras.Model(inputs, layers().Lambda(lambda x: x + 1)(inputs)).save(exported / "model.keras")


def with_text_for_weights(exported: Path) -> None:
    without_model(exported)
    (exported / "model.weights.h5").write_text("a text")


def change_config(exported: Path, place: str, value: Any) -> None:
    config = json.loads((exported / "config.json").read_text(encoding="utf-8"))
    config[place] = value
    (exported / "config.json").write_text(json.dumps(config))


INFLUENCE = [{"cell": "influence", "state_size": 23}]
OTHER_LAYERS = "must have the layers .*LSTM [^;]*; got .*LSTM "
UNREADABLE = "must be one that Keras can read, '.*model.keras' is not: "
# How to spoil what was exported, and what is said of the Keras model then.
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
    "a program in it": (with_a_program, UNREADABLE),
    "a text": (lambda out: (out / "model.keras").write_text("a text"), UNREADABLE),
    "weights of another size": (
        with_other_weights,
        r"must have the layers .*; the weights in '.*' are others",
    ),
    "a text for weights": (with_text_for_weights, "must be one that Keras can read, '.*h5' is not: "),
    "neither": (without_both, r"must be in model\.keras or model\.weights\.h5, '.*' has neither"),
    "influence": (
        lambda out: change_config(out, "cell", INFLUENCE),
        "must be one that Keras has an equal of: .* cell 'influence'",
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


@pytest.mark.parametrize("runs", ["one-hot"], indirect=True)
@pytest.mark.parametrize("spoilt", [*OF_MODEL, *OF_FOLDER])
def test_what_does_not_fit_is_told_in_one_line(exported: Path, tmp_path: Path, spoilt: str) -> None:
    spoil, problem = (OF_MODEL | OF_FOLDER)[spoilt]
    spoil(exported)
    start = "must hold the Keras model of its config.json; model " if spoilt in OF_MODEL else ""
    with pytest.raises(OptionError, match=f"^exported {re.escape(start)}{problem}") as caught:
        import_keras(exported, tmp_path / "back")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [exported]


@pytest.mark.parametrize("runs", ["tied"], indirect=True)
def test_a_tied_readout_must_still_be_the_embedding(exported: Path, tmp_path: Path) -> None:
    model = read_keras(exported)
    kernel = model.get_layer("readout").kernel
    kernel.assign(kernel + np.eye(*kernel.shape) * 1e-6)
    model.save(exported / "model.keras")
    with pytest.raises(OptionError, match=r"^exported .*; model must have the transposed weights .* tied"):
        import_keras(exported, tmp_path / "back")


@pytest.mark.parametrize("runs", ["one-hot"], indirect=True)
def test_weights_of_a_deeper_network_are_not_taken(exported: Path, tmp_path: Path) -> None:
    """Keras would read those that it needs, and not say that it left some."""
    keras = tf.compat.v2.keras
    without_model(exported)
    change_config(exported, "cell", [{"cell": "lstm", "state_size": 4}])
    classes = len(json.loads((exported / "vocabulary.json").read_text(encoding="utf-8")))
    lstm = {"units": 4, "return_sequences": True}
    for depth in (2, 1):
        stack = [layers().LSTM(**lstm) for _ in range(depth)]
        model = keras.Sequential([keras.Input([None, classes]), *stack, layers().Dense(classes)])
        model.save_weights(exported / "model.weights.h5")
        if depth == 2:
            with pytest.raises(OptionError, match=r"the weights in '.*' are others$"):
                import_keras(exported, tmp_path / "back")
    assert load(import_keras(exported, tmp_path / "back")).weights["layer_0/W"].shape == (classes + 4, 16)


def test_a_run_is_not_written_over_anything(runs: Path) -> None:
    with pytest.raises(OptionError, match=r"^out must be a new folder or an empty one, got '.*run'$"):
        import_keras(runs / "out", runs / "run")
    assert sorted(path.name for path in runs.iterdir()) == ["data.txt", "out", "run"]


@pytest.mark.parametrize("runs", ["one-hot"], indirect=True)
def test_the_command(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    back = tmp_path / "my back"
    assert main(["import", str(runs / "out"), str(back)]) == 0
    line = f"written: {back}; resume with: python -m tf_rnn train --resume '{back}'\n"
    assert capsys.readouterr().out == line
    assert load(back).tokens == tuple(sorted(set(SENTENCE)))


@pytest.mark.parametrize("wrong", ["exported", "out"])
def test_bad_input_is_told_before_tensorflow_is_loaded(tmp_path: Path, wrong: str) -> None:
    (tmp_path / "exported").mkdir()
    (tmp_path / "exported" / ("config.json" if wrong == "out" else "others.json")).touch()
    (tmp_path / "back" / "something").mkdir(parents=True)
    code = (
        "import pathlib, sys; from tf_rnn.cli import import_keras as c\n"
        "try: c.run({'exported': pathlib.Path('exported'), 'out': pathlib.Path('back')}, [])\n"
        "except ValueError as e: print(e.option, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == [wrong, "False"], done.stderr


@pytest.mark.parametrize("runs", ["one-hot"], indirect=True)
@pytest.mark.parametrize("name", ["config.json", "vocabulary.json", "model.keras", "model.weights.h5"])
def test_a_link_out_of_the_folder_is_refused(exported: Path, tmp_path: Path, name: str) -> None:
    """Even to what it should be: what is read is in the folder."""
    if name == "model.weights.h5":
        without_model(exported)
    (exported / name).rename(tmp_path / name)
    (exported / name).symlink_to(tmp_path / name)
    with pytest.raises(OptionError, match=r"^exported must "):
        import_keras(exported, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("runs", ["one-hot"], indirect=True)
@pytest.mark.parametrize("kind", ["link", "storage"])
def test_weights_out_of_the_file_are_refused(exported: Path, tmp_path: Path, kind: str) -> None:
    """HDF5 can say that a weight is in another file."""
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
