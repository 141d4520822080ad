"""A run in its folder: interrupted or out of space, nothing that was saved is lost; see also test_crashes."""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import types
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import assert_close

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
from tf_rnn.training.checkpoints import Checkpoints, quiet
from tf_rnn.training.run_folder import RunFolder, find_start, saved_config
from tf_rnn.training.state import read_variables

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


def run(
    callback: Callback | None = None, graph: UnrolledGraph | None = None, **options: Any
) -> TrainingResult:
    graph = graph or shared_graph()
    with graph.session(threads=1) as session:
        return train(graph, TASK, session=session, callbacks=[callback] if callback else (), **options)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Nothing is written for TensorBoard."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "TensorBoard", lambda *_: Callback())
        yield


@pytest.fixture
def saved_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunFolder, "save_seconds", 0.0)
    monkeypatch.setattr(RunFolder, "save_share", math.inf)


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) | {"seconds": 0} for line in lines]


def saved_updates(folder: Path) -> int:
    """The number of updates in the newest checkpoint."""
    start = find_start(folder, pytest.fail)
    assert start is not None
    return start.state.history.updates


def assert_same_end(folder: Path, weights: dict[str, Any], updates: int) -> None:
    """As of an undisturbed run; `seconds` may differ."""
    expected = run(updates=updates, out=folder / "whole")
    assert metrics(folder) == metrics(folder / "whole")
    assert list(weights) == list(expected.weights)
    for name, value in expected.weights.items():
        assert_close(weights[name], value, 0, name)


# --- interrupted ---------------------------------------------------------------------------------

INTERRUPTED_TWICE = """
import math, signal, sys
from pathlib import Path
import test_run_folder
from tf_rnn.training import Callback
from tf_rnn.training.run_folder import RunFolder

class Line(Callback):
    report_seconds = 0.0

    def on_progress(self, progress):
        print(progress.updates, flush=True)

folder = Path(sys.argv[1])
RunFolder.save_seconds, RunFolder.save_share = 0.0, math.inf
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
for place in ({"out": folder}, {"resume": folder}):
    try:
        test_run_folder.run(Line(), updates=10**9, **place)
    except KeyboardInterrupt:
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
        print(-1, flush=True)
"""


def read_until(process: subprocess.Popen[str], updates: int) -> int:
    """Waits for at least so many updates; returns the number that was read."""
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= updates:
            return int(line)
    assert process.stderr is not None
    raise AssertionError(f"no update {updates}: {process.stderr.read()}")


def test_signals_end_a_run_after_the_present_update(tmp_path: Path) -> None:
    """SIGINT, and SIGTERM after resuming: both save, raise KeyboardInterrupt and restore handlers."""
    folder, done, pipe = tmp_path / "run", 0, subprocess.PIPE
    command = [sys.executable, "-c", INTERRUPTED_TWICE, str(folder)]
    with subprocess.Popen(command, cwd=Path(__file__).parent, stdout=pipe, stderr=pipe, text=True) as process:
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


class Interrupting(Callback):
    """Sends signals at an update, or at an evaluation after so many."""

    report_seconds = 0.0

    def __init__(self, update: int = -1, evaluation: int = -1, times: int = 1) -> None:
        self._update, self._evaluation, self._times = update, evaluation, times
        self.updates: list[int] = []
        self.handlers: set[Any] = set()

    def on_progress(self, progress: Progress) -> None:
        self.updates.append(progress.updates)
        self.handlers.add(signal.getsignal(signal.SIGINT))
        if progress.updates == self._update:
            self._send()

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        if point.updates == self._evaluation:
            self._send()

    def _send(self) -> None:
        for _ in range(self._times):
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers_are_restored() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


# Between two evaluations; before any update, at an epoch's end, and at the very end.
@pytest.mark.parametrize(
    ("at", "updates"), [({"update": 3}, 3), *(({"evaluation": n}, n) for n in (0, 2, 5))]
)
def test_a_first_interrupt_waits_until_the_run_is_saved(tmp_path: Path, at: Any, updates: int) -> None:
    callback = Interrupting(**at)
    with pytest.raises(SavedInterrupt):
        run(callback, updates=5, out=tmp_path)
    assert callback.updates == list(range(1, updates + 1))
    assert saved_updates(tmp_path) == updates
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


def test_a_second_interrupt_is_immediate_and_does_not_claim_to_have_saved(tmp_path: Path) -> None:
    """What was saved before can be resumed."""
    callback = Interrupting(update=3, times=2)
    with pytest.raises(KeyboardInterrupt) as caught:
        run(callback, updates=9, out=tmp_path)
    assert caught.type is KeyboardInterrupt
    assert callback.updates == [1, 2, 3]
    assert saved_updates(tmp_path) == 2, "the last evaluation"
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


def test_an_interrupt_before_the_first_checkpoint_does_not_claim_to_have_saved(tmp_path: Path) -> None:
    """The configuration has been written, and nothing else."""

    class Late(Callback):
        def on_evaluation(self, point: CurvePoint, session: Any) -> None:
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt) as caught:
        run(Late(), updates=9, out=tmp_path)
    assert caught.type is KeyboardInterrupt
    assert set(contents(tmp_path)) == {"config.json"}
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


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
    assert callback.updates == [1, 2]
    assert callback.handlers == {signal.default_int_handler}


def test_handlers_are_restored_after_an_error(tmp_path: Path) -> None:
    graph = make_graph(optimizer="sgd", learning_rate=3e38)
    callback = Interrupting()
    with pytest.raises(DivergedError):
        run(callback, graph, updates=9, out=tmp_path)
    assert callback.handlers != {signal.getsignal(signal.SIGINT)}, "none was ever set"


def test_another_thread_trains_without_handlers(tmp_path: Path) -> None:
    """Only the main thread may set them."""
    callback = Interrupting()
    results: list[TrainingResult] = []
    thread = threading.Thread(target=lambda: results.append(run(callback, updates=3, out=tmp_path)))
    thread.start()
    thread.join()
    assert [result.updates for result in results] == [3]
    assert callback.handlers == {signal.getsignal(signal.SIGINT)}
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


# --- when it is saved ----------------------------------------------------------------------------


def test_saving_is_due_after_a_while_and_takes_a_small_part_of_the_time(
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


def test_each_update_may_be_saved(tmp_path: Path, saved_always: None) -> None:
    seen = []

    class Looking(Callback):
        report_seconds = 0.0

        def on_progress(self, progress: Progress) -> None:
            if progress.updates > 1:
                seen.append(saved_updates(tmp_path))

    run(Looking(), updates=4, out=tmp_path)
    assert seen == [1, 2, 3]
    assert saved_updates(tmp_path) == 4


def test_the_best_checkpoint_is_kept_and_holds_the_weights_with_the_lowest_loss(tmp_path: Path) -> None:
    graph = make_graph(optimizer="sgd", learning_rate=3.0, dropout=0.0)
    result = run(None, graph, epochs=9, out=tmp_path)
    lowest = min(result.curve[1:], key=lambda point: point.valid_loss)
    made = Checkpoints(tmp_path / "checkpoints", "resume")
    best = made.best(pytest.fail)
    assert best is not None
    assert lowest.epoch < 8, "the best is one of the last two by itself"
    assert len(made.numbers) == 3
    assert best.state.history.updates == lowest.updates
    assert best.state.best is not None
    assert best.state.best.valid_loss == lowest.valid_loss
    again = run(None, graph, updates=lowest.updates, out=tmp_path / "again")
    assert again.evaluation.loss == lowest.valid_loss
    for name, value in again.weights.items():
        assert_close(best.state.variables[name], value, 0, name)


def test_a_state_is_restored_without_a_new_operation(tmp_path: Path) -> None:
    run(updates=3, out=tmp_path)
    start = find_start(tmp_path)
    assert start is not None
    graph = shared_graph()
    before = len(graph.tf_graph.get_operations())
    with graph.session(threads=1) as session:
        start.state.restore("resume", graph, session)
        for name, value in read_variables(graph, session).items():
            assert_close(value, start.state.variables[name], 0, name)
    assert len(graph.tf_graph.get_operations()) == before
    assert "layer_0/W/m" in start.state.variables


# --- what cannot be written or read ----------------------------------------------------------------


def full(*_: Any, **__: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_of_metrics(path: Path, *given: Any, open_path: Any = Path.open, **more: Any) -> Any:
    return full() if path.name == ".metrics.jsonl.partial" else open_path(path, *given, **more)


@pytest.mark.parametrize(
    ("place", "failing", "file"),
    [
        ("tf_rnn.files.Path.open", full_of_metrics, "metrics.jsonl"),
        ("tf_rnn.training.checkpoints.np.savez", full, "checkpoints/checkpoint-000003.npz"),
    ],
)
def test_a_run_that_cannot_be_saved_ends_and_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, failing: Any, file: str
) -> None:
    """When the disk is full after the first epoch; what was saved before is unchanged."""

    class Filling(Callback):
        report_seconds = 0.0

        def on_progress(self, progress: Progress) -> None:
            if progress.updates == 3:
                before.update(contents(tmp_path))
                monkeypatch.setattr(place, failing)

    before: dict[str, bytes] = {}
    message = f"out could not be written: No space left on device ({str(tmp_path / file)!r})"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(Filling(), updates=6, out=tmp_path)
    after = contents(tmp_path)
    # The first checkpoint's turn to be deleted has come, and the run has ended.
    kept = [name for name in before if "checkpoint-000001" not in name and name != LOCK]
    assert {name: after.get(name) for name in kept} == {name: before[name] for name in kept}
    monkeypatch.undo()
    assert_same_end(tmp_path, run(updates=6, resume=tmp_path).weights, 6)


def test_a_checkpoint_that_cannot_be_read_is_reported_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing permission or a bad disk is not damage: nothing is trained, nothing deleted."""
    run(updates=3, out=tmp_path)
    before, read = contents(tmp_path), Path.read_bytes
    newest = max((tmp_path / "checkpoints").iterdir())
    for error in (
        PermissionError(errno.EACCES, "Permission denied"),
        OSError(errno.EIO, "Input/output error"),
    ):

        def fail(path: Path, error: OSError = error) -> bytes:
            if path == newest:
                raise error
            return read(path)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "read_bytes", fail)
            with pytest.raises(OptionError) as caught:
                run(updates=5, resume=tmp_path)
        assert str(caught.value) == f"resume could not be read: {error.strerror} ({str(newest)!r})"
        assert contents(tmp_path) == before
    assert_same_end(tmp_path, run(updates=5, resume=tmp_path).weights, 5)


def test_a_configuration_that_cannot_be_written_is_an_error_of_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", full)
    message = f"out could not be written: No space left on device ({str(tmp_path / 'config.json')!r})"
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


@pytest.mark.parametrize("option", ["out", "resume"])
@pytest.mark.parametrize("value", [5, "", "a\0b", "\udcff", b"run"])
def test_a_value_that_is_no_path_is_refused(option: str, value: Any) -> None:
    message = f"{option} must be the path of a folder, got {value!r}"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        run(updates=1, **{option: value})


# --- files ---------------------------------------------------------------------------------------


def test_the_configuration_is_written_once_and_saved_with_each_checkpoint(tmp_path: Path) -> None:
    run(updates=1, out=tmp_path)
    assert saved_config(tmp_path)["training"]["budget"] == {"kind": "updates", "amount": 1}
    written = (tmp_path / "config.json").read_bytes()
    run(epochs=1, resume=tmp_path)
    assert saved_config(tmp_path)["training"]["budget"] == {"kind": "epochs", "amount": 1}
    assert (tmp_path / "config.json").read_bytes() == written


def test_options_may_be_numbers_of_any_type(tmp_path: Path) -> None:
    graph = make_graph(learning_rate=Fraction(1, 10), clip_norm=np.float32(0.5), dropout=0.0)
    run(None, graph, updates=Fraction(2), patience=np.int64(9), out=tmp_path)
    config = saved_config(tmp_path)
    assert (config["graph"]["learning_rate"], config["graph"]["clip_norm"]) == (0.1, 0.5)
    assert (config["training"]["budget"]["amount"], config["training"]["patience"]) == (2.0, 9)
    run(None, make_graph(learning_rate=0.1, clip_norm=0.5, dropout=0.0), updates=3, resume=tmp_path)


def test_records_are_the_lines_of_the_metrics(tmp_path: Path) -> None:
    result = run(updates=3, out=tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == result.records
    assert [record["step"] for record in result.records] == [2, 3]
    point = result.curve[1]
    assert result.records[0] == {
        "epoch": 1,
        "step": 2,
        "tokens": 24,
        "train_loss": point.train_loss,
        "valid_loss": point.valid_loss,
        "perplexity": math.exp(point.valid_loss),
        "seconds": point.seconds,
    }


def test_what_is_not_a_number_in_the_metrics_is_null(tmp_path: Path) -> None:
    """There is a line for each point after the start."""
    curve = [CurvePoint(0, 0, 0.0, math.nan, 0.7, 0), CurvePoint(4, 48, 1.5, math.nan, 1e4, 2)]
    RunFolder(tmp_path).save(TrainingState({}, {}), set(), curve)
    (line,) = (json.loads(text) for text in (tmp_path / "metrics.jsonl").read_text("utf-8").splitlines())
    assert (line["train_loss"], line["valid_loss"], line["perplexity"]) == (None, 1e4, None)
    RunFolder(tmp_path).save(TrainingState({}, {}), set(), curve[:1])
    assert (tmp_path / "metrics.jsonl").read_bytes() == b""


def made_up(folder: Path, **arrays: Any) -> None:
    """Puts other arrays in the newest checkpoint."""
    path = max((folder / "checkpoints").iterdir())
    with np.load(path) as found:
        np.savez(path, **dict(found) | arrays)


def test_states_and_variables_of_another_network_are_refused(tmp_path: Path) -> None:
    """Nobody writes such a checkpoint but on purpose."""
    run(updates=1, out=tmp_path / "run")
    for arrays, message in (
        ({"carried/0": np.zeros((3, 6))}, "must hold a state of float32 [3, 5], got float64 [3, 6]"),
        (
            {"variables/layer_0/W/m": np.zeros((7, 6), np.float32)},
            "must hold the variables of its configuration: layer_0/W/m is float32 [7, 6], not float32 [7, 5]",
        ),
    ):
        copy = shutil.copytree(tmp_path / "run", tmp_path / next(iter(arrays)).partition("/")[0])
        made_up(copy, **arrays)
        with pytest.raises(OptionError, match=f"^resume {re.escape(message)}$"):
            run(updates=2, resume=copy)


def test_a_run_of_an_earlier_version_is_reported(tmp_path: Path) -> None:
    run(updates=1, out=tmp_path)
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()
    (tmp_path / "checkpoints" / "checkpoint-000003").mkdir()
    with pytest.raises(OptionError, match=r"^resume must hold checkpoints of this version, "):
        run(updates=2, resume=tmp_path)
    with pytest.raises(OptionError, match=r"^resume must hold checkpoints of this version, "):
        find_start(tmp_path, quiet)
