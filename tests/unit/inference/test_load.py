"""A trained model from the folder of its run."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close
from model_helpers import (
    NaiveNetwork,
    checkpoints,
    keep_run,
    made_up_text,
    metrics,
    random_weights,
    spoil,
    weights_by_name,
    write_splits,
)

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, InfluenceCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.files import write_json
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.describe import describe, described_graph
from tf_rnn.inference import ModelEvaluator, Stepper, load
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo, Influence, Text
from tf_rnn.tasks.vocabulary import CharacterVocabulary
from tf_rnn.training import TrainingResult, train

if TYPE_CHECKING:
    from numpy.typing import NDArray

EPOCHS = 3
# Of the array that `spoil` spoils, the last.
DAMAGE = "the checksum of names.npy is wrong"


def run_that_gets_worse(folder: Path) -> TrainingResult:
    """Learns that letters follow one another, while those held out do not: the first epoch is the best."""
    texts = folder / "texts"
    texts.mkdir(parents=True)
    (texts / "train.txt").write_text("abc" * 100, encoding="utf-8")
    for name, seed in (("valid", 1), ("test", 2)):
        (texts / f"{name}.txt").write_text(made_up_text(80, seed, "cba"), encoding="utf-8")
    with tf.Graph().as_default():
        graph = UnrolledGraph(GRUCell(6), 5, 4, 3, 3, optimizer="adam", learning_rate=0.02, seed=1)
    return train(graph, Text(texts), epochs=EPOCHS, out=folder / "out", callbacks=())


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult]:
    folder = tmp_path_factory.mktemp("worse")
    return folder / "out", run_that_gets_worse(folder)


@pytest.fixture
def copy(kept: tuple[Path, TrainingResult], tmp_path: Path) -> Path:
    """The run once more, to spoil."""
    return shutil.copytree(kept[0], tmp_path / "copy")


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_splits(tmp_path_factory.mktemp("texts") / "splits")


# --- which checkpoint ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "name"),
    [
        ("best", "checkpoint-000002.npz"),
        (2, "checkpoint-000002.npz"),
        ("last", "checkpoint-000004.npz"),
        (4, "checkpoint-000004.npz"),
    ],
)
def test_the_best_the_last_and_one_by_its_number(
    kept: tuple[Path, TrainingResult], which: str | int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The held-out losses of the training, to what float32 has."""
    folder, _ = kept
    losses = [line["valid_loss"] for line in metrics(folder)]
    assert losses == sorted(losses), "the first was to be the best"
    expected = losses[0] if which in ("best", 2) else losses[-1]
    model = load(str(folder), which)
    found = model.evaluator(num_steps=5).loss
    assert abs(found - expected) < 1e-6, f"{which}: {found}, not {expected}"
    assert model.checkpoint.path == folder / "checkpoints" / name
    assert capsys.readouterr() == ("", "")


def test_the_last_has_the_weights_that_training_left(kept: tuple[Path, TrainingResult]) -> None:
    folder, result = kept
    assert load(folder).checkpoint.path == checkpoints(folder)[0], "by default it is the best"
    model = load(folder, "last")
    assert list(model.weights) == list(result.weights)
    for name, value in result.weights.items():
        np.testing.assert_array_equal(model.weights[name], value, strict=True, err_msg=name)


def test_a_damaged_checkpoint_falls_back_and_says_so(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    best, before, last = checkpoints(copy)
    spoil(best)
    model = load(copy)
    assert model.checkpoint.path == last
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"{best.name} is damaged ({DAMAGE}); {last.name}, the newest, is used"
    assert abs(model.evaluator(num_steps=5).loss - metrics(copy)[-1]["valid_loss"]) < 1e-6
    spoil(last)
    assert load(copy, "last").checkpoint.path == before
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{last.name} is damaged ("), line


# --- what is no run --------------------------------------------------------------------------------


def refusal(folder: Path | str, which: str | int = "best") -> str:
    with pytest.raises(OptionError) as raised:
        load(folder, which)
    return str(raised.value)


def test_what_is_no_run_is_refused(copy: Path, tmp_path: Path) -> None:
    file, empty, results = tmp_path / "file", tmp_path / "empty", tmp_path / "results"
    file.write_text("mine", encoding="utf-8")
    for folder in (empty, results):
        folder.mkdir()
    write_json(results / "config.json", {"task": "echo"})
    for folder in (file, empty, results, tmp_path / "missing", copy / "checkpoints"):
        assert refusal(folder) == f"folder must be the folder of a training run, got {str(folder)!r}"


def test_a_number_names_a_good_checkpoint_that_is_kept(copy: Path) -> None:
    assert refusal(copy, 1) == "checkpoint must be one that is kept (2, 3, 4), got 1"
    spoil(checkpoints(copy)[0])
    assert refusal(copy, 2).startswith("checkpoint must be undamaged, checkpoint-000002.npz is not (")


def test_a_run_without_a_good_checkpoint_is_refused(copy: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    (bare / "checkpoints").mkdir(parents=True)
    for checkpoint in checkpoints(copy):
        spoil(checkpoint)
    for folder, which in ((bare, "best"), (copy, "best"), (copy, "last")):
        message = f"folder must have an undamaged checkpoint, {str(folder)!r} has none"
        assert refusal(folder, which) == message
    assert refusal(copy, "newest") == (
        "checkpoint must be best, last or the number of a checkpoint, got 'newest'"
    )


# --- what a model has ------------------------------------------------------------------------------


def test_it_unpacks(kept: tuple[Path, TrainingResult]) -> None:
    model = load(kept[0])
    stepper, evaluator = model
    assert stepper is model.stepper
    assert evaluator is model.evaluator
    assert isinstance(stepper, Stepper)
    assert isinstance(evaluator, ModelEvaluator)
    assert (model.graph.num_steps, model.graph.batch_size, model.graph.train_step) == (1, 1, None)


READOUT = ["readout/U", "readout/b_p"]
NAMES: dict[str, tuple[Any, dict[str, Any], list[str]]] = {
    "stacked": (
        lambda: StackedCell([VanillaCell(3), GRUCell(4)]),
        {"embedding_size": 5},
        ["embedding/E", "layer_0/W", "layer_0/b_s", "layer_1/W", "layer_1/b", "layer_1/b_n", *READOUT],
    ),
    "tied": (
        lambda: LSTMCell(3),
        {"embedding_size": 3, "readout": "tied", "optimizer": "adam"},
        ["embedding/E", "layer_0/W", "layer_0/b", "readout/b_p"],
    ),
}


@pytest.mark.parametrize("case", NAMES)
def test_weights_by_name(case: str, texts: Path, tmp_path: Path) -> None:
    """Those that were there, and nothing of the optimizer's."""
    make_cell, options, names = NAMES[case]
    given: dict[str, NDArray[Any]] = {}

    def weights(graph: UnrolledGraph) -> list[NDArray[Any]]:
        values = random_weights(graph, 5)
        given.update(weights_by_name(graph, values))
        return values

    training = {"optimizer": "sgd"} | options
    model = load(keep_run(tmp_path / "out", Text(texts), make_cell(), weights, dtype="float64", **training))
    assert list(model.weights) == names
    for name, value in given.items():
        assert_close(model.weights[name], value, 1e-29, name)


def test_the_stepper_is_the_network(texts: Path, tmp_path: Path) -> None:
    """Probabilities of a few steps in NumPy, the state kept inside, and zero again after a reset."""
    cell = StackedCell([LSTMCell(3), GRUCell(4)])
    stepper, _ = model = load(keep_run(tmp_path / "out", Text(texts), cell, dtype="float64", dropout=0.5))
    naive = NaiveNetwork(model)
    first = []
    for _ in range(2):
        state = naive.zero_state()
        for index in (3, 0, 0, 5):
            logits, state = naive.step(index, state)
            expected = np.exp(logits) / np.exp(logits).sum()
            assert_close(stepper.step(np.array([index])), expected, 1e-12, index)
        first.append(stepper.state)
        stepper.reset()
    assert_close(first[0], first[1], 0)


def test_a_cell_without_layers(tmp_path: Path) -> None:
    """Its one variable is found, too; a few steps of S_t = A S_{t-1} + theta v."""
    task = Influence(length=50, valid_length=251)
    options: dict[str, Any] = {"weights": lambda _: [np.array(0.3)], "batch_size": 1, "dtype": "float64"}
    model = load(keep_run(tmp_path / "out", task, InfluenceCell(), **options))
    assert model.weights == {"cell/theta": 0.3}
    found = [float(model.stepper.step()[0, 0]) for _ in range(3)]
    assert found == pytest.approx([0.3, 0.6, 0.9], abs=1e-12)


def test_it_says_how_it_was_trained(texts: Path, tmp_path: Path) -> None:
    task = Text(texts)
    model = load(keep_run(tmp_path / "out", task, LSTMCell(3, forget_bias=2.0), num_steps=6, batch_size=2))
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert model.config == written
    assert model.config["task"]["sha256"] == task.sha256
    sizes = {name: model.config["graph"][name] for name in ("num_steps", "batch_size", "optimizer")}
    assert sizes == {"num_steps": 6, "batch_size": 2, "optimizer": "sgd"}
    assert describe(described_graph(model.description)) == model.description
    assert isinstance(model.vocabulary, CharacterVocabulary)
    assert tuple(model.vocabulary) == model.tokens == task.vocabulary


def test_a_model_that_is_none_of_language_has_no_words(tmp_path: Path) -> None:
    model = load(keep_run(tmp_path / "out", Echo(length=60, valid_length=50), VanillaCell(3)))
    assert model.tokens is None
    for ask in (lambda: model.vocabulary, lambda: model.sample(length=1)):
        with pytest.raises(OptionError, match=r"^model must be one of language, got one of the task echo$"):
            ask()


# --- where it is loaded ----------------------------------------------------------------------------


def probabilities(stepper: Stepper, indices: list[int]) -> list[list[float]]:
    return [stepper.step(np.array([index]))[0].tolist() for index in indices]


def test_two_models_do_not_disturb_each_other(texts: Path, tmp_path: Path) -> None:
    """Stepped and evaluated in turns, as each alone."""
    folders = [
        keep_run(tmp_path / str(seed), Text(texts), VanillaCell(3), partial(random_weights, seed=seed))
        for seed in (1, 2)
    ]
    indices = [0, 4, 2]
    alone = []
    for folder in folders:
        stepper, evaluator = load(folder)
        alone.append((probabilities(stepper, indices), evaluator(num_steps=3)))
    assert alone[0] != alone[1]
    models = [load(folder) for folder in folders]
    shown: list[list[list[float]]] = [[], []]
    for index in indices:
        for model, found in zip(models, shown, strict=True):
            found.extend(probabilities(model.stepper, [index]))
            model.evaluator(num_steps=3)
    for model, found, expected in zip(models, shown, alone, strict=True):
        assert (found, model.evaluator(num_steps=3)) == expected


def test_the_default_graph_is_left_alone(kept: tuple[Path, TrainingResult]) -> None:
    def found() -> Any:
        model = load(kept[0])
        return model.evaluator(num_steps=5), "".join(model.sample(length=5, seed=1)), model.graph.tf_graph

    with tf.Graph().as_default() as graph:
        tf.get_variable("layer_0/W", [2])
        before = [operation.name for operation in graph.get_operations()]
        *inside, made = found()
        assert [operation.name for operation in graph.get_operations()] == before
        assert tf.get_default_graph() is graph is not made
    assert [*found()][:2] == inside


def test_without_its_data_it_steps_and_writes(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text(made_up_text(100), encoding="utf-8")
    folder = keep_run(tmp_path / "out", Text(path), VanillaCell(3))
    before = "".join(load(folder).sample("ab", 20, seed=1))
    path.unlink()
    model = load(folder)
    assert "".join(model.sample("ab", 20, seed=1)) == before
    assert model.stepper.step(np.array([0])).shape == (1, 6)
    message = f"there is nothing at {str(path)!r}"
    with pytest.raises(OptionError, match=f"^data must be .*{re.escape(message)}$"):
        model.evaluator()


def test_a_checkpoint_that_cannot_be_read_is_reported(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not count as damaged: another one would be another model."""

    def fail(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", fail)
    path = checkpoints(copy)[-1]
    for which in ("best", "last"):
        assert refusal(copy, which) == f"folder could not be read: Permission denied ({str(path)!r})"


def test_variables_of_another_network_are_refused(copy: Path) -> None:
    path = checkpoints(copy)[-1]
    with np.load(path) as arrays:
        np.savez(path, **dict(arrays) | {"variables/layer_0/b": np.zeros(3, np.float32)})
    begin = "folder must hold the variables of its configuration: layer_0/b is float32 [3], not float32 ["
    assert refusal(copy, "last").startswith(begin)
