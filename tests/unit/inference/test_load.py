"""A trained model from the folder of its run."""

from __future__ import annotations

import json
import re
import shutil
from functools import partial
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
    write_splits,
)

from tf_rnn._tensorflow import tf
from tf_rnn.cells import GRUCell, LSTMCell, StackedCell, VanillaCell
from tf_rnn.files import write_json
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.describe import describe, described_graph
from tf_rnn.inference import ModelEvaluator, Stepper, load
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo, Text
from tf_rnn.tasks.vocabulary import CharacterVocabulary
from tf_rnn.training import TrainingResult, train

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tf_rnn.inference import Model

# The width of the training changes nothing here.
keep_narrow = partial(keep_run, num_steps=2)
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


def test_the_best_the_last_and_one_by_its_number(
    kept: tuple[Path, TrainingResult], capsys: pytest.CaptureFixture[str]
) -> None:
    """The held-out losses of the training, to what float32 has."""
    folder, _ = kept
    losses = [line["valid_loss"] for line in metrics(folder)]
    assert losses == sorted(losses), "the first was to be the best"
    for which, number, expected in (("best", 2, losses[0]), ("last", 4, losses[-1])):
        model = load(str(folder), which)
        found = model.evaluator(num_steps=5).loss
        assert abs(found - expected) < 1e-6, f"{which}: {found}, not {expected}"
        path = folder / "checkpoints" / f"checkpoint-{number:06}.npz"
        assert model.checkpoint.path == load(folder, number).checkpoint.path == path
    assert capsys.readouterr() == ("", "")


def test_the_last_has_the_weights_that_training_left(kept: tuple[Path, TrainingResult]) -> None:
    folder, result = kept
    assert load(folder).checkpoint.path == checkpoints(folder)[0], "by default it is the best"
    stepper, evaluator = model = load(folder, "last")  # it unpacks
    assert (stepper, evaluator) == (model.stepper, model.evaluator)
    assert (type(stepper), type(evaluator)) == (Stepper, ModelEvaluator)
    assert (model.graph.num_steps, model.graph.batch_size, model.graph.train_step) == (1, 1, None)
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


def test_the_stepper_is_the_network(texts: Path, tmp_path: Path) -> None:
    """Probabilities of a few steps in NumPy, the state kept inside, and zero again after a reset."""
    cell = StackedCell([LSTMCell(3), GRUCell(4)])
    stepper, _ = model = load(keep_narrow(tmp_path / "out", Text(texts), cell, dtype="float64", dropout=0.5))
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


def test_it_says_how_it_was_trained(texts: Path, tmp_path: Path) -> None:
    task = Text(texts)
    model = load(keep_narrow(tmp_path / "out", task, LSTMCell(3, forget_bias=2.0), num_steps=6, batch_size=2))
    written = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    assert model.config == written
    assert model.config["task"]["sha256"] == task.sha256
    sizes = {name: model.config["graph"][name] for name in ("num_steps", "batch_size", "optimizer")}
    assert sizes == {"num_steps": 6, "batch_size": 2, "optimizer": "sgd"}
    assert describe(described_graph(model.description)) == model.description
    assert isinstance(model.vocabulary, CharacterVocabulary)
    assert tuple(model.vocabulary) == model.tokens == task.vocabulary


def test_a_model_that_is_none_of_language_has_no_words(tmp_path: Path) -> None:
    model = load(keep_narrow(tmp_path / "out", Echo(length=60, valid_length=50), VanillaCell(3)))
    assert model.tokens is None
    for ask in (lambda: model.vocabulary, lambda: model.sample(length=1)):
        with pytest.raises(OptionError, match=r"^model must be one of language, got one of the task echo$"):
            ask()


def test_two_models_do_not_disturb_each_other(texts: Path, tmp_path: Path) -> None:
    """Stepped and evaluated in turns, as each alone."""

    def taken(model: Model) -> Iterator[Any]:
        for index in (0, 4, 2):
            yield model.stepper.step(np.array([index]))[0].tolist()
            yield model.evaluator(num_steps=3)

    weights = (partial(random_weights, seed=seed) for seed in (1, 2))
    folders = [
        keep_narrow(tmp_path / str(number), Text(texts), VanillaCell(3), each)
        for number, each in enumerate(weights)
    ]
    alone = [list(taken(load(folder))) for folder in folders]
    assert alone[0][0] != alone[1][0]
    assert alone[0][1] != alone[1][1]
    in_turns = zip(*(taken(load(folder)) for folder in folders), strict=True)
    assert [list(found) for found in zip(*in_turns, strict=True)] == alone


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
    folder = keep_narrow(tmp_path / "out", Text(path), VanillaCell(3))
    before = "".join(load(folder).sample("ab", 20, seed=1))
    path.unlink()
    model = load(folder)
    assert "".join(model.sample("ab", 20, seed=1)) == before
    assert model.stepper.step(np.array([0])).shape == (1, 6)
    message = f"data must be given: the model was trained on {str(path)!r}, where there is nothing now"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        model.evaluator()


def test_variables_of_another_network_are_refused(copy: Path) -> None:
    path = checkpoints(copy)[-1]
    with np.load(path) as arrays:
        np.savez(path, **dict(arrays) | {"variables/layer_0/b": np.zeros(3, np.float32)})
    begin = "folder must hold the variables of its configuration: layer_0/b is float32 [3], not float32 ["
    assert refusal(copy, "last").startswith(begin)
