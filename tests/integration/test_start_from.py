"""A new run that begins with the weights of a trained one, on other data in the same vocabulary."""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import assert_refused, files, succeeds
from model_helpers import made_up_text

import tf_rnn
from tf_rnn.graph import UnrolledGraph, described_graph
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo, Text, Words
from tf_rnn.training import Callback
from tf_rnn.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.training import CurvePoint, Progress

NETWORK: dict[str, Any] = {"cell": "vanilla", "state_size": 5, "embedding_size": 3}
QUIET: dict[str, Any] = {"threads": 1, "callbacks": ()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained runs on characters and on words, whose last checkpoint is worse than the best; other texts."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "old.txt").write_text(made_up_text(600, letters="ab cde\n"), encoding="utf-8")
    (folder / "new.txt").write_text(made_up_text(500, seed=2, letters="bd ca\n"), encoding="utf-8")
    (folder / "odd.txt").write_text("ab xé ca yxx d" * 30, encoding="utf-8")
    for task in ("text", "words"):
        cut = {"valid_fraction": 0.1, "batch_size": 3}
        experiment = tf_rnn.Experiment(task, data=folder / "old.txt", **cut, **NETWORK)
        experiment.train(2, epochs=2, out=folder / task, **QUIET)
        worse = tf_rnn.resume(folder / task, epochs=3, learning_rate=1.0, **QUIET).curve
        assert worse[-1].valid_loss > worse[-2].valid_loss, worse
    return folder


def begun(place: Path, task: str = "text", out: Path | None = None, **more: Any) -> Any:
    """A run that begins with the weights of one of the trained runs."""
    how = {"updates": 3, "evaluations": 1, "seed": 1, "out": out} | more
    new = {"batch_size": 2, "learning_rate": 0.1, "optimizer": "adam", "dropout": 0.25}
    return tf_rnn.Experiment(task, data=place / "new.txt", **new).train(
        2, start_from=place / task, **QUIET | how
    )


@pytest.fixture(scope="module")
def whole(place: Path) -> Any:
    """A run on characters that was never stopped."""
    return begun(place)


@pytest.mark.parametrize(("task", "kind"), [("text", Text), ("words", Words)])
def test_its_loss_at_first_is_what_the_trained_run_has_on_these_data(
    task: str, kind: Any, place: Path, whole: Any
) -> None:
    """The best checkpoint, in the vocabulary of that run."""
    best, last = (tf_rnn.load(place / task, which) for which in ("best", "last"))
    run = whole if task == "text" else begun(place, task, updates=1)
    expected, others = (model.evaluator.on(run.task).loss for model in (best, last))
    found = run.curve[0].valid_loss
    assert found == pytest.approx(expected, rel=1e-5) != pytest.approx(others, rel=1e-3)
    assert run.task.vocabulary == best.tokens
    assert run.task.options()["valid_fraction"] == 0.05, "other data are cut as the new run says"
    assert kind(place / "new.txt").vocabulary != best.tokens, "there would be nothing to see"


def test_the_optimizer_starts_afresh_and_the_config_says_where_from(place: Path, tmp_path: Path) -> None:
    begun(place, out=tmp_path / "run", updates=1)
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints", "out")
    first = checkpoints.numbered(min(checkpoints.numbers))
    best = tf_rnn.load(place / "text").checkpoint
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    record = config["start_from"]
    assert (record["folder"], record["checkpoint"]) == (str(place / "text"), best.number)
    assert re.fullmatch("[0-9a-f]{64}", record["sha256"])
    assert config["task"]["options"]["vocabulary"] == list(best.state.vocabulary or ())
    assert (config["graph"]["learning_rate"], config["graph"]["dropout"]) == (0.1, 0.25)
    assert config["cell"] == best.state.config["cell"]
    with (graph := described_graph(config)).session(1) as session:
        fresh = session.run(tf_rnn.graph.naming.saved_names(graph))
    weights = tf_rnn.graph.naming.weight_names(graph)
    assert first.state.history.updates == 0
    for name, value in first.state.variables.items():
        expected = best.state.variables[name] if name in weights else fresh[name]
        np.testing.assert_array_equal(value, expected, err_msg=name)


class Killed(Callback):
    """Ends a run at an update."""

    report_seconds = 0.0

    def __init__(self, update: int) -> None:
        self._update = update

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        if point.updates == self._update:
            raise RuntimeError

    def on_progress(self, progress: Progress) -> None:
        if progress.updates == self._update:
            raise RuntimeError


STOPPED = {"in training": 2, "in its first evaluation": 0, "before its first checkpoint": 0}


@pytest.mark.parametrize("stopped", STOPPED)
def test_it_resumes_bit_for_bit(stopped: str, place: Path, whole: Any, tmp_path: Path) -> None:
    """Without the trained run; but where it was stopped before it had a checkpoint that is needed again."""
    place = shutil.copytree(place, tmp_path / "place")
    out = tmp_path / "run"
    with pytest.raises(RuntimeError):
        begun(place, out=out, callbacks=[Killed(STOPPED[stopped])])
    origin = json.loads((out / "config.json").read_text(encoding="utf-8"))["start_from"]
    if stopped == "before its first checkpoint":
        shutil.rmtree(out / "checkpoints")
        shutil.copytree(out, tmp_path / "late")
    else:
        shutil.rmtree(place / "text")
    rest = tf_rnn.resume(out, **QUIET)
    assert str(rest.curve[0].valid_loss) == str(whole.curve[0].valid_loss)
    for name, value in whole.result.weights.items():
        np.testing.assert_array_equal(rest.result.weights[name], value, err_msg=name)
    assert tf_rnn.load(out, "last").config["start_from"] == origin
    if stopped != "before its first checkpoint":
        return
    late = tmp_path / "late"
    best, last = (tf_rnn.load(place / "text", which).checkpoint.path for which in ("best", "last"))
    shutil.copy(last, best)  # other weights under the same number
    before = files(late)
    with pytest.raises(OptionError, match=r"^resume must have a checkpoint: .* was stopped before its first"):
        tf_rnn.resume(late, updates=5, **QUIET)
    assert files(late) == before


REFUSED = {
    "another cell": (["--cell", "lstm"], "--cell must be 'vanilla', as in the run in '{}', or left out; "),
    "another size": (["--state-size", "6"], "--state-size must be 5, as in the run in "),
    "more layers": (["--num-layers", "2"], "--num-layers must be 1, as in the run in "),
    "a preset": (["--preset", "char-rnn"], "--cell must be 'vanilla', as in the run in "),
    "another task": (["--task", "words"], "--task must be 'text', as in the run in "),
    "a resumed run": (["--resume", "run"], "--start-from must be left out with --resume"),
    "other characters": (
        ["--data", "odd.txt"],
        "--data must hold only the 7 characters of the vocabulary, got 'x', 'é', 'y', 150 in all, the first ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_the_trained_run_is_refused(
    case: str, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    words, message = REFUSED[case]
    before = files(place)
    assert_refused(["train", "--start-from", "text", *words], message.format(place / "text"), capsys)
    assert files(place) == before


def test_typed_it_needs_nothing_but_the_data(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Repeating the network does no harm; unknown words are counted."""
    words = ["train", "--start-from", str(place / "words"), "--data", str(place / "odd.txt")]
    words += ["--updates", "1", "--batch-size", "3", "--num-steps", "2", "--cell", "vanilla"]
    _, lines = succeeds([*words, "--out", str(tmp_path / "run")], capsys)
    assert lines[1].startswith("unknown words, read as <unk>: ")
    assert lines[2] == f"starts with the weights of {str(place / 'words')!r}, " + (
        tf_rnn.load(place / "words").checkpoint.path.name
    )
    assert tf_rnn.load(tmp_path / "run").tokens == tf_rnn.load(place / "words").tokens


def test_a_task_object_and_a_graph_must_fit(place: Path, whole: Any) -> None:
    fits, other = Text(place / "new.txt", vocabulary=whole.task.vocabulary), Text(place / "new.txt")
    tf_rnn.Experiment(fits, batch_size=2).train(2, updates=1, start_from=place / "text", **QUIET)
    start: dict[str, Any] = {"start_from": place / "text", "callbacks": ()}
    for task, message in (
        (other, f"task must have the vocabulary of the run in {str(place / 'text')!r}"),
        (Echo(), f"task must be 'text', as in the run in {str(place / 'text')!r}, "),
    ):
        with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
            tf_rnn.Experiment(task, batch_size=2).train(2, updates=1, **start)
    graph = UnrolledGraph(tf_rnn.cells.VanillaCell(5), 2, 2, 7, 7)
    with pytest.raises(OptionError, match=r"^start_from must hold the variables of its configuration: "):
        tf_rnn.train(graph, fits, updates=1, **start)
