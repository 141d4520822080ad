"""Threads that share a model, an evaluator or a graph get the results of one thread."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from model_helpers import keep_run, random_weights, write_splits

from tf_rnn.cells import LSTMCell, VanillaCell
from tf_rnn.graph import UnrolledGraph
from tf_rnn.inference import load
from tf_rnn.tasks import Echo, Text
from tf_rnn.training import Callback, Evaluator, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tf_rnn.training import CurvePoint, Progress

THREADS = 4
TASK = Echo(lags=(1, 3), effects=(0.3, -0.15), length=122, valid_length=900)


def together(work: Callable[[int], Any], count: int = THREADS) -> list[Any]:
    """The results of calls with 0, 1, ..., which begin at the same time."""
    barrier = threading.Barrier(count)

    def begin(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("threads")
    weights = partial(random_weights, seed=17, scale=2.0)
    return keep_run(path / "run", Text(write_splits(path / "splits")), VanillaCell(7), weights, num_steps=1)


def test_texts_sampled_at_the_same_time_are_those_of_one_thread(folder: Path) -> None:
    model = load(folder)
    options: list[dict[str, Any]] = [{"temperature": 0}, {"seed": 1}, {"seed": 2}, {"temperature": 0}]
    expected = ["".join(model.sample("abc", 60, **each)) for each in options]
    found = together(lambda number: "".join(model.sample("abc", 60, **options[number])))
    assert found == expected
    assert len(set(expected)) == 3


def test_texts_sampled_in_turn_have_each_their_own_state(folder: Path) -> None:
    """And that of the model's stepper is not touched."""
    model = load(folder)
    model.stepper.step(np.array([1]))
    before = [part.copy() for part in model.stepper.state]
    pieces: list[Iterator[str]] = [model.sample("ab", 20, seed=seed) for seed in (1, 2)]
    mixed = zip(*pieces, strict=True)
    texts = ["".join(text) for text in zip(*mixed, strict=True)]
    assert texts == ["".join(model.sample("ab", 20, seed=seed)) for seed in (1, 2)]
    for part, first in zip(model.stepper.state, before, strict=True):
        np.testing.assert_array_equal(part, first)


def test_another_stepper_has_a_state_of_its_own(folder: Path) -> None:
    stepper = load(folder).stepper
    other = stepper.another()
    first = stepper.step(np.array([1]))
    stepper.step(np.array([2]))
    np.testing.assert_array_equal(other.step(np.array([1])), first)


def test_evaluations_of_a_model_at_the_same_time(folder: Path) -> None:
    """Of new widths too: each is made once."""
    splits = ["valid", "test"]
    expected = [load(folder).evaluator(split, num_steps=7).loss for split in splits]
    model = load(folder)
    found = together(lambda number: model.evaluator(splits[number % 2], num_steps=7).loss)
    assert found == 2 * expected


def test_an_evaluator_in_several_sessions_at_the_same_time() -> None:
    graph = UnrolledGraph(VanillaCell(4), 4, 3, 2, 2)
    evaluator = Evaluator(graph, TASK)
    sessions = [graph.session() for _ in range(THREADS)]
    expected = [evaluator(session).loss for session in sessions]
    assert len(set(expected)) == THREADS, "each has weights of its own"
    assert [each.loss for each in together(lambda number: evaluator(sessions[number]))] == expected


def test_a_graph_of_another_size_is_made_once() -> None:
    graph = UnrolledGraph(VanillaCell(4), 4, 3, 2, 2)
    found = together(lambda _: graph.forward(num_steps=9))
    assert all(each is found[0] for each in found)


class Threads(Callback):
    """Records in which threads it is called."""

    report_seconds = 0.0

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def on_progress(self, progress: Progress) -> None:
        self.seen.add(threading.get_ident())

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        self.seen.add(threading.get_ident())


@pytest.mark.slow
def test_runs_in_several_threads_are_those_of_one_thread() -> None:
    """Each on a graph of its own; callbacks are called by the thread that trains."""

    def run(seed: int) -> tuple[list[float], bool]:
        graph, watching = UnrolledGraph(LSTMCell(4), 4, 3, 2, 2, dropout=0.3, seed=seed), Threads()
        with graph.session(1) as session:
            result = train(graph, TASK, updates=12, session=session, callbacks=[watching])
        losses = [point.valid_loss for point in result.curve]
        return losses, watching.seen == {threading.get_ident()}

    expected = [run(seed) for seed in range(THREADS)]
    assert all(is_own for _, is_own in expected)
    assert together(run) == expected
