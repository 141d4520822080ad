"""What TensorBoard shows of a run, read back from its files."""

from __future__ import annotations

import itertools
import math
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from model_helpers import events, metrics, scalars, write_splits

from tf_rnn._tensorflow import tf
from tf_rnn.cells import InfluenceCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.lags import gradient_norms
from tf_rnn.inference import load
from tf_rnn.inference.narrator import LENGTH, TEMPERATURE, Narrator
from tf_rnn.options import OptionError
from tf_rnn.tasks import Adding, Influence, Task, Text
from tf_rnn.training import Callback, Progress, Schedule, TrainingResult, train
from tf_rnn.training.probe import PROBED_POSITIONS
from tf_rnn.training.tensorboard import EventWriter, write_scalars, write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EPOCHS = 4
SIZES: dict[str, Any] = {"num_steps": 5, "batch_size": 3}


class Recorder(Callback):
    """Keeps the reports."""

    def __init__(self) -> None:
        self.reports: list[Progress] = []

    def on_progress(self, progress: Progress) -> None:
        self.reports.append(progress)


def make_graph(task: Task, cell: Any, **options: Any) -> UnrolledGraph:
    names = ("input_size", "num_classes", "input_kind", "loss", "loss_steps", "readout")
    of_task = {name: getattr(task, name) for name in names}
    training = {"optimizer": "adam", "learning_rate": 0.01, "seed": 5}
    with tf.Graph().as_default():
        return UnrolledGraph(cell, **(SIZES | of_task | training | options))


class Kept:
    """A run over four epochs, with everything that was told of it."""

    def __init__(self, folder: Path) -> None:
        self.task = Text(write_splits(folder / "texts"))
        self.folder, self.recorder = folder / "out", Recorder()
        self.summaries = self.folder / "summaries"
        graph = make_graph(self.task, VanillaCell(4))
        narrator = Narrator(graph, self.task.vocabulary, self.summaries / "samples")
        options: dict[str, Any] = {"out": self.folder, "callbacks": [self.recorder, narrator]}
        options["schedule"] = Schedule("step", decay=0.5, decay_after=1)
        with graph.session(1) as session:
            self.result = train(graph, self.task, epochs=EPOCHS, session=session, **options)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("summaries"))


def rounded(pairs: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Numbers as event files have them, in float32."""
    return [(step, float(np.float32(value))) for step, value in pairs]


def test_held_out_losses_are_the_curve(kept: Kept) -> None:
    curve, found = kept.result.curve, scalars(kept.summaries)
    assert found["loss/valid"] == rounded([(point.updates, point.valid_loss) for point in curve])
    perplexities = [(point.updates, math.exp(point.valid_loss)) for point in curve]
    assert found["perplexity/valid"] == rounded(perplexities)
    assert len(curve) == EPOCHS + 1
    assert [step for step, _ in found["loss/valid"]] == [0, *(line["step"] for line in metrics(kept.folder))]


def test_what_is_said_in_training_is_written(kept: Kept) -> None:
    reports, found = kept.recorder.reports, scalars(kept.summaries)
    assert len(reports) >= EPOCHS
    expected: dict[str, Callable[[Progress], float]] = {
        "loss/train": lambda report: report.loss,
        "perplexity/train": lambda report: math.exp(report.loss),
        "gradient_norm": lambda report: report.gradient_norm,
        "learning_rate": lambda report: report.learning_rate,
        "tokens_per_second": lambda report: report.tokens_per_second,
    }
    for tag, value in expected.items():
        assert found[tag] == rounded([(report.updates, value(report)) for report in reports]), tag
    assert set(found) == {*expected, "loss/valid", "perplexity/valid"}


def measured(summaries: Path) -> list[str]:
    """The names of the gradients by lag that were measured."""
    return sorted(path.name for path in (summaries / "gradient_by_lag").iterdir())


def after_evaluations(result: TrainingResult, *numbers: int) -> list[str]:
    return [f"update_{result.curve[number - 1].updates:08d}" for number in numbers]


def test_the_gradient_is_measured_after_evaluations_1_2_and_4(kept: Kept, tmp_path: Path) -> None:
    """The first of which is the one before any update; counted from there, though a run is resumed."""
    assert measured(kept.summaries) == after_evaluations(kept.result, 1, 2, 4)
    task, out = Adding(4, length=120, valid_length=60), tmp_path / "out"
    graph = make_graph(task, VanillaCell(3))
    train(graph, task, epochs=1, callbacks=(), out=out)
    result = train(graph, task, epochs=3, callbacks=(), resume=out)
    assert measured(out / "summaries") == after_evaluations(result, 1, 2, 4)


def test_the_gradient_is_that_of_the_first_blocks(kept: Kept) -> None:
    """At the initial weights: the same graph built once more, its blocks run one after another."""
    graph = make_graph(kept.task, VanillaCell(4))
    norms = gradient_norms(graph)
    with graph.session(1) as session:
        state, found = graph.zero_state(), []
        for block in itertools.islice(kept.task.blocks(3, 5), PROBED_POSITIONS):
            fed = graph.feed(block.inputs, block.targets, state)
            values, state = session.run([norms, graph.final_state], fed)
            found.append(values)
    expected = np.mean(found, axis=(0, 2))
    (folder,) = (kept.summaries / "gradient_by_lag").glob("update_00000000")
    curves = scalars(folder)
    assert list(curves) == ["gradient_by_lag"]
    lags, shown = zip(*curves["gradient_by_lag"], strict=True)
    assert lags == (0, 1, 2, 3, 4)
    np.testing.assert_allclose(shown, expected, rtol=1e-6, atol=0)


def texts(folder: Path) -> list[tuple[int, str]]:
    found = list(events(folder))
    kinds = {(value.tag, value.metadata.plugin_data.plugin_name) for _, value in found}
    assert kinds == {("sample", "text")}
    return [(step, tf.make_ndarray(value.tensor).item().decode()) for step, value in found]


def test_a_model_of_language_writes_after_each_evaluation(kept: Kept) -> None:
    found = texts(kept.summaries / "samples")
    assert [step for step, _ in found] == [point.updates for point in kept.result.curve[1:]]
    assert len({text for _, text in found}) == EPOCHS


def test_what_it_writes_is_what_the_checkpoint_would(kept: Kept) -> None:
    """Four blanks before each line make Markdown show it as it stands."""
    step, shown = texts(kept.summaries / "samples")[-1]
    pieces = load(kept.folder, "last").sample(length=LENGTH, temperature=TEMPERATURE, seed=step)
    assert [line[:4] for line in shown.split("\n")] == ["    "] * len(shown.split("\n"))
    assert [line[4:] for line in shown.split("\n")] == "".join(pieces).splitlines()


SQUARED: dict[str, tuple[Task, Callable[[], Any], dict[str, Any]]] = {
    "adding": (Adding(4, length=60, valid_length=40), lambda: VanillaCell(3), {}),
    "influence": (
        Influence(length=50, valid_length=201),
        InfluenceCell,
        {"batch_size": 1, "optimizer": "sgd", "learning_rate": 1e-6},
    ),
}


@pytest.mark.parametrize("name", SQUARED)
def test_squared_errors_have_no_perplexity(name: str, tmp_path: Path) -> None:
    """With losses at some steps, at the last alone; with real inputs, with none."""
    task, make_cell, options = SQUARED[name]
    train(make_graph(task, make_cell(), **options), task, out=tmp_path / "out", callbacks=())
    summaries = tmp_path / "out" / "summaries"
    found = scalars(summaries)
    assert {tag for tag in found if tag.startswith("perplexity")} == set()
    assert found["loss/valid"][0][0] == 0
    assert {"loss/train", "loss/valid", "gradient_norm"} < set(found)
    assert len(scalars(summaries / "gradient_by_lag" / "update_00000000")["gradient_by_lag"]) == 5


def test_nothing_of_the_training_changes(tmp_path: Path, kept: Kept) -> None:
    """Weights and curve of a run with dropout, without a folder and with all that writes into one."""
    graph, results = make_graph(kept.task, VanillaCell(4), dropout=0.3), []
    for folder in (None, tmp_path / "out"):
        place = folder and folder / "summaries" / "samples"
        callbacks = [Narrator(graph, kept.task.vocabulary, place)] if place else []
        with graph.session(1) as session:
            options: dict[str, Any] = {"session": session, "out": folder, "callbacks": callbacks}
            results.append(train(graph, kept.task, updates=40, evaluations=2, seed=3, **options))
    alone, told = results
    for point, other in zip(alone.curve, told.curve, strict=True):
        assert repr(point._replace(seconds=0)) == repr(other._replace(seconds=0))  # a nan is one
    assert list(alone.weights) == list(told.weights)
    for name, value in alone.weights.items():
        np.testing.assert_array_equal(told.weights[name], value, strict=True, err_msg=name)


def test_what_is_not_finite_is_left_out(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        write_scalars(writer, {"a": 1.5, "b": math.nan, "c": math.inf}, 3)
        write_scalars(writer, {"b": math.inf}, 4)
        write_text(writer, "t", "", 5)
    assert scalars(tmp_path) == {"a": [(3, 1.5)]}
    assert [(step, value.tag) for step, value in events(tmp_path)] == [(3, "a"), (5, "t")]


def test_writers_one_after_another_in_a_moment_keep_what_each_has(tmp_path: Path) -> None:
    """As when a run is gone on with at once: no file takes the place of another."""
    for step in range(3):
        with EventWriter(tmp_path) as writer:
            write_scalars(writer, {"a": 0.5}, step)
    assert scalars(tmp_path) == {"a": [(0, 0.5), (1, 0.5), (2, 0.5)]}


def test_what_is_written_can_soon_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once when it is asked for, else when ten seconds are over."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with EventWriter(tmp_path) as writer:
        write_scalars(writer, {"a": 0.5}, 1)
        writer.flush()
        seen = [dict(scalars(tmp_path))]
        for seconds in (9.9, 0.2):
            now[0] += seconds
            write_scalars(writer, {"a": 0.5}, 2)
            seen.append(dict(scalars(tmp_path)))
    first, second = (1, 0.5), (2, 0.5)
    assert seen == [{"a": [first]}, {"a": [first]}, {"a": [first, second, second]}]


def test_where_nothing_can_be_written_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match=r"^out could not be written: .*file"):
        EventWriter(tmp_path / "file" / "summaries").add(tf.Summary(), 0)


def test_what_has_gone_wrong_before_is_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = EventWriter(tmp_path)
    monkeypatch.setattr(writer, "_file", object())  # which cannot be closed
    with pytest.raises(KeyboardInterrupt), writer:
        raise KeyboardInterrupt
    with pytest.raises(OptionError, match=r"^out could not be written: "), writer:
        pass


def test_a_writer_adds_to_no_graph(tmp_path: Path) -> None:
    with tf.Graph().as_default() as graph, EventWriter(tmp_path) as writer:
        write_scalars(writer, {"a": 1.5}, 3)
        write_text(writer, "t", "words", 3)
    assert graph.get_operations() == []
