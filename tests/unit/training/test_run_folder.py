"""A run in its folder: interrupted or out of space, nothing that was saved is lost; see also test_crashes."""

from __future__ import annotations

import errno
import functools
import math
import os
import re
import shutil
import signal
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from command_helpers import files
from helpers import assert_close
from model_helpers import checkpoints, metrics

from tf_rnn import cells
from tf_rnn.graph import UnrolledGraph
from tf_rnn.lock import LOCK
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo
from tf_rnn.training import (
    Callback,
    CurvePoint,
    DivergedError,
    SavedInterrupt,
    TrainingState,
    loop,
    run_folder,
    train,
)
from tf_rnn.training.checkpoints import Checkpoints
from tf_rnn.training.run_folder import RunFolder, find_start, saved_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tf_rnn.training import Progress, TrainingResult

# 2 blocks an epoch of 3 rows times 4 steps.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=29, valid_length=3)


@functools.cache
def graph_of(**options: Any) -> UnrolledGraph:
    """One graph for all tests that need the same; each of its sessions starts from the same weights."""
    given: dict[str, Any] = {"seed": 7, "optimizer": "adam", "dropout": 0.3}
    return UnrolledGraph(cells.VanillaCell(5), 4, 3, 2, 2, **(given | options))


def run(
    callback: Callback | None = None, graph: UnrolledGraph | None = None, **options: Any
) -> TrainingResult:
    graph = graph or graph_of()
    with graph.session(threads=1) as session:
        return train(graph, TASK, session=session, callbacks=[callback] if callback else (), **options)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Nothing is written for TensorBoard."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "TensorBoard", lambda *_: Callback())
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingResult]:
    """A run of five updates that nothing happens to."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(updates=5, out=folder)


def saved(folder: Path) -> TrainingState:
    start = find_start(folder, pytest.fail)
    assert start is not None
    return start.state


@pytest.fixture
def assert_same_end(whole: tuple[Path, TrainingResult]) -> Callable[[Path], None]:
    """Resumes a run, to the end of the undisturbed one; `seconds` may differ."""

    def check(folder: Path) -> None:
        weights, expected = run(updates=5, resume=folder).weights, whole[1].weights
        found, wanted = ([line | {"seconds": 0} for line in metrics(each)] for each in (folder, whole[0]))
        assert found == wanted
        assert list(weights) == list(expected)
        for name, value in expected.items():
            assert_close(weights[name], value, 0, name)

    return check


# --- interrupted ---------------------------------------------------------------------------------


class Interrupting(Callback):
    """Sends signals at an update, or at an evaluation after so many."""

    report_seconds = 0.0

    def __init__(self, update: int = -1, evaluation: int = -1, *numbers: signal.Signals) -> None:
        self._update, self._evaluation, self._numbers = update, evaluation, numbers or (signal.SIGINT,)
        self.updates: list[int] = []
        self.handlers: set[Any] = set()

    def on_progress(self, progress: Progress) -> None:
        self.updates.append(progress.updates)
        self.handlers.add(signal.getsignal(signal.SIGINT))
        self._send_if(progress.updates == self._update)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        self._send_if(point.updates == self._evaluation)

    def _send_if(self, now: bool) -> None:
        for number in self._numbers if now else ():
            signal.raise_signal(number)


@pytest.fixture(autouse=True)
def handlers_are_restored() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


@pytest.mark.parametrize(
    ("where", "updates"),
    [
        ((3, -1), 3),  # between two evaluations
        ((3, -1, signal.SIGTERM), 3),
        ((-1, 0), 0),  # before any update
        ((-1, 2), 2),  # at an epoch's end
        ((-1, 5, signal.SIGTERM), 5),  # at the very end
    ],
)
def test_a_first_interrupt_waits_for_saving(
    tmp_path: Path, where: Any, updates: int, assert_same_end: Any
) -> None:
    callback = Interrupting(*where)
    with pytest.raises(SavedInterrupt):
        run(callback, updates=5, out=tmp_path)
    assert callback.updates == list(range(1, updates + 1))
    assert saved(tmp_path).history.updates == updates
    assert_same_end(tmp_path)


@pytest.mark.parametrize(
    ("first", "where", "updates", "found"),
    [(signal.SIGINT, (3, -1), 3, 2), (signal.SIGTERM, (-1, 0), 0, None)],
)
def test_a_second_interrupt_is_immediate_and_does_not_claim_to_have_saved(
    tmp_path: Path, first: signal.Signals, where: Any, updates: int, found: int | None, assert_same_end: Any
) -> None:
    """What was saved before can be resumed: the last evaluation, or nothing but the configuration."""
    callback = Interrupting(*where, first, signal.SIGINT)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(callback, updates=9, out=tmp_path)
    assert caught.type is KeyboardInterrupt
    assert callback.updates == list(range(1, updates + 1))
    if found is None:
        assert set(files(tmp_path)) == {"config.json"}
    else:
        assert saved(tmp_path).history.updates == found
    assert_same_end(tmp_path)


def test_without_a_folder_an_interrupt_is_immediate() -> None:
    """With Python's own handler, which it does not set where it is started to ignore interrupts."""
    callback = Interrupting(update=2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            run(callback, updates=9)
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught.type is KeyboardInterrupt
    assert (callback.updates, callback.handlers) == ([1, 2], {signal.default_int_handler})


def test_handlers_are_restored_after_an_error(tmp_path: Path) -> None:
    callback, explosive = Interrupting(), graph_of(optimizer="sgd", learning_rate=3e38)
    with pytest.raises(DivergedError):
        run(callback, explosive, updates=9, out=tmp_path)
    assert callback.handlers != {signal.getsignal(signal.SIGINT)}, "none was ever set"


def test_another_thread_trains_without_handlers(tmp_path: Path, assert_same_end: Any) -> None:
    """Only the main thread may set them."""
    callback = Interrupting()
    results: list[TrainingResult] = []
    thread = threading.Thread(target=lambda: results.append(run(callback, updates=3, out=tmp_path)))
    thread.start()
    thread.join()
    assert [result.updates for result in results] == [3]
    assert callback.handlers == {signal.getsignal(signal.SIGINT)}
    assert_same_end(tmp_path)


# --- when it is saved, and what ------------------------------------------------------------------


def test_saving_is_due_after_a_while_and_takes_little_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(run_folder, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    took = iter([1.0, 10.0, 2.0])

    def write(*_: Any) -> None:
        now[0] += next(took)

    monkeypatch.setattr(Checkpoints, "write", write)
    folder, waited = RunFolder(tmp_path), []
    for _ in range(3):
        due = now[0]
        while not folder.save_is_due:
            now[0] += 1.0
        waited.append(now[0] - due)
        folder.save(TrainingState({}, {}), set(), [])
    assert waited == [60.0, 60.0, 200.0]


def test_each_update_may_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Looking(Callback):
        report_seconds = 0.0

        def on_progress(self, progress: Progress) -> None:
            if progress.updates > 1:
                seen.append(saved(tmp_path).history.updates)

    monkeypatch.setattr(RunFolder, "save_seconds", 0.0)
    monkeypatch.setattr(RunFolder, "save_share", math.inf)
    seen: list[int] = []
    graph = graph_of()
    result = run(Looking(), graph, updates=4, out=tmp_path)
    assert [*seen, saved(tmp_path).history.updates] == [1, 2, 3, 4]
    assert_close(result.weights, run(None, graph, updates=4).weights, 0, "with checkpoints and without")


def test_the_best_checkpoint_is_kept_and_holds_the_weights_with_the_lowest_loss(tmp_path: Path) -> None:
    graph = graph_of(optimizer="sgd", learning_rate=3.0, dropout=0.0)
    result = run(None, graph, epochs=9, out=tmp_path)
    lowest = min(result.curve[1:], key=lambda point: point.valid_loss)
    made = Checkpoints(tmp_path / "checkpoints", "resume")
    best = made.best(pytest.fail)
    assert best is not None
    assert lowest.epoch < 8, "the best must not be one of the last two"
    assert len(made.numbers) == 3
    assert best.state.history.updates == lowest.updates
    assert best.state.best is not None
    assert best.state.best.valid_loss == lowest.valid_loss
    again = run(None, graph, updates=lowest.updates)
    assert again.evaluation.loss == lowest.valid_loss
    for name, value in again.weights.items():
        assert_close(best.state.variables[name], value, 0, name)


def test_the_configuration_is_written_once_and_saved_with_each_checkpoint(tmp_path: Path) -> None:
    run(updates=1, out=tmp_path)
    assert saved_config(tmp_path)["training"]["budget"] == {"kind": "updates", "amount": 1}
    written = (tmp_path / "config.json").read_bytes()
    run(epochs=1, resume=tmp_path)
    assert saved_config(tmp_path)["training"]["budget"] == {"kind": "epochs", "amount": 1}
    assert (tmp_path / "config.json").read_bytes() == written


def test_metrics_are_the_records_with_null_for_nan(
    tmp_path: Path, whole: tuple[Path, TrainingResult]
) -> None:
    folder, result = whole
    assert metrics(folder) == result.records
    assert [record["step"] for record in result.records] == [2, 4, 5]
    _, _, seconds, train_loss, valid_loss, _ = point = result.curve[1]
    assert result.records[0] == {
        "epoch": 1, "step": 2, "tokens": 24, "train_loss": train_loss, "valid_loss": valid_loss,
        "perplexity": math.exp(valid_loss), "seconds": seconds,
    }  # fmt: skip
    made, start = RunFolder(tmp_path), result.curve[0]
    made.save(TrainingState({}, {}), set(), [start, point._replace(train_loss=math.nan, valid_loss=1e4)])
    (line,) = metrics(tmp_path)
    assert (line["train_loss"], line["valid_loss"], line["perplexity"]) == (None, 1e4, None)
    made.save(TrainingState({}, {}), set(), [start])
    assert metrics(tmp_path) == [], "only points after the start have a line"


# --- what cannot be written or read ----------------------------------------------------------------


def test_a_run_whose_metrics_cannot_be_saved_ends_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, assert_same_end: Any
) -> None:
    """What was saved before is unchanged; that nothing else fits on a full disk is in test_crashes."""
    open_path, before = Path.open, dict[str, bytes]()

    def full(path: Path, *given: Any, **more: Any) -> Any:
        if path.name == ".metrics.jsonl.partial":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return open_path(path, *given, **more)

    class Filling(Callback):
        report_seconds = 0.0

        def on_progress(self, progress: Progress) -> None:
            if progress.updates == 3:
                before.update(files(tmp_path))
                monkeypatch.setattr("tf_rnn.files.Path.open", full)

    problem = f"could not be written: No space left on device ({str(tmp_path / 'metrics.jsonl')!r})"
    with pytest.raises(OptionError, match=f"^out {re.escape(problem)}$"):
        run(Filling(), updates=6, out=tmp_path)
    after = files(tmp_path)
    monkeypatch.undo()
    # The first checkpoint's turn to be deleted has come, and the run has ended.
    kept = [name for name in before if "checkpoint-000001" not in name and name != LOCK]
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    assert_same_end(tmp_path)


@pytest.mark.parametrize("link", ["summaries", "summaries/samples", "checkpoints"])
def test_nothing_is_written_through_a_link(
    tmp_path: Path, link: str, whole: tuple[Path, TrainingResult]
) -> None:
    """As in a folder that somebody else has made."""
    outside, folder = tmp_path / "outside", shutil.copytree(whole[0], tmp_path / "run")
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).rename(outside) if (folder / link).exists() else outside.mkdir()
    (folder / link).symlink_to(outside)
    before = files(outside)
    message = f"resume must have no links to other places, {str(folder / link)!r} is one"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(updates=6, resume=folder)
    new = tmp_path / "new"
    (new / link).parent.mkdir(parents=True)
    (new / link).symlink_to(tmp_path / "nothing")
    with pytest.raises(OptionError, match=r"^out must be a new folder, an empty one, or "):
        run(updates=2, out=new)
    assert files(outside) == before


SLOT, OF_SLOT = "layer_0/W/m", "the variables of its configuration: layer_0/W/m is float32 [7, 6]"


@pytest.mark.parametrize(
    ("name", "array", "problem"),
    [
        ("carried/0", np.zeros((3, 6)), "a state of float32 [3, 5], got float64 [3, 6]"),
        (f"variables/{SLOT}", np.zeros((7, 6), np.float32), f"{OF_SLOT}, not float32 [7, 5]"),
    ],
)
def test_states_and_variables_of_another_network_are_refused(
    tmp_path: Path, whole: tuple[Path, TrainingResult], name: str, array: Any, problem: str
) -> None:
    """Nobody writes such a checkpoint except on purpose."""
    folder = shutil.copytree(whole[0], tmp_path / "run")
    path = checkpoints(folder)[-1]
    with np.load(path) as found:
        np.savez(path, **dict(found) | {name: array})
    with pytest.raises(OptionError, match=f"^resume must hold {re.escape(problem)}"):
        run(updates=6, resume=folder)
