"""Faults of a user's data are named as such, in a sentence, before anything is trained."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tf_rnn.analysis.lags import measure_lags
from tf_rnn.cells import VanillaCell
from tf_rnn.experiment import Experiment
from tf_rnn.graph import UnrolledGraph
from tf_rnn.inference import load
from tf_rnn.options import OptionError
from tf_rnn.tasks import Stream, Task
from tf_rnn.tasks.base import Defaults
from tf_rnn.training import Evaluator, train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

LENGTH, FAULTY = 62, 33
COLUMN = ", column 1"
EXTREME = 1e300


class Own(Task):
    """A task of a user's own: 62 steps of 2 inputs and 2 targets, equal in both splits.

    Args:
        change: Changes arrays of a split, in place or for others.
        split: Which split is changed.
        real: Whether values are real, else classes.
        epoch: From which epoch on it is changed.
    """

    name = "own"
    defaults = Defaults(3, "sgd", 0.1, 100)
    input_size = num_classes = 2

    def __init__(
        self,
        change: Callable[[NDArray[Any], NDArray[Any]], Any] = lambda *arrays: arrays,
        split: str = "train",
        *,
        real: bool = True,
        epoch: int = 0,
    ) -> None:
        self._change, self._split, self._real, self._epoch = change, split, real, epoch
        if real:
            self.input_kind, self.loss = "real", "squared_error"

    def stream(self, split: str = "train", epoch: int = 0) -> Any:
        rng = np.random.default_rng(3)
        if self._real:
            inputs, targets = rng.normal(size=(2, LENGTH, 2)).astype(np.float32)
        else:
            inputs, targets = rng.integers(2, size=(2, LENGTH)).astype(np.int32)
        if split != self._split or epoch < self._epoch:
            return Stream(inputs, targets)
        found = self._change(inputs, targets)
        return Stream(*found) if type(found) is tuple else found

    def options(self) -> dict[str, Any]:
        return {}


def make_graph(*, real: bool = True, **options: Any) -> UnrolledGraph:
    kind: dict[str, Any] = {"input_kind": "real", "loss": "squared_error"} if real else {}
    return UnrolledGraph(VanillaCell(4), 5, 3, 2, 2, seed=5, **kind, **options)


@functools.cache
def graph_of(*, real: bool = True) -> UnrolledGraph:
    """A graph for all tests that want no options: what is trained is in a session."""
    return make_graph(real=real)


def loss_after(task: Own, *, real: bool) -> float | None:
    return train(graph_of(real=real), task, updates=7, callbacks=()).curve[-1].train_loss


def put(part: int, value: Any, dtype: Any = np.float32) -> Callable[..., Any]:
    """A change that puts a value at a step of inputs (0) or targets (1)."""

    def change(*arrays: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        changed = [array.astype(dtype) for array in arrays]
        changed[part][FAULTY, 1] = value
        return tuple(changed)

    return change


def assert_refused(task: Task, message: str, *, real: bool = True) -> None:
    graph = graph_of(real=real)
    with graph.session() as session:
        before = session.run(list(graph.variables))
        with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
            train(graph, task, updates=20, session=session, callbacks=())
        for now, first in zip(session.run(list(graph.variables)), before, strict=True):
            np.testing.assert_array_equal(now, first, "something was trained")


@pytest.mark.parametrize(
    ("part", "value", "split"),
    [(0, np.nan, "train"), (0, -np.inf, "valid"), (1, np.inf, "train"), (1, np.nan, "valid")],
)
def test_a_value_that_is_not_finite(part: int, value: float, split: str) -> None:
    name = ("inputs", "targets")[part]
    message = f"{name} of split '{split}' must be finite, got {value} at step {FAULTY}{COLUMN}"
    assert_refused(Own(put(part, value), split), message)


def test_a_value_beyond_the_graph_s_dtype() -> None:
    message = f"inputs of split 'train' must be finite in float32, got 1e+300 at step {FAULTY}{COLUMN}"
    assert_refused(Own(put(0, EXTREME, np.float64)), message)


@pytest.mark.parametrize(
    ("add", "found", "split"),
    [
        (1, "from 1 to 2", "train"),
        (-1, "from -1 to 0", "valid"),
        (2**32, "from 4294967296 to 4294967297", "train"),
    ],
)
def test_classes_out_of_range(add: int, found: str, split: str) -> None:
    """One-based labels, say."""
    task = Own(lambda inputs, targets: (inputs, targets.astype(np.int64) + add), split, real=False)
    assert_refused(task, f"targets of split '{split}' must be classes from 0 to 1, got {found}", real=False)


def test_fractions_are_no_classes() -> None:
    task = Own(lambda inputs, targets: (inputs, targets + 0.9), real=False)
    message = "stream must return targets that are whole numbers, got dtype float64 (split 'train')"
    assert_refused(task, message, real=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:0], y[:0]), "task must have data in the split 'valid', got none"),
        (
            lambda x, y: (x.tolist(), y),
            "stream must return a Stream of two NumPy arrays, got Stream of list, ndarray (split 'valid')",
        ),
        (
            lambda x, y: [x, y],
            "stream must return a Stream of two NumPy arrays, got list (split 'valid')",
        ),
        (
            lambda x, y: (x, y[:-1]),
            "stream must return inputs and targets of one length, got 62 and 61 (split 'valid')",
        ),
    ],
)
def test_a_held_out_stream_of_another_form(change: Callable[..., Any], message: str) -> None:
    assert_refused(Own(change, "valid"), message)


def test_a_training_split_without_data() -> None:
    task = Own(lambda x, y: (x[:0], y[:0]))
    assert_refused(task, "task must have at least one token in split 'train', got 0 tokens")


def test_a_split_without_a_target() -> None:
    task = Own(lambda x, y: (x, np.full_like(y, np.nan)), "valid")
    task.loss_steps = "marked"
    message = "task must have targets in the split 'valid' after the warm-up, got none"
    graph = make_graph(loss_steps="marked")
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        train(graph, task, updates=1, callbacks=())


def test_an_evaluator_and_a_loaded_model_name_the_fault(tmp_path: Path) -> None:
    graph = graph_of()
    train(graph, Own(), updates=1, out=tmp_path / "run", callbacks=())
    faulty = Own(put(0, np.nan), "valid")
    empty = Own(lambda x, y: (x[:0], y[:0]), "valid")
    for task, message in (
        (faulty, rf"^inputs of split 'valid' must be finite, got nan at step {FAULTY}{COLUMN}$"),
        (empty, r"^task must have data in the split 'valid', got none$"),
    ):
        with pytest.raises(OptionError, match=message):
            Evaluator(graph, task)
        with pytest.raises(OptionError, match=message):
            load(tmp_path / "run", task=task).evaluator()
        with graph.session() as session, pytest.raises(OptionError, match=message):
            measure_lags(graph, session, task, 3)


def test_a_comparison_names_the_fault_before_anything_is_written(tmp_path: Path) -> None:
    experiment = Experiment(Own(put(0, np.nan), "valid"), cell="vanilla", state_size=3, batch_size=3)
    verbs: list[Any] = [experiment.compare, experiment.recommend]
    for verb in verbs:
        message = rf"^inputs of split 'valid' must be finite, got nan at step {FAULTY}{COLUMN}$"
        with pytest.raises(OptionError, match=message):
            verb([2], workers=1, out=tmp_path / "out")
    with pytest.raises(OptionError, match=message):
        experiment.lags(2, out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_of_a_later_epoch_is_found_when_it_begins() -> None:
    message = rf"^inputs of split 'train' must be finite, got nan at step {FAULTY}{COLUMN}$"
    with pytest.raises(OptionError, match=message):
        train(graph_of(), Own(put(0, np.nan), epoch=1), epochs=2, callbacks=())


def test_whole_numbers_are_real_values_too() -> None:
    """Of any size: they are not taken for classes."""
    whole = Own(lambda x, y: ((9 * x).astype(np.int64), (9 * y).astype(np.int8)))
    real = Own(
        lambda x, y: ((9 * x).astype(np.int64).astype(np.float32), (9 * y).astype(np.int8).astype(float))
    )
    assert loss_after(whole, real=True) == loss_after(real, real=True)


def test_classes_of_any_whole_dtype_train_alike() -> None:
    expected = loss_after(Own(real=False), real=False)
    for dtype in (np.int8, np.int64, np.uint64):
        task = Own(lambda x, y: (x.astype(dtype), y.astype(dtype)), real=False)  # noqa: B023
        assert loss_after(task, real=False) == expected, dtype


# --- the session loop ------------------------------------------------------------------------------

CLASSES = np.random.default_rng(2).integers(2, size=(3, 5))


def test_a_real_value_that_a_cast_would_make_infinite_is_refused() -> None:
    graph = graph_of()
    values = np.full((3, 5, 2), EXTREME)
    with graph.session() as session:
        run = graph.runner(session, graph.total_loss)
        with pytest.raises(OptionError, match=r"^inputs must be finite in float32, got 1e\+300$"):
            run(values, np.zeros_like(values), graph.zero_state())


def test_targets_that_do_not_count_may_be_anything() -> None:
    last = make_graph(real=False, loss_steps=2)
    marked = make_graph(real=False, loss_steps="marked")
    targets = CLASSES.copy()
    targets[:, :3] = 99
    assert last.feed(CLASSES, targets, last.zero_state())
    targets[:, :3] = -1
    assert marked.feed(CLASSES, targets, marked.zero_state())
    with pytest.raises(OptionError, match=r"^targets must hold classes from -1 to 1, got 99$"):
        marked.feed(CLASSES, np.full_like(CLASSES, 99), marked.zero_state())
