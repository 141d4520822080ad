"""The verbs in Python: what they give is that of the loop below them, and of the command line."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import files, succeeds, workers_here
from model_helpers import made_up_text, metrics

import tf_rnn
from tf_rnn._tensorflow import tf
from tf_rnn.graph import make_graph
from tf_rnn.options import OptionError
from tf_rnn.reporting.page import REPORTS
from tf_rnn.tasks import Arrays, Echo, Stream, Task
from tf_rnn.training import Callback, Schedule, train

if TYPE_CHECKING:
    from pathlib import Path

SIZES: dict[str, Any] = {"state_size": 3, "batch_size": 4, "cell": "vanilla"}


class Tides(Task):
    """A task of one's own: the next of three classes that follow one another."""

    name = "tides"
    input_size = num_classes = 3

    def stream(self, split: str = "train", epoch: int = 0) -> Stream:
        classes = np.arange(81, dtype=np.int32) % 3
        return Stream(classes, np.roll(classes, -1))

    def options(self) -> dict[str, Any]:
        return {}


def test_training_is_that_of_the_loop() -> None:
    """With a task of one's own, bit for bit."""
    run = tf_rnn.Experiment(Tides(), **SIZES).train(
        5, epochs=2, schedule="step", decay=0.25, decay_after=1, seed=3, threads=1, callbacks=()
    )
    setup = tf_rnn.Setup(task=Tides(), **SIZES)
    graph = make_graph(setup, Tides(), 5, seed=3)
    with graph.session(1) as session:
        schedule = Schedule("step", 0.25, 1)
        expected = train(graph, Tides(), epochs=2, schedule=schedule, seed=3, session=session, callbacks=())
    assert [point.valid_loss for point in run.curve] == [point.valid_loss for point in expected.curve]
    assert run.evaluation == expected.evaluation
    assert run.records[-1]["valid_loss"] == run.curve[-1].valid_loss
    assert (run.folder, run.new_updates) == (None, 8)
    (first, last) = run.table().rows
    assert (first[:3], last[:3]) == (["1", "4", "80"], ["2", "8", "160"])
    assert last[4] == f"{run.curve[-1].valid_loss:.4f}"
    assert str(run.table()).startswith("Learning curve\n\n| epoch | step | ")
    assert len(repr(run)) < 500, "arrays and curves are not for the screen"
    assert [line.get_ydata()[-1] for line in run.figure().axes[0].lines] == list(run.curve[-1][3:5])
    with pytest.raises(
        OptionError, match=r"^out must be given to train to load the model from it, got None$"
    ):
        run.load()


def test_a_run_is_kept_loaded_and_resumed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.txt").write_text(made_up_text(400), encoding="utf-8")
    options = {"data": tmp_path / "text.txt", **SIZES}
    run = tf_rnn.Experiment("text", **options).train(5, epochs=1, out=tmp_path / "a", threads=1, callbacks=())
    assert "".join(run.load("last").sample(length=5, seed=1))
    run = tf_rnn.resume(tmp_path / "a", epochs=2, threads=1, callbacks=())
    assert [point.epoch for point in run.curve] == [0, 1, 2]
    words = ["--task", "text", "--data", str(tmp_path / "text.txt"), "--cell", "vanilla", "--state-size", "3"]
    words += ["--batch-size", "4", "--num-steps", "5", "--epochs", "2", "--threads", "1"]
    succeeds(["train", *words, "--out", str(tmp_path / "b")], capsys)
    losses = [[line["valid_loss"] for line in metrics(tmp_path / name)] for name in ("a", "b")]
    assert losses[0] == losses[1]
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        tf_rnn.resume(tmp_path / "a", width=3)
    with pytest.raises(
        OptionError, match=r"^epochs and tokens must not be given together; give one of them$"
    ):
        tf_rnn.resume(tmp_path / "a", epochs=1, tokens=5)


def test_data_are_those_of_the_folder_in_which_the_experiment_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process may change its directory before the data are read."""
    (tmp_path / "text.txt").write_text(made_up_text(400), encoding="utf-8")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "text.txt").write_text(made_up_text(400, seed=1), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    experiment = tf_rnn.Experiment("text", data="text.txt", **SIZES)
    monkeypatch.chdir("elsewhere")
    assert experiment.task.options()["data"] == str(tmp_path / "text.txt")
    assert experiment.prepare(5, updates=1, out=tmp_path / "a").task is experiment.task


def test_a_model_of_a_task_of_ones_own_is_evaluated(tmp_path: Path) -> None:
    run = tf_rnn.Experiment(Tides(), **SIZES).train(5, epochs=2, out=tmp_path / "run", callbacks=())
    losses = [model.evaluator().loss for model in (run.load(), tf_rnn.load(tmp_path / "run", task=Tides()))]
    assert losses[0] == losses[1]
    assert abs(losses[0] - run.evaluation.loss) < 1e-6
    with pytest.raises(OptionError, match=r"^task must be given to load a model of a task of your own"):
        tf_rnn.load(tmp_path / "run").evaluator()
    with pytest.raises(OptionError, match=r"^task must be the task of the run, 'tides', got 'echo'$"):
        tf_rnn.load(tmp_path / "run", task=Echo())


def test_lags_are_a_value_and_files_if_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    experiment = tf_rnn.Experiment(Echo(length=600, valid_length=300), **SIZES)
    study = experiment.lags(6, tokens=0, out=tmp_path / "x[b]")
    assert [sentence.partition(":")[0] for sentence in study.sentences] == ["untrained"]
    assert {"lags.json", "lags.csv", "lags.png", "report.md"} < set(files(tmp_path / "x[b]"))
    experiment.lags(6, tokens=0)
    assert [path.name for path in tmp_path.iterdir()] == ["x[b]"]


@pytest.mark.parametrize("wrong", [3, Callback(), [Callback], (Callback(), None), "ab"])
def test_callbacks_are_looked_at_before_anything_is_written(tmp_path: Path, wrong: Any) -> None:
    experiment = tf_rnn.Experiment(Echo(length=600, valid_length=300), **SIZES)
    for verb in (experiment.train, experiment.lags):
        with pytest.raises(OptionError, match=r"^callbacks must be a sequence of tf_rnn\.training"):
            verb(3, tokens=60, out=tmp_path / "out", callbacks=wrong)
    assert list(tmp_path.iterdir()) == []


def test_a_length_that_the_data_are_too_short_for_is_refused_before_the_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = np.arange(1800, dtype=np.int32) % 3
    experiment = tf_rnn.Experiment(Arrays(values[:-1], values[1:], valid_fraction=0.6), **SIZES)
    with pytest.raises(OptionError, match=r"^num_steps must be at most \d+ \(the "):
        experiment.recommend([100, 200], out="out")
    assert list(tmp_path.iterdir()) == []


def test_a_recommendation_is_a_value_and_files_if_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with workers_here():
        experiment = tf_rnn.Experiment(Echo(length=2000, valid_length=300), **SIZES)
        found = experiment.recommend("2:4:log2", seeds=1, amount=800)
    assert list(tmp_path.iterdir()) == []
    assert [row["num_steps"] for row in found.records[:2]] == [2, 4]
    assert len(found.figure().axes[0].lines) >= 2
    assert str(found.table()).startswith("The race\n")
    assert (found.files, found.sweep, found.verification) == ((), None, None)
    written = {path.name for path in found.write("out")}
    assert written == {*REPORTS, *(f"recommendation.{kind}" for kind in ("json", "csv", "png"))}
    assert {*files(tmp_path / "out")} == written | {"config.json", "results.json"}


def test_tensorflow_is_loaded_when_it_is_used() -> None:
    code = (
        "import sys, tf_rnn; tf_rnn.Experiment('text'); tf_rnn.Setup(task='words'); tf_rnn.comparison\n"
        "from tf_rnn._tensorflow import tf\n"
        "tf_rnn.analysis, tf_rnn.graph, tf_rnn.inference, tf_rnn.training\n"
        "print('tensorflow' in sys.modules, 'nest' in vars(tf))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "False False\n", done.stderr
    assert tf.nest is sys.modules["tensorflow"].compat.v1.nest is vars(tf)["nest"]
    assert copy.copy(tf) is tf is pickle.loads(pickle.dumps(tf))
