"""A run that is interrupted or out of space loses nothing that was saved; see test_crashes.py for more."""

from __future__ import annotations

import dataclasses
import errno
import functools
import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close

from tf_rnn import cells
from tf_rnn._tensorflow import tf
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import saved_names
from tf_rnn.inference import load
from tf_rnn.lock import LOCK
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo
from tf_rnn.training import CurvePoint, DivergedError, Place, Silence, keeper, loop, meter, train
from tf_rnn.training.checkpoints import Checkpoints, read_checkpoint
from tf_rnn.training.keeper import FolderKeeper, Nothing, find_start, kept_config, write_metrics
from tf_rnn.training.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tf_rnn.training import Progress, TrainingResult

# 2 blocks an epoch of 3 rows times 4 steps.
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=29, valid_length=3)


def make_graph(**options: Any) -> UnrolledGraph:
    given: dict[str, Any] = {"seed": 7, "optimizer": "adam", "dropout": 0.3}
    return UnrolledGraph(cells.VanillaCell(5), 4, 3, 2, 2, **(given | options))


@functools.cache
def shared_graph() -> UnrolledGraph:
    return make_graph()


def run(listener: Any = None, graph: UnrolledGraph | None = None, **options: Any) -> TrainingResult:
    graph = graph or shared_graph()
    with graph.session(threads=1) as session:
        return train(graph, TASK, session=session, listener=listener or Silence(), **options)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Every update is reported; nothing is written for TensorBoard."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(meter, "REPORT_SECONDS", 0.0)
        patched.setattr(loop, "Summaries", lambda *_: Silence())
        yield


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) | {"seconds": 0} for line in lines]


def saved_updates(folder: Path) -> int:
    """How many updates the newest checkpoint has."""
    start = find_start(folder, pytest.fail)
    assert start is not None
    return start.snapshot.record.updates


def assert_same_end(folder: Path, weights: dict[str, Any], updates: int) -> TrainingResult:
    """As of a run that nothing happened to, which is returned; `seconds` are another matter."""
    expected = run(updates=updates, out=folder / "whole")
    assert metrics(folder) == metrics(folder / "whole")
    assert list(weights) == list(expected.weights)
    for name, value in expected.weights.items():
        assert_close(weights[name], value, 0, name)
    return expected


# --- interrupted ---------------------------------------------------------------------------------

PROCESS = """
import math, sys
from pathlib import Path
import test_keeper
from tf_rnn.training import Silence, keeper, meter

class Line(Silence):
    def __call__(self, progress):
        print(progress.updates, flush=True)

def run(**options):
    return test_keeper.run(Line(), **options)

folder = Path(sys.argv[1])
meter.REPORT_SECONDS, keeper.SAVE_SECONDS, keeper.SAVE_SHARE = 0.0, 0.0, math.inf
"""


def start_process(script: str, *arguments: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROCESS + script, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=Path(__file__).parent, stdout=pipe, stderr=pipe, text=True)


def read_until(process: subprocess.Popen[str], updates: int) -> int:
    """Waits for an update at least; returns the number that was read."""
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= updates:
            return int(line)
    assert process.stderr is not None
    raise AssertionError(f"no update {updates}: {process.stderr.read()}")


INTERRUPTED_TWICE = """
import signal
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
for kept in ({"out": folder}, {"resume": folder}):
    try:
        run(updates=10**9, **kept)
    except KeyboardInterrupt:
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        print(-1, flush=True)
"""


def test_signals_end_a_run_after_the_present_update(tmp_path: Path) -> None:
    """SIGINT, and SIGTERM after going on: both save, raise KeyboardInterrupt and give handlers back."""
    folder, done = tmp_path / "run", 0
    with start_process(INTERRUPTED_TWICE, folder) as process:
        assert process.stdout is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            assert read_until(process, done + 1) == done + 1
            done = read_until(process, done + 3)
            process.send_signal(number)
            more = [int(line) for line in iter(process.stdout.readline, "-1\n")]
            done = [done, *more][-1]
        _, errors = process.communicate(timeout=100)
    assert (process.returncode, errors) == (0, "")
    assert saved_updates(folder) == done
    weights = run(updates=done + 3, resume=folder).weights
    assert_same_end(folder, weights, done + 3)


class Interrupting(Silence):
    """Sends signals at an update, or at an evaluation after so many."""

    def __init__(self, update: int = -1, evaluation: int = -1, times: int = 1) -> None:
        self._update, self._evaluation, self._times = update, evaluation, times
        self.updates: list[int] = []
        self.handlers: set[Any] = set()

    def __call__(self, progress: Progress) -> None:
        self.updates.append(progress.updates)
        self.handlers.add(signal.getsignal(signal.SIGINT))
        if progress.updates == self._update:
            self._send()

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        if point.updates == self._evaluation:
            self._send()

    def _send(self) -> None:
        for _ in range(self._times):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers_are_given_back() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


def test_an_interrupt_is_held_back_until_the_run_is_saved(tmp_path: Path) -> None:
    listener = Interrupting(update=3)
    with pytest.raises(KeyboardInterrupt):
        run(listener, updates=9, out=tmp_path)
    assert listener.updates == [1, 2, 3]
    assert saved_updates(tmp_path) == 3
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


def test_a_second_interrupt_is_not_held_back(tmp_path: Path) -> None:
    """What was saved before is still there, and is gone on from."""
    listener = Interrupting(update=3, times=2)
    with pytest.raises(KeyboardInterrupt):
        run(listener, updates=9, out=tmp_path)
    assert listener.updates == [1, 2, 3]
    assert saved_updates(tmp_path) == 2, "the last evaluation"
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


@pytest.mark.parametrize(("evaluation", "updates"), [(0, 0), (2, 2), (5, 5)])
def test_an_interrupt_during_an_evaluation_is_not_lost(tmp_path: Path, evaluation: int, updates: int) -> None:
    """Before any update, at an epoch's end, and at the very end, when there is nothing left to do."""
    listener = Interrupting(evaluation=evaluation)
    with pytest.raises(KeyboardInterrupt):
        run(listener, updates=5, out=tmp_path)
    assert listener.updates == list(range(1, updates + 1))
    assert saved_updates(tmp_path) == updates
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


def test_without_a_folder_an_interrupt_is_not_held_back() -> None:
    """With Python's own handler, which it does not set where it is started to ignore interrupts."""
    listener = Interrupting(update=2)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            run(listener, updates=9)
    finally:
        signal.signal(signal.SIGINT, before)
    assert listener.updates == [1, 2]
    assert listener.handlers == {signal.default_int_handler}


def test_handlers_are_given_back_after_an_error(tmp_path: Path) -> None:
    graph = make_graph(optimizer="sgd", learning_rate=3e38)
    listener = Interrupting()
    with pytest.raises(DivergedError):
        run(listener, graph, updates=9, out=tmp_path)
    assert listener.handlers != {signal.getsignal(signal.SIGINT)}, "none was ever taken"


def test_another_thread_trains_without_handlers(tmp_path: Path) -> None:
    """Only the main thread may have them."""
    listener = Interrupting()
    results: list[TrainingResult] = []
    thread = threading.Thread(target=lambda: results.append(run(listener, updates=3, out=tmp_path)))
    thread.start()
    thread.join()
    assert [result.updates for result in results] == [3]
    assert listener.handlers == {signal.getsignal(signal.SIGINT)}
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


# --- when it is saved ----------------------------------------------------------------------------


# A session whose weights are finite.
FINITE = types.SimpleNamespace(run=lambda _: True)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that passes only when it is told to."""
    now = [1000.0]
    monkeypatch.setattr(keeper, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_saving_is_due_after_a_while_and_takes_a_small_part_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    graph = make_graph()
    kept = FolderKeeper(tmp_path, graph, {}, None, None)
    took = iter([1.0, 10.0, 2.0])
    record = Record()

    def write(*_: Any) -> None:
        clock[0] += next(took)

    monkeypatch.setattr(Checkpoints, "write", write)
    waited = []
    for _ in range(3):
        due = clock[0]
        while not kept.save_is_due:
            clock[0] += 1.0
        waited.append(clock[0] - due)
        record.updates += 1
        kept.save(FINITE, record, Place(), None, [])
    assert waited == [60.0, 60.0, 200.0]


def test_what_has_not_changed_is_not_saved_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[Any] = []
    monkeypatch.setattr(Checkpoints, "write", lambda *arguments: names.append(arguments[1]))
    kept = FolderKeeper(tmp_path, make_graph(), {}, None, None)
    record = Record()
    start = CurvePoint(0, 0, 0.0, math.nan, 0.7, 0)
    counts = []
    for change in (None, None, "updates", "epochs", None, "curve", None):
        if change == "curve":
            record.curve.append(start)
        elif change is not None:
            setattr(record, change, getattr(record, change) + 1)
        kept.save(FINITE, record, Place(), None, record.curve)
        counts.append(len(names))
    assert counts == [1, 1, 2, 3, 3, 4, 4]


def test_each_update_may_be_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(keeper, "SAVE_SHARE", math.inf)
    seen = []

    class Looking(Silence):
        def __call__(self, progress: Progress) -> None:
            if progress.updates > 1:
                seen.append(saved_updates(tmp_path))

    run(Looking(), updates=4, out=tmp_path)
    assert seen == [1, 2, 3]
    assert saved_updates(tmp_path) == 4


def test_the_best_checkpoint_stays_and_holds_the_weights_with_the_lowest_loss(tmp_path: Path) -> None:
    """Found by restoring it and evaluating."""
    graph = make_graph(optimizer="sgd", learning_rate=3.0, dropout=0.0)
    result = run(None, graph, epochs=9, out=tmp_path)
    lowest = min(result.curve[1:], key=lambda point: point.valid_loss)
    made = Checkpoints(tmp_path / "checkpoints")
    best = made.best(pytest.fail)
    assert best is not None
    assert lowest.epoch < 8, "the best is one of the last two by itself"
    assert len(made.names) == 3
    assert best.snapshot.record.updates == lowest.updates
    assert best.snapshot.best is not None
    assert best.snapshot.best.valid_loss == lowest.valid_loss
    again = run(None, graph, updates=lowest.updates, out=tmp_path / "again")
    assert again.evaluation.loss == lowest.valid_loss
    with graph.tf_graph.as_default():
        saver = tf.train.Saver(saved_names(graph))
    with graph.session(threads=1) as session:
        best.restore(saver, session, saved_names(graph))
        weights = session.run(list(graph.variables))
    assert_close(weights, list(again.weights.values()), 0, "weights")


def test_nothing_keeps_nothing() -> None:
    kept = Nothing()
    with kept as entered:
        assert entered is kept
        assert (kept.is_stopped, kept.save_is_due) == (False, False)
        kept.save(None, Record(), Place(), None, [])
    assert Nothing.restore(kept, None) is None  # type: ignore[func-returns-value]


# --- what cannot be written ----------------------------------------------------------------------


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_of_metrics(path: Path, *given: Any, open_path: Any = Path.open, **more: Any) -> Any:
    return full() if path.name == ".metrics.jsonl.partial" else open_path(path, *given, **more)


def full_of_tensorflow(*_: Any, **__: Any) -> Any:
    raise tf.errors.ResourceExhaustedError(None, None, "No space left on device\nmore lines")


@pytest.mark.parametrize(
    ("place", "failing", "file"),
    [
        ("tf_rnn.files.Path.open", full_of_metrics, "metrics.jsonl"),
        ("tf_rnn.training.checkpoints.np.savez", full, "checkpoints/checkpoint-000003.partial"),
        (
            "tf_rnn.training.keeper.tf.train.Saver.save",
            full_of_tensorflow,
            "checkpoints/checkpoint-000003.partial",
        ),
    ],
)
def test_a_run_that_cannot_be_saved_ends_and_can_be_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, failing: Any, file: str
) -> None:
    """When the disk is full after the first epoch; what was saved before is as it was."""

    class Filling(Silence):
        def __call__(self, progress: Progress) -> None:
            if progress.updates == 3:
                before.update(contents(tmp_path))
                monkeypatch.setattr(place, failing)

    before: dict[str, bytes] = {}
    message = f"out could not be written: No space left on device ({str(tmp_path / file)!r})"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(Filling(), updates=6, out=tmp_path)
    after = contents(tmp_path)
    # The first checkpoint's turn to go has come, and the run has ended.
    kept = [name for name in before if "checkpoint-000001" not in name and name != LOCK]
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    monkeypatch.undo()
    assert_same_end(tmp_path, run(updates=6, resume=tmp_path).weights, 6)


def test_a_configuration_that_cannot_be_written_is_an_error_of_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / "config.json"
    message = f"out could not be written: No space left on device ({str(path)!r})"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(updates=3, out=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_no_folder_for_a_run(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("mine", encoding="utf-8")
    message = f"out must be a folder that can be written, got {str(path)!r} (File exists)"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(updates=3, out=path)
    assert path.read_text(encoding="utf-8") == "mine"


# --- what was kept -------------------------------------------------------------------------------


def test_a_state_of_other_shapes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody writes such a checkpoint but on purpose."""
    run(updates=1, out=tmp_path)
    start = find_start(tmp_path)
    assert start is not None

    def changed(path: Path) -> Any:
        found = read_checkpoint(path)
        place = found.snapshot.place._replace(state=[np.zeros((3, 6)), np.zeros(2)])
        return dataclasses.replace(found, snapshot=dataclasses.replace(found.snapshot, place=place))

    monkeypatch.setattr("tf_rnn.training.checkpoints.read_checkpoint", changed)
    message = "resume must hold a state of float32 [3, 5], got float64 [3, 6], float64 [2]"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(updates=2, resume=tmp_path)


def test_the_configuration_that_counts_is_the_last_that_was_saved(tmp_path: Path) -> None:
    run(updates=1, out=tmp_path)
    assert kept_config(tmp_path)["training"]["budget"] == {"kind": "updates", "amount": 1}
    run(epochs=1, resume=tmp_path)
    assert kept_config(tmp_path)["training"]["budget"] == {"kind": "epochs", "amount": 1}
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    assert config["training"]["budget"] == {"kind": "updates", "amount": 1}, "as it was begun"


def test_metrics_are_standard_json(tmp_path: Path) -> None:
    """A line for each point after the start; what is no number is null."""
    path = tmp_path / "metrics.jsonl"
    curve = [
        CurvePoint(0, 0, 0.0, math.nan, 0.7, 0),
        CurvePoint(2, 24, 0.5, 0.625, 0.75, 1),
        CurvePoint(4, 48, 1.5, math.nan, 1e4, 2),
    ]
    write_metrics(path, curve)
    first, second = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    counts = {"epoch": 1, "step": 2, "tokens": 24}
    assert first == counts | {
        "train_loss": 0.625, "valid_loss": 0.75, "perplexity": math.exp(0.75), "seconds": 0.5,
    }  # fmt: skip
    assert list(first) == list(second)
    assert (second["train_loss"], second["valid_loss"], second["perplexity"]) == (None, 1e4, None)
    write_metrics(path, curve[:1])
    assert path.read_bytes() == b""


@pytest.mark.parametrize("link", ["summaries", "summaries/samples", "checkpoints"])
def test_a_run_writes_nothing_through_a_link(tmp_path: Path, link: str) -> None:
    """As in a folder that somebody else has made."""
    outside, folder = tmp_path / "outside", tmp_path / "run"
    run(updates=1, out=folder)
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).rename(outside) if (folder / link).exists() else outside.mkdir()
    (folder / link).symlink_to(outside)
    before = contents(outside)
    message = f"resume must have no links to other places, {str(folder / link)!r} is one"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(updates=2, resume=folder)
    new = tmp_path / "new"
    (new / link).parent.mkdir(parents=True)
    (new / link).symlink_to(tmp_path / "nothing")
    with pytest.raises(OptionError, match=r"^out must have no links to other places, "):
        run(updates=2, out=new)
    assert contents(outside) == before


def test_variables_of_another_network_are_refused(tmp_path: Path) -> None:
    """Nobody writes such a checkpoint but on purpose: it is sealed, and its configuration is another's."""
    run(updates=1, out=tmp_path)
    start = find_start(tmp_path)
    assert start is not None
    (start.path / "run.json").write_text(
        (start.path / "run.json").read_text(encoding="utf-8").replace('"state_size": 5', '"state_size": 6'),
        encoding="utf-8",
    )
    files = [path for path in start.path.iterdir() if path.name != "manifest.json"]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (start.path / "manifest.json").write_text(json.dumps(digests), encoding="utf-8")
    other = UnrolledGraph(cells.VanillaCell(6), 4, 3, 2, 2, seed=7, optimizer="adam", dropout=0.3)
    with pytest.raises(OptionError, match=r"^resume must hold the variables of its configuration: "):
        run(graph=other, updates=2, resume=tmp_path)
    with pytest.raises(OptionError, match=r"^folder must hold the variables of its configuration: "):
        load(tmp_path)


@pytest.mark.parametrize("option", ["out", "resume"])
@pytest.mark.parametrize("value", [5, "", "a\0b", "\udcff", b"run"])
def test_what_is_no_path_is_told(option: str, value: Any) -> None:
    message = f"{option} must be the path of a folder, got {value!r}"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(updates=1, **{option: value})
